"""The limits of a deployment for what packs may ask for. No plan and no hash depends on them."""

from __future__ import annotations

from typing import Final

from taskrunner.values import dataclass

ANYTHING: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """The highest value of each limit; None for as much as the language allows.

    *egress* lists what packs may list in their `egressAllowlist`, in the form of its entries, or
    `*` for anything. Here `*.` may be followed by a name of one part.
    """

    memory_limit_mib: int | None = None
    cpu_limit_millicores: int | None = None
    quota_s: int | None = None
    egress: tuple[str, ...] = (ANYTHING,)

    @property
    def any_egress(self) -> bool:
        """True if packs may list any host."""
        return ANYTHING in self.egress

    def allows_egress(self, entry: str) -> bool:
        """Return whether a pack may list *entry*: one of *egress* must cover all that it allows."""
        return self.any_egress or any(_covers(allowed, entry) for allowed in self.egress)


NO_CEILINGS: Final = Ceilings()


def _covers(allowed: str, entry: str) -> bool:
    # Imported here because every function imports this module, and only planning gets here.
    from taskrunner.model.egress import Entry  # noqa: PLC0415
    from taskrunner.model.hosts import HostError  # noqa: PLC0415

    try:
        return Entry.parse(allowed).covers(Entry.parse(entry))
    except HostError:  # a misspelt entry of the operator covers nothing
        return False
