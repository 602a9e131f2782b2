"""Tokens signed here with real keys, which are served by a real HTTP server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from taskrunner.adapters.identity import Authority, BadTokenError, Settings
from taskrunner.errors import TryAgainError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.adapters.table import Table

ISSUER = "https://issuer.test/pool"
OURS = rsa.generate_private_key(public_exponent=65537, key_size=2048)
THEIRS = rsa.generate_private_key(public_exponent=65537, key_size=2048)
REGISTRY: dict[str, dict[str, Any]] = {
    "C#client-1": {"tenants": ["acme", "globex"], "grants": ["security.lead"]},
    "C#client-2": {"tenants": ["initech"]},
}


class Registry:
    """The client registry, as the table answers for it."""

    def __init__(self) -> None:
        self.reads: list[str] = []

    def get(self, pk: str, sk: str) -> dict[str, Any] | None:
        assert sk == "C"
        self.reads.append(pk)
        return REGISTRY.get(pk)


class KeyServer:
    """Serves *keys* by their ids, and counts how often it was asked."""

    def __init__(self) -> None:
        self.keys = {"key-1": OURS}
        self.asked = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked += 1
                content = json.dumps({"keys": server.published()}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Nothing: a test's output is its own."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        serve = partial(self._http.serve_forever, poll_interval=0.01)
        self._thread = Thread(target=serve)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/jwks.json"

    def published(self) -> list[dict[str, Any]]:
        return [
            json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
            | {"kid": kid, "use": "sig", "alg": "RS256"}
            for kid, key in self.keys.items()
        ]

    def close(self) -> None:
        if self._thread.is_alive():
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()


@pytest.fixture(name="server")
def _server() -> Iterator[KeyServer]:
    server = KeyServer()
    yield server
    server.close()


def an_authority(server: KeyServer, registry: Registry | None = None, **settings: Any) -> Authority:  # noqa: ANN401
    table: Any = registry or Registry()
    known: Table = table
    return Authority(Settings(issuer=ISSUER, jwks_url=server.url, **settings), known)


def claims(**changes: Any) -> dict[str, Any]:  # noqa: ANN401
    now = int(time.time())
    known = {
        "iss": ISSUER,
        "sub": "client-1",
        "client_id": "client-1",
        "token_use": "access",
        "scope": "taskrunner/operator",
        "iat": now,
        "exp": now + 600,
    }
    return {name: value for name, value in (known | changes).items() if value is not None}


def a_token(
    key: rsa.RSAPrivateKey = OURS,
    kid: str | None = "key-1",
    **changes: Any,  # noqa: ANN401
) -> str:
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims(**changes), key, algorithm="RS256", headers=headers)


def forged(header: dict[str, Any], signature: bytes | None = None, secret: bytes = b"") -> str:
    """A token of our claims under another *header*, with an HMAC unless there is a *signature*."""
    parts = (json.dumps(part).encode() for part in (header, claims()))
    signed = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    end = base64.urlsafe_b64encode(mac if signature is None else signature)
    return f"{signed}.{end.decode().rstrip('=')}"


def refused(authority: Authority, token: str, scheme: str = "Bearer ") -> str:
    with pytest.raises(BadTokenError) as caught:
        authority.caller(scheme + token)
    told = str(caught.value)
    assert len(token) < 8 or token not in told
    assert not any(len(part) > 8 and part in told for part in token.split("."))
    assert caught.value.__cause__ is None
    return told


class TestSignedTokens:
    def test_a_valid_token_names_its_caller(self, server: KeyServer) -> None:
        caller = an_authority(server).caller(f"Bearer {a_token()}")

        assert caller.subject == "client-1"
        assert caller.scopes == {"operator"}
        assert caller.tenants == ("acme", "globex")
        assert caller.grants == {"security.lead"}

    @pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
    def test_the_scheme_is_read_in_any_case(self, server: KeyServer, scheme: str) -> None:
        assert an_authority(server).caller(scheme + a_token()).subject == "client-1"

    def test_the_keys_are_fetched_once_for_many_tokens(self, server: KeyServer) -> None:
        authority = an_authority(server)

        for _ in range(3):
            authority.caller(f"Bearer {a_token()}")

        assert server.asked == 1

    def test_a_key_that_was_added_since_is_found(self, server: KeyServer) -> None:
        authority = an_authority(server, refetch_s=0)
        authority.caller(f"Bearer {a_token()}")
        server.keys["key-2"] = THEIRS

        assert authority.caller(f"Bearer {a_token(THEIRS, 'key-2')}").subject == "client-1"

    def test_a_key_that_was_withdrawn_since_is_refused(self, server: KeyServer) -> None:
        authority = an_authority(server, refetch_s=0)
        authority.caller(f"Bearer {a_token()}")
        server.keys = {"key-2": THEIRS}
        authority.caller(f"Bearer {a_token(THEIRS, 'key-2')}")

        refused(authority, a_token())

    def test_unknown_keys_do_not_lead_to_a_fetch_each(self, server: KeyServer) -> None:
        authority = an_authority(server)

        for number in range(5):
            refused(authority, a_token(THEIRS, f"made-up-{number}"))

        assert server.asked == 1

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"exp": 1}, "ExpiredSignatureError"),
            ({"exp": None}, "MissingRequiredClaimError"),
            ({"exp": "soon"}, "DecodeError"),
            ({"iss": "https://issuer.test/other"}, "InvalidIssuerError"),
            ({"iss": None}, "MissingRequiredClaimError"),
            ({"nbf": 2**33}, "ImmatureSignatureError"),
            ({"iat": 2**33}, "ImmatureSignatureError"),
            ({"token_use": "id"}, "InvalidTokenError"),
        ],
    )
    def test_claims_that_do_not_hold_are_refused(
        self, server: KeyServer, changes: dict[str, Any], why: str
    ) -> None:
        assert refused(an_authority(server), a_token(**changes)) == f"the token is not valid: {why}"

    def test_clocks_may_differ_by_seconds(self, server: KeyServer) -> None:
        now = int(time.time())

        token = a_token(exp=now - 10, iat=now + 10, nbf=now + 10)

        assert an_authority(server).caller(f"Bearer {token}").subject == "client-1"

    def test_another_key_under_our_keys_name_is_refused(self, server: KeyServer) -> None:
        assert refused(an_authority(server), a_token(THEIRS)).endswith("InvalidSignatureError")

    @pytest.mark.parametrize("kid", ["key-9", None])
    def test_an_unknown_key_is_refused(self, server: KeyServer, kid: str | None) -> None:
        assert "not valid" in refused(an_authority(server), a_token(THEIRS, kid))

    def test_a_token_without_a_subject_is_refused(self, server: KeyServer) -> None:
        token = a_token(sub=None, client_id=None)

        assert refused(an_authority(server), token) == "the token has no subject"

    def test_a_client_without_a_subject_claim_is_its_own_subject(self, server: KeyServer) -> None:
        assert an_authority(server).caller(f"Bearer {a_token(sub=None)}").subject == "client-1"


class TestForgedTokens:
    def test_a_token_without_a_signature_is_refused(self, server: KeyServer) -> None:
        for header in ({"alg": "none"}, {"alg": "none", "kid": "key-1"}):
            assert "not valid" in refused(an_authority(server), forged(header, b""))

    def test_our_public_key_is_no_secret_to_sign_with(self, server: KeyServer) -> None:
        public = OURS.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

        token = forged({"alg": "HS256", "kid": "key-1"}, secret=public)

        assert refused(an_authority(server), token).endswith("InvalidAlgorithmError")

    def test_where_the_keys_are_is_not_the_tokens_to_say(self, server: KeyServer) -> None:
        other = KeyServer()
        other.keys = {"key-1": THEIRS}
        token = jwt.encode(
            claims(), THEIRS, algorithm="RS256", headers={"kid": "key-1", "jku": other.url}
        )

        refused(an_authority(server), token)

        other.close()
        assert other.asked == 0

    @pytest.mark.parametrize(
        "token", ["", "nonsense", "a.b.c", "....", "é", "e30.e30.e30", "Bearer", "x" * 10_000]
    )
    def test_what_is_no_token_is_refused(self, server: KeyServer, token: str) -> None:
        assert refused(an_authority(server), token)

    @pytest.mark.parametrize("scheme", ["", "Basic ", "Token ", "Bearer", "Bearer\t"])
    def test_another_scheme_is_refused(self, server: KeyServer, scheme: str) -> None:
        told = refused(an_authority(server), a_token(), scheme)

        assert told == "the Authorization header is not 'Bearer <token>'"


class TestKeysThatAreNotThere:
    def test_nobody_is_called_invalid_while_the_keys_cannot_be_fetched(
        self, server: KeyServer
    ) -> None:
        authority = an_authority(server)
        server.close()

        with pytest.raises(TryAgainError, match="keys could not be fetched"):
            authority.caller(f"Bearer {a_token()}")

    def test_keys_that_are_known_outlast_their_server(self, server: KeyServer) -> None:
        authority = an_authority(server)
        authority.caller(f"Bearer {a_token()}")

        server.close()

        assert authority.caller(f"Bearer {a_token()}").subject == "client-1"


class TestAudience:
    @pytest.mark.parametrize(
        "changes",
        [
            {"aud": "taskrunner"},
            {"aud": ["other", "taskrunner"]},
            {"client_id": "taskrunner"},
        ],
    )
    def test_a_token_for_us_is_accepted(self, server: KeyServer, changes: dict[str, Any]) -> None:
        authority = an_authority(server, audience="taskrunner")

        assert authority.caller(f"Bearer {a_token(**changes)}").subject == "client-1"

    @pytest.mark.parametrize(
        "changes",
        [
            {"aud": "other"},
            {"aud": []},
            {"aud": "other", "client_id": "taskrunner"},
            {},
            {"client_id": None},
        ],
    )
    def test_a_token_for_another_is_refused(
        self, server: KeyServer, changes: dict[str, Any]
    ) -> None:
        authority = an_authority(server, audience="taskrunner")

        assert refused(authority, a_token(**changes)).endswith("InvalidAudienceError")


class TestScopes:
    @pytest.mark.parametrize(
        ("changes", "scopes"),
        [
            ({"scope": "taskrunner/viewer"}, {"viewer"}),
            ({"scope": "taskrunner.viewer"}, {"viewer"}),
            ({"scope": "openid taskrunner.viewer taskrunner/admin"}, {"viewer", "admin"}),
            ({"scope": ["taskrunner.operator"]}, {"operator"}),
            ({"scope": None, "scp": "taskrunner.operator"}, {"operator"}),
            ({"scope": None, "scp": ["taskrunner/operator", 7]}, {"operator"}),
            ({"scope": "operator"}, set()),
            ({"scope": "other/operator"}, set()),
            ({"scope": "taskrunner/operators"}, set()),
            ({"scope": "taskrunner/root"}, set()),
            ({"scope": 7}, set()),
            ({"scope": None}, set()),
        ],
    )
    def test_both_forms_of_a_scope_are_the_same_and_others_are_none(
        self, server: KeyServer, changes: dict[str, Any], scopes: set[str]
    ) -> None:
        assert an_authority(server).caller(f"Bearer {a_token(**changes)}").scopes == scopes


class TestTenantsAndGrants:
    @pytest.mark.parametrize(
        ("claim", "tenants"),
        [
            ("acme", ("acme",)),
            ("acme globex", ("acme", "globex")),
            (["a", "b"], ("a", "b")),
            (7, ()),
        ],
    )
    def test_a_claim_names_the_tenants(
        self, server: KeyServer, claim: object, tenants: tuple[str, ...]
    ) -> None:
        authority = an_authority(server, tenant_claim="org", default_tenant="main")

        assert authority.caller(f"Bearer {a_token(org=claim)}").tenants == tenants

    def test_a_token_without_that_claim_belongs_to_no_tenant(self, server: KeyServer) -> None:
        authority = an_authority(server, tenant_claim="org", default_tenant="main")

        assert authority.caller(f"Bearer {a_token()}").tenants == ()

    def test_the_registry_names_them_otherwise(self, server: KeyServer) -> None:
        authority = an_authority(server, default_tenant="main")

        caller = authority.caller(f"Bearer {a_token(sub='x', client_id='client-2')}")

        assert (caller.tenants, caller.grants) == (("initech",), frozenset())

    def test_a_client_that_is_not_registered_has_the_default(self, server: KeyServer) -> None:
        token = f"Bearer {a_token(client_id='client-9')}"

        assert an_authority(server, default_tenant="main").caller(token).tenants == ("main",)
        assert an_authority(server).caller(token).tenants == ()

    def test_a_claim_names_the_grants(self, server: KeyServer) -> None:
        authority = an_authority(server, grants_claim="may")

        caller = authority.caller(f"Bearer {a_token(may='packs.approve release.manager')}")

        assert caller.grants == {"packs.approve", "release.manager"}

    def test_a_token_cannot_grant_itself_what_no_setting_reads(self, server: KeyServer) -> None:
        token = a_token(grants="everything", tenants="initech", client_id="client-9")

        caller = an_authority(server).caller(f"Bearer {token}")

        assert (caller.tenants, caller.grants) == ((), frozenset())

    def test_the_registry_is_not_asked_for_what_the_claims_say(self, server: KeyServer) -> None:
        registry = Registry()
        authority = an_authority(server, registry, tenant_claim="org", grants_claim="may")

        authority.caller(f"Bearer {a_token(org='acme')}")

        assert registry.reads == []

    def test_the_registry_is_not_asked_for_a_token_that_is_refused(self, server: KeyServer) -> None:
        registry = Registry()

        refused(an_authority(server, registry), a_token(exp=1))

        assert registry.reads == []
