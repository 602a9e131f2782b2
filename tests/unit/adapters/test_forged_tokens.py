"""Forged and malformed tokens: each is rejected before it has an effect."""

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
    refusal,
)

CURVE = ec.generate_private_key(ec.SECP256R1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()


def signed(key: Any, algorithm: str, **headers: Any) -> str:  # noqa: ANN401
    return jwt.encode(claims(), key, algorithm=algorithm, headers={"kid": "key-1", **headers})


def test_rejects_a_token_without_a_signature(server: KeyServer) -> None:
    for header in ({"alg": "none"}, {"alg": "none", "kid": "key-1"}, {"alg": "NONE"}):
        assert refusal(an_authority(server), forged(header, b""))
        assert refusal(an_authority(server), forged(header)).endswith("InvalidAlgorithmError")


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_rejects_an_hmac_made_with_the_public_key(server: KeyServer, algorithm: str) -> None:
    public = OURS.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    token = forged({"alg": algorithm, "kid": "key-1"}, secret=public)

    assert refusal(an_authority(server), token).endswith("InvalidAlgorithmError")


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
def test_rejects_an_algorithm_that_the_deployment_does_not_allow(
    server: KeyServer,
    key: Any,  # noqa: ANN401
    algorithm: str,
) -> None:
    message = refusal(an_authority(server), signed(key, algorithm))

    assert message.endswith("InvalidAlgorithmError")
    assert server.requests == 0


@pytest.mark.parametrize("algorithm", [None, "", 7, ["RS256"], {"RS256": 1}, "rs256", "RS256 "])
def test_rejects_a_malformed_algorithm(server: KeyServer, algorithm: object) -> None:
    token = forged({"alg": algorithm, "kid": "key-1"})

    assert refusal(an_authority(server), token).endswith("InvalidAlgorithmError")


class TestOtherAlgorithms:
    """External issuers sign with other keys. A deployment names the algorithms."""

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
    def test_accepts_a_token_of_an_allowed_algorithm(
        self,
        server: KeyServer,
        key: Any,  # noqa: ANN401
        algorithm: str,
        jwk: dict[str, Any],
    ) -> None:
        server.keys = {"key-1": {**jwk, "kid": "key-1"}}
        authority = an_authority(server, algorithms=("RS256", algorithm))

        assert authority.caller(f"Bearer {signed(key, algorithm)}").subject == "client-1"

    def test_rejects_another_algorithm_than_the_one_of_the_key(self, server: KeyServer) -> None:
        authority = an_authority(server, algorithms=("RS256", "PS256"))

        message = refusal(authority, signed(OURS, "PS256"))

        assert message.endswith("InvalidAlgorithmError")

    def test_rejects_a_key_of_another_type_under_the_same_id(self, server: KeyServer) -> None:
        server.keys = {"key-1": a_jwk(OURS, alg=None)}
        authority = an_authority(server, algorithms=("RS256", "ES256"))

        assert "not valid" in refusal(authority, signed(CURVE, "ES256"))


def test_uses_no_key_that_a_header_names_or_contains(server: KeyServer) -> None:
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
        refusal(an_authority(server), signed(THEIRS, "RS256", **header))

    theirs.close()
    assert theirs.requests == 0


@pytest.mark.parametrize("key_id", [None, 7, ["key-1"], {"a": 1}, True])
def test_rejects_a_key_id_that_is_not_text(server: KeyServer, key_id: object) -> None:
    assert "not valid" in refusal(an_authority(server), forged({"alg": "RS256", "kid": key_id}))
    assert server.requests == 0


@pytest.mark.parametrize("crit", [["exp"], ["b64"], [], "exp", [7], ["http://example.com/x"]])
def test_rejects_a_critical_header_parameter(server: KeyServer, crit: object) -> None:
    header = {"alg": "RS256", "kid": "key-1", "crit": crit, "http://example.com/x": True}
    token = jwt.api_jws.encode(json.dumps(claims()).encode(), OURS, "RS256", headers=header)

    assert "not valid" in refusal(an_authority(server), token)


@pytest.mark.parametrize("kind", ["dpop+jwt", "logout+jwt", "secevent+jwt", "", 7, None])
def test_rejects_a_token_of_another_type(server: KeyServer, kind: object) -> None:
    header = {"alg": "RS256", "kid": "key-1", "typ": kind}

    assert "not valid" in refusal(an_authority(server), forged(header))


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_accepts_the_types_of_access_tokens(server: KeyServer, kind: str) -> None:
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
        "e30.e30.e30.e30.e30",  # five parts, like an encrypted token
        "Bearer e30.e30.e30",
        "e30.e30.e30, Bearer e30.e30.e30",
        "e30.e30.e30\x00",
        "e30.e30.e30\n",
        "e30.e30.\ud800",
        "e30.e30.e30=",
        "\uff45\uff13\uff10.e30.e30",
    ],
)
def test_rejects_a_malformed_token(server: KeyServer, token: str) -> None:
    assert refusal(an_authority(server), token)
    assert server.requests == 0


