"""Tokens that somebody else made, or that are none: refused before and without any harm."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.adapters.key_server import (
    OURS,
    THEIRS,
    KeyServer,
    Registry,
    a_jwk,
    a_token,
    an_authority,
    claims,
    forged,
    refused,
)

CURVE = ec.generate_private_key(ec.SECP256R1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()


def signed(key: Any, algorithm: str, **headers: Any) -> str:  # noqa: ANN401
    return jwt.encode(claims(), key, algorithm=algorithm, headers={"kid": "key-1", **headers})


def test_a_token_without_a_signature_is_refused(server: KeyServer) -> None:
    for header in ({"alg": "none"}, {"alg": "none", "kid": "key-1"}, {"alg": "NONE"}):
        assert refused(an_authority(server), forged(header, b""))
        assert refused(an_authority(server), forged(header)).endswith("InvalidAlgorithmError")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_our_public_key_is_no_secret_to_sign_with(server: KeyServer, algorithm: str) -> None:
    public = OURS.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    token = forged({"alg": algorithm, "kid": "key-1"}, secret=public)

    assert refused(an_authority(server), token).endswith("InvalidAlgorithmError")


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (OURS, "RS384"),
        (OURS, "RS512"),
        (OURS, "PS256"),
        (CURVE, "ES256"),
        (EDWARDS, "EdDSA"),
    ],
)
def test_an_algorithm_that_is_not_the_deployments_is_refused(
    server: KeyServer,
    key: Any,  # noqa: ANN401
    algorithm: str,
) -> None:
    told = refused(an_authority(server), signed(key, algorithm))

    assert told.endswith("InvalidAlgorithmError")
    assert server.asked == 0


@pytest.mark.parametrize("algorithm", [None, "", 7, ["RS256"], {"RS256": 1}, "rs256", "RS256 "])
def test_what_is_no_algorithm_is_refused(server: KeyServer, algorithm: object) -> None:
    token = forged({"alg": algorithm, "kid": "key-1"})

    assert refused(an_authority(server), token).endswith("InvalidAlgorithmError")


class TestOtherAlgorithms:
    """External issuers sign with other keys; a deployment says with which."""

    @pytest.mark.parametrize(
        ("key", "algorithm", "jwk"),
        [
            (OURS, "PS256", a_jwk(OURS, alg="PS256")),
            (OURS, "PS256", a_jwk(OURS, alg=None)),
            (CURVE, "ES256", jwt.algorithms.ECAlgorithm.to_jwk(CURVE.public_key(), as_dict=True)),
            (
                EDWARDS,
                "EdDSA",
                jwt.algorithms.OKPAlgorithm.to_jwk(EDWARDS.public_key(), as_dict=True),
            ),
        ],
    )
    def test_a_token_is_accepted_where_its_algorithm_is_allowed(
        self,
        server: KeyServer,
        key: Any,  # noqa: ANN401
        algorithm: str,
        jwk: dict[str, Any],
    ) -> None:
        server.keys = {"key-1": {**jwk, "kid": "key-1"}}
        authority = an_authority(server, algorithms=("RS256", algorithm))

        assert authority.caller(f"Bearer {signed(key, algorithm)}").subject == "client-1"

    def test_a_key_that_is_declared_for_one_algorithm_serves_no_other(
        self, server: KeyServer
    ) -> None:
        authority = an_authority(server, algorithms=("RS256", "PS256"))

        told = refused(authority, signed(OURS, "PS256"))

        assert told.endswith("InvalidAlgorithmError")

    def test_a_key_of_another_kind_under_the_named_id_is_refused(self, server: KeyServer) -> None:
        server.keys = {"key-1": a_jwk(OURS, alg=None)}
        authority = an_authority(server, algorithms=("RS256", "ES256"))

        assert "not valid" in refused(authority, signed(CURVE, "ES256"))


def test_nothing_that_a_header_names_or_carries_is_taken_for_a_key(server: KeyServer) -> None:
    theirs = KeyServer()
    theirs.keys = {"key-1": THEIRS}
    for header in (
        {"jku": theirs.url},
        {"x5u": theirs.url},
        {"jwk": a_jwk(THEIRS)},
        {"x5c": ["MIIB"], "x5t": "abc", "x5t#S256": "abc"},
        {"jku": theirs.url, "jwk": a_jwk(THEIRS), "x5u": theirs.url},
        {"kid": theirs.url},
        {"kid": "../../etc/passwd"},
        {"kid": "' OR 1=1 --"},
        {"kid": ""},
        {"kid": "key-1\x00"},
    ):
        refused(an_authority(server), signed(THEIRS, "RS256", **header))

    theirs.close()
    assert theirs.asked == 0


@pytest.mark.parametrize("key_id", [None, 7, ["key-1"], {"a": 1}, True])
def test_a_key_id_is_a_text(server: KeyServer, key_id: object) -> None:
    assert "not valid" in refused(an_authority(server), forged({"alg": "RS256", "kid": key_id}))
    assert server.asked == 0


@pytest.mark.parametrize("crit", [["exp"], ["b64"], [], "exp", [7], ["http://example.com/x"]])
def test_what_is_critical_and_unknown_is_refused(server: KeyServer, crit: object) -> None:
    header = {"alg": "RS256", "kid": "key-1", "crit": crit, "http://example.com/x": True}
    token = jwt.api_jws.encode(json.dumps(claims()).encode(), OURS, "RS256", headers=header)

    assert "not valid" in refused(an_authority(server), token)


@pytest.mark.parametrize("kind", ["dpop+jwt", "logout+jwt", "secevent+jwt", "", 7, None])
def test_a_token_of_another_type_is_refused(server: KeyServer, kind: object) -> None:
    header = {"alg": "RS256", "kid": "key-1", "typ": kind}

    assert "not valid" in refused(an_authority(server), forged(header))


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_an_access_token_may_say_so(server: KeyServer, kind: str) -> None:
    token = signed(OURS, "RS256", typ=kind)

    assert an_authority(server).caller(f"Bearer {token}").subject == "client-1"


DEEP = base64.urlsafe_b64encode(b"[" * 5000).decode()
LONG_NUMBER = base64.urlsafe_b64encode(b'{"alg":' + b"9" * 5000 + b"}").decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "nonsense",
        "a.b.c",
        "....",
        "é",
        "e30.e30.e30",
        "Bearer",
        "x" * 10_000,
        f"{DEEP[:2000]}.e30.e30",
        f"{LONG_NUMBER}.e30.e30",
        "e30.e30.e30.e30.e30",  # as an encrypted token has
        "Bearer e30.e30.e30",
        "e30.e30.e30, Bearer e30.e30.e30",
        "e30.e30.e30\x00",
        "e30.e30.e30\n",
        "e30.e30.\ud800",
        "e30.e30.e30=",
        "\uff45\uff13\uff10.e30.e30",
    ],
)
def test_what_is_no_token_is_refused(server: KeyServer, token: str) -> None:
    assert refused(an_authority(server), token)
    assert server.asked == 0


def test_a_token_is_not_parsed_beyond_its_limit(server: KeyServer) -> None:
    large = a_token(filling="x" * 9000)
    largest = a_token(filling="x" * 5000)

    assert (
        refused(an_authority(server), large) == "the Authorization header is not 'Bearer <token>'"
    )
    assert an_authority(server).caller(f"Bearer {largest}").subject == "client-1"


def test_a_good_token_is_none_with_anything_around_it(server: KeyServer) -> None:
    good = a_token()

    for around in (
        f"Bearer Bearer {good}",
        f"Bearer {good}\x00",
        f"Bearer {good}\r\nX: y",
        f"Bearer {good} {good}",
        f"Bearer {good},Bearer {good}",
        f"Bearer\xa0{good}",
        f" Bearer {good}",
        f"Bearer {good}=",
        f"Bearer {good}.e30",
    ):
        assert refused(an_authority(server), around, "")


@pytest.mark.parametrize("scheme", ["", "Basic ", "Token ", "Bearer", "Bearer\t", "DPoP "])
def test_another_scheme_is_refused(server: KeyServer, scheme: str) -> None:
    told = refused(an_authority(server), a_token(), scheme)

    assert told == "the Authorization header is not 'Bearer <token>'"


def test_a_changed_letter_anywhere_makes_a_token_bad(server: KeyServer) -> None:
    good, authority = a_token(), an_authority(server)
    for place in range(0, len(good), 7):
        letter = "A" if good[place] != "A" else "B"
        changed = good[:place] + letter + good[place + 1 :]
        assert refused(authority, changed)


def test_the_last_bits_of_a_signature_have_one_spelling(server: KeyServer) -> None:
    """256 bytes end in two bits of padding: four letters would decode to the same signature."""
    good, authority = a_token(), an_authority(server)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [good[:-1] + one for one in alphabet if one != good[-1]]

    assert all(refused(authority, one) for one in others)


def test_a_weak_key_of_the_same_name_signs_nothing(server: KeyServer) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - to be refused
    server.keys = {"key-1": weak}

    with pytest.warns(match="below"):
        token = a_token(weak)

    assert refused(an_authority(server), token).endswith("InvalidKeyError")


def test_a_refused_token_reads_nothing(server: KeyServer) -> None:
    registry = Registry()

    refused(an_authority(server, registry), a_token(THEIRS))
    refused(an_authority(server, registry), a_token(exp=1))

    assert registry.reads == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    header=st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jku", "cty", "enc", "zip"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.sampled_from(["RS256", "key-1", "JWT"]),
            lambda inner: st.lists(inner, max_size=2),
        ),
    ),
    text=st.text(max_size=40),
)
def test_no_header_whatsoever_is_answered_with_anything_but_a_refusal(
    server: KeyServer, header: dict[str, Any], text: str
) -> None:
    authority = an_authority(server)

    assert refused(authority, forged(header))
    assert refused(authority, text, "")
