"""Packages the template for the emulator: stores the files it names, and inserts their addresses.

`sam package` does the same for AWS, with two differences. A state machine's definition becomes
JSON here, because the emulator does not read YAML. And a function is a custom runtime that starts
AWS's own Python runtime, with the paths of the layer's packages on this machine. The emulator's own
Python runtime copies the code and the layer for each process, and reports every exception as
Runtime.HandlerError.
"""

import compileall
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
_WITH_LAYER = "functions/"  # an executor function has no layer
_RUNTIME = re.compile(r"^( +Runtime: )!Ref Runtime$", re.MULTILINE)
_URI = re.compile(r"^( +(CodeUri|ContentUri|DefinitionUri): )(\S+)$", re.MULTILINE)

Store = Callable[[bytes], str]


def package(workspace: Workspace, parameters: Mapping[str, str], store: Store) -> str:
    """Return the template's text with *parameters* as defaults, and addresses instead of paths.

    Every function gets the runtime CUSTOM_RUNTIME, and a `bootstrap` that starts it.

    SAM's transform reads the parameters' defaults, not the values of a deployment. *store* stores
    content and returns its address.

    Raises:
        LocalStackError: the template has no such parameter, or a path or a package is missing.

    """

    def stored(match: re.Match[str]) -> str:
        key, kind, path = match.groups()
        return f"{key}{store(_content(workspace, kind, path))}"

    text = (workspace.root / "template.yaml").read_text(encoding="utf-8")
    text = _RUNTIME.sub(rf"\g<1>{CUSTOM_RUNTIME}", text)
    return _URI.sub(stored, _with_defaults(text, parameters))


def source_files(top: Path) -> Iterator[Path]:
    """Yield every file below *top* in a stable order; links are followed."""
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
        return _archive({})  # the emulator ignores the layers of a custom runtime: see bootstrap
    files = {str(file.relative_to(source)): file.read_bytes() for file in source_files(source)}
    folders = []
    if path.startswith(_WITH_LAYER):
        folders = [_copied(workspace), _dependencies(workspace)]
    return _archive(files | {"bootstrap": bootstrap(workspace, folders)})


def bootstrap(workspace: Workspace, folders: Sequence[Path]) -> bytes:
    """Return the program that starts a function's process.

    As on AWS, a function imports from its own folder first, then from the layer (*folders*), then
    from the runtime's packages, such as boto3. Here the emulator's environment holds the latter.
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
    """Return the folder of a copy of the package, which later edits do not change."""
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
        # Functions that start together would each compile what they import.
        compileall.compile_dir(draft, quiet=2)
        draft.rename(folder)
    return folder


def _dependencies(workspace: Workspace) -> Path:
    """Return the folder with the packages that the layer's requirements pin."""
    environment = _environment(workspace, "layer", f"{LAYER}/requirements.txt")
    return environment / "lib" / f"python{python_version()}" / "site-packages"


def _environment(workspace: Workspace, name: str, requirements: str) -> Path:
    """Return the folder of a virtual environment with the packages that *requirements* pins."""
    environment = workspace.local / "venvs" / name
    installed_pins, pins = environment / ".pins", workspace.root / requirements
    if not installed_pins.exists() or installed_pins.read_bytes() != pins.read_bytes():
        raise LocalStackError(
            f"the packages of {requirements} are not installed", cure="make setup"
        )
    return environment


def _archive(files: Mapping[str, bytes]) -> bytes:
    """Return a ZIP archive of *files*, the same bytes for the same files."""
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
