"""No network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.fakes.executor_world import NoNetwork

if TYPE_CHECKING:
    from taskrunner.model.plan import Sandbox


@dataclass
class MemoryNetworks:
    """No way out. *asked* has the rules of each request for one."""

    asked: list[Sandbox] = field(default_factory=list)

    def within(self, sandbox: Sandbox) -> NoNetwork:
        self.asked.append(sandbox)
        return NoNetwork()
