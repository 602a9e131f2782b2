"""An OpenID issuer on this machine, which serves its keys and signs tokens like Cognito's."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from collections.abc import Iterator

_ISSUER = "https://issuer.example.com/pool"
_KEY_ID = "key-1"


@dataclass(frozen=True)
class Issuer:
    """Signs with *key*, which it serves at *jwks_url*."""

    key: rsa.RSAPrivateKey
    jwks_url: str

    @property
    def environment(self) -> dict[str, str]:
        return {"ISSUER": _ISSUER, "JWKS_URL": self.jwks_url}

    def token(self, client_id: str, scope: str = "taskrunner/operator") -> str:
        claims = {
            "iss": _ISSUER,
            "sub": client_id,
            "client_id": client_id,
            "token_use": "access",
            "scope": scope,
            "exp": int(time.time()) + 600,
        }
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": _KEY_ID})


@contextmanager
def issuing() -> Iterator[Issuer]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    keys = json.dumps({"keys": [{**public, "kid": _KEY_ID, "use": "sig", "alg": "RS256"}]})

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(keys.encode())

        def log_message(self, *_: object) -> None:
            """Keep the output of tests clean."""

    with HTTPServer(("127.0.0.1", 0), Keys) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield Issuer(key, f"http://127.0.0.1:{server.server_port}/jwks.json")
        finally:
            server.shutdown()
            thread.join()
