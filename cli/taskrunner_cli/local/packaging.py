"""Packages the template for the emulator: what it names on the disk is stored and named by address.

`sam package` does the same for AWS. Two things differ here:

- A state machine's definition becomes JSON, because the emulator reads no YAML.
- A function is a custom runtime that starts AWS's own Python runtime, with the layer's packages at
  their place on this machine. The emulator's own Python runtime has a copy of the function and the
  layer for each process, and reports every exception as Runtime.HandlerError.
"""

import hashlib
import io
import json
import os
import re
import shlex
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import yaml

from taskrunner_cli.local.errors import LocalStackError
from taskrunner_cli.local.workspace import Workspace, python_version

LAYER = "layers/core/python"
CUSTOM_RUNTIME = "provided.al2023"

_COMPILED = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache"})
_FUNCTIONS_OF_THE_SERVICE = "functions/"  # the others have no layer
_RUNTIME = re.compile(r"^( +Runtime: )!Ref Runtime$", re.MULTILINE)
_URI = re.compile(r"^( +(CodeUri|ContentUri|DefinitionUri): )(\S+)$", re.MULTILINE)

Store = Callable[[bytes], str]


def package(workspace: Workspace, parameters: Mapping[str, str], store: Store) -> str:
    """Return the template's text with *parameters* as defaults and with addresses for paths.

    Every function has the runtime CUSTOM_RUNTIME, and a `bootstrap` that starts it.

    SAM's transform sees the parameters' defaults only, and not the values of a deployment.
    *store* keeps a content and returns its address.

    Raises:
        LocalStackError: a parameter, a path, the layer's packages or AWS's runtime do not exist.

    """

    def stored(match: re.Match[str]) -> str:
        key, kind, path = match.groups()
        return f"{key}{store(_content(workspace, kind, path))}"

    text = (workspace.root / "template.yaml").read_text(encoding="utf-8")
    text = _RUNTIME.sub(rf"\g<1>{CUSTOM_RUNTIME}", text)
    return _URI.sub(stored, _with_defaults(text, parameters))


def source_files(top: Path) -> Iterator[Path]:
    """Yield every file below *top*, links followed, in an order that does not change."""
    if top.is_file():
        yield top
    for folder, folders, names in os.walk(top, followlinks=True):
        folders[:] = sorted(set(folders) - _COMPILED)
        yield from (Path(folder, name) for name in sorted(names))


def _content(workspace: Workspace, kind: str, path: str) -> bytes:
    source = workspace.root / path
    if not source.exists():
        raise LocalStackError(
            f"template.yaml names {path}, which does not exist", cure="correct the path"
        )
    if kind == "DefinitionUri":
        return json.dumps(yaml.safe_load(source.read_text(encoding="utf-8"))).encode()
    if path == LAYER:
        return _archive({})  # the emulator gives a custom runtime no layer; see _bootstrap
    files = {str(file.relative_to(source)): file.read_bytes() for file in source_files(source)}
    folders = []
    if path.startswith(_FUNCTIONS_OF_THE_SERVICE):
        folders = [_copied(workspace), _dependencies(workspace)]
    return _archive(files | {"bootstrap": _bootstrap(workspace, folders)})


def _bootstrap(workspace: Workspace, folders: Sequence[Path]) -> bytes:
    """Return the program that the emulator starts for a function, and that becomes its process.

    As on AWS, a function imports from its own folder first, then from the layer (*folders*), and
    last from the runtime's packages, boto3 above all. These are the emulator's here.
    """
    python = _environment(workspace, "emulator", "requirements/emulator.txt") / "bin" / "python"
    path = ":".join(map(str, folders))
    return (
        "#!/bin/sh\n"
        f"PYTHONPATH={shlex.quote(path)}\n"
        "export PYTHONPATH\n"
        f'exec {shlex.quote(str(python))} -m awslambdaric "$_HANDLER"\n'
    ).encode()


def _copied(workspace: Workspace) -> Path:
    """Return the folder of a copy of the package, which later edits of the sources do not reach."""
    source = workspace.root / LAYER / "taskrunner"
    digest = hashlib.sha256()
    for file in source_files(source):
        digest.update(f"\0{file.relative_to(source)}\0".encode())
        digest.update(file.read_bytes())
    folder = workspace.scratch / f"layer-{digest.hexdigest()[:32]}"
    if not folder.exists():
        draft = folder.with_suffix(".draft")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(source, draft / "taskrunner", ignore=shutil.ignore_patterns(*_COMPILED))
        draft.rename(folder)
    return folder


def _dependencies(workspace: Workspace) -> Path:
    """Return the folder of the packages that the layer's requirements pin."""
    environment = _environment(workspace, "layer", f"{LAYER}/requirements.txt")
    return environment / "lib" / f"python{python_version()}" / "site-packages"


def _environment(workspace: Workspace, name: str, requirements: str) -> Path:
    """Return the folder of a virtual environment that has what the file *requirements* pins."""
    environment = workspace.local / "venvs" / name
    pins, wanted = environment / ".pins", workspace.root / requirements
    if not pins.exists() or pins.read_bytes() != wanted.read_bytes():
        raise LocalStackError(
            f"the packages of {requirements} are not installed", cure="make setup"
        )
    return environment


def _archive(files: Mapping[str, bytes]) -> bytes:
    """Return a ZIP archive of *files*; the same files give the same bytes."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name), content)
    return sink.getvalue()


def _with_defaults(text: str, parameters: Mapping[str, str]) -> str:
    for name, value in parameters.items():
        default = re.compile(rf"(^  {name}:\n(?:    .*\n)*?    Default: ).*", re.MULTILINE)
        text, found = default.subn(rf"\g<1>{value}", text)
        if found != 1:
            raise LocalStackError(f"the template has no parameter {name}", cure="correct its name")
    return text
