"""The issuer's keys: for how long they are used, and how often they are fetched."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from taskrunner.adapters.identity import BadTokenError
from taskrunner.adapters.issuer_keys import FRESH_S, REFETCH_S, USABLE_S
from taskrunner.errors import TryAgainError
from tests.unit.adapters.key_server import (
    OURS,
    THEIRS,
    Watch,
    a_jwk,
    a_token,
    an_authority,
    refusal,
)

if TYPE_CHECKING:
    from taskrunner.adapters.identity import TokenAuthenticator
    from tests.unit.adapters.key_server import KeyServer

# Tokens are made when tests are collected, and the last test may run much later.
TOMORROW = int(time.time()) + 86400
TOKEN_OF_KEY_1 = a_token(exp=TOMORROW)
TOKEN_OF_KEY_2 = a_token(THEIRS, "key-2", exp=TOMORROW)


def is_accepted(authority: TokenAuthenticator, token: str = TOKEN_OF_KEY_1) -> bool:
    return authority.caller(f"Bearer {token}").subject == "client-1"


def test_the_times_are_the_documented_ones() -> None:
    assert (REFETCH_S, FRESH_S, USABLE_S) == (60, 600, 3600)


class TestRotation:
    def test_fetches_once_for_many_tokens(self, server: KeyServer) -> None:
        authority = an_authority(server)

        for _ in range(3):
            assert is_accepted(authority)

        assert server.requests == 1

    def test_finds_a_new_key_after_a_minute(self, server: KeyServer) -> None:
        watch = Watch()
        authority = an_authority(server, watch=watch)
        is_accepted(authority)
        server.keys["key-2"] = THEIRS

        watch.seconds += REFETCH_S - 1
        refusal(authority, TOKEN_OF_KEY_2)
        watch.seconds += 1

        assert is_accepted(authority, TOKEN_OF_KEY_2)
        assert is_accepted(authority)
        assert server.requests == 2

    def test_rejects_a_withdrawn_key_after_ten_minutes(self, server: KeyServer) -> None:
        watch = Watch()
        authority = an_authority(server, watch=watch)
        is_accepted(authority)
        server.keys = {"key-2": THEIRS}

        watch.seconds += FRESH_S
        assert is_accepted(authority)
        watch.seconds += 1

        refusal(authority, TOKEN_OF_KEY_1)

    def test_rejects_a_withdrawn_key_after_the_next_fetch(self, server: KeyServer) -> None:
        watch = Watch()
        authority = an_authority(server, watch=watch)
        is_accepted(authority)
        server.keys = {"key-2": THEIRS}

        watch.seconds += REFETCH_S
        assert is_accepted(authority, TOKEN_OF_KEY_2)

        refusal(authority, TOKEN_OF_KEY_1)

    def test_rejects_every_key_after_all_were_withdrawn(self, server: KeyServer) -> None:
        watch = Watch()
        authority = an_authority(server, watch=watch)
        is_accepted(authority)
        server.keys = {}

        watch.seconds += FRESH_S + 1

        refusal(authority, TOKEN_OF_KEY_1)


class TestUnknownKeys:
    def test_a_hundred_made_up_key_ids_cause_one_fetch_a_minute(self, server: KeyServer) -> None:
        watch = Watch()
        authority = an_authority(server, watch=watch)
        is_accepted(authority)

        for minute in range(3):
            watch.seconds += REFETCH_S
            for number in range(100):
                refusal(authority, a_token(THEIRS, f"made-up-{minute}-{number}"))

        assert server.requests == 4

    @pytest.mark.parametrize("has_keys", [False, True])
    def test_a_hundred_simultaneous_tokens_cause_one_fetch(
        self, server: KeyServer, *, has_keys: bool
    ) -> None:
        watch = Watch()
        authority = an_authority(server, watch=watch)
        if has_keys:
            is_accepted(authority)
        watch.seconds += REFETCH_S
        tokens = [a_token(THEIRS, f"made-up-{number}") for number in range(100)]

        def answer(token: str) -> str:
            try:
                authority.caller(f"Bearer {token}")
            except BadTokenError as error:
                return str(error)
            return "accepted"

        with ThreadPoolExecutor(20) as pool:
            answers = set(pool.map(answer, tokens))

        assert answers == {"the token is not valid: InvalidKeyError"}
        assert server.requests == 1 + has_keys

    def test_a_hundred_made_up_key_ids_cause_one_fetch_during_an_outage(
        self, server: KeyServer
    ) -> None:
        watch = Watch()
        authority = an_authority(server, watch=watch)
        is_accepted(authority)
        server.status = 500
        watch.seconds += REFETCH_S

        for number in range(100):
            refusal(authority, a_token(THEIRS, f"made-up-{number}"))

        assert server.requests == 2
        assert is_accepted(authority)


OUTAGES: list[tuple[int, bytes | None]] = [
    (500, None),
    (302, b""),
    (200, b"<html>maintenance</html>"),
    (200, b""),
    (200, b"[]"),
    (200, b"null"),
    (200, b"{}"),
    (200, b'{"keys": 7}'),
    (200, b'{"keys": null}'),
    (200, b"[" * 100_000),
    (200, b"\xff\xfe"),
    (200, b'{"keys": [], "filling": "' + b"x" * 2_000_000 + b'"}'),
]


@pytest.mark.parametrize(("status", "content"), OUTAGES)
class TestOutages:
    def test_uses_fetched_keys_for_an_hour(
        self, server: KeyServer, status: int, content: bytes | None
    ) -> None:
        watch = Watch()
        authority = an_authority(server, watch=watch)
        is_accepted(authority)
        server.status, server.content = status, content

        watch.seconds += USABLE_S
        assert is_accepted(authority)
        assert is_accepted(authority)
        assert server.requests == 2
        watch.seconds += 1

        with pytest.raises(TryAgainError, match="keys could not be fetched"):
            is_accepted(authority)

    def test_rejects_nobody_as_invalid_before_the_first_keys_are_fetched(
        self, server: KeyServer, status: int, content: bytes | None
    ) -> None:
        watch = Watch()
        authority = an_authority(server, watch=watch)
        server.status, server.content = status, content

        for _ in range(10):
            with pytest.raises(TryAgainError, match="keys could not be fetched"):
                is_accepted(authority)
        assert server.requests == 1
        server.status, server.content = 200, None
        watch.seconds += 5

        assert is_accepted(authority)


def test_an_unreachable_issuer_is_an_outage(server: KeyServer) -> None:
    authority = an_authority(server)
    server.close()

    with pytest.raises(TryAgainError):
        is_accepted(authority)


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_asks_the_issuer_without_a_proxy_from_the_environment(
    server: KeyServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert is_accepted(an_authority(server))


SMALL = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - to be refused


@pytest.mark.parametrize(
    "jwk",
    [
        a_jwk(OURS, use="enc"),
        a_jwk(OURS, use=["sig"]),
        a_jwk(OURS, key_ops=["encrypt"]),
        a_jwk(OURS, key_ops="verify"),
        a_jwk(OURS, alg="RSA-OAEP"),
        a_jwk(OURS, alg="RS512"),
        a_jwk(OURS, alg=["RS256"]),
        a_jwk(OURS, kty="EC"),
        a_jwk(OURS, kty="oct", k="c2VjcmV0"),
        a_jwk(OURS, kty=None),
        a_jwk(OURS, kty=["RSA"]),
        a_jwk(OURS, n=None),
        a_jwk(OURS, n="!"),
        a_jwk(OURS, e="AQ"),
        {**a_jwk(OURS), "kid": None},
        {**a_jwk(OURS), "kid": 7},
        a_jwk(SMALL),
        jwt.algorithms.RSAAlgorithm.to_jwk(OURS, as_dict=True)
        | {"kid": "key-1", "use": "sig", "key_ops": ["sign", "verify"]},
        "key-1",
        None,
    ],
)
def test_ignores_a_key_that_must_not_sign_tokens(server: KeyServer, jwk: Any) -> None:  # noqa: ANN401
    server.content = json.dumps({"keys": [jwk, a_jwk(THEIRS, "key-2")]}).encode()
    authority = an_authority(server)

    assert refusal(authority, TOKEN_OF_KEY_1).endswith("InvalidKeyError")
    assert is_accepted(authority, TOKEN_OF_KEY_2)


def test_uses_the_first_suitable_key_of_one_id(server: KeyServer) -> None:
    published = [a_jwk(THEIRS, use="enc"), a_jwk(OURS), a_jwk(THEIRS)]
    server.content = json.dumps({"keys": published}).encode()

    assert is_accepted(an_authority(server))
