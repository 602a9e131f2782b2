"""Bearer tokens: checked against the issuer's keys, and turned into a Caller.

The algorithms, the issuer and the address of the keys come from the deployment, never from the
token. Only `alg`, `kid` and `typ` of a token's header are read, and compared with what the
deployment expects. Parameters that could name or contain a key (`jku`, `jwk`, `x5u`, `x5c`) are
ignored.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

import jwt

from taskrunner.adapters.issuer_keys import ALGORITHMS
from taskrunner.adapters.people import Groups
from taskrunner.adapters.table_layout import client_key
from taskrunner.errors import TaskRunnerError
from taskrunner.model.approval import CLOCK
from taskrunner.model.caller import (
    ALL_SCOPES,
    LEEWAY_S,
    WORKER,
    Caller,
    display_name,
    implied_scopes,
    pools,
    tenants,
    words,
)
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from taskrunner.adapters.issuer_keys import IssuerKeys
    from taskrunner.adapters.table import Table
    from taskrunner.adapters.table_requests import Item

_MAX_CHARACTERS: Final = 8192  # API Gateway takes 10 240 bytes of headers altogether
_BEARER: Final = re.compile(r"(?i:bearer) +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+) *")
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})
_PREFIXES: Final = ("taskrunner/", "taskrunner.")


class BadTokenError(TaskRunnerError):
    """The token is missing, malformed, expired, or for somebody else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSettings:
    """The issuer that is trusted, and the claims that are read.

    *audience* is a token's `aud` or, for Cognito's access tokens, its `client_id`. A token that has
    *groups_claim* or *user_claim* is of a person; *user_claim* holds the person's name, which stays
    readable in records where a subject is a number.
    """

    issuer: str
    jwks_url: str
    algorithms: tuple[str, ...] = ("RS256",)
    audience: str | None = None
    tenant_claim: str | None = None
    grants_claim: str | None = None
    groups_claim: str | None = None
    user_claim: str | None = None
    default_tenant: str | None = None

    def __post_init__(self) -> None:
        """Refuse an algorithm that would let anybody but the issuer sign."""
        if not self.algorithms or not set(self.algorithms) <= set(ALGORITHMS):
            message = f"algorithms must be of {', '.join(ALGORITHMS)}, not {self.algorithms}"
            raise ValueError(message)


