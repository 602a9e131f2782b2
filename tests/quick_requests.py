"""Answer requests to DynamoDB by moto's functions, without HTTP.

botocore checks, writes, signs and reads a request, and moto reads and writes it again. That takes
several times as long as what the request asks for. So only the first request of each form is sent.
A form is the operation, table, expressions, names and types of values. moto's functions answer
later requests of the form. A request is always sent if moto refuses it, or if it has bytes, which
JSON cannot hold. `contract/test_quick_moto.py` compares the answers with those of moto alone.
"""

from __future__ import annotations

import copy
import json
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest
from botocore import client as clients
from moto.core.exceptions import ServiceException
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.responses import DynamoHandler
from werkzeug.exceptions import HTTPException

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

# The functions of moto, by the operations of DynamoDB. boto3 has the same names for its methods.
FUNCTIONS: Final = {
    "BatchGetItem": "batch_get_item",
    "GetItem": "get_item",
    "Query": "query",
    "TransactWriteItems": "transact_write_items",
    "UpdateItem": "update_item",
}
# The parts that decide how a request is checked and understood, beside its names and types.
_WORDS: Final = frozenset(
    {
        "ConditionExpression",
        "ConsistentRead",
        "ExpressionAttributeNames",
        "IndexName",
        "KeyConditionExpression",
        "ProjectionExpression",
        "ReturnValues",
        "ReturnValuesOnConditionCheckFailure",
        "ScanIndexForward",
        "TableName",
        "UpdateExpression",
    }
)
# The names of the types of an attribute's value.
_TYPES: Final = frozenset({"B", "BOOL", "BS", "L", "M", "N", "NS", "NULL", "S", "SS"})
_by_botocore: Any = clients.BaseClient._make_api_call
_forms: set[tuple[str, Any]] = set()


@contextmanager
def quick_requests(lock: AbstractContextManager[Any], region: str) -> Iterator[None]:
    """Answer requests of a known form without HTTP until the end, each while it holds *lock*.

    All clients are those of moto's default account in one *region*.
    """

    def make_api_call(client: Any, operation: str, request: dict[str, Any]) -> Any:  # noqa: ANN401 - botocore is untyped
        if not _is_quick(client, operation):
            return _by_botocore(client, operation, request)
        form = (operation, _form(request))
        if form in _forms and (body := _copied(request)) is not None:
            try:
                with lock:
                    result = moto_result(operation, body, region)
            except (HTTPException, ServiceException):
                pass  # botocore makes an error of it
            else:
                return _received(client, operation, request, result)
        answer = _by_botocore(client, operation, request)
        _forms.add(form)
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clients.BaseClient, "_make_api_call", make_api_call)
        yield


def _is_quick(client: Any, operation: str) -> bool:  # noqa: ANN401 - botocore is untyped
    return operation in FUNCTIONS and client.meta.service_model.service_name == "dynamodb"


def _form(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a value that is equal for requests that are checked and understood alike."""
    match value:
        case dict():
            if len(value) == 1 and (kind := next(iter(value))) in _TYPES:
                return kind
            return tuple(
                (name, str(part) if name in _WORDS else _form(part)) for name, part in value.items()
            )
        case list():
            return tuple(map(_form, value))
        case _:
            return type(value)


def moto_result(operation: str, body: dict[str, Any], region: str) -> dict[str, Any]:
    """Return the result of moto's function for an operation."""
    handler = DynamoHandler()
    handler.region, handler.current_account = region, DEFAULT_ACCOUNT_ID
    handler.body = body
    result: dict[str, Any] = getattr(handler, FUNCTIONS[operation])().result
    return result


def _received(client: Any, operation: str, request: dict[str, Any], result: dict[str, Any]) -> Any:  # noqa: ANN401 - botocore is untyped
    """Return *result* as botocore does, after emitting the events of a call.

    Its events before and after a call both come after it.
    """
    copied = _copied(result)
    answer = copy.deepcopy(result) if copied is None else copied
    answer["ResponseMetadata"] = {"HTTPStatusCode": 200, "RetryAttempts": 0}
    response = SimpleNamespace(status_code=200, content=json.dumps(copied or {}).encode())
    emit, place = client.meta.events.emit, f"dynamodb.{operation}"
    model, context = client.meta.service_model.operation_model(operation), dict[str, Any]()
    emit(f"provide-client-params.{place}", params=request, model=model, context=context)
    emit(f"after-call.{place}", http_response=response, parsed=answer, model=model, context=context)
    return answer


def _copied(value: dict[str, Any]) -> dict[str, Any] | None:
    """Return what is at the other end of a connection, or None if *value* has bytes."""
    try:
        copied: dict[str, Any] = json.loads(json.dumps(value))
    except TypeError:
        return None
    return copied
