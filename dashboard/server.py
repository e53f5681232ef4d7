"""What ``streamlit run`` serves: the pages of ``app.py``, and the API beside them on the same port."""

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route

from dashboard import access
from dashboard.api.serving import api
from dashboard.media import SignedInMedia
from dashboard.settings import DashboardSettings


def _first_page(request: Request) -> RedirectResponse:
    """Streamlit has its first page at ``/`` alone, and calls the path that the page would have by its name unknown."""
    return RedirectResponse(f"./?{request.url.query}" if request.url.query else "./")


_settings = DashboardSettings.read()
try:
    access.begin(_settings)
except access.SignInError as error:
    raise SystemExit(f"onnuri: {error}") from None

app = st.App(
    Path(__file__).with_name("app.py"),
    routes=[Route("/live", _first_page), Mount("/api/v1", app=api(_settings))],
    middleware=[Middleware(SignedInMedia)],
)
