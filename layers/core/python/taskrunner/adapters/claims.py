"""Claim checks: what is too large for the table waits in the bucket, under its content's digest."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskrunner.adapters.bucket import Bucket
    from taskrunner.adapters.retention import Retention
    from taskrunner.model.run import Run


class Claims:
    """Leaves texts in the bucket, under the run they belong to."""

    def __init__(self, bucket: Bucket, retention: Retention) -> None:
        """Hold the bucket."""
        self._bucket = bucket
        self._retention = retention

    def leave(self, run: Run, text: str) -> str:
        """Store *text* and return the claim, by which it is fetched."""
        content = text.encode()
        digest = hashlib.sha256(content).hexdigest()
        claim = f"{run.tenant}/runs/{run.run_id}/claims/{digest}.json"
        self._bucket.put(claim, content, "application/json", self._retention.tag(run.longest_s))
        return claim

    def fetch(self, claim: str) -> str:
        """The text that was left.

        Raises:
            LookupError: it is gone, which retention alone does, and only after the run itself.
        """
        content = self._bucket.get(claim)
        if content is None:
            message = f"the claim {claim} is gone"
            raise LookupError(message)
        return content.decode()
