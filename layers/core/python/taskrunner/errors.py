"""Every error that this package raises on purpose.

* TaskRunnerError
  - InvalidPackError        the manifest or its inputs are wrong; carries every Diagnostic
  - InvalidRequestError     a caller's request is malformed; `code` says how
  - ForbiddenError          the caller is known but may not do this
  - NotFoundError           no such run, approval or artifact for this tenant
  - ConflictError           the state of the run does not allow this; `code` says which rule
  - TooManyRunsError        the pack allows no more unfinished runs
  - MachineQuotaError       the account may have no further state machine
  - StartRefusedError       AWS refuses to start the execution of a run
  - SecretError             a secret cannot be used; the message has its name and never its value
  - TryAgainError           AWS refused for now; Lambda's caller and the state machine retry it
  - StepsStillRunError      `finally` waits for steps beside a failure, which may still finish
  - AttemptFailedError      an attempt failed and another follows, when the pack says
  - StepFailedError         a step failed and is not attempted again
  - ApprovalRejectedError   an approver rejected a gate; never retried
  - ApprovalExpiredError    a gate was not decided in time; never retried

The names from StepsStillRunError on, and of ConflictError, are wire format: Lambda reports a class
name as `errorType`, and `ErrorEquals` of a machine matches exactly that name, so none of them has
subclasses. Every other error of a function, of any name, is retried as the platform's.
tests/architecture checks that the two agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One mistake of an author.

    *path* is a JSON path. *message* says on which line, what is wrong, and how to fix it.
    """

    path: str
    message: str


class TaskRunnerError(Exception):
    """The root of all deliberate errors."""


class InvalidPackError(TaskRunnerError):
    """The manifest, or the inputs given for it, cannot be planned."""

    def __init__(self, diagnostics: Sequence[Diagnostic], code: str = "invalid_pack") -> None:
        """Keep every diagnostic, so that an author can fix a file in one round.

        *code* is `invalid_pack` or `invalid_inputs`.
        """
        super().__init__("; ".join(f"{d.path}: {d.message}" for d in diagnostics))
        self.diagnostics = tuple(diagnostics)
        self.code = code


class _CodedError(TaskRunnerError):
    def __init__(
        self, code: str, message: str, details: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Keep *details*, which a client can read without reading the message."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


class InvalidRequestError(_CodedError):
    """The request is malformed: bad JSON, a missing field, a bad identifier, too large."""


class ForbiddenError(_CodedError):
    """The caller's token does not carry the scope, grant or tenant that this request needs."""


class NotFoundError(_CodedError):
    """The thing does not exist. A thing of another tenant is reported the same way."""

    def __init__(self, what: str, hint: str = "") -> None:
        """Name the thing: *what* reads like `run run-7`, and *hint* like `; did you mean 'x'?`."""
        super().__init__("not_found", f"{what} not found{hint}")


class ConflictError(_CodedError):
    """The state of the run does not allow this; `code` says which rule."""


class SecretError(TaskRunnerError):
    """A secret that a step reads is missing, unreadable, or cannot be redacted."""


class TryAgainError(TaskRunnerError):
    """AWS throttled or failed for a moment: the same call may be made again unchanged."""


class StepsStillRunError(TaskRunnerError):
    """Steps that ran beside the failure of their run may still finish, and `finally` waits."""


class TooManyRunsError(_CodedError):
    """The pack allows no more unfinished runs."""

    def __init__(self, pack_name: str, depth: int) -> None:
        """Name the pack and *depth*, the number of unfinished runs that it allows."""
        message = f"{depth} runs of {pack_name} have not ended, which is the most it allows"
        super().__init__("too_many_runs", message)


class MachineQuotaError(_CodedError):
    """The pack needs a new state machine, and the account has as many as AWS allows."""

    def __init__(self) -> None:
        """Say what an operator can do."""
        message = (
            "this version of the pack needs a new state machine, and the account has as many as "
            "AWS allows; an operator can delete unused ones or ask AWS for a higher quota"
        )
        super().__init__("machine_quota_reached", message)


class StartRefusedError(TaskRunnerError):
    """AWS refuses to create the state machine of a run, or to start its execution."""

    def __init__(self, reason: str, *, for_good: bool) -> None:
        """Keep AWS's name of the error, and whether the same call would be refused again."""
        super().__init__(f"AWS refused to start the run: {reason}")
        self.reason = reason
        self.for_good = for_good


class _FailedError(TaskRunnerError):
    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        cause: str | None = None,
        attempt: int | None = None,
    ) -> None:
        """Keep what the log shows, and Step Functions does not: the journal's reason and message.

        All are None when a repeated call is answered from the record.
        """
        super().__init__(message)
        self.reason = reason
        self.cause = cause
        self.attempt = attempt


class AttemptFailedError(_FailedError):
    """An attempt of a step failed, its end is in the journal, and another attempt follows."""


class StepFailedError(_FailedError):
    """A step failed and is not attempted again; its end is in the journal."""


class ApprovalRejectedError(TaskRunnerError):
    """A gate was rejected."""


class ApprovalExpiredError(TaskRunnerError):
    """A gate was not decided in time."""