def test_rejects_a_token_over_the_length_limit_unparsed(server: KeyServer) -> None:
    large = a_token(filling="x" * 9000)
    largest = a_token(filling="x" * 5000)

    assert (
        refusal(an_authority(server), large) == "the Authorization header is not 'Bearer <token>'"
    )
    assert an_authority(server).caller(f"Bearer {largest}").subject == "client-1"


def test_rejects_a_valid_token_with_anything_around_it(server: KeyServer) -> None:
    good = a_token()

    for header in (
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
        assert refusal(an_authority(server), header, "")


@pytest.mark.parametrize("scheme", ["", "Basic ", "Token ", "Bearer", "Bearer\t", "DPoP "])
def test_rejects_another_scheme(server: KeyServer, scheme: str) -> None:
    message = refusal(an_authority(server), a_token(), scheme)

    assert message == "the Authorization header is not 'Bearer <token>'"


def test_rejects_a_token_with_one_changed_character(server: KeyServer) -> None:
    good, authority = a_token(), an_authority(server)
    for place in range(0, len(good), 7):
        character = "A" if good[place] != "A" else "B"
        changed = good[:place] + character + good[place + 1 :]
        assert refusal(authority, changed)


def test_accepts_one_encoding_of_a_signature_only(server: KeyServer) -> None:
    """256 bytes end in two bits of padding, so four last characters would decode to the same."""
    good, authority = a_token(), an_authority(server)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [good[:-1] + character for character in alphabet if character != good[-1]]

    assert all(refusal(authority, token) for token in others)


def test_rejects_a_weak_key_under_the_same_id(server: KeyServer) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - to be refused
    server.keys = {"key-1": weak}

    with pytest.warns(match="below"):
        token = a_token(weak)

    assert refusal(an_authority(server), token).endswith("InvalidKeyError")


def test_a_rejected_token_causes_no_read(server: KeyServer) -> None:
    registry = Registry()

    refusal(an_authority(server, registry), a_token(THEIRS))
    refusal(an_authority(server, registry), a_token(exp=1))

    assert registry.reads == []


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=200,
)
@given(
    header=st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ["alg", "kid", "typ", "crit", "b64", "jku", "cty", "enc", "zip"],
            st.recursive(
                st.none()
                | st.booleans()
                | st.integers()
                | st.sampled_from(["RS256", "key-1", "JWT"]),
                lambda inner: st.lists(inner, max_size=2),
            ),
        ),
    ),
    text=st.text(max_size=40),
)
def test_rejects_any_forged_header_and_any_text(
    server: KeyServer, header: dict[str, Any], text: str
) -> None:
    authority = an_authority(server)

    assert refusal(authority, forged(header))
    assert refusal(authority, text, "")
