"""Requests to settle runs, for callers that may not settle one themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from taskrunner.model.run import Run


class Settlements(Protocol):
    """The function `settle_run`, which alone may sign evidence."""

    def request(self, run: Run, error: str) -> None:
        """Ask for *run* to be settled, without waiting for it; *error* is as for `settle_run`."""
        ...
