"""The filters of a list of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.values import dataclass

if TYPE_CHECKING:
    from taskrunner.model.run import Run, RunStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilters:
    """The filters of a list of runs; None admits any run.

    *version* is one of the pack's, so it comes with *pack*. *approval* is the id of an approval
    that a gate of the run waits for. *created_after*, which is included, and *created_before*,
    which is not, are RFC 3339 text as of `model.timestamp`.
    """

    status: RunStatus | None = None
    pack: str | None = None
    version: str | None = None
    requested_by: str | None = None
    approval: str | None = None
    created_after: str | None = None
    created_before: str | None = None

    def admits(self, run: Run) -> bool:
        """Return whether *run* agrees in all that its record says.

        The status of an unended run and its approvals are not in the record.
        """
        if self.approval is not None and run.outcome is not None:
            return False
        return (
            self.pack in {None, run.pack_name}
            and self.version in {None, run.pack_version}
            and self.requested_by in {None, run.created_by}
            and (self.created_after or "") <= run.created_at
            and (self.created_before is None or run.created_at < self.created_before)
            and self._admits_outcome(run.outcome)
        )

    def _admits_outcome(self, outcome: RunStatus | None) -> bool:
        if self.status is None:
            return True
        return outcome is None if self.status.is_unended else outcome is self.status


ALL_RUNS = RunFilters()
