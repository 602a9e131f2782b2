"""The lines that functions log in a test, as JSON objects."""

from __future__ import annotations

import io
import json
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from taskrunner.adapters import logs

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def log_lines() -> Iterator[list[dict[str, Any]]]:
    """Collect the lines of the log, as a deployed function writes them.

    The list is filled at the end of the block.
    """
    level = logs.logger.level
    lines: list[dict[str, Any]] = []
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines())
    logs.logger.addHandler(handler)
    logs.logger.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        logs.logger.setLevel(level)
        logs.logger.removeHandler(handler)
        lines += map(json.loads, stream.getvalue().splitlines())
