"""The way in which the test hands schemathesis the names of what exists.

It is apart from the hooks, because they import schemathesis, which takes each process a second.
"""

from __future__ import annotations

from typing import Final

# The environment variable with the names as JSON:
# `{tenant, runId, approvalId, artifact, planHash, cursors}`; cursors by their lists' operationIds.
KNOWN: Final = "TASKRUNNER_KNOWN"
