"""A job, read strictly from its lease: a worker must not ignore what it does not understand."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from taskrunner_cli.api.worker_documents import InputArtifact, Lease

_Value = TypeVar("_Value")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_FILE_NAME: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,255}", re.ASCII)
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]{0,511}", re.ASCII)
_RESERVED_PREFIX: Final = "TASKRUNNER_"
_KEYS: Final = frozenset(
    {"script", "command", "env", "files", "image", "memoryMiB", "cpus", "artifacts", "labels"}
)
_MAX_CPUS: Final = 1024


class JobError(Exception):
    """The job cannot be run; the message is for its author."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job to run: either *script* or *command* is set."""

    script: str = ""
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    image: str = ""
    memory_mib: int = 0
    cpus: float = 0.0
    artifacts: tuple[InputArtifact, ...] = ()
    timeout_s: float


def read_job(lease: Lease) -> Job:
    """Return the job of *lease*.

    Raises:
        JobError: it is not one that this worker can run.

    """
    given = lease["with"]
    if unknown := sorted(given.keys() - _KEYS):
        raise JobError(f"this worker does not know 'with.{unknown[0]}'; a newer one may")
    script = _typed(given, "script", str, "")
    command = _texts(given, "command")
    if bool(script) == bool(command):
        raise JobError("a job needs either 'with.script' or 'with.command'")
    return Job(
        script=script,
        command=command,
        env=_variables(_text_members(given, "env")),
        files=_text_members(given, "files"),
        image=_image(_typed(given, "image", str, "")),
        memory_mib=_typed(given, "memoryMiB", int, 0),
        cpus=_cpus(given),
        artifacts=_artifacts(lease.get("artifacts", [])),
        timeout_s=lease["timeoutSeconds"],
    )


def _variables(env: dict[str, str]) -> dict[str, str]:
    for name, value in env.items():
        if not _VARIABLE.fullmatch(name) or name.startswith(_RESERVED_PREFIX) or "\0" in value:
            raise JobError(f"'with.env' has a variable {name!r} that cannot be set")
    return env


def _image(image: str) -> str:
    if image and not _IMAGE.fullmatch(image):
        raise JobError(f"'with.image' is not the name of an image: {image!r}")
    return image


def _cpus(given: Mapping[str, object]) -> float:
    cpus = given.get("cpus", 0.0)
    if isinstance(cpus, bool) or not isinstance(cpus, int | float) or not 0 <= cpus <= _MAX_CPUS:
        raise JobError("'with.cpus' is not a number of processors")
    return float(cpus)


def _artifacts(artifacts: list[InputArtifact]) -> tuple[InputArtifact, ...]:
    names: set[str] = set()
    for artifact in artifacts:
        name = artifact["fileName"]
        if not _FILE_NAME.fullmatch(name) or name in names:
            raise JobError(f"the artifact {artifact['name']!r} has an unusable file name {name!r}")
        names.add(name)
    return tuple(artifacts)


def _typed(given: Mapping[str, object], key: str, kind: type[_Value], default: _Value) -> _Value:
    value = given.get(key, default)
    if type(value) is not kind:
        raise JobError(f"'with.{key}' has a value of the wrong type")
    return value


def _texts(given: Mapping[str, object], key: str) -> tuple[str, ...]:
    values = _typed(given, key, list, [])
    if not all(isinstance(value, str) and "\0" not in value for value in values):
        raise JobError(f"'with.{key}' is not a list of texts")
    return tuple(values)


def _text_members(given: Mapping[str, object], key: str) -> dict[str, str]:
    members = _typed(given, key, dict, {})
    if not all(isinstance(value, str) for value in members.values()):
        raise JobError(f"'with.{key}' has a value that is not text")
    return dict(members)
