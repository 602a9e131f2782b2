"""The port Plans over the bucket, by tenant and content hash, with a few plans in memory."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Final

from cachetools import LRUCache

from taskrunner.errors import NotFoundError
from taskrunner.model import plan_document

if TYPE_CHECKING:
    from taskrunner.adapters.bucket import Bucket
    from taskrunner.adapters.retention import Retention
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan

# A plan has at most some hundred KiB, and an environment of a function meets few plans.
_CACHED_PLANS: Final = 16


class _StoredPlan:
    """A plan document, and the plan in it, which is decoded when it is first needed."""

    def __init__(self, document: JsonObject) -> None:
        self.document = document

    @cached_property
    def plan(self) -> Plan:
        return plan_document.from_document(self.document)


class BucketPlans:
    """`ports.Plans` over the bucket. A plan never changes under its hash, so no copy gets stale."""

    def __init__(self, bucket: Bucket, retention: Retention) -> None:
        """Start with an empty cache."""
        self._bucket = bucket
        self._retention = retention
        self._cache: LRUCache[str, _StoredPlan] = LRUCache(maxsize=_CACHED_PLANS)

    def put(self, tenant: str, plan_hash: str, document: JsonObject, longest_s: int) -> None:
        """See the port. Each run writes its plan again, which begins the object's lifetime anew."""
        key = _key(tenant, plan_hash)
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        self._bucket.put(key, text.encode(), "application/json", self._retention.tag(longest_s))
        self._cache[key] = _StoredPlan(document)

    def put_manifest(self, tenant: str, digest: str, text: str, longest_s: int) -> None:
        """See the port. Each run writes its manifest again, as its plan."""
        tag = self._retention.tag(longest_s)
        self._bucket.put(_key(tenant, digest, "yaml"), text.encode(), "application/yaml", tag)

    def manifest(self, tenant: str, digest: str) -> str:
        """See the port."""
        content = self._bucket.get(_key(tenant, digest, "yaml"))
        if content is None:
            raise NotFoundError(f"the manifest {digest}")
        return content.decode()

    def get(self, tenant: str, plan_hash: str) -> Plan:
        """See the port."""
        return self._stored(tenant, plan_hash).plan

    def document(self, tenant: str, plan_hash: str) -> JsonObject:
        """See the port."""
        return self._stored(tenant, plan_hash).document

    def _stored(self, tenant: str, plan_hash: str) -> _StoredPlan:
        key = _key(tenant, plan_hash)
        cached = self._cache.get(key)
        if cached is not None:
            return cached
        content = self._bucket.get(key)
        if content is None:
            raise NotFoundError(f"the plan {plan_hash}")
        stored = self._cache[key] = _StoredPlan(json.loads(content))
        return stored


def _key(tenant: str, plan_hash: str, ending: str = "json") -> str:
    # IAM policies name `*/plans/sha256-*`, and their `*` matches slashes too. No folder of a run
    # begins with sha256-, so they do not match the objects of a run that is called "plans".
    return f"{tenant}/plans/{plan_hash.replace(':', '-')}.{ending}"
