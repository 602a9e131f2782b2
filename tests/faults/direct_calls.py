"""AWS without requests: a call at which nothing goes wrong is answered by a function call.

A request costs botocore and moto ten times as much as what it asks for. All other calls go through
botocore: those that a fault breaks, those that AWS refuses, and those of other services.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from botocore.response import StreamingBody
from moto.core.exceptions import ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from werkzeug.exceptions import HTTPException

from tests.faults.step_functions import RefusedError
from tests.moto_aws import REGION
from tests.quick_requests import FUNCTIONS, moto_result

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.aws import Aws

Answer: TypeAlias = "Callable[[dict[str, Any]], dict[str, Any]]"

# The calls of a table, as boto3 and as AWS name them.
_OF_A_TABLE: Final = {name: operation for operation, name in FUNCTIONS.items()}
_OF_A_BUCKET: Final = {"get_object": "GetObject"}
_DATES: Final = {"creationDate", "startDate", "stopDate"}
_OF_MACHINES: Final = {
    "describe_execution": "DescribeExecution",
    "describe_state_machine": "DescribeStateMachine",
    "send_task_failure": "SendTaskFailure",
    "send_task_success": "SendTaskSuccess",
    "start_execution": "StartExecution",
    "stop_execution": "StopExecution",
}


def direct_calls(client: Any, service: str, aws: Aws) -> Any:  # noqa: ANN401 - botocore is untyped
    """Return botocore's *client* for a service, with calls that need no request."""
    match service:
        case "dynamodb":
            return DirectCalls(client, aws, "dynamodb", _OF_A_TABLE, _ask_table)
        case "s3":
            return DirectCalls(client, aws, "s3", _OF_A_BUCKET, _ask_bucket)
        case "stepfunctions":
            return DirectCalls(client, aws, "sfn", _OF_MACHINES, partial(_ask_machines, aws))
        case _:
            return client


class DirectCalls:
    """A client of botocore, whose calls that are in *names* are answered by *answer*."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - botocore is untyped
        aws: Aws,
        service: str,
        names: dict[str, str],
        answer: Callable[[str, dict[str, Any]], dict[str, Any]],
    ) -> None:
        self._client = client
        self._aws = aws
        for name, operation in names.items():
            request = getattr(client, name)
            place = f"{service}.{operation}"
            setattr(self, name, partial(self._call, place, partial(answer, name), request))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - botocore is untyped
        return getattr(self._client, name)

    def _call(
        self,
        operation: str,
        answer: Answer,
        request: Callable[..., Any],
        **parameters: Any,  # noqa: ANN401 - any JSON
    ) -> Any:  # noqa: ANN401 - any JSON
        if self._aws.is_broken(operation):
            return request(**parameters)
        try:
            answered = answer(parameters)
        except (HTTPException, RefusedError, ServiceException):
            return request(**parameters)
        self._aws.count_call()
        return answered


def _ask_table(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return _copied(moto_result(_OF_A_TABLE[name], _copied(parameters), REGION))


def _ask_bucket(_name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    bucket = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].get_bucket(parameters["Bucket"])
    stored = bucket.keys.get(parameters["Key"])
    if stored is None:
        raise RefusedError("NoSuchKey")
    return {"Body": StreamingBody(BytesIO(stored.value), len(stored.value))}


def _ask_machines(aws: Aws, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    assert aws.states is not None
    answered = _copied(aws.states.answer(_OF_MACHINES[name], _copied(parameters)))
    for date in answered.keys() & _DATES:
        answered[date] = datetime.fromtimestamp(answered[date], UTC)
    return answered


def _copied(value: dict[str, Any]) -> dict[str, Any]:
    """Return what is at the other end of a connection."""
    copied: dict[str, Any] = json.loads(json.dumps(value))
    return copied
