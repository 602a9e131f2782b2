"""Reject outputs of an attempt that cannot be kept: too deep, too large, or not JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from taskrunner.model import json_path
from taskrunner.model.canonical_json import size_bytes
from taskrunner.model.json_types import normal, too_deep, unusable
from taskrunner.model.run import Reason
from taskrunner.sandbox.attempt import AttemptResult

if TYPE_CHECKING:
    from taskrunner.model.json_types import Json

MAX_OUTPUT_BYTES: Final = 64 * 1024


def bounded(ended: AttemptResult) -> AttemptResult:
    """Return *ended* with outputs in their normal form, or a failure: too deep, or too large."""
    if ended.reason is not None:
        return ended
    if (problem := too_deep(ended.outputs)) is not None:
        return _failed(ended, f"the outputs cannot be kept: {problem}")
    outputs = normal(ended.outputs)
    if (size := _size_bytes(outputs)) > MAX_OUTPUT_BYTES:
        message = f"the outputs have {size} bytes, at most {MAX_OUTPUT_BYTES}; write an artifact"
        return _failed(ended, message)
    return replace(ended, outputs=outputs)


def usable_and_bounded(ended: AttemptResult) -> AttemptResult:
    """Return the same for outputs that may not be JSON, which is a failure too."""
    for path, problem in unusable(ended.outputs, "the executor") if ended.reason is None else ():
        return _failed(ended, f"the outputs are not JSON: {json_path.render(path)}: {problem}")
    return bounded(ended)


def _size_bytes(outputs: Json) -> int:
    if not any(unusable(outputs)):
        return size_bytes(outputs)
    # There is no canonical form, and they will be refused for it. Until then they must not be long.
    text = json.dumps(outputs, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "surrogatepass"))


def _failed(ended: AttemptResult, message: str) -> AttemptResult:
    return AttemptResult(reason=Reason.EXECUTOR_ERROR, message=message, usage=ended.usage)
