"""Files that a page has made, kept from those who have not signed in.

Streamlit gives out a file to whoever knows its address, which holds a hash of the content. It has no supported way to know a user outside of a page; what is
read here is how it keeps its own cookie, in the version that ``constraints.txt`` names, and a test signs in to see that it still does.
"""

import streamlit as st
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from dashboard import access


class SignedInMedia:
    """Refuses ``/media/`` to those without Streamlit's cookie, where people sign in."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As an ASGI application."""
        if scope["type"] == "http" and scope["path"].startswith(_media()) and access.configured() and not _known(HTTPConnection(scope)):
            await PlainTextResponse("Sign in first.", 403)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _media() -> str:
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}/media/" if base else "/media/"


def _known(connection: HTTPConnection) -> bool:
    def single(name: str) -> bytes | None:
        value = connection.cookies.get(name)
        return decode_signed_value(get_cookie_secret(), name, value.encode("latin-1", "replace")) if value else None

    return get_cookie_with_chunks(single, USER_COOKIE_NAME) is not None
