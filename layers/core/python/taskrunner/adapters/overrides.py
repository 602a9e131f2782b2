"""The port Overrides over Lambda: calls of the function `open_gate`, as a machine makes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from taskrunner.adapters.aws_errors import translated
from taskrunner.adapters.machine_events import gate_event
from taskrunner.errors import ConflictError, TryAgainError

if TYPE_CHECKING:
    from taskrunner.model.run import StepReference

# Longer than Lambda lets open_gate run.
READ_TIMEOUT_S: Final = 70


class LambdaOverrides:
    """`ports.Overrides`; *client* is boto3's client for Lambda."""

    def __init__(self, client: Any, function_name: str) -> None:  # noqa: ANN401 - boto3 has no static types
        """Call nothing yet."""
        self._client = client
        self._function_name = function_name

    def enter(self, gate: StepReference, token: str, *, has_timed_out: bool) -> None:
        """See the port. The same call may be made again: a gate is opened once."""
        event = gate_event(gate, token, has_timed_out=has_timed_out)
        with translated("call open_gate"):
            answer = self._client.invoke(
                FunctionName=self._function_name, Payload=json.dumps(event).encode()
            )
            content = answer["Payload"].read()
        if "FunctionError" in answer:
            raise _error(json.loads(content))


def _error(report: dict[str, Any]) -> ConflictError | TryAgainError:
    """Return the error that Lambda reports by its name."""
    name, message = str(report.get("errorType")), str(report.get("errorMessage"))
    if name == ConflictError.__name__:
        return ConflictError("run_ended", message)
    return TryAgainError(f"open_gate failed: {name}")
