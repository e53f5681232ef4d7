"""A small OpenID Connect provider on this machine: authorization code with PKCE, signed tokens, and a page on which one types an address."""

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from urllib.parse import parse_qs, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from streams.ports import free_port

CLIENT, SECRET = "onnuri", "a secret of the test's own"


@dataclass
class Provider:
    """What it is asked and what it has given out; ``unverified`` are addresses that it does not vouch for."""

    address: str
    key: RSAKey
    unverified: set[str] = field(default_factory=set)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def described(self, _: Request) -> Response:
        places = {name: f"{self.address}/{name}" for name in ("authorize", "token", "jwks")}
        return JSONResponse(
            {
                "issuer": self.address,
                "authorization_endpoint": places["authorize"],
                "token_endpoint": places["token"],
                "jwks_uri": places["jwks"],
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    def authorize(self, request: Request) -> Response:
        hidden = "".join(f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in request.query_params.items())
        return HTMLResponse(f'<html lang="en"><form action="/entered">{hidden}<input name="address" id="address"><button>Enter</button></form></html>')

    def entered(self, request: Request) -> Response:
        asked = dict(request.query_params)
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 302)

    async def token(self, request: Request) -> Response:
        given = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        asked = self.codes.pop(given["code"], None)
        basic = base64.b64decode(request.headers.get("authorization", "").removeprefix("Basic ")).decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(given.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
        if asked is None or challenge != asked["code_challenge"] or basic.partition(":")[0] != CLIENT:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now, address = int(time.time()), asked["address"]
        claims = {"iss": self.address, "aud": CLIENT, "sub": address, "email": address, "iat": now, "exp": now + 600, "nonce": asked["nonce"]}
        claims["email_verified"] = address not in self.unverified
        signed = jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)
        return JSONResponse({"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "expires_in": 600, "id_token": signed})

    def jwks(self, _: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider that listens, on a thread of its own."""
    port = free_port()
    made = Provider(f"http://127.0.0.1:{port}", RSAKey.generate_key(2048, {"kid": "test", "use": "sig"}))
    routes = [
        Route("/.well-known/openid-configuration", made.described),
        *(Route(f"/{name}", getattr(made, name)) for name in ("authorize", "entered", "jwks")),
        Route("/favicon.ico", lambda _: Response(status_code=204)),
        Route("/token", made.token, methods=["POST"]),
    ]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.02)
        yield made
    finally:
        server.should_exit = True
        thread.join(20)


def secrets_file(made: Provider, dashboard: str) -> str:
    """What Streamlit's ``secrets.toml`` says of the provider."""
    return "\n".join(
        [
            "[auth]",
            f'redirect_uri = "{dashboard}/oauth2callback"',
            'cookie_secret = "another secret of the test\'s own"',
            f'client_id = "{CLIENT}"',
            f'client_secret = "{SECRET}"',
            f'server_metadata_url = "{made.address}/.well-known/openid-configuration"',
        ]
    )
