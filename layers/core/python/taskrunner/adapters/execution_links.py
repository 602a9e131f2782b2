"""The port ExecutionLinks: ARNs and console addresses in the deployment's partition of AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.machine_call import Execution
    from taskrunner.model.run import Run

_CONSOLES: Final = {
    "aws": "https://{region}.console.aws.amazon.com",
    "aws-cn": "https://{region}.console.amazonaws.cn",
    "aws-us-gov": "https://console.amazonaws-us-gov.com",
}


class AwsExecutionLinks:
    """`ports.ExecutionLinks`.

    *prototype_arn* names a machine of the deployment. *prefix_arn* and a name in packs are the ARN
    of a machine that steps call. *has_console* is false for an emulator.
    """

    def __init__(self, prototype_arn: str, prefix_arn: str, *, has_console: bool) -> None:
        """Call nothing."""
        self._beginning = prototype_arn.rpartition(":stateMachine:")[0]
        self._prefix = prefix_arn.rpartition(":stateMachine:")[2]
        self._has_console = has_console

    def of(self, run: Run) -> JsonObject:
        """See the port."""
        return self._link(run.machine, run.execution)

    def of_call(self, execution: Execution) -> JsonObject:
        """See the port."""
        return self._link(self._prefix + execution.machine, execution.name)

    def _link(self, machine: str, execution: str) -> JsonObject:
        arn = f"{self._beginning}:execution:{machine}:{execution}"
        url = self._url(arn) if self._has_console else None
        return {"executionArn": arn} | ({} if url is None else {"executionUrl": url})

    def _url(self, arn: str) -> str | None:
        _, partition, _, region, *_ = arn.split(":")
        if partition not in _CONSOLES:
            return None
        console = _CONSOLES[partition].format(region=region)
        return f"{console}/states/home?region={region}#/v2/executions/details/{arn}"
