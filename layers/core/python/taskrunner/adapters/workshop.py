"""What executors use beside the run: bundles in the bucket, environments in the table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from taskrunner.adapters.retention import KEPT, Retention
from taskrunner.adapters.table import ConditionFailedError, Table
from taskrunner.adapters.table_layout import RUN, Key, run_partition
from taskrunner.adapters.table_requests import Check, Put
from taskrunner.errors import TryAgainError
from taskrunner.executors.work import Bundle, ExecutorFailure, Revision
from taskrunner.model import timestamp

if TYPE_CHECKING:
    from pathlib import Path

    from taskrunner.adapters.bucket import Bucket
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.run import Run
    from taskrunner.ports import Clock

_REFERENCE: Final = re.compile(r"(?:bundles/sha256-|sha256:)([a-f0-9]{64})(?:\.zip)?")
_TRIES: Final = 10


class StoredWorkshop:
    """`usecases.ports.Workshop` over table and bucket."""

    def __init__(self, table: Table, bucket: Bucket, clock: Clock, retention: Retention) -> None:
        """Hold both stores."""
        self._table = table
        self._bucket = bucket
        self._clock = clock
        self._retention = retention

    def bundles(self, run: Run) -> StoredBundles:
        """See the port."""
        return StoredBundles(self._bucket, run, self._retention.tag(run.longest_s))

    def environments(self, run: Run, path: str) -> StoredEnvironments:
        """See the port."""
        return StoredEnvironments(self._table, self._clock, run, path)


class StoredBundles:
    """`executors.work.Bundles`: zips under their digest, in the tenant's prefix."""

    def __init__(self, bucket: Bucket, run: Run, tag: str) -> None:
        """*tag* is that of the run's objects; a bundle has none, as an environment may need it."""
        self._bucket = bucket
        self._tenant = run.tenant
        self._last = f"{run.tenant}/runs/{run.run_id}/last-bundle"
        self._tag = tag

    def put(self, file: Path) -> Bundle:
        """See the port."""
        size_bytes, sha256 = self._bucket.put_file(self._key, file, "application/zip", KEPT)
        bundle = _bundle(sha256, size_bytes)
        self._bucket.put(self._last, bundle.reference.encode(), "text/plain", self._tag)
        return bundle

    def find(self, reference: str) -> Bundle | None:
        """See the port."""
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            return None
        size_bytes = self._bucket.size_bytes(self._key(match[1]))
        return None if size_bytes is None else _bundle(match[1], size_bytes)

    def last_of_run(self) -> Bundle | None:
        """See the port."""
        reference = self._bucket.get(self._last)
        return None if reference is None else self.find(reference.decode())

    def _key(self, sha256: str) -> str:
        return f"{self._tenant}/bundles/sha256-{sha256}.zip"


def _bundle(sha256: str, size_bytes: int) -> Bundle:
    return Bundle(f"bundles/sha256-{sha256}.zip", f"sha256:{sha256}", size_bytes)


class StoredEnvironments:
    """`executors.work.Environments`: what is current, and the history of it, in one transaction."""

    def __init__(self, table: Table, clock: Clock, run: Run, path: str) -> None:
        """*path* is that of the step that deploys, so that its repetition is recognised."""
        self._table = table
        self._clock = clock
        self._tenant = run.tenant
        self._run_id = run.run_id
        # What is remembered here outlives the run, whose id another one may have afterwards.
        self._deployment = f"{run.run_id}#{run.created_at}#{path}"

    def promote(self, environment: str, bundle: Bundle) -> Revision:
        """See the port."""
        pk = f"T#{self._tenant}#E#{environment}"
        for _ in range(_TRIES):
            done = self._table.get(Key(pk, f"D#{self._deployment}"))
            if done is not None and done["digest"] == bundle.digest:
                return _revision(done)  # others may have deployed since: it is done all the same
            current = self._table.get(Key(pk, "CURRENT")) or {"revision": 0}
            item = {
                "pk": pk,
                "revision": current["revision"] + 1,
                "digest": bundle.digest,
                "previous_digest": current.get("digest"),
                "bundle": bundle.reference,
                "deployment": self._deployment,
                "deployed_at": timestamp.to_text(self._clock.now()),
            }
            try:
                self._table.transact([self._not_ended(), *_promotion(item, current["revision"])])
            except ConditionFailedError as failed:
                if 0 in failed.items:
                    message = "the run has ended, so that nothing of it is deployed"
                    raise ExecutorFailure(message) from None
                continue  # another deployment came first; look again
            return _revision(item)
        raise TryAgainError(f"others deploy to {environment} again and again")

    def _not_ended(self) -> Check:
        """Of a step that is at work when its run is cancelled nothing else knows."""
        key = Key(run_partition(self._tenant, self._run_id), RUN)
        return Check(key=key, condition="attribute_not_exists(outcome)")


def _promotion(item: JsonObject, before: int) -> list[Put]:
    return [
        Put(
            item=item | {"sk": "CURRENT"},
            condition="attribute_not_exists(pk) OR revision = :before",
            values={":before": before},
        ),
        Put(item=item | {"sk": f"H#{item['revision']:09d}"}),
        Put(item=item | {"sk": f"D#{item['deployment']}"}),
    ]


def _revision(item: JsonObject) -> Revision:
    return Revision(item["revision"], item["digest"], item.get("previous_digest"))
