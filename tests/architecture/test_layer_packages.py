"""uv fills the layers where it is found and pip's configuration allows it, and pip otherwise.

Both take the same wheels for Lambda. Most tests run the Makefile with programs that record their
arguments in place of uv and Python.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.template import ROOT

HALF = "half.py"


class Build:
    """A build of SignatureLayer in a folder of its own, with programs that a test makes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "environment/bin"
        self.artifacts = folder / "artifacts"
        for made in (self.programs, self.artifacts):
            made.mkdir(parents=True)
        for tool in ("find", "grep", "make", "mkdir", "rm", "sh", "touch"):
            (self.programs / tool).symlink_to(str(shutil.which(tool)))

    def add(self, name: str, does: str, place: str = "environment/bin") -> Path:
        """Add a program that records its name and arguments, and then runs *does* in a shell."""
        program = self.folder / place / name
        program.parent.mkdir(parents=True, exist_ok=True)
        record = f'echo "{name} $*" >>{self.folder}/calls.txt'
        program.write_text(f"#!/bin/sh\n{record}\n{does}\n", encoding="utf-8")
        program.chmod(0o755)
        return program

    def run(self, *overrides: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Build the layer with these variables of make and of the environment."""
        layer = f"--directory={ROOT / 'layers/core/python'}"
        return subprocess.run(  # noqa: S603 - every word is ours
            ["/usr/bin/env", "make", "--silent", layer, "build-SignatureLayer", *overrides],
            env={"ARTIFACTS_DIR": str(self.artifacts)} | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def run_alone(self, **variables: str) -> subprocess.CompletedProcess[str]:
        """Build the layer where nothing of this machine's settings counts."""
        here = {"HOME": str(self.folder / "home"), "PATH": str(self.programs)}
        return self.run(f"etc={self.folder}/etc", **here | variables)

    def installers(self) -> list[str]:
        """Return the programs that were asked to install, in order."""
        calls = (self.folder / "calls.txt").read_text(encoding="utf-8").splitlines()
        return [
            "uv --offline" if " --offline " in call else call.partition(" ")[0]
            for call in calls
            if " pip install " in call
        ]

    def files(self) -> dict[str, bytes]:
        """Return the layer's files."""
        return {
            str(path.relative_to(self.artifacts)): path.read_bytes()
            for path in self.artifacts.rglob("*")
            if path.is_file()
        }


@pytest.fixture(name="build")
def _build(tmp_path: Path) -> Build:
    made = Build(tmp_path)
    made.add("python3", "mkdir -p $ARTIFACTS_DIR/python")
    return made


# A shell command that leaves a file in the target folder, as uv may before it fails.
WRITES = f"mkdir -p $ARTIFACTS_DIR/python; touch $ARTIFACTS_DIR/python/{HALF}"


def test_uv_is_asked_for_what_its_cache_holds_before_it_may_use_the_network(build: Build) -> None:
    build.add("uv", f'{WRITES}; case "$*" in *--offline*) exit 1;; esac')

    assert build.run_alone().returncode == 0
    assert build.installers() == ["uv --offline", "uv"]
    assert build.files() == {f"python/{HALF}": b""}


def test_uv_alone_is_used_when_its_cache_holds_everything(build: Build) -> None:
    build.add("uv", WRITES)

    assert build.run_alone().returncode == 0
    assert build.installers() == ["uv --offline"]


def test_pip_begins_anew_when_uv_fails(build: Build) -> None:
    build.add("uv", f"{WRITES}; exit 1")

    assert build.run_alone().returncode == 0
    assert build.installers() == ["uv --offline", "uv", "python3"]
    assert build.files() == {}


def test_pip_is_used_where_there_is_no_uv(build: Build) -> None:
    assert build.run_alone().returncode == 0
    assert build.installers() == ["python3"]


def test_uv_is_found_beside_the_interpreter(build: Build) -> None:
    python = build.add("python3", "true", "other/bin")
    build.add("uv", WRITES, "other/bin")

    assert build.run_alone(PYTHON=str(python)).returncode == 0
    assert build.installers() == ["uv --offline"]


@pytest.mark.parametrize("name", ["PIP_INDEX_URL", "PIP_NO_INDEX"])
def test_only_pip_is_used_when_a_variable_chooses_its_index(build: Build, name: str) -> None:
    build.add("uv", WRITES)

    assert build.run_alone(**{name: "https://packages.example/simple"}).returncode == 0
    assert build.installers() == ["python3"]


@pytest.mark.parametrize(
    "file",
    ["etc/pip.conf", "home/.config/pip/pip.conf", "home/.pip/pip.conf", "environment/pip.conf"],
)
@pytest.mark.parametrize("line", ["index-url = https://packages.example", "no_index = true"])
def test_only_pip_is_used_when_its_configuration_chooses_the_index(
    build: Build, tmp_path: Path, file: str, line: str
) -> None:
    build.add("uv", WRITES)
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"[global]\n{line}\n", encoding="utf-8")

    assert build.run_alone().returncode == 0
    assert build.installers() == ["python3"]


def test_another_setting_of_pip_leaves_the_choice_to_uv(build: Build, tmp_path: Path) -> None:
    build.add("uv", WRITES)
    path = tmp_path / "pip.conf"
    path.write_text("[global]\ntimeout = 60\nextra-index-url = https://more.example\n", "utf-8")

    assert build.run_alone(PIP_CONFIG_FILE=str(path)).returncode == 0
    assert build.installers() == ["uv --offline"]


def test_a_failure_of_pip_fails_the_build_and_is_seen(build: Build) -> None:
    build.add("uv", "echo uv cannot >&2; exit 1")
    build.add("python3", 'test "$1" = -c || { echo pip cannot >&2; exit 1; }')

    done = build.run_alone()

    assert done.returncode != 0
    assert "pip cannot" in done.stderr


def built(folder: Path, path: str) -> tuple[str, dict[str, bytes]]:
    """Return who fills the layer with this PATH, and its files without what only says who."""
    folder.mkdir()
    build = Build(folder)
    # For this Python too, these wheels are downloaded by test_sam_builds.py anyway.
    target = {"LAYER_PYTHON": "3.12", "LAYER_ARCHITECTURE": "x86_64", "LAYER_PLATFORM": "lambda"}
    done = build.run(**os.environ | {"PATH": path, "PYTHON": sys.executable} | target)
    assert done.returncode == 0, done.stdout + done.stderr
    files = build.files()
    [installer] = {text for name, text in files.items() if name.endswith("/INSTALLER")}
    kept = {
        name: text for name, text in files.items() if not name.endswith(("INSTALLER", "RECORD"))
    }
    return installer.decode().strip(), kept


def test_uv_and_pip_take_the_same_wheels(tmp_path: Path) -> None:
    """The layer has the package with most kinds of wheels, cryptography.

    Where pip has an index of its own, both builds use pip.
    """
    broken = Build(tmp_path).add("uv", "exit 1").parent
    path = os.environ["PATH"]

    _, by_uv = built(tmp_path / "uv", f"{Path(sys.executable).parent}:{path}")

    assert built(tmp_path / "pip", f"{broken}:{path}") == ("pip", by_uv)
