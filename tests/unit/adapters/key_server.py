"""A token issuer on this machine, whose keys a test may change, and tokens that it signs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from taskrunner.adapters.identity import BadTokenError, TokenAuthenticator, TokenSettings
from taskrunner.adapters.issuer_keys import IssuerKeys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskrunner.adapters.table import Table
    from taskrunner.adapters.table_layout import Key

ISSUER = "https://issuer.test/pool"
OURS = rsa.generate_private_key(public_exponent=65537, key_size=2048)
THEIRS = rsa.generate_private_key(public_exponent=65537, key_size=2048)
REGISTRY: dict[str, dict[str, Any]] = {
    "C#client-1": {"tenants": ["acme", "globex"], "grants": ["security.lead"]},
    "C#client-2": {"tenants": ["initech"]},
    "C#client-3": {"tenants": "acme globex", "grants": "security.lead packs.approve"},
    "C#client-4": {"tenants": {"acme", "globex"}, "grants": {"security.lead"}},
    "C#client-5": {"name": "nightly build"},
    "C#client-6": {"name": "x" * 65},
    "C#client-7": {"name": "a\u202eb"},
    "C#client-8": {"name": ["a"]},
}


def a_jwk(key: rsa.RSAPrivateKey, kid: str = "key-1", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """An RSA key as its issuer publishes it, without the members that are None."""
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    published = public | {"kid": kid, "use": "sig", "alg": "RS256"} | changes
    return {name: value for name, value in published.items() if value is not None}


class Registry:
    """Stands in for the table, with a registry in it; by default that of clients."""

    def __init__(self, items: Mapping[Key, dict[str, Any]] | None = None) -> None:
        self.items = REGISTRY if items is None else {key.pk: item for key, item in items.items()}
        self.reads: list[str] = []

    def get(self, key: Key) -> dict[str, Any] | None:
        assert key.sk in {"C", "G"}
        self.reads.append(key.pk)
        return self.items.get(key.pk)


class KeyServer:
    """Serves *keys* by their ids, and counts the requests."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {"key-1": OURS}
        self.content: bytes | None = None
        self.status = 200
        self.requests = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests += 1
                content = server.content
                if content is None:
                    content = json.dumps({"keys": server.published()}).encode()
                self.send_response(server.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Location", "/elsewhere.json")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Keep the output of tests clean."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        serve = partial(self._http.serve_forever, poll_interval=0.01)
        self._thread = Thread(target=serve)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/jwks.json"

    def published(self) -> list[dict[str, Any]]:
        return [key if isinstance(key, dict) else a_jwk(key, kid) for kid, key in self.keys.items()]

    def close(self) -> None:
        if self._thread.is_alive():
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()


@dataclass
class Watch:
    """A clock that a test moves."""

    seconds: float = 1_000_000.0

    def now(self) -> float:
        return self.seconds


def an_authority(
    server: KeyServer,
    registry: Registry | None = None,
    watch: Watch | None = None,
    **settings: Any,  # noqa: ANN401
) -> TokenAuthenticator:
    stand_in: Any = registry or Registry()
    table: Table = stand_in
    chosen = TokenSettings(issuer=ISSUER, jwks_url=server.url, **settings)
    keys = IssuerKeys(server.url, chosen.algorithms, (watch or Watch()).now)
    return TokenAuthenticator(chosen, table, keys)


def claims(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    now = int(time.time())
    defaults: dict[str, Any] = {
        "iss": ISSUER,
        "sub": "client-1",
        "client_id": "client-1",
        "token_use": "access",
        "scope": "taskrunner/operator",
        "iat": now,
        "exp": now + 600,
    }
    return {name: value for name, value in (defaults | changes).items() if value is not None}


def a_token(
    key: rsa.RSAPrivateKey = OURS,
    kid: str | None = "key-1",
    **changes: Any,  # noqa: ANN401
) -> str:
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims(**changes), key, algorithm="RS256", headers=headers)


def forged(header: dict[str, Any], signature: bytes | None = None, secret: bytes = b"") -> str:
    """A token of our claims under another *header*, signed by an HMAC or by *signature*."""
    parts = (json.dumps(part).encode() for part in (header, claims()))
    signed = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    encoded = base64.urlsafe_b64encode(mac if signature is None else signature)
    return f"{signed}.{encoded.decode().rstrip('=')}"


def refusal(authority: TokenAuthenticator, token: str, scheme: str = "Bearer ") -> str:
    """The message of the refusal of *token*, which quotes no part of the token."""
    with pytest.raises(BadTokenError) as caught:
        authority.caller(scheme + token)
    message = str(caught.value)
    assert len(token) < 8 or token not in message
    assert not any(len(part) > 8 and part in message for part in token.split("."))
    assert caught.value.__cause__ is None
    return message
