"""Everything this package raises on purpose.

* TaskRunnerError
  - InvalidPackError        the manifest or its inputs are wrong; carries every Diagnostic
  - InvalidRequestError     a caller's request is malformed; `code` says how
  - ForbiddenError          the caller is known but may not do this
  - NotFoundError           no such run, approval or artifact for this tenant
  - ConflictError           the world moved on, or was never as the caller believes; `code` says how
  - TooManyRunsError        the pack allows no more unfinished runs
  - SecretError             a secret cannot be used; the message names it and never its value
  - TryAgainError           AWS said "later"; Lambda's caller and the state machine retry it
  - StepFailedError         an attempt of a step failed; the machine retries as the pack says
  - ApprovalRejectedError   an approver said no; nothing retries it
  - ApprovalExpiredError    nobody said anything in time; nothing retries it

The names of the last four, and ConflictError's, are wire format: Lambda reports a class name as
`errorType`, and `ErrorEquals` in statemachine/ matches exactly that name. tests/architecture holds
the two together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One mistake of an author: where (a JSON path), what is wrong, on which line, and the cure."""

    path: str
    message: str


class TaskRunnerError(Exception):
    """The root: whatever is raised deliberately is one of these."""


class InvalidPackError(TaskRunnerError):
    """The manifest, or the inputs given for it, cannot be planned."""

    def __init__(self, diagnostics: Sequence[Diagnostic], code: str = "invalid_pack") -> None:
        """Keep every diagnostic, so that an author mends a file in one round."""
        super().__init__("; ".join(f"{d.path}: {d.message}" for d in diagnostics))
        self.diagnostics = tuple(diagnostics)
        self.code = code


class _CodedError(TaskRunnerError):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class InvalidRequestError(_CodedError):
    """The request itself is malformed: bad JSON, a missing field, a bad identifier, too large."""


class ForbiddenError(_CodedError):
    """The caller's token does not carry what this needs."""


class NotFoundError(_CodedError):
    """What is asked for does not exist, or belongs to another tenant, which is the same."""

    def __init__(self, what: str) -> None:
        """Say what was not found: *what* reads like `run run-7`."""
        super().__init__("not_found", f"{what} not found")


class ConflictError(_CodedError):
    """The state of the run forbids this; the code says which rule."""


class SecretError(TaskRunnerError):
    """A secret that a step reads is not there, not readable, or nothing that can be redacted."""


class TryAgainError(TaskRunnerError):
    """AWS throttled or failed in passing: the same call may be made again unchanged."""


class TooManyRunsError(_CodedError):
    """The pack allows no more unfinished runs."""

    def __init__(self, pack_name: str, depth: int) -> None:
        """Say which pack, and how many it allows."""
        message = f"{depth} runs of {pack_name} have not ended, which is the most it allows"
        super().__init__("too_many_runs", message)


class StepFailedError(TaskRunnerError):
    """An attempt of a step failed, and its end is in the journal."""


class ApprovalRejectedError(TaskRunnerError):
    """A gate was rejected."""


class ApprovalExpiredError(TaskRunnerError):
    """A gate was not decided in time."""
