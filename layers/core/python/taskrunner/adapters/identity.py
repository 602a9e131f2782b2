"""Tokens: checked against the issuer's keys, and turned into a Caller.

The algorithm, the issuer and the place of the keys come from the deployment, never from the token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import jwt

from taskrunner.errors import TaskRunnerError, TryAgainError
from taskrunner.model.caller import ADMIN, OPERATOR, VIEWER, Caller

if TYPE_CHECKING:
    from taskrunner.adapters.table import Table
    from taskrunner.model.json_types import JsonMapping

_ALGORITHMS: Final = ("RS256",)
_LEEWAY_S: Final = 30
_KEYS_VALID_S: Final = 3600
_FETCH_TIMEOUT_S: Final = 5
_SCOPE: Final = re.compile(r"taskrunner[./](viewer|operator|admin)")
_KNOWN: Final = frozenset({VIEWER, OPERATOR, ADMIN})


class BadTokenError(TaskRunnerError):
    """The token is missing, malformed, expired, or not for us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Whom we trust. *audience* is a token's `aud` or, for Cognito's access tokens, `client_id`."""

    issuer: str
    jwks_url: str
    audience: str | None = None
    tenant_claim: str | None = None
    grants_claim: str | None = None
    default_tenant: str | None = None
    # How often the keys are fetched anew for the sake of an unknown key id, at most.
    refetch_s: float = 30


class Authority:
    """Checks bearer tokens, and knows which tenants a client has."""

    def __init__(self, settings: Settings, table: Table) -> None:
        """Fetch no keys yet: the first token does, and an unknown key id does again."""
        self._settings = settings
        self._table = table
        self._keys = jwt.PyJWKClient(
            settings.jwks_url,
            # Single keys would be kept for good, also those that the issuer has withdrawn.
            cache_keys=False,
            lifespan=_KEYS_VALID_S,
            cooldown_duration=settings.refetch_s,
            timeout=_FETCH_TIMEOUT_S,
        )

    def caller(self, authorization: str) -> Caller:
        """The caller of an Authorization header's value.

        Raises:
            BadTokenError: it is no valid bearer token of our issuer.
            TryAgainError: the issuer's keys cannot be fetched, so that nobody can tell.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise BadTokenError("the Authorization header is not 'Bearer <token>'")
        try:
            claims = self._claims(token.strip())
        except jwt.PyJWKClientConnectionError as error:
            raise TryAgainError("the issuer's keys could not be fetched") from error
        except jwt.PyJWTError as error:
            raise BadTokenError(f"the token is not valid: {type(error).__name__}") from None
        subject = str(claims.get("sub") or claims.get("client_id") or "")
        if not subject:
            raise BadTokenError("the token has no subject")
        registered = self._registered(claims)
        return Caller(
            subject=subject,
            scopes=frozenset(_scopes(claims)) & _KNOWN,
            tenants=self._tenants(claims, registered),
            grants=self._grants(claims, registered),
        )

    def _claims(self, token: str) -> dict[str, Any]:
        key = self._keys.get_signing_key_from_jwt(token)
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=list(_ALGORITHMS),
            issuer=self._settings.issuer,
            leeway=_LEEWAY_S,
            # Whose token it is for is checked below: Cognito's access tokens have no `aud`.
            options={"require": ["exp", "iss"], "verify_aud": False},
        )
        wanted = self._settings.audience
        audience = claims.get("aud", claims.get("client_id"))
        if wanted is not None and wanted not in (
            audience if isinstance(audience, list) else [audience]
        ):
            raise jwt.InvalidAudienceError("the token is for another audience")
        if claims.get("token_use", "access") != "access":
            raise jwt.InvalidTokenError("the token is not an access token")
        return claims

    def _registered(self, claims: dict[str, Any]) -> JsonMapping | None:
        """What the registry has of the client, read only when a claim is not to say it."""
        if None not in (self._settings.tenant_claim, self._settings.grants_claim):
            return None
        return self._table.get(f"C#{claims.get('client_id') or claims.get('sub')}", "C")

    def _tenants(self, claims: dict[str, Any], registered: JsonMapping | None) -> tuple[str, ...]:
        if self._settings.tenant_claim is not None:
            return tuple(_words(claims, self._settings.tenant_claim))
        if registered is not None:
            return tuple(registered["tenants"])
        default = self._settings.default_tenant
        return () if default is None else (default,)

    def _grants(self, claims: dict[str, Any], registered: JsonMapping | None) -> frozenset[str]:
        if self._settings.grants_claim is not None:
            return frozenset(_words(claims, self._settings.grants_claim))
        return frozenset(() if registered is None else registered.get("grants", ()))


def _scopes(claims: dict[str, Any]) -> list[str]:
    words = _words(claims, "scope") or _words(claims, "scp")
    return [match[1] for word in words if (match := _SCOPE.fullmatch(word))]


def _words(claims: dict[str, Any], name: str | None) -> list[str]:
    """A claim that is a list of texts or a text with spaces."""
    value = claims.get(name) if name is not None else None
    if isinstance(value, str):
        return value.split()
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []
