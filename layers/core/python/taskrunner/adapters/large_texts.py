"""LargeTexts: keys of objects that hold texts which are too large for the table."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from taskrunner.adapters.bucket import Bucket
    from taskrunner.adapters.retention import Retention
    from taskrunner.model.run import Run


class LargeTexts:
    """Stores texts in the bucket, in the folder of their run, named by their digests."""

    def __init__(self, bucket: Bucket, retention: Retention) -> None:
        """Tag the objects by *retention*."""
        self._bucket = bucket
        self._retention = retention

    def store(self, run: Run, text: str) -> str:
        """Store *text* and return the claim that fetches it."""
        content = text.encode()
        digest = hashlib.sha256(content).hexdigest()
        claim = f"{run.tenant}/runs/{run.run_id}/claims/{digest}.json"
        self._bucket.put(claim, content, "application/json", self._retention.tag(run.longest_s))
        return claim

    def fetch(self, claim: str) -> str:
        """Return the text of *claim*.

        Raises:
            LookupError: the object is gone. Only retention removes it, and only after its run.
        """
        content = self._bucket.get(claim)
        if content is None:
            message = f"the claim {claim} is gone"
            raise LookupError(message)
        return content.decode()
