"""`worker:<pool>` runs a script or a command on a worker of the pool, outside of AWS.

No function executes such a step. The machine offers it to its pool, and a worker leases it
(`usecases/offer_job.py`, `usecases/lease_job.py`). This module says which parameters it takes.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from taskrunner.executors import arguments
from taskrunner.executors.parameters import ClosedParameters
from taskrunner.model.canonical_json import canonical_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import LiteralString

    from taskrunner.executors.parameters import Given
    from taskrunner.executors.work import Work
    from taskrunner.model.json_path import JsonPath

_MAX_TEXT: Final = 64 * 1024
_MAX_ENTRIES: Final = 100
_MAX_LABELS: Final = 20
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_OF_THE_WORKER: Final = "TASKRUNNER_"
_FOLDER_OF_THE_WORKER: Final = ".taskrunner"
_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")
_LABEL_FORM: Final = "is a word of 1 to 63 letters, digits, '.', '_', '/' and '-'"
# As the worker reads it: the program, and the first argument, which is the program after `env`.
_SHEBANG: Final = re.compile(r"#!\s*(\S+)(?:[ \t]+(\S+))?")
_SHELLS: Final = frozenset({"sh", "dash", "bash"})
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,254}")


def _wrong(problem: str, kind: LiteralString = "worker") -> PydanticCustomError:
    return PydanticCustomError(kind, "{problem}", {"problem": problem})


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise _wrong("must not contain the character NUL, which no operating system takes")
    return text


def _not_empty(script: str) -> str:
    if not script:
        raise _wrong("it is empty; write what to run, or omit the step")
    return script


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
    if path.parts[0] == _FOLDER_OF_THE_WORKER:
        message = f"{_FOLDER_OF_THE_WORKER} is the worker's own folder; choose another one"
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

    script: Annotated[_Text, AfterValidator(_not_empty)] | None = None
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

    @classmethod
    def contradictions(cls, given: Given) -> Iterator[tuple[JsonPath, str]]:
        """Yield that there is not exactly one thing to run, and what cannot reach it."""
        programs = ("script", "command")
        if all(map(given.has, programs)) or not any(map(given.may_have, programs)):
            yield (), "a worker runs exactly one of 'script' and 'command'"
        if (program := _other_program(given.values.get("script"))) is not None:
            yield ("script",), f"it is for sh or bash, not for {program!r}; use 'command'"
        env = given.values.get("env")
        for name, value in env.items() if given.has("image") and isinstance(env, dict) else ():
            if isinstance(value, str) and ("\n" in value or "\r" in value):
                yield (
                    ("env", name),
                    "it has several lines, which a container cannot get; use 'files'",
                )


def _other_program(script: object) -> str | None:
    """Return the program that the first line of a script names, unless a worker runs it as such."""
    shebang = _SHEBANG.match(script) if isinstance(script, str) else None
    if shebang is None or "{{" in shebang[0]:
        return None
    words = [word.rpartition("/")[2] for word in shebang.groups() if word]
    name = words[1] if words[0] == "env" and len(words) > 1 else words[0]
    return None if name in _SHELLS else name


def execute(_parameters: Parameters, _work: Work) -> NoReturn:
    """Fail: no machine leads here.

    Raises:
        RuntimeError: always.
    """
    raise RuntimeError("a worker runs this step, and not a function")
