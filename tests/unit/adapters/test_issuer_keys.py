"""Which keys are used, for how long, and how often their issuer is asked for them."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from taskrunner.adapters.identity import BadTokenError
from taskrunner.adapters.issuer_keys import FRESH_S, KNOWN_S, REFETCH_S
from taskrunner.errors import TryAgainError
from tests.unit.adapters.key_server import (
    OURS,
    THEIRS,
    Watch,
    a_jwk,
    a_token,
    an_authority,
    refused,
)

if TYPE_CHECKING:
    from taskrunner.adapters.identity import Authority
    from tests.unit.adapters.key_server import KeyServer

# They are made when tests are collected, and the last test may be run much later.
TOMORROW = int(time.time()) + 86400
OURS_UNTIL_ROTATED = a_token(exp=TOMORROW)
OF_THE_NEW_KEY = a_token(THEIRS, "key-2", exp=TOMORROW)


def comes_in(authority: Authority, token: str = OURS_UNTIL_ROTATED) -> bool:
    return authority.caller(f"Bearer {token}").subject == "client-1"


def test_the_times_are_those_of_the_documentation() -> None:
    assert (REFETCH_S, FRESH_S, KNOWN_S) == (60, 600, 3600)


class TestRotation:
    def test_the_keys_are_fetched_once_for_many_tokens(self, server: KeyServer) -> None:
        authority = an_authority(server)

        for _ in range(3):
            assert comes_in(authority)

        assert server.asked == 1

    def test_a_key_that_was_added_since_is_found_after_a_minute(self, server: KeyServer) -> None:
        watch = Watch()
        authority = an_authority(server, watch=watch)
        comes_in(authority)
        server.keys["key-2"] = THEIRS

        watch.seconds += REFETCH_S - 1
        refused(authority, OF_THE_NEW_KEY)
        watch.seconds += 1

        assert comes_in(authority, OF_THE_NEW_KEY)
        assert comes_in(authority)
        assert server.asked == 2

    def test_a_key_that_was_withdrawn_stops_within_ten_minutes(self, server: KeyServer) -> None:
        watch = Watch()
        authority = an_authority(server, watch=watch)
        comes_in(authority)
        server.keys = {"key-2": THEIRS}

        watch.seconds += FRESH_S
        assert comes_in(authority)
        watch.seconds += 1

        refused(authority, OURS_UNTIL_ROTATED)

    def test_a_key_that_was_withdrawn_stops_with_the_next_fetch_for_any_reason(
        self, server: KeyServer
    ) -> None:
        watch = Watch()
        authority = an_authority(server, watch=watch)
        comes_in(authority)
        server.keys = {"key-2": THEIRS}

        watch.seconds += REFETCH_S
        assert comes_in(authority, OF_THE_NEW_KEY)

        refused(authority, OURS_UNTIL_ROTATED)

    def test_an_issuer_that_withdraws_all_keys_is_believed(self, server: KeyServer) -> None:
        watch = Watch()
        authority = an_authority(server, watch=watch)
        comes_in(authority)
        server.keys = {}

        watch.seconds += FRESH_S + 1

        refused(authority, OURS_UNTIL_ROTATED)


class TestUnknownKeys:
    def test_a_hundred_tokens_of_made_up_keys_lead_to_one_fetch_a_minute(
        self, server: KeyServer
    ) -> None:
        watch = Watch()
        authority = an_authority(server, watch=watch)
        comes_in(authority)

        for minute in range(3):
            watch.seconds += REFETCH_S
            for number in range(100):
                refused(authority, a_token(THEIRS, f"made-up-{minute}-{number}"))

        assert server.asked == 4

    @pytest.mark.parametrize("known", [False, True])
    def test_also_when_they_come_at_once(self, server: KeyServer, *, known: bool) -> None:
        watch = Watch()
        authority = an_authority(server, watch=watch)
        if known:
            comes_in(authority)
        watch.seconds += REFETCH_S
        tokens = [a_token(THEIRS, f"made-up-{number}") for number in range(100)]

        def said(token: str) -> str:
            try:
                authority.caller(f"Bearer {token}")
            except BadTokenError as error:
                return str(error)
            return "came in"

        with ThreadPoolExecutor(20) as many:
            answers = set(many.map(said, tokens))

        assert answers == {"the token is not valid: InvalidKeyError"}
        assert server.asked == 1 + known

    def test_also_while_the_issuer_answers_nothing(self, server: KeyServer) -> None:
        watch = Watch()
        authority = an_authority(server, watch=watch)
        comes_in(authority)
        server.status = 500
        watch.seconds += REFETCH_S

        for number in range(100):
            refused(authority, a_token(THEIRS, f"made-up-{number}"))

        assert server.asked == 2
        assert comes_in(authority)


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
    def test_keys_that_are_known_outlast_one_for_an_hour(
        self, server: KeyServer, status: int, content: bytes | None
    ) -> None:
        watch = Watch()
        authority = an_authority(server, watch=watch)
        comes_in(authority)
        server.status, server.content = status, content

        watch.seconds += KNOWN_S
        assert comes_in(authority)
        assert comes_in(authority)
        assert server.asked == 2
        watch.seconds += 1

        with pytest.raises(TryAgainError, match="keys could not be fetched"):
            comes_in(authority)

    def test_nobody_comes_in_and_nobody_is_called_invalid_before_the_first_keys(
        self, server: KeyServer, status: int, content: bytes | None
    ) -> None:
        watch = Watch()
        authority = an_authority(server, watch=watch)
        server.status, server.content = status, content

        for _ in range(10):
            with pytest.raises(TryAgainError, match="keys could not be fetched"):
                comes_in(authority)
        assert server.asked == 1
        server.status, server.content = 200, None
        watch.seconds += 5

        assert comes_in(authority)


def test_a_server_that_is_not_there_is_an_outage(server: KeyServer) -> None:
    authority = an_authority(server)
    server.close()

    with pytest.raises(TryAgainError):
        comes_in(authority)


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
def test_a_key_that_may_not_sign_tokens_is_none(server: KeyServer, jwk: Any) -> None:  # noqa: ANN401
    server.content = json.dumps({"keys": [jwk, a_jwk(THEIRS, "key-2")]}).encode()
    authority = an_authority(server)

    assert refused(authority, OURS_UNTIL_ROTATED).endswith("InvalidKeyError")
    assert comes_in(authority, OF_THE_NEW_KEY)


def test_of_two_keys_with_one_id_the_first_that_may_sign_counts(server: KeyServer) -> None:
    published = [a_jwk(THEIRS, use="enc"), a_jwk(OURS), a_jwk(THEIRS)]
    server.content = json.dumps({"keys": published}).encode()

    assert comes_in(an_authority(server))
