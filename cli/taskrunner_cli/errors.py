"""Everything the command line raises on purpose; each class knows the exit code it ends with.

* CommandError
  - UsageMistakeError        2  the command cannot be carried out as it was typed
  - UnreachableError         3  the service, or the local stack, does not answer
  - RefusedError             1  the service answered, and said no
    - InvalidPackError       1  the pack or its inputs are wrong; carries every plan error
  - BadPackError             1  the same, found out on this machine
  - DisappointedError        1  a run ended badly, came too late, or is not as expected
"""

from collections.abc import Sequence
from typing import ClassVar

from taskrunner_cli.api.documents import PlanError


class CommandError(Exception):
    """Why a command ends without its result.

    Args:
        message: what happened, naming the thing and its state.
        cure: what to do about it, if anything is known to help.
        code: a stable word for machines; the class has a default.

    """

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "failed"

    def __init__(self, message: str, *, cure: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure
        self.code = code or self.default_code


class UsageMistakeError(CommandError):
    """The command cannot be carried out as it was typed."""

    exit_code = 2
    default_code = "usage"


class UnreachableError(CommandError):
    """Nobody answered, or not in the language of the contract."""

    exit_code = 3
    default_code = "unreachable"


class RefusedError(CommandError):
    """The service said no; *code* and *trace_id* are its own words, *status* is the HTTP status."""

    default_code = "refused"

    def __init__(
        self, message: str, *, status: int, code: str = "", trace_id: str = "", cure: str = ""
    ) -> None:
        super().__init__(message, cure=cure, code=code)
        self.status = status
        self.trace_id = trace_id


class InvalidPackError(RefusedError):
    """The pack, or the inputs given to it, cannot be planned; *problems* holds every reason.

    *manifest*, once somebody who has it fills it in, lets the screen show the lines spoken of.
    """

    default_code = "invalid_pack"

    def __init__(self, problems: Sequence[PlanError], *, trace_id: str = "") -> None:
        super().__init__(_count(problems), status=400, trace_id=trace_id)
        self.problems = tuple(problems)
        self.manifest: str | None = None


class BadPackError(CommandError):
    """The pack, or the inputs given to it, cannot be planned, and no service was asked."""

    default_code = "invalid_pack"

    def __init__(self, problems: Sequence[PlanError], manifest: str) -> None:
        super().__init__(_count(problems))
        self.problems = tuple(problems)
        self.manifest: str | None = manifest


def _count(problems: Sequence[PlanError]) -> str:
    count = "one thing" if len(problems) == 1 else f"{len(problems)} things"
    return f"the pack cannot be planned: {count} to mend"


class DisappointedError(CommandError):
    """The service works, but what was hoped for did not happen."""

    default_code = "not_as_expected"
