"""The port Settlements over Lambda: asynchronous calls of the function `settle_run`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from taskrunner.adapters.aws_errors import translated

if TYPE_CHECKING:
    from taskrunner.model.run import Run


class LambdaSettlements:
    """`ports.Settlements`; *client* is boto3's client for Lambda."""

    def __init__(self, client: Any, function_name: str) -> None:  # noqa: ANN401 - boto3 has no static types
        """Call nothing yet."""
        self._client = client
        self._function_name = function_name

    def request(self, run: Run, error: str) -> None:
        """See the port. Lambda repeats a call that fails or is throttled."""
        event = {"tenant": run.tenant, "run": run.run_id, "error": error}
        with translated("call settle_run"):
            self._client.invoke(
                FunctionName=self._function_name,
                InvocationType="Event",
                Payload=json.dumps(event).encode(),
            )
