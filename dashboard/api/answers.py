"""Frames as answers: JSON, CSV or Parquet, as the caller accepts; a page at a time."""

import io
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import polars as pl
from starlette.requests import Request
from starlette.responses import Response

from dashboard.formatting import SEOUL
from warehouse.reading import Manifest
from warehouse.spreadsheets import neutralised, with_offsets

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
TYPES = (JSON, CSV, PARQUET)


class NotAcceptableError(ValueError):
    """The caller accepts none of the forms."""


def accepted(header: str | None) -> str:
    """The form to answer in: of those that ``Accept`` names, the one with the highest weight (RFC 9110, 12.5.1); JSON where it says nothing.

    Raises:
        NotAcceptableError: it takes none of ours.
    """
    if not header:
        return JSON
    asked = {}
    for part in header.split(","):
        name, *options = (piece.strip().lower() for piece in part.split(";"))
        asked[name] = next((_weight(option[2:]) for option in options if option.startswith("q=")), 1.0)
    ranges = {form: (form, form.split("/")[0] + "/*", "*/*") for form in TYPES}
    # the most specific range that holds a form says how much it is wanted, and of those wanted alike the first that is named is taken
    wanted = {form: next(asked[one] for one in ranges[form] if one in asked) for name in asked for form in TYPES if name in ranges[form]}
    best = max(wanted, key=lambda form: wanted[form], default=None)
    if best is None or wanted[best] <= 0:
        raise NotAcceptableError(f"Accept: expected one of {', '.join(TYPES)}, got {header!r}.")
    return best


def page(frame: pl.DataFrame, request: Request, manifest: Manifest, form: str, limit: int, offset: int) -> Response:
    """Rows ``offset`` to ``offset + limit`` in ``form``, with where to go on."""
    rows = frame.slice(offset, limit)
    more = f"{request.url.path}?{urlencode([*_others(request), ('limit', limit), ('offset', offset + limit)])}" if offset + limit < len(frame) else None
    headers = {"X-Total-Count": str(len(frame)), "Vary": "Accept", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if more:
        headers["Link"] = f'<{more}>; rel="next"'
    if form == PARQUET:
        buffer = io.BytesIO()
        rows.write_parquet(buffer)
        return Response(buffer.getvalue(), media_type=PARQUET, headers=headers)
    if form == CSV:
        return Response(rows.pipe(with_offsets).pipe(neutralised).write_csv(), media_type=f"{CSV}; charset=utf-8", headers=headers)
    state = {"sequence": manifest.sequence, "published_at": manifest.published_at, "watermark": manifest.watermark}
    body = {"manifest": state, "total": len(frame), "limit": limit, "offset": offset, "next": more, "items": rows.to_dicts()}
    return Response(as_json(body), media_type=JSON, headers=headers)


def failure(status: int, code: str, message: str, parameter: str | None = None, *, headers: Mapping[str, str] | None = None) -> Response:
    """An error, always as JSON; ``headers`` are those that its status needs."""
    body: dict[str, Any] = {"error": {"code": code, "message": message, **({"parameter": parameter} if parameter else {})}}
    return Response(as_json(body), status, media_type=JSON, headers={**(headers or {}), "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})


def as_json(value: object) -> bytes:
    """JSON in UTF-8; times in Asia/Seoul with their offset."""
    return json.dumps(value, ensure_ascii=False, default=_plain).encode()


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(SEOUL).isoformat()
    raise TypeError(f"{type(value)} has no form in JSON")


def _others(request: Request) -> list[tuple[str, str]]:
    return [(name, value) for name, value in request.query_params.multi_items() if name not in {"limit", "offset"}]


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
