"""The forms of a command's output."""

from enum import StrEnum


class OutputFormat(StrEnum):
    """The form of a command's output; *text* is the older name of *table*."""

    TABLE = "table"
    JSON = "json"
    TEXT = "text"
