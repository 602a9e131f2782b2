"""People: what the registry grants to the groups of somebody who signed in.

The registry has an item for each group that counts here, with its tenants, scopes, grants and
pools. The token of a person names their groups. It also has the scopes that the page they signed in
with may ask for, which bound those of the groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.adapters.table_layout import group_key
from taskrunner.model.caller import ALL_SCOPES, implied_scopes, pools, tenants, words
from taskrunner.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from taskrunner.adapters.table import Table
    from taskrunner.adapters.table_requests import Item

_MAX_GROUPS: Final = 20  # each is a read of the table, and the caller waits for them


@dataclass(frozen=True, slots=True)
class Membership:
    """The tenants, scopes, grants and pools of a person, by all of their groups together."""

    tenants: tuple[str, ...]
    scopes: frozenset[str]
    grants: frozenset[str]
    pools: frozenset[str]


class Groups:
    """The registry of groups."""

    def __init__(self, table: Table) -> None:
        """Cache nothing: API Gateway remembers the answer about a token for minutes anyway."""
        self._table = table

    def membership(self, names: Sequence[str]) -> Membership:
        """Return what the registered ones of the groups *names* give, of the first 20 names.

        A caller has the same scopes, grants and pools in all of their tenants. So a person whose
        groups differ by tenant has only what their groups give in each of the tenants: otherwise
        an operator of one tenant who may look at another could also decide there.
        """
        items = [self._table.get(group_key(name)) for name in dict.fromkeys(names[:_MAX_GROUPS])]
        known = [item for item in items if item is not None]
        every_tenant = tenants(name for item in known for name in words(item.get("tenants")))
        here = [
            [item for item in known if tenant in words(item.get("tenants"))]
            for tenant in every_tenant
        ]
        return Membership(
            every_tenant,
            _common(frozenset().union(*map(_scopes, items_of)) for items_of in here),
            _common(frozenset().union(*map(_grants, items_of)) for items_of in here),
            _common(frozenset().union(*map(_pools, items_of)) for items_of in here),
        )


def _scopes(item: Item) -> frozenset[str]:
    return implied_scopes(frozenset(words(item.get("scopes"))) & ALL_SCOPES)


def _grants(item: Item) -> frozenset[str]:
    return frozenset(words(item.get("grants")))


def _pools(item: Item) -> frozenset[str]:
    return pools(item.get("pools"))


def _common(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    """Return what is in each of *sets*; empty if there are none."""
    first, *others = [*sets] or [frozenset()]
    return first.intersection(*others)
