"""Plans in the bucket, by tenant and content hash, and a few of them in memory."""

from __future__ import annotations

import json
from collections import OrderedDict
from functools import cached_property
from typing import TYPE_CHECKING, Final

from taskrunner.errors import NotFoundError
from taskrunner.model import plan_document

if TYPE_CHECKING:
    from taskrunner.adapters.bucket import Bucket
    from taskrunner.adapters.retention import Retention
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan

# A plan has at most some hundred KiB; a function's environment meets the same few again and again.
_REMEMBERED: Final = 16


class _Stored:
    """A plan document, and the plan in it, which is decoded when it is first needed."""

    def __init__(self, document: JsonObject) -> None:
        self.document = document

    @cached_property
    def plan(self) -> Plan:
        return plan_document.from_document(self.document)


class BucketPlans:
    """`usecases.ports.Plans` over the bucket. What is read by its hash never changes."""

    def __init__(self, bucket: Bucket, retention: Retention) -> None:
        """Start with an empty memory."""
        self._bucket = bucket
        self._retention = retention
        self._memory: OrderedDict[str, _Stored] = OrderedDict()

    def put(self, tenant: str, plan_hash: str, document: JsonObject, longest_s: int) -> None:
        """See the port. Runs share it: each writes it anew, and its time begins anew."""
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        tag = self._retention.tag(longest_s)
        self._bucket.put(_key(tenant, plan_hash), text.encode(), "application/json", tag)
        self._remember(_key(tenant, plan_hash), document)

    def get(self, tenant: str, plan_hash: str) -> Plan:
        """See the port."""
        return self._stored(tenant, plan_hash).plan

    def document(self, tenant: str, plan_hash: str) -> JsonObject:
        """See the port."""
        return self._stored(tenant, plan_hash).document

    def _stored(self, tenant: str, plan_hash: str) -> _Stored:
        key = _key(tenant, plan_hash)
        if key in self._memory:
            self._memory.move_to_end(key)
            return self._memory[key]
        content = self._bucket.get(key)
        if content is None:
            raise NotFoundError(f"the plan {plan_hash}")
        return self._remember(key, json.loads(content))

    def _remember(self, key: str, document: JsonObject) -> _Stored:
        self._memory[key] = stored = _Stored(document)
        if len(self._memory) > _REMEMBERED:
            self._memory.popitem(last=False)
        return stored


def _key(tenant: str, plan_hash: str) -> str:
    # Behind the folder stands what no folder of a run is called: rights go by it, and in a run that
    # is called plans everything is below a folder of that name too.
    return f"{tenant}/plans/{plan_hash.replace(':', '-')}.json"