class TokenAuthenticator:
    """Checks bearer tokens, and looks up the tenants, grants and pools of clients."""

    def __init__(self, settings: TokenSettings, table: Table, keys: IssuerKeys) -> None:
        """Fetch no keys yet."""
        self._settings = settings
        self._table = table
        self._groups = Groups(table)
        self._keys = keys

    def caller(self, authorization: str) -> Caller:
        """Return the caller that an Authorization header identifies.

        Raises:
            BadTokenError: the header has no valid bearer token of the issuer.
            TryAgainError: the issuer's keys could not be fetched, so nobody knows.
        """
        # The length and the characters are checked before anything is parsed.
        token = _BEARER.fullmatch(authorization[: _MAX_CHARACTERS + 1])
        if token is None or len(authorization) > _MAX_CHARACTERS:
            raise BadTokenError("the Authorization header is not 'Bearer <token>'")
        try:
            claims = self._claims(token[1])
        except jwt.PyJWTError as error:
            raise BadTokenError(f"the token is not valid: {type(error).__name__}") from None
        subject = claims.get("sub") or claims.get("client_id")
        if not isinstance(subject, str):
            raise BadTokenError("the token has no subject")
        if subject == CLOCK:
            raise BadTokenError(f"the subject {CLOCK!r} is reserved for expiries by the clock")
        scope_words = words(claims.get("scope")) or words(claims.get("scp"))
        if self._is_person(claims):
            return self._person(subject, scope_words, claims)
        scopes = frozenset(filter(None, map(_scope, scope_words)))
        client = self._client(claims, scopes)
        return Caller(
            subject=subject,
            scopes=scopes,
            tenants=self._tenants(claims, client),
            grants=self._grants(claims, client) | frozenset(_grants_of_scopes(scope_words)),
            expires_at=math.ceil(claims["exp"]),
            name=None if client is None else display_name(client.get("name")),
            pools=frozenset() if client is None else pools(client.get("pools")),
        )

    def _is_person(self, claims: dict[str, Any]) -> bool:
        names = self._settings.groups_claim, self._settings.user_claim
        return names[0] is not None and any(name in claims for name in names)

    def _person(self, subject: str, scope_words: list[str], claims: dict[str, Any]) -> Caller:
        """Return the caller that a person is by their groups, and within the token's scopes.

        The name has a prefix, so that no person is the same caller as a client.
        """
        names = self._settings
        membership = self._groups.membership(words(claims.get(names.groups_claim or "")))
        name = claims.get(names.user_claim or "")
        allowed = implied_scopes(filter(None, map(_scope, scope_words)))
        return Caller(
            subject=f"user:{name}" if isinstance(name, str) and name else subject,
            scopes=membership.scopes & allowed,
            tenants=membership.tenants,
            grants=membership.grants,
            pools=membership.pools,
            expires_at=math.ceil(claims["exp"]),
        )

    def _claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that is signed, in time, and for this deployment."""
        key = self._key(jwt.get_unverified_header(token))
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(self._settings.algorithms),
            issuer=self._settings.issuer,
            leeway=LEEWAY_S,
            # The audience is checked below, because Cognito's access tokens have no `aud`.
            options={"require": ["exp", "iss"], "verify_aud": False},
        )
        if not all(_is_number(claims[name]) for name in ("exp", "nbf", "iat") if name in claims):
            raise jwt.InvalidTokenError("a time is not a number (RFC 7519, section 2)")
        expected = self._settings.audience
        audience = claims.get("aud", claims.get("client_id"))
        if expected is not None and expected not in (
            audience if isinstance(audience, list) else [audience]
        ):
            raise jwt.InvalidAudienceError("the token is for another audience")
        if claims.get("token_use", "access") != "access":
            raise jwt.InvalidTokenError("the token is not an access token")
        return claims

    def _key(self, header: dict[str, Any]) -> Any:  # noqa: ANN401 - each algorithm has its own type
        """Return the public key that the header names, after checking the rest of the header."""
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

    def _client(self, claims: dict[str, Any], scopes: frozenset[str]) -> Item | None:
        """Return the client's entry in the registry; it is not read if claims replace it.

        No claim replaces a worker's entry, which alone names its pools.
        """
        has_claims = None not in (self._settings.tenant_claim, self._settings.grants_claim)
        if has_claims and WORKER not in scopes:
            return None
        return self._table.get(client_key(str(claims.get("client_id") or claims.get("sub"))))

    def _tenants(self, claims: dict[str, Any], client: Item | None) -> tuple[str, ...]:
        if self._settings.tenant_claim is not None:
            return tenants(words(claims.get(self._settings.tenant_claim)))
        if client is not None:
            return tenants(words(client.get("tenants")))
        default = self._settings.default_tenant
        return () if default is None else tenants([default])

    def _grants(self, claims: dict[str, Any], client: Item | None) -> frozenset[str]:
        if self._settings.grants_claim is not None:
            return frozenset(words(claims.get(self._settings.grants_claim)))
        return frozenset(() if client is None else words(client.get("grants")))


def _scope(word: str) -> str | None:
    """Return the TaskRunner scope that *word* stands for, with either prefix."""
    bare = _without_prefix(word)
    return bare if bare != word and bare in ALL_SCOPES else None


def _grants_of_scopes(scope_words: list[str]) -> set[str]:
    """Return the grants that a token's scopes are, each with and without our prefix.

    The names of our scopes are not grants, in any form.
    """
    forms = {form for word in scope_words for form in (word, _without_prefix(word))}
    return {form for form in forms if _without_prefix(form) not in ALL_SCOPES}


def _without_prefix(word: str) -> str:
    return next((word[len(prefix) :] for prefix in _PREFIXES if word.startswith(prefix)), word)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
