"""The world in memory: every port of the use cases, held to the adapters' contract.

    world = MemoryWorld()
    create_run(request, world)

A port, its adapter and its fake share a file name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.adapters import logs
from taskrunner.adapters.execution_links import AwsExecutionLinks
from taskrunner.model.ceilings import Ceilings
from tests.fakes.approvals import MemoryApprovals
from tests.fakes.artifacts import MemoryArtifacts
from tests.fakes.called_machines import MemoryCalledMachines
from tests.fakes.clock import CountingIds, StoppedClock
from tests.fakes.events import MemoryEvents
from tests.fakes.evidence import MemoryEvidence
from tests.fakes.executions import MemoryMachines
from tests.fakes.functions import ScriptedFunctions
from tests.fakes.images import MemoryRegistries
from tests.fakes.jobs import MemoryJobs
from tests.fakes.machine_counts import MemoryMachineCounts
from tests.fakes.machine_inventory import MemoryInventory
from tests.fakes.metrics import MemoryMetrics
from tests.fakes.network import MemoryNetworks
from tests.fakes.notifications import MemoryNotifications
from tests.fakes.overrides import MemoryOverrides
from tests.fakes.plans import MemoryPlans
from tests.fakes.pools import MemoryPools
from tests.fakes.releases import MemoryReleases
from tests.fakes.runs import MemoryRuns
from tests.fakes.sandbox import ThreadSandbox
from tests.fakes.secrets import MemorySecrets
from tests.fakes.settlements import MemorySettlements

if TYPE_CHECKING:
    from taskrunner.ports import Logs, Principals


_MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:memory"


class MemoryWorld:
    """`ports.World`, with nothing in it yet."""

    def __init__(self) -> None:
        self.ceilings = Ceilings()
        self.principals: Principals | None = None
        self.clock = StoppedClock()
        self.ids = CountingIds()
        self.plans = MemoryPlans()
        self.runs = MemoryRuns()
        self.approvals = MemoryApprovals(self.runs)
        self.jobs = MemoryJobs(self.runs)
        self.pools = MemoryPools()
        self.artifacts = MemoryArtifacts(self.runs)
        self.evidence = MemoryEvidence(self.artifacts)
        self.releases = MemoryReleases(self.runs)
        self.secrets = MemorySecrets()
        self.notifications = MemoryNotifications()
        self.overrides = MemoryOverrides()
        self.events = MemoryEvents()
        self.metrics = MemoryMetrics()
        self.functions = ScriptedFunctions()
        self.due_work = self.runs.due_work
        self.settlements = MemorySettlements()
        self.machines = MemoryMachines()
        self.called_machines = MemoryCalledMachines()
        self.links = AwsExecutionLinks(_MACHINE, f"{_MACHINE}_machine_", has_console=True)
        self.inventory = MemoryInventory()
        self.machine_counts = MemoryMachineCounts()
        self.sandbox = ThreadSandbox()
        self.networks = MemoryNetworks()
        self.registries = MemoryRegistries()

    @property
    def logs(self) -> Logs:
        """The functions' own log, to which ids are added only in an invocation."""
        return logs
