"""Who calls: what a checked token says, and nothing that a request claims beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from taskrunner.errors import ForbiddenError, InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

VIEWER, OPERATOR, ADMIN = "viewer", "operator", "admin"
_IMPLIED: Final = {VIEWER: {VIEWER}, OPERATOR: {VIEWER, OPERATOR}, ADMIN: {VIEWER, OPERATOR, ADMIN}}
# By how much clocks may differ where a token's times are compared, in seconds.
LEEWAY_S: Final = 30
_TENANT: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def is_tenant(name: str) -> bool:
    """Whether a tenant can have that name, which is a part of keys, prefixes and paths."""
    return _TENANT.fullmatch(name) is not None


def tenants(names: Iterable[str]) -> tuple[str, ...]:
    """Those that can be tenants, each once: what else a claim holds could name a strange key."""
    return tuple(dict.fromkeys(name for name in names if is_tenant(name)))


def words(value: object) -> list[str]:
    """A list or set of words, or a text of them with spaces between; what has spaces is no word."""
    if isinstance(value, str):
        return value.split()
    found = value if isinstance(value, list | set | frozenset) else []
    return [one for one in found if isinstance(one, str) and one.split() == [one]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The subject of a token, its scopes (`viewer`, `operator`, `admin`), grants and tenants.

    *expires_at* is when the token ends, in seconds since 1970; None when nothing ends by itself.
    """

    subject: str
    scopes: frozenset[str]
    tenants: tuple[str, ...]
    grants: frozenset[str] = frozenset()
    expires_at: int | None = None

    def may(self, scope: str) -> bool:
        """Whether a scope that the caller has implies *scope*."""
        return any(scope in _IMPLIED.get(own, ()) for own in self.scopes)

    def has_grant(self, grant: str) -> bool:
        """Whether the caller carries *grant*; `packs.approve` comes with being an operator."""
        return grant in self.grants or (grant == "packs.approve" and self.may(OPERATOR))

    def tenant(self, *requested: str | None) -> str:
        """The tenant of a request that names it in any of several places, or nowhere.

        Raises:
            InvalidRequestError: two places differ, one is malformed, or none names one of several.
            ForbiddenError: the caller has no such tenant.
        """
        named = {name for name in requested if name is not None}
        if len(named) > 1:
            message = (
                "the header X-StellaOps-Tenant and the body's tenantId differ; send one tenant"
            )
            raise InvalidRequestError("invalid_request", message)
        if not named:
            return self._only_tenant()
        tenant = named.pop()
        if not is_tenant(tenant):
            raise InvalidRequestError("invalid_request", f"a tenant matches {_TENANT.pattern}")
        if tenant not in self.tenants and not self.may(ADMIN):
            raise ForbiddenError("forbidden", f"the token does not belong to the tenant {tenant}")
        return tenant

    def _only_tenant(self) -> str:
        if not self.tenants:
            raise ForbiddenError("forbidden", "the token belongs to no tenant")
        if len(self.tenants) > 1:
            message = "the token belongs to several tenants; choose one with X-StellaOps-Tenant"
            raise InvalidRequestError("invalid_request", message)
        return self.tenants[0]
