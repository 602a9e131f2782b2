"""The forms of a command's output."""

from enum import StrEnum


class OutputFormat(StrEnum):
    """The form of a command's output; *text* is the older name of *table*."""

    TABLE = "table"
    JSON = "json"
    TEXT = "text"


class LintFormat(StrEnum):
    """The form of the output of `lint`: those of all commands, and SARIF 2.1.0."""

    TABLE = "table"
    JSON = "json"
    SARIF = "sarif"
    TEXT = "text"
