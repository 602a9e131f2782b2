"""`worker:<pool>` runs a script or a command on a worker of the pool, outside of AWS.

No function executes such a step. The machine offers it to its pool, and a worker leases it
(`usecases/offer_job.py`, `usecases/lease_job.py`). This module says which parameters it takes.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from taskrunner.executors import arguments
from taskrunner.executors.parameters import ClosedParameters
from taskrunner.model.canonical_json import canonical_text

if TYPE_CHECKING:
    from typing import LiteralString, Self

    from taskrunner.executors.work import Work

_MAX_TEXT: Final = 64 * 1024
_MAX_ENTRIES: Final = 100
_MAX_LABELS: Final = 20
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_OF_THE_WORKER: Final = "TASKRUNNER_"
_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")
_LABEL_FORM: Final = "is a word of 1 to 63 letters, digits, '.', '_', '/' and '-'"
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}")


def _wrong(problem: str, kind: LiteralString = "worker") -> PydanticCustomError:
    return PydanticCustomError(kind, "{problem}", {"problem": problem})


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise _wrong("must not contain the character NUL, which no operating system takes")
    return text


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise _wrong("not the name of a variable; use letters, digits and _", arguments.KEY)
    if name.startswith(_OF_THE_WORKER):
        message = f"set by the worker; choose a name without {_OF_THE_WORKER}"
        raise _wrong(message, arguments.KEY)
    return name


def _path(name: str) -> str:
    path = PurePosixPath(name)
    is_inside = not path.is_absolute() and ".." not in path.parts and path.parts
    if not is_inside or str(path) != name or "\0" in name:
        message = "not a path inside the working folder; write it like config/app.json"
        raise _wrong(message, arguments.KEY)
    return name


def _label_name(name: str) -> str:
    if not _LABEL.fullmatch(name):
        raise _wrong(f"the name of a label {_LABEL_FORM}", arguments.KEY)
    return name


def _label(value: str) -> str:
    if not _LABEL.fullmatch(value):
        raise _wrong(f"the value of a label {_LABEL_FORM}")
    return value


def _image(image: str) -> str:
    if not _IMAGE.fullmatch(image):
        raise _wrong("must be the reference of a container image, like python:3.13")
    return image


def _word(value: object) -> object:
    """Let a number, true or false stand for its text, as outputs of earlier steps may be these."""
    return canonical_text(value) if isinstance(value, bool | int | float) else value


def _number(value: object) -> object:
    """Let a whole number stand for a number of CPUs."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


_Text = Annotated[str, Field(max_length=_MAX_TEXT), AfterValidator(_without_nul)]
_Word = Annotated[_Text, BeforeValidator(_word)]


class Parameters(ClosedParameters):
    """The script or command of a step, and its surroundings on the worker."""

    script: _Text | None = None
    command: list[_Word] | None = Field(default=None, min_length=1, max_length=_MAX_ENTRIES)
    env: dict[Annotated[str, AfterValidator(_variable)], _Word] = Field(
        default={}, max_length=_MAX_ENTRIES
    )
    files: dict[Annotated[str, AfterValidator(_path)], _Text] = Field(
        default={}, max_length=_MAX_ENTRIES
    )
    artifacts: list[str] = Field(default=[], max_length=_MAX_ENTRIES)
    image: Annotated[str, AfterValidator(_image)] | None = None
    labels: dict[
        Annotated[str, AfterValidator(_label_name)], Annotated[str, AfterValidator(_label)]
    ] = Field(default={}, max_length=_MAX_LABELS)
    memory_mib: int | None = Field(default=None, alias="memoryMiB", ge=16, le=1024 * 1024)
    cpus: Annotated[float, BeforeValidator(_number)] | None = Field(default=None, ge=0.1, le=256)

    @model_validator(mode="after")
    def _runs_something(self) -> Self:
        if (self.script is None) == (self.command is None):
            raise _wrong("a worker runs exactly one of 'script' and 'command'")
        return self


def execute(_parameters: Parameters, _work: Work) -> NoReturn:
    """Fail: no machine leads here.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError("a worker runs this step, and not a function")
