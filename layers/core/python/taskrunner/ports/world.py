"""The world as one value: every port that a use case may use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from taskrunner import ports
    from taskrunner.executors.work import Functions
    from taskrunner.model.ceilings import Ceilings


class World(Protocol):
    """All ports. They are read-only, so that a world may build each port on its first use."""

    @property
    def ceilings(self) -> Ceilings:
        """The most that this deployment allows packs to request."""
        ...

    @property
    def principals(self) -> ports.Principals | None:
        """The registered principals; None where an authorizer checks tokens instead."""
        ...

    @property
    def clock(self) -> ports.Clock: ...  # noqa: D102 - here and below, the port says it
    @property
    def ids(self) -> ports.Ids: ...  # noqa: D102
    @property
    def plans(self) -> ports.Plans: ...  # noqa: D102
    @property
    def runs(self) -> ports.Runs: ...  # noqa: D102
    @property
    def approvals(self) -> ports.Approvals: ...  # noqa: D102
    @property
    def jobs(self) -> ports.Jobs: ...  # noqa: D102
    @property
    def pools(self) -> ports.Pools: ...  # noqa: D102
    @property
    def artifacts(self) -> ports.Artifacts: ...  # noqa: D102
    @property
    def evidence(self) -> ports.Evidence: ...  # noqa: D102
    @property
    def releases(self) -> ports.Releases: ...  # noqa: D102
    @property
    def sandbox(self) -> ports.Sandbox: ...  # noqa: D102
    @property
    def functions(self) -> Functions: ...  # noqa: D102
    @property
    def networks(self) -> ports.Networks: ...  # noqa: D102
    @property
    def registries(self) -> ports.Registries: ...  # noqa: D102
    @property
    def secrets(self) -> ports.Secrets: ...  # noqa: D102
    @property
    def notifications(self) -> ports.Notifications: ...  # noqa: D102
    @property
    def overrides(self) -> ports.Overrides: ...  # noqa: D102
    @property
    def events(self) -> ports.Events: ...  # noqa: D102
    @property
    def logs(self) -> ports.Logs: ...  # noqa: D102
    @property
    def metrics(self) -> ports.Metrics: ...  # noqa: D102
    @property
    def due_work(self) -> ports.DueWork: ...  # noqa: D102
    @property
    def settlements(self) -> ports.Settlements: ...  # noqa: D102
    @property
    def machines(self) -> ports.Machines: ...  # noqa: D102
    @property
    def called_machines(self) -> ports.CalledMachines: ...  # noqa: D102
    @property
    def links(self) -> ports.ExecutionLinks: ...  # noqa: D102
    @property
    def inventory(self) -> ports.MachineInventory: ...  # noqa: D102
    @property
    def machine_counts(self) -> ports.MachineCounts: ...  # noqa: D102
