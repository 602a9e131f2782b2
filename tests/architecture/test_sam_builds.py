"""Builds for AWS and for `make invoke` leave each other alone, whatever Python they are for."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.template import ROOT

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
# The layers for any Python can be made by this one.
OTHER = "3.12" if THIS != "3.12" else "3.13"
LAYERS = ("CoreLayer", "SchemaLayer", "SignatureLayer")
FOR_AWS = Path(".aws-sam/build")


@pytest.fixture(name="clone")
def _clone(tmp_path: Path) -> Path:
    """A copy of the repository with the environments of this one, where nothing was built yet."""
    folder = tmp_path / "clone"
    folder.mkdir()
    tracked = run(["git", "ls-files", "-z"], ROOT).split("\0")
    for name in filter(None, tracked):
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, copy, follow_symlinks=False)
    (folder / ".local").mkdir()
    (folder / ".local/venvs").symlink_to(ROOT / ".local/venvs")
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


def run(command: list[str], folder: Path, **variables: str) -> str:
    """Run *command* as somebody does who works in *folder*; return what it prints."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    done = subprocess.run(  # noqa: S603 - every word is ours
        command,
        cwd=folder,
        env=kept | {"AWS_DEFAULT_REGION": "us-east-1", "SAM_CLI_TELEMETRY": "0"} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build_for_aws(clone: Path, python: str) -> None:
    """Build with layers for *python*, into the folders of SAM's own choice.

    The functions have no packages, and are the same for any Python.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    runtime = f"Runtime=python{THIS}"
    command = [str(clone / ".local/venvs/sam/bin/sam"), "build", "--parameter-overrides", runtime]
    run(command, clone, PATH=path, LAYER_PYTHON=python, LAYER_ARCHITECTURE="x86_64")


def build_for_invoke(clone: Path, environment: Path) -> Path:
    """Build as `make invoke` does with the Python of *environment*, and return where."""
    python = version_of(environment / "bin/python")
    command = ["make", f"bin={os.path.relpath(environment / 'bin', clone)}", "invoke-build"]
    run(command, clone, PATH=os.pathsep.join([os.environ["PATH"], str(ROOT / ".venv/bin")]))
    return Path(f".local/sam/python{python}/build")


def version_of(python: Path) -> str:
    """Return the version of an interpreter, as names of runtimes have it."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    return run([str(python), "-c", program], ROOT).strip()


def environments(clone: Path) -> list[Path]:
    """The environment of this Python, and one of another Python of Lambda if there is one."""
    found = [clone / ".venv"]
    for python in sorted(Path.home().glob(".pyenv/versions/3.1[1-4].*/bin/python3")):
        if version_of(python) != THIS:
            other = clone / ".local/other"
            # The layers are filled by uv, or else by the pip of this Python.
            venv = ["-m", "venv", "--without-pip", "--system-site-packages", str(other)]
            run([str(python), *venv], clone)
            return [*found, other]
    return found


def pythons(build: Path) -> set[str]:
    """Return the Pythons for which the compiled modules in the layers of *build* are."""
    names = (path.name for layer in LAYERS for path in (build / layer).rglob("*.so"))
    found = {re.search(r"\.cpython-3(\d+)-", name) for name in names}
    return {f"3.{match[1]}" for match in found if match}


def digest(build: Path) -> str:
    """Return a digest of all files of *build*, without what only its paths decide."""
    found = hashlib.sha256()
    for path in sorted(build.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            found.update(str(path.relative_to(build)).encode() + path.read_bytes())
    return found.hexdigest()


def test_no_build_takes_or_changes_anything_of_another_one(clone: Path) -> None:
    """Each build takes half a minute, so one test makes all of them, in both orders."""
    builds = [build_for_invoke(clone, environment) for environment in environments(clone)]
    assert [pythons(clone / build) for build in builds] == [
        {build.parts[2].removeprefix("python")} for build in builds
    ]
    before = {build: digest(clone / build) for build in builds}
    for python in (THIS, OTHER):
        build_for_aws(clone, python)

        assert pythons(clone / FOR_AWS) == {python}
        assert {build: digest(clone / build) for build in builds} == before
    for_aws = digest(clone / FOR_AWS)

    assert build_for_invoke(clone, clone / ".venv") == builds[0]

    assert {build: digest(clone / build) for build in builds} == before
    assert digest(clone / FOR_AWS) == for_aws
