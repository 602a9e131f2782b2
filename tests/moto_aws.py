"""moto's AWS as tests use it: one request at a time, and quick to set up and to write to.

moto's backends are plain Python objects that are not safe for threads: an item is created first and
filled afterwards, and two requests at once can break one another ("dictionary changed size during
iteration"). AWS has no such fault. Only Lambda answers beside the others, because a function takes
its own time and makes requests itself.

Each use is a fresh AWS. Only botocore's descriptions of the services are kept from one to the next,
because botocore would read them from disk again for each session.
"""

from __future__ import annotations

import copy
import threading
from collections import defaultdict
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import boto3
import botocore.loaders
import botocore.session
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID, botocore_stubber
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

from tests.quick_answers import quick_answers
from tests.quick_botocore import quick_botocore
from tests.quick_expressions import quick_expressions
from tests.quick_moto import quick_moto
from tests.quick_requests import quick_requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    Between: TypeAlias = Callable[[str, Any, Callable[[], Any]], Any]
    _Key: TypeAlias = tuple[DynamoType, DynamoType]

REGION = "us-east-1"
_DESCRIPTIONS = botocore.loaders.Loader()


@contextmanager
def moto_aws(
    config: Any = None,  # noqa: ANN401 - moto's own form
    between: Between | None = None,
    *,
    takes_urls: bool = False,
) -> Iterator[None]:
    """A fresh AWS for every client that boto3 makes by its default session until the end.

    If it *takes_urls*, requests to presigned URLs are answered too.

    *between* stands between the clients and AWS. It gets the service and operation of a request,
    such as `dynamodb.GetItem`, the request, and what sends the request on to moto.
    """
    with (
        quick_answers(),
        quick_botocore(),
        quick_expressions(),
        quick_moto(takes_urls=takes_urls),
        mock_aws(config=config),
        _executions() if "stepfunctions" in (config or {}) else nullcontext(),
    ):
        # moto has begun with a session of its own, and a session keeps its handlers.
        lock = threading.RLock()
        _begin_session(between, lock)
        _copy_only_what_a_transaction_touches(dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION])
        with quick_requests(lock, REGION) if between is None else nullcontext():
            yield


def _executions() -> AbstractContextManager[None]:
    # The interpreter of machines takes long to import, and most tests run none.
    from tests.moto_executions import stoppable_executions  # noqa: PLC0415

    return stoppable_executions()


def session() -> Any:  # noqa: ANN401 - botocore has no static types
    """Return botocore's session whose requests moto answers, inside `moto_aws()`."""
    return boto3.DEFAULT_SESSION._session


def _begin_session(between: Between | None, lock: AbstractContextManager[Any]) -> None:
    """Make boto3's default session one whose requests moto answers one at a time."""
    core = botocore.session.get_session()
    core.register_component("data_loader", _DESCRIPTIONS)
    boto3.setup_default_session(botocore_session=core)

    def answer(event_name: str, request: Any, **more: Any) -> Any:  # noqa: ANN401 - botocore's
        def send() -> Any:  # noqa: ANN401 - botocore's
            return by_moto(event_name, request, **more)

        operation = event_name.removeprefix("before-send.")
        return send() if between is None else between(operation, request, send)

    def by_moto(event_name: str, request: Any, **more: Any) -> Any:  # noqa: ANN401 - botocore's
        if event_name.startswith("before-send.lambda"):
            return botocore_stubber(event_name, request, **more)
        with lock:
            return botocore_stubber(event_name, request, **more)

    core.get_component("event_emitter").unregister("before-send", botocore_stubber)
    core.get_component("event_emitter").register("before-send", answer)


def _copy_only_what_a_transaction_touches(backend: Any) -> None:  # noqa: ANN401 - moto is untyped
    """Make *backend* run a transaction on copies of its items, and keep the copies if it succeeds.

    moto copies the whole table before each transaction, so the cost of a run's journal would grow
    with the square of its length.
    """
    transact = backend.transact_write_items

    def transact_write_items(transact_items: list[dict[str, Any]]) -> None:
        tables, keys = backend.tables, _keys(backend.tables, transact_items)
        backend.tables = {name: _part(tables[name], touched) for name, touched in keys.items()}
        try:
            transact(transact_items)
            parts = backend.tables
        finally:
            backend.tables = tables
        for name, touched in keys.items():
            _keep(parts[name], tables[name], touched)

    backend.transact_write_items = transact_write_items


def _keys(tables: Any, transact_items: list[dict[str, Any]]) -> dict[str, list[_Key]]:  # noqa: ANN401
    """The keys of the items that a transaction names, by their table's name."""
    found: dict[str, list[_Key]] = {}
    for write in transact_items:
        for body in write.values():
            if (table := tables.get(body["TableName"])) is not None:
                key = body.get("Key") or body["Item"]
                hash_key, range_key = key[table.hash_key_attr], key[table.range_key_attr]
                found.setdefault(table.name, []).append(
                    (DynamoType(hash_key), DynamoType(range_key))
                )
    return found


class _Part(Table):
    """A table during a transaction, which moto would copy for each write.

    Its items are copies already, and are dropped if the transaction fails.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> _Part:
        return self


def _part(table: Any, keys: list[_Key]) -> Any:  # noqa: ANN401 - moto is untyped
    """A table like *table* that holds copies of the items under *keys* and nothing else."""
    part = copy.copy(table)
    part.__class__ = _Part
    part.items = defaultdict(dict)
    for hash_key, range_key in keys:
        if range_key in table.items.get(hash_key, {}):
            part.items[hash_key][range_key] = copy.deepcopy(table.items[hash_key][range_key])
    return part


def _keep(part: Any, table: Any, keys: list[_Key]) -> None:  # noqa: ANN401 - moto is untyped
    """Make the items of *table* under *keys* those of *part*."""
    for hash_key, range_key in keys:
        if range_key in part.items.get(hash_key, {}):
            table.items[hash_key][range_key] = part.items[hash_key][range_key]
        elif hash_key in table.items:
            table.items[hash_key].pop(range_key, None)
