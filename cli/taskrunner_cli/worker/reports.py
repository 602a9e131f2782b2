"""The reports of one job as the worker's operator sees them: what fails is said once."""

import threading
from collections.abc import Callable


class Reports:
    """Logs that the service does not take the reports of a job, and that it does again."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._are_failing = False

    def failed(self, error: Exception) -> None:
        """Log the first failure since the last success."""
        with self._lock:
            is_first, self._are_failing = not self._are_failing, True
        if is_first:
            reason = getattr(error, "message", None) or f"{type(error).__name__}: {error}"
            self._log(f"cannot report: {reason}; trying again until the lease ends")

    def succeeded(self) -> None:
        """Log the first success since the last failure."""
        with self._lock:
            was_failing, self._are_failing = self._are_failing, False
        if was_failing:
            self._log("can report again")
