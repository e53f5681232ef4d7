"""The API as an ASGI application, mounted beside the pages by Streamlit's own ``st.App``."""

import hmac
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import streamlit as st
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard import access, audit
from dashboard.api.answers import JSON, NotAcceptableError, accepted, as_json, failure, page
from dashboard.api.endpoints import ENDPOINTS, Endpoint
from dashboard.api.hosts import known_host
from dashboard.api.openapi import openapi
from dashboard.api.parameters import PAGING, BadParameterError, read_parameters
from dashboard.api.telling import told
from dashboard.public import keep_reason
from dashboard.settings import DashboardSettings
from dashboard.texts import texts_in
from warehouse.analysis import AnalysisError
from warehouse.reading import Manifest, ManifestError, NothingPublishedError, NotKnownError, open_snapshot

REMEMBERED = 64
"""Answers of the newest state that are kept, so that paging through one works it out once."""


def api(settings: DashboardSettings) -> Starlette:
    """The application under ``/api/v1``."""
    answers = _Answers(settings.published)
    description = as_json(openapi(version("onnuri")))

    def described(request: Request) -> Response:
        return _barred(request, settings) or Response(description, media_type=JSON)

    routes = [Route("/openapi.json", described), *(Route(endpoint.path, _served(endpoint, settings, answers)) for endpoint in ENDPOINTS)]
    return Starlette(routes=routes, exception_handlers={HTTPException: _refused, Exception: _failed})


def _served(endpoint: Endpoint, settings: DashboardSettings, answers: "_Answers") -> Callable[[Request], Response]:
    def serve(request: Request) -> Response:
        open_to_all = endpoint.public and settings.public_status
        barred = _barred(request, settings, open_to_all=open_to_all)
        if barred:
            return barred
        try:
            form = accepted(request.headers.get("accept"))
            asked = read_parameters((*endpoint.parameters, *PAGING), request.query_params.multi_items())
            limit, offset = asked.pop("limit"), asked.pop("offset")
            if not open_to_all:  # nobody's log rolls over by what everybody may read
                audit.keep(settings, "taken", {**request.query_params, "api": endpoint.path}, who="api")
            manifest, frame = answers.get(endpoint, asked)
            return page(frame, request, manifest, form, limit, offset)
        except tuple(PROBLEMS) as error:
            return _problem(error, open_to_all=open_to_all)

    return serve


PROBLEMS: dict[type[Exception], tuple[int, str]] = {
    NotAcceptableError: (406, "not_acceptable"),
    BadParameterError: (400, "bad_parameter"),
    AnalysisError: (400, "no_estimate"),
    NotKnownError: (404, "not_found"),
    NothingPublishedError: (503, "nothing_published"),
    ManifestError: (503, "unreadable"),
    OSError: (503, "unreadable"),
    duckdb.IOException: (503, "unreadable"),
}
"""What may go wrong, with its status and code; anything else is a bug."""


def _problem(error: Exception, *, open_to_all: bool) -> Response:
    """The answer to what went wrong; of the server's own troubles nothing but that there is one, where everybody reads it."""
    status, code = next(found for kind, found in PROBLEMS.items() if isinstance(error, kind))
    if status == 503 and open_to_all:
        keep_reason(error)
        return failure(status, "unavailable", texts_in("en")("status.away"))
    return failure(status, code, told(error), error.name if isinstance(error, BadParameterError) else None)


class _Answers:
    """Answers from the newest published state. One is worked out at a time: an estimate takes a core for a second or two."""

    def __init__(self, published: Path) -> None:
        self.published = published
        self.lock = threading.Lock()
        self.state: tuple[str, int] | None = None
        self.known: dict[tuple[str, str], pl.DataFrame] = {}

    def get(self, endpoint: Endpoint, asked: dict[str, Any]) -> tuple[Manifest, pl.DataFrame]:
        with self.lock, open_snapshot(self.published) as snapshot:
            manifest = snapshot.manifest
            state = (manifest.warehouse_id, manifest.sequence)
            if state != self.state or len(self.known) >= REMEMBERED:
                self.state, self.known = state, {}
            key = (endpoint.path, repr(asked))
            if key not in self.known:
                self.known[key] = endpoint.answer(snapshot, asked)
            return manifest, self.known[key]


def _barred(request: Request, settings: DashboardSettings, *, open_to_all: bool = False) -> Response | None:
    """None for those who may read: by a name of ours, with the token where one is set; where people sign in to the pages, not without one, unless it is open to all."""
    if not known_host(request.headers.get("host"), st.get_option("server.address") or "", settings.api_hosts):
        asked = request.headers.get("host", "")
        return failure(421, "unknown_host", f"Host: expected localhost, the address listened on, or a name in ONNURI_API_HOSTS, got {asked!r}.")
    if open_to_all:
        return None
    if settings.api_token:
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {settings.api_token}".encode()):
            return failure(401, "unauthorized", "Expected the header Authorization: Bearer with the value of ONNURI_API_TOKEN.")
        return None
    if access.configured():
        return failure(403, "closed", "People sign in to the pages here, so the API needs a token: set ONNURI_API_TOKEN for the dashboard.")
    return None


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = ", ".join(f"/api/v1{endpoint.path}" for endpoint in ENDPOINTS)
    if error.status_code == 404:
        return failure(404, "not_found", f"There is no such path. There are: {known}, /api/v1/openapi.json.")
    return failure(error.status_code, "refused", f"{error.detail}. The API only reads: use GET.", headers=error.headers)


async def _failed(_: Request, __: Exception) -> Response:
    return failure(500, "internal", "This is a fault of the dashboard; its log has the details.")
