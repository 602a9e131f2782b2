"""Bundles in the bucket, and in the table the environments that they are released to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from taskrunner.adapters.retention import NO_TAG
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
_MAX_TRIES: Final = 10


class StoredReleases:
    """`ports.Releases` over table and bucket."""

    def __init__(self, table: Table, bucket: Bucket, clock: Clock) -> None:
        """Read nothing yet."""
        self._table = table
        self._bucket = bucket
        self._clock = clock

    def bundles(self, tenant: str) -> StoredBundles:
        """See the port."""
        return StoredBundles(self._bucket, tenant)

    def environments(self, run: Run, step_path: str) -> StoredEnvironments:
        """See the port."""
        return StoredEnvironments(self._table, self._clock, run, step_path)


class StoredBundles:
    """`ports.BundleStore`: zip files under their digest, below the tenant's prefix."""

    def __init__(self, bucket: Bucket, tenant: str) -> None:
        """Read nothing yet."""
        self._bucket = bucket
        self._tenant = tenant

    def put(self, file: Path) -> Bundle:
        """See the port."""
        # It does not expire with the run, because an environment may need it.
        size_bytes, sha256 = self._bucket.put_file(self._key, file, "application/zip", NO_TAG)
        return _bundle(sha256, size_bytes)

    def find(self, reference: str) -> Bundle | None:
        """See the port."""
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            return None
        size_bytes = self._bucket.size_bytes(self._key(match[1]))
        return None if size_bytes is None else _bundle(match[1], size_bytes)

    def _key(self, sha256: str) -> str:
        return f"{self._tenant}/bundles/sha256-{sha256}.zip"


def _bundle(sha256: str, size_bytes: int) -> Bundle:
    return Bundle(f"bundles/sha256-{sha256}.zip", f"sha256:{sha256}", size_bytes)


class StoredEnvironments:
    """`executors.work.Environments`: the current bundle and its history, in one transaction."""

    def __init__(self, table: Table, clock: Clock, run: Run, step_path: str) -> None:
        """*step_path* names the step that deploys, so that its retries are recognised."""
        self._table = table
        self._clock = clock
        self._tenant = run.tenant
        self._run_id = run.run_id
        # With the creation time, because these items outlive the run, and its id is free then.
        self._deployment = f"{run.run_id}#{run.created_at}#{step_path}"

    def promote(self, environment: str, bundle: Bundle) -> Revision:
        """See the port."""
        pk = f"T#{self._tenant}#E#{environment}"
        for _ in range(_MAX_TRIES):
            done = self._table.get(Key(pk, f"D#{self._deployment}"))
            if done is not None and done["digest"] == bundle.digest:
                return _revision(done)  # also when another bundle has been deployed since
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
                self._table.transact(
                    [self._run_is_active(), *_promotion(item, current["revision"])]
                )
            except ConditionFailedError as failed:
                if 0 in failed.items:
                    message = "the run has ended, so its bundle was not deployed"
                    raise ExecutorFailure(message) from None
                continue  # another deployment came first: read the current revision again
            return _revision(item)
        raise TryAgainError(f"too many deployments to {environment} at the same time")

    def _run_is_active(self) -> Check:
        """Return the condition that stops a step whose run was cancelled while it was working."""
        key = Key(run_partition(self._tenant, self._run_id), RUN)
        return Check(key=key, condition="attribute_not_exists(outcome)")


def _promotion(item: JsonObject, previous_revision: int) -> list[Put]:
    """Return the writes that make *item* current, and add it to the history and its deployment."""
    return [
        Put(
            item=item | {"sk": "CURRENT"},
            condition="attribute_not_exists(pk) OR revision = :before",
            values={":before": previous_revision},
        ),
        Put(item=item | {"sk": f"H#{item['revision']:09d}"}),
        Put(item=item | {"sk": f"D#{item['deployment']}"}),
    ]


def _revision(item: JsonObject) -> Revision:
    return Revision(item["revision"], item["digest"], item.get("previous_digest"))
