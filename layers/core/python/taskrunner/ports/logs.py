"""The lines that a function logs."""

from __future__ import annotations

from typing import Protocol


class Logs(Protocol):
    """Names the work that the lines of this call are about."""

    def add(self, **known: object) -> None:
        """Add *known* to the lines until the end of the call, also to that of an error.

        These are ids that only the use case learns, such as `attempt`.
        """
        ...
