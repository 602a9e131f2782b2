"""The structured log in CloudWatch: a JSON object on each line, without secrets, tokens or outputs.

A line has what the function knows by then of tenant, run, step, attempt and trace. The event says
most of it (`adapters/invocations.py`), and use cases add the rest by the port `Logs`, which this
module is. Powertools' Logger writes the same members, but its import costs a cold start 170 ms.
This module costs none: `logging` and `json` are loaded by botocore anyway.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# The parent of all loggers of the package.
logger: Final = logging.getLogger("taskrunner")

_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})
_context: ContextVar[Mapping[str, object]] = ContextVar("log_fields", default=_NOTHING)
# The members of every record. Others were given as `extra`.
_OF_EVERY_RECORD: Final = frozenset(
    vars(logging.LogRecord("", 0, "", 0, "", (), None)) | {"message": "", "asctime": ""}
)


class JsonLines(logging.Formatter):
    """Formats a record as a JSON object: what it says, its `extra`, and the invocation's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line; line breaks inside of values are escaped."""
        extra = {key: value for key, value in vars(record).items() if key not in _OF_EVERY_RECORD}
        document: dict[str, object] = {
            "level": record.levelname,
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(
                timespec="milliseconds"
            ),
            "location": f"{record.name}:{record.lineno}",
            "message": record.getMessage(),
            **_context.get(),
            **extra,
        }
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            document["exceptionName"] = type(error).__name__
            document["exception"] = "".join(traceback.format_exception(error))
        return json.dumps(document, default=str)


@contextmanager
def fields(**known: object) -> Iterator[None]:
    """Add *known* to every line that this thread logs inside of the block."""
    token = _context.set({**_context.get(), **known})
    try:
        yield
    finally:
        _context.reset(token)


def add(**known: object) -> None:
    """Add *known* to the lines until the end of the block of `fields` around, if there is one."""
    if _context.get() is not _NOTHING:
        _context.set({**_context.get(), **known})


def write_lines(level: str) -> None:
    """Write the lines of all loggers to standard output, as Lambda's own handler does with text.

    *level* is that of the package. Libraries keep the root's, which is WARNING.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.getLogger().handlers[:] = [handler]
    logger.setLevel(level)
