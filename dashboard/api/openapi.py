"""The API's own description, OpenAPI 3.1, made from the endpoints that are there."""

from typing import Any

from dashboard.api.answers import CSV, PARQUET
from dashboard.api.endpoints import ENDPOINTS, Endpoint
from dashboard.api.parameters import PAGING, Parameter


def openapi(version: str) -> dict[str, Any]:
    """The document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "onnuri",
            "version": version,
            "description": "Digital Onnuri voucher: markets, incidents, losses, sales. Read-only. Money is KRW; times are in Asia/Seoul.",
        },
        "servers": [{"url": "/api/v1"}],
        "paths": {endpoint.path: {"get": _operation(endpoint)} for endpoint in ENDPOINTS},
        "components": {
            "schemas": {
                "error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": {
                        "error": {
                            "type": "object",
                            "required": ["code", "message"],
                            "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "parameter": {"type": "string"}},
                        }
                    },
                }
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "ONNURI_API_TOKEN, where it is set."}},
        },
        "security": [{}, {"token": []}],
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    row = {"type": "object", "properties": {name: _column(kind) for name, kind in endpoint.columns.items()}}
    page = {
        "type": "object",
        "required": ["manifest", "total", "limit", "offset", "next", "items"],
        "properties": {
            "manifest": {"type": "object", "description": "The published state that the answer is from."},
            "total": {"type": "integer"},
            "limit": {"type": "integer"},
            "offset": {"type": "integer"},
            "next": {"type": ["string", "null"], "description": "Address of the next page."},
            "items": {"type": "array", "items": row},
        },
    }
    forms = {"application/json": {"schema": page}, CSV: {"schema": {"type": "string"}}, PARQUET: {"schema": {"type": "string", "format": "binary"}}}
    problems = {
        "400": "A parameter cannot be used.",
        "401": "The token is missing or wrong.",
        "403": "People sign in to the pages, and no token is set for programs.",
        "404": "There is no such incident.",
        "405": "Only GET and HEAD are answered; the header Allow says so.",
        "406": "None of the forms is accepted.",
        "421": "The header Host is no name of this server.",
        "503": "Nothing is published yet.",
    }
    wrong = {"application/json": {"schema": {"$ref": "#/components/schemas/error"}}}
    return {
        "operationId": endpoint.path.strip("/"),
        "summary": endpoint.about,
        "parameters": [_parameter(parameter) for parameter in (*endpoint.parameters, *PAGING)],
        "responses": {
            "200": {"description": endpoint.about, "content": forms},
            **{code: {"description": about, "content": wrong} for code, about in problems.items()},
        },
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {"name": parameter.name, "in": "query", "description": parameter.about, "required": parameter.required, "schema": dict(parameter.schema)}


def _column(kind: str) -> dict[str, Any]:
    return {"type": ["string", "null"], "format": "date-time"} if kind == "date-time" else {"type": [kind, "null"]}
