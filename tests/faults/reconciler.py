"""The reconciler, which EventBridge calls every minute."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tests.faults.aws import FunctionDiedError, NotBegunError

if TYPE_CHECKING:
    from tests.faults.service import Service

PERIOD_S: Final = 60
# How much longer a run may take with a fault than without: what was cut off is due after a minute,
# and then the reconciler has two passes for it. A retry takes a second.
HEALED_WITHIN_S: Final = 60 + 2 * PERIOD_S + 1


def reconcile(service: Service) -> None:
    """Make one pass. Nobody repeats one that fails, because the next one comes."""
    with suppress(Exception, FunctionDiedError, NotBegunError):
        service.invoke("reconcile", {}, "")
