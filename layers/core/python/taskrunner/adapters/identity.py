"""Tokens: checked against the issuer's keys, and turned into a Caller.

The algorithms, the issuer and the place of the keys come from the deployment, never from the token:
of its header only `alg`, `kid` and `typ` are read, to be compared with what is known, and whatever
else could name or carry a key (`jku`, `jwk`, `x5u`, `x5c`) is passed over.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import jwt

from taskrunner.adapters.issuer_keys import ALGORITHMS, IssuerKeys
from taskrunner.errors import TaskRunnerError
from taskrunner.model.caller import ADMIN, LEEWAY_S, OPERATOR, VIEWER, Caller, tenants, words

if TYPE_CHECKING:
    from taskrunner.adapters.table import Table
    from taskrunner.model.json_types import JsonMapping

_MOST_CHARACTERS: Final = 8192  # API Gateway takes 10 240 bytes of headers altogether
_BEARER: Final = re.compile(r"(?i:bearer) +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+) *")
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_SCOPES: Final = frozenset({VIEWER, OPERATOR, ADMIN})
_PREFIXES: Final = ("taskrunner/", "taskrunner.")


class BadTokenError(TaskRunnerError):
    """The token is missing, malformed, expired, or not for us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Whom we trust. *audience* is a token's `aud` or, for Cognito's access tokens, `client_id`."""

    issuer: str
    jwks_url: str
    algorithms: tuple[str, ...] = ("RS256",)
    audience: str | None = None
    tenant_claim: str | None = None
    grants_claim: str | None = None
    default_tenant: str | None = None

    def __post_init__(self) -> None:
        """Refuse an algorithm by which somebody else than the issuer could sign."""
        if not self.algorithms or not set(self.algorithms) <= set(ALGORITHMS):
            message = f"algorithms must be of {', '.join(ALGORITHMS)}, not {self.algorithms}"
            raise ValueError(message)


class Authority:
    """Checks bearer tokens, and knows which tenants a client has."""

    def __init__(self, settings: Settings, table: Table, keys: IssuerKeys | None = None) -> None:
        """Fetch no keys yet: the first token does, and an unknown key id does again."""
        self._settings = settings
        self._table = table
        self._keys = keys or IssuerKeys(settings.jwks_url, settings.algorithms)

    def caller(self, authorization: str) -> Caller:
        """The caller of an Authorization header's value.

        Raises:
            BadTokenError: it is no valid bearer token of our issuer.
            TryAgainError: the issuer's keys cannot be fetched, so that nobody can tell.
        """
        # Before anything is parsed: a length, and the letters that a token is made of.
        token = _BEARER.fullmatch(authorization[: _MOST_CHARACTERS + 1])
        if token is None or len(authorization) > _MOST_CHARACTERS:
            raise BadTokenError("the Authorization header is not 'Bearer <token>'")
        try:
            claims = self._claims(token[1])
        except jwt.PyJWTError as error:
            raise BadTokenError(f"the token is not valid: {type(error).__name__}") from None
        subject = claims.get("sub") or claims.get("client_id")
        if not isinstance(subject, str):
            raise BadTokenError("the token has no subject")
        registered = self._registered(claims)
        scope = _words(claims, "scope") or _words(claims, "scp")
        return Caller(
            subject=subject,
            scopes=frozenset(filter(None, map(_scope, scope))),
            tenants=self._tenants(claims, registered),
            grants=self._grants(claims, registered) | frozenset(_grants(scope)),
            expires_at=math.ceil(claims["exp"]),
        )

    def _claims(self, token: str) -> dict[str, Any]:
        key = self._key(jwt.get_unverified_header(token))
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(self._settings.algorithms),
            issuer=self._settings.issuer,
            leeway=LEEWAY_S,
            # Whose token it is for is checked below: Cognito's access tokens have no `aud`.
            options={"require": ["exp", "iss"], "verify_aud": False},
        )
        if not all(_is_number(claims[name]) for name in ("exp", "nbf", "iat") if name in claims):
            raise jwt.InvalidTokenError("a time is no number (RFC 7519, section 2)")
        wanted = self._settings.audience
        audience = claims.get("aud", claims.get("client_id"))
        if wanted is not None and wanted not in (
            audience if isinstance(audience, list) else [audience]
        ):
            raise jwt.InvalidAudienceError("the token is for another audience")
        if claims.get("token_use", "access") != "access":
            raise jwt.InvalidTokenError("the token is not an access token")
        return claims

    def _key(self, header: dict[str, Any]) -> Any:  # noqa: ANN401 - one type for each algorithm
        """The public key that the header names, once the header is one that we expect."""
        algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
        if algorithm not in self._settings.algorithms:
            raise jwt.InvalidAlgorithmError("the algorithm is not one of the deployment's")
        if not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise jwt.InvalidTokenError("the token is of another type (RFC 8725, section 3.11)")
        key = self._keys.find(key_id) if isinstance(key_id, str) else None
        if key is None:
            raise jwt.InvalidKeyError("the issuer has no such key")
        if not key.is_for(algorithm):
            raise jwt.InvalidAlgorithmError("the key is for another algorithm")
        return key.public

    def _registered(self, claims: dict[str, Any]) -> JsonMapping | None:
        """What the registry has of the client, read only when a claim is not to say it."""
        if None not in (self._settings.tenant_claim, self._settings.grants_claim):
            return None
        return self._table.get(f"C#{claims.get('client_id') or claims.get('sub')}", "C")

    def _tenants(self, claims: dict[str, Any], registered: JsonMapping | None) -> tuple[str, ...]:
        if self._settings.tenant_claim is not None:
            return tenants(_words(claims, self._settings.tenant_claim))
        if registered is not None:
            return tenants(words(registered.get("tenants")))
        default = self._settings.default_tenant
        return () if default is None else tenants([default])

    def _grants(self, claims: dict[str, Any], registered: JsonMapping | None) -> frozenset[str]:
        if self._settings.grants_claim is not None:
            return frozenset(_words(claims, self._settings.grants_claim))
        return frozenset(() if registered is None else words(registered.get("grants")))


def _words(claims: dict[str, Any], name: str) -> list[str]:
    return words(claims.get(name))


def _scope(word: str) -> str | None:
    """The scope of ours that *word* is, in either form."""
    bare = _without_prefix(word)
    return bare if bare != word and bare in _SCOPES else None


def _grants(scope_words: list[str]) -> set[str]:
    """The grants that a token's scopes are, by the word as it stands and without our prefix.

    The words of the three scopes are no grants, in any form.
    """
    both = {word for one in scope_words for word in (one, _without_prefix(one))}
    return {word for word in both if _without_prefix(word) not in _SCOPES}


def _without_prefix(word: str) -> str:
    return next((word[len(one) :] for one in _PREFIXES if word.startswith(one)), word)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
