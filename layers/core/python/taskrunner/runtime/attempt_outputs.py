"""Reject outputs of an attempt that cannot be kept: too deep, too large, or not JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from taskrunner.model import json_path
from taskrunner.model.json_types import too_deep, unusable
from taskrunner.model.run import Reason
from taskrunner.sandbox.attempt import AttemptResult

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json

MAX_OUTPUT_BYTES: Final = 64 * 1024


def bounded(ended: AttemptResult) -> AttemptResult:
    """Return *ended*, or a failure when its outputs are too deep or too large."""
    problem = None if ended.reason is not None else _excess(ended.outputs)
    return ended if problem is None else _failed(ended, problem)


def usable_and_bounded(ended: AttemptResult) -> AttemptResult:
    """Return *ended*, or a failure when its outputs are not JSON, too deep or too large."""
    for path, problem in unusable(ended.outputs) if ended.reason is None else ():
        return _failed(ended, f"the outputs are not JSON: {json_path.render(path)}: {problem}")
    return bounded(ended)


def _excess(outputs: Json) -> str | None:
    if (problem := too_deep(outputs)) is not None:
        return f"the outputs cannot be kept: {problem}"
    text = json.dumps(outputs, ensure_ascii=False)
    size_bytes = len(text.encode("utf-8", "surrogatepass"))
    if size_bytes > MAX_OUTPUT_BYTES:
        return f"the outputs have {size_bytes} bytes, at most {MAX_OUTPUT_BYTES}; write an artifact"
    return None


def _failed(ended: AttemptResult, message: str) -> AttemptResult:
    return AttemptResult(reason=Reason.EXECUTOR_ERROR, message=message, usage=ended.usage)
