"""The requests of the functions to AWS, in the units that AWS charges for."""

from __future__ import annotations

import json
import math
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType

from tests.moto_aws import REGION

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tests.machine.engine import Engine

_READS = {"GetItem", "Query", "BatchGetItem"}
_WRITES = {"PutItem", "UpdateItem", "DeleteItem"}
_WRITE_BYTES, _READ_BYTES = 1024, 4096
# An index has a copy of each item with its partition key (template.yaml, RunTable).
_INDEX_KEYS = ("tenant_runs", "tenant_open_approvals", "unfinished", "due", "run_list")


@dataclass
class Counts:
    """The *calls* by service and operation, the *units* of DynamoDB, and *invoked* functions.

    The units are "write" and "half read", because an eventually consistent read takes half a unit.
    A function is in *returned* as soon as all that it did is counted.
    """

    calls: Counter[str] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)
    invoked: Counter[str] = field(default_factory=Counter)
    returned: Counter[str] = field(default_factory=Counter)

    @property
    def read_units(self) -> float:
        """The read units of DynamoDB."""
        return self.units["half read"] / 2


@contextmanager
def counted(engine: Engine, ignored: Collection[str] = ()) -> Iterator[Counts]:
    """Count what the functions of *engine* do; what the test itself asks is not counted.

    Neither is what the functions *ignored* ask.

    This must begin before a function makes its clients.

    An item takes a write unit for each KiB, twice that in a transaction, and again for each index
    that has it; a read takes a unit for each 4 KiB, or half of that if it may be late (DynamoDB's
    "Read and write operations").
    """
    counts = Counts()
    playing = threading.local()

    def before(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
        context["counted"] = dict(params)

    def after(model: Any, parsed: Any, context: Mapping[str, Any], **_: object) -> None:  # noqa: ANN401
        if threading.current_thread() is threading.main_thread() and not hasattr(playing, "name"):
            return
        if getattr(playing, "name", None) in ignored:
            return
        params = context.get("counted", {})
        counts.calls[f"{model.service_model.service_name}:{model.name}"] += 1
        if model.name in _WRITES:
            counts.units["write"] += _write_units(params)
        elif model.name == "TransactWriteItems":
            bodies = [body for write in params["TransactItems"] for body in write.values()]
            counts.units["write"] += sum(2 * _write_units(body) for body in bodies)
        elif model.name in _READS:
            counts.units["half read"] += _half_read_units(params, parsed)

    @contextmanager
    def around(name: str) -> Iterator[None]:
        counts.invoked[name] += name not in ignored
        playing.name = name
        try:
            yield
        finally:
            del playing.name
            counts.returned[name] += 1

    session = boto3.DEFAULT_SESSION
    assert session is not None
    session.events.register("provide-client-params", before)
    session.events.register("after-call", after)
    engine.around = around
    yield counts


def _write_units(body: Mapping[str, Any]) -> int:
    """Return the units of one write, by the item as it is afterwards."""
    key = body.get("Key") or {name: body["Item"][name] for name in ("pk", "sk")}
    table = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].get_table(body["TableName"])
    item = table.get_item(DynamoType(key["pk"]), DynamoType(key["sk"]))
    if item is None:  # a condition's check of an item that does not exist
        return 1
    units = math.ceil(item.size() / _WRITE_BYTES)
    return units * (1 + sum(name in item.attrs for name in _INDEX_KEYS))


def _half_read_units(params: Mapping[str, Any], parsed: Mapping[str, Any]) -> int:
    """Return the halves of units of a read, which takes one of 4 KiB also when it finds nothing."""
    if "RequestItems" not in params:
        found = parsed.get("Items") or parsed.get("Item") or []
        return _halves(found, params)
    halves = 0
    for table, request in params["RequestItems"].items():  # each item is rounded up by itself
        items = parsed["Responses"].get(table, [])
        missing = [None] * (len(request["Keys"]) - len(items))
        halves += sum(_halves(item, request) for item in (*items, *missing))
    return halves


def _halves(found: object, request: Mapping[str, Any]) -> int:
    halves_of_unit = 2 if request.get("ConsistentRead") else 1
    return halves_of_unit * max(1, math.ceil(len(json.dumps(found)) / _READ_BYTES))
