"""The most that a deployment lets a pack ask of its sandbox; part of no plan and no hash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ANYTHING: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """One ceiling for each limit; None allows as much as the language does.

    *egress* lists the entries that cover what packs may list in their `egressAllowlist`, in the
    form that model/egress.py reads. `*` allows anything.
    """

    memory_limit_mib: int | None = None
    cpu_limit_millicores: int | None = None
    quota_s: int | None = None
    egress: tuple[str, ...] = (ANYTHING,)

    @property
    def allows_any_egress(self) -> bool:
        """Whether a pack may list any host, and may run with an open sandbox."""
        return ANYTHING in self.egress


NO_CEILINGS: Final = Ceilings()
