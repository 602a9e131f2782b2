"""Metrics of state machines, as log lines in CloudWatch's embedded metric format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

NAMESPACE: Final = "TaskRunner"
DIMENSION: Final = "Stack"


def log_line(stack: str, now: datetime, counts: dict[str, int]) -> str:
    """Return the line with which CloudWatch counts *counts*, by their names as metrics."""
    definitions = [{"Name": name, "Unit": "Count"} for name in counts]
    metrics = {"Namespace": NAMESPACE, "Dimensions": [[DIMENSION]], "Metrics": definitions}
    metadata = {"Timestamp": int(now.timestamp() * 1000), "CloudWatchMetrics": [metrics]}
    return json.dumps({"_aws": metadata, DIMENSION: stack, **counts})
