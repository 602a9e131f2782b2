"""The errors that end a command, each with its exit code.

* CommandError
  - UsageError               2  the command line is wrong, or names a file that cannot be used
  - UnreachableError         3  the service or the local stack does not answer
    - NoCloneError           3  the command needs a clone of the repository
  - RefusedError             1  the service answered with an error
    - RefusedPackError       1  the service cannot plan the pack; holds every plan error
  - InvalidPackError         1  the compiler on this machine cannot plan the pack; likewise
  - UnexpectedOutcomeError   1  a run, its evidence or a check of the demo is not as expected
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypedDict

INVALID_PACK: Final = "invalid_pack"
INVALID_INPUTS: Final = "invalid_inputs"
_OF_INPUTS: Final = "$.inputs."
_MOST_OPTIONS: Final = 5  # that a cure names
PLAN_ERROR_CODES: Final = frozenset({INVALID_PACK, INVALID_INPUTS})
"""The service's codes of errors that list what is wrong with a pack or its inputs."""


class PlanError(TypedDict):
    """One error in a pack or its inputs, as the API lists it: a JSONPath and a message."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class PackFile:
    """A pack's file: its name in messages, and its text."""

    name: str
    text: str


class CommandError(Exception):
    """The reason why a command ends without its result.

    Args:
        message: what is wrong and where.
        cure: what to do about it; empty if nothing is known to help.
        code: a stable word for programs; empty for the class's default.

    """

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "failed"

    def __init__(self, message: str, *, cure: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure
        self.code = code or self.default_code


class UsageError(CommandError):
    """The command line is wrong, or names a file that cannot be used."""

    exit_code = 2
    default_code = "usage"


class UnreachableError(CommandError):
    """The service or the local stack does not answer.

    Args:
        message: what does not answer, and how.
        cure: what to do about it.
        code: a stable word for programs.
        retry_after_s: the seconds after which to try again, if the service said so.
        may_have_begun: whether the service may have received the request.

    """

    exit_code = 3
    default_code = "unreachable"

    def __init__(
        self,
        message: str,
        *,
        cure: str = "",
        code: str = "",
        retry_after_s: float | None = None,
        may_have_begun: bool = True,
    ) -> None:
        super().__init__(message, cure=cure, code=code)
        self.retry_after_s = retry_after_s
        self.may_have_begun = may_have_begun


class NoCloneError(UnreachableError):
    """The command needs a clone of the repository, and there is none."""

    default_code = "local_stack"


class RefusedError(CommandError):
    """The service answered with an error.

    Args:
        message: the service's message.
        status: the HTTP status.
        code: the service's error code.
        trace_id: the service's id of the request, for its logs.
        cure: what to do about it.

    """

    default_code = "refused"

    def __init__(
        self, message: str, *, status: int, code: str = "", trace_id: str = "", cure: str = ""
    ) -> None:
        super().__init__(message, cure=cure, code=code)
        self.status = status
        self.trace_id = trace_id


class RefusedPackError(RefusedError):
    """The service cannot plan the pack with these inputs.

    *problems* holds every plan error. *pack* is the pack's file, once the command that read it has
    set it; the places that errors name are shown from it.
    """

    default_code = INVALID_PACK

    def __init__(
        self, problems: Sequence[PlanError], *, status: int, code: str = "", trace_id: str = ""
    ) -> None:
        super().__init__(
            _summary(problems, code),
            status=status,
            code=code,
            trace_id=trace_id,
            cure=_cure(problems),
        )
        self.problems = tuple(problems)
        self.pack: PackFile | None = None


class InvalidPackError(CommandError):
    """The compiler on this machine cannot plan the pack with these inputs."""

    default_code = INVALID_PACK

    def __init__(self, problems: Sequence[PlanError], pack: PackFile, *, code: str) -> None:
        super().__init__(_summary(problems, code), code=code, cure=_cure(problems))
        self.problems = tuple(problems)
        self.pack: PackFile | None = pack


class UnexpectedOutcomeError(CommandError):
    """A run, its evidence or a check of the demo is not as expected."""

    default_code = "not_as_expected"


def _cure(problems: Sequence[PlanError]) -> str:
    """Return the options that give the inputs that are missing; empty if none is."""
    names = [
        problem["path"].removeprefix(_OF_INPUTS)
        for problem in problems
        if problem["path"].startswith(_OF_INPUTS) and problem["message"].endswith("is required")
    ]
    return " ".join(f"--input {name}=VALUE" for name in names[:_MOST_OPTIONS])


def _summary(problems: Sequence[PlanError], code: str) -> str:
    count = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
    if code == INVALID_INPUTS:
        return f"the inputs do not fit the pack: {count}"
    return f"the pack cannot be planned: {count}"
