"""The port MachineInventory over Step Functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import ClientError

from taskrunner.adapters.aws_errors import code, translated
from taskrunner.compiler.machine.names import is_of_a_pack
from taskrunner.errors import TryAgainError
from taskrunner.ports.machine_inventory import Listing, PackMachine

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

_T = TypeVar("_T")

# AWS allows 100 deletions at once and then one a second, and two to five lists of executions.
_PAUSE_S: Final = 1.0
_MOST_TRIES: Final = 30
_DATES: Final = ("startDate", "stopDate", "redriveDate")


class StepFunctionsInventory:
    """`ports.MachineInventory`; *stack* is whose machines these are."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - boto3 has no static types
        stack: str,
        retention: timedelta,
        warn_from: int,
        sleep: Callable[[float], None],
    ) -> None:
        """Call nothing yet."""
        self.retention = retention
        self.warn_from = warn_from
        self._client = client
        self.stack = stack
        self._sleep = sleep

    def listing(self) -> Listing:
        """See the port."""
        machines: list[PackMachine] = []
        in_account = 0
        which: dict[str, str] = {}
        while True:
            page = self._page(which)
            in_account += len(page["stateMachines"])
            machines += [
                PackMachine(found["name"], found["stateMachineArn"], found["creationDate"])
                for found in page["stateMachines"]
                if is_of_a_pack(found["name"], self.stack)
            ]
            if "nextToken" not in page:
                return Listing(machines, in_account)
            which = {"nextToken": page["nextToken"]}

    def _page(self, which: dict[str, str]) -> dict[str, Any]:
        page: dict[str, Any] = self._patiently(
            "list the state machines",
            lambda: self._client.list_state_machines(maxResults=1000, **which),
        )
        return page

    def is_unused(self, machine: PackMachine, since: datetime) -> bool:
        """See the port.

        AWS lists executions newest first: running ones by their start, the others by their end. So
        two lists of one execution each say it.
        """
        try:
            newest = self._executions(machine)
            if any(execution.get(date, since) > since for execution in newest for date in _DATES):
                return False
            return not self._executions(machine, statusFilter="RUNNING")
        except ClientError as error:
            if code(error) != "StateMachineDoesNotExist":
                raise
            return False

    def _executions(self, machine: PackMachine, **which: str) -> list[dict[str, Any]]:
        answer = self._patiently(
            "list the executions",
            lambda: self._client.list_executions(
                stateMachineArn=machine.arn, maxResults=1, **which
            ),
        )
        executions: list[dict[str, Any]] = answer["executions"]
        return executions

    def delete(self, machine: PackMachine) -> None:
        """See the port."""
        self._patiently(
            "delete the state machine",
            lambda: self._client.delete_state_machine(stateMachineArn=machine.arn),
        )

    def _patiently(self, action: str, call: Callable[[], _T]) -> _T:
        for _ in range(_MOST_TRIES - 1):
            try:
                with translated(action):
                    return call()
            except TryAgainError:
                self._sleep(_PAUSE_S)
        with translated(action):
            return call()
