"""The caller of the API: the facts of a checked token or signature, never claims of the request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from taskrunner.errors import ForbiddenError, InvalidRequestError
from taskrunner.model.job import POOL_NAME
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

VIEWER, OPERATOR, ADMIN, WORKER = "viewer", "operator", "admin", "worker"
ALL_SCOPES: Final = frozenset({VIEWER, OPERATOR, ADMIN, WORKER})
# A worker gets secrets and reports for steps. No other scope may do that, and a worker no more.
_IMPLIED: Final = {
    VIEWER: {VIEWER},
    OPERATOR: {VIEWER, OPERATOR},
    ADMIN: {VIEWER, OPERATOR, ADMIN},
    WORKER: {WORKER},
}
# An operator has this grant without a claim for it.
_OPERATORS_GRANT: Final = "packs.approve"
_MAX_NAME_LENGTH: Final = 64
# How much clocks may differ where a token's times are compared, in seconds.
LEEWAY_S: Final = 30
_TENANT: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_TENANT_RULE: Final = (
    "a tenant's name has 1 to 63 lower-case letters, digits and hyphens, "
    "and neither begins nor ends with a hyphen"
)


def is_tenant(name: str) -> bool:
    """Return whether a tenant can have that name, which is part of keys, prefixes and paths."""
    return _TENANT.fullmatch(name) is not None


def tenants(names: Iterable[str]) -> tuple[str, ...]:
    """Return the valid ones of *names*, each once. Others could form the key of another tenant."""
    return tuple(dict.fromkeys(name for name in names if is_tenant(name)))


def pools(value: object) -> frozenset[str]:
    """Return the worker pools that an entry of the registry names; invalid names are dropped."""
    return frozenset(name for name in words(value) if POOL_NAME.fullmatch(name))


def words(value: object) -> list[str]:
    """Return the words of a claim: a list or set of words, or a text with spaces between them.

    A member of a list that contains a space is not a word, and is dropped.
    """
    if isinstance(value, str):
        return value.split()
    members = value if isinstance(value, list | set | frozenset) else []
    return [word for word in members if isinstance(word, str) and word.split() == [word]]


def display_name(value: object) -> str | None:
    """Return the name that the registry gives a caller: 1 to 64 printable characters, or None."""
    if not isinstance(value, str) or not value.strip() or len(value) > _MAX_NAME_LENGTH:
        return None
    return value if value.isprintable() else None


def implied_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """Return *scopes* with the lower ones that they include."""
    return frozenset(implied for scope in scopes for implied in _IMPLIED.get(scope, ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An identified caller, with its scopes, grants and tenants.

    The scopes are `viewer`, `operator`, `admin` and `worker`. *pools* are the pools that a worker
    may take jobs from; they come from the registry, never from a token.
    *expires_at* is the end of its token in seconds since 1970; None for a caller without one.
    *name* is shown beside the subject; it comes from the registry, and no rule reads it.
    """

    subject: str
    scopes: frozenset[str]
    tenants: tuple[str, ...]
    grants: frozenset[str] = frozenset()
    expires_at: int | None = None
    name: str | None = None
    pools: frozenset[str] = frozenset()

    def may(self, scope: str) -> bool:
        """Return whether one of the caller's scopes implies *scope*."""
        return scope in implied_scopes(self.scopes)

    def has_grant(self, grant: str) -> bool:
        """Return whether the caller has *grant*."""
        return grant in self.grants or (grant == _OPERATORS_GRANT and self.may(OPERATOR))

    def may_take_from(self, pool: str) -> bool:
        """Return whether the caller is a worker that may take jobs from *pool*."""
        return self.may(WORKER) and pool in self.pools

    def served_tenants(self, requested: str | None) -> tuple[str, ...]:
        """Return the tenants whose jobs a worker asks for: *requested*, or without it all of its.

        No scope admits a worker to the jobs of other tenants, because jobs have secrets.

        Raises:
            ForbiddenError: the caller does not belong to that tenant, or to any.
        """
        if requested is None and self.tenants:
            return self.tenants
        if requested not in self.tenants:
            name = "any tenant" if requested is None else "that tenant"
            raise ForbiddenError("forbidden", f"the token does not belong to {name}")
        return (requested,)

    def tenant(self, *requested: str | None) -> str:
        """Return the tenant of a request that names it in any of several places, or nowhere.

        Raises:
            InvalidRequestError: two places differ, a name is malformed, or the request names none
                and the caller has several.
            ForbiddenError: the caller does not belong to that tenant.
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
            raise InvalidRequestError("invalid_request", _TENANT_RULE)
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
