"""The package works outside a clone, with the dependencies that it declares and no others.

The test needs no network: the wheel is built by the hatchling of the development environment, and
each dependency is linked from there into a fresh virtual environment.
"""

import json
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.template import ROOT

PACK = """
apiVersion: stellaops.io/pack.v1
kind: TaskPack
metadata: {name: a-pack, version: 1.0.0}
spec:
  inputs:
    - {name: region, type: string, default: eu, schema: {enum: [eu, us]}}
  approvals: [{id: review}]
  steps:
    - {id: build, run: {uses: builtin:build}}
    - {id: gate, gate: {approval: {id: review}}}
    - {id: deploy, run: {uses: builtin:deploy, with: {environment: "{{ inputs.region }}"}}}
"""


def build(target: str, source: Path, folder: Path) -> Path:
    """Build the wheel or the sdist of *source* into *folder*."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)  # noqa: S603 -- fixed
    (path,) = (path for path in folder.iterdir() if path.suffix in {".whl", ".gz"})
    return path


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def required(requirements: list[str]) -> Iterator[Distribution]:
    """The distributions that *requirements* need in this environment, those of theirs included."""
    pending, seen = list(requirements), set()
    while pending:
        requirement = Requirement(pending.pop())
        name = canonicalize_name(requirement.name)
        if name in seen or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(name)
        dependency = distribution(name)
        yield dependency
        pending += dependency.requires or []


@dataclass(frozen=True)
class Installation:
    """A virtual environment with the package, and an empty folder to work in."""

    environment: Path
    folder: Path

    def taskrunner(
        self, *arguments: str, cwd: Path | None = None
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(  # noqa: S603 -- the installed command
            [self.environment / "bin" / "taskrunner", *arguments],
            cwd=cwd or self.folder,
            env={"PATH": os.defpath, "COLUMNS": "120"},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(name="wheel", scope="module")
def _wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(name="installation", scope="module")
def _installation(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("installation")
    environment = folder / "environment"
    venv.create(environment, symlinks=True)
    (site_packages,) = environment.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site_packages)
    metadata = Distribution.at(next(site_packages.glob("taskrunner-*.dist-info")))
    for dependency in required(metadata.requires or []):
        for name in {file.parts[0] for file in dependency.files or [] if file.parts[0] != ".."}:
            link = site_packages / name
            if not link.exists() and name != "__pycache__":
                link.symlink_to(str(dependency.locate_file(name)))
    (entry_point,) = metadata.entry_points
    script = environment / "bin" / entry_point.name
    script.write_text(
        f"#!{environment}/bin/python\n"
        f"import sys\nfrom {entry_point.module} import {entry_point.attr}\n"
        f"sys.exit({entry_point.attr}())\n"
    )
    script.chmod(0o755)
    (folder / "elsewhere").mkdir()
    return Installation(environment, folder / "elsewhere")


def test_the_wheel_has_the_licence_and_the_command(wheel: Path) -> None:
    files = {name.partition(".dist-info/")[2]: content for name, content in contents(wheel).items()}

    assert b"taskrunner = taskrunner_cli.app:main\n" in files["entry_points.txt"]
    assert files["licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()


def test_shows_its_help(installation: Installation) -> None:
    ended = installation.taskrunner("--help")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Usage: taskrunner" in ended.stdout


def test_compiles_a_pack(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "pack.yaml").write_text(PACK)

    ended = installation.taskrunner("gates", str(tmp_path / "pack.yaml"), "-o", "json")

    assert ended.returncode == 0, ended.stderr
    (gate,) = json.loads(ended.stdout)["gates"]
    assert (gate["stepId"], gate["guards"]) == ("gate", ["deploy"])


def test_verifies_evidence(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_text("{}")
    (tmp_path / "key.pem").write_text("not a key")

    ended = installation.taskrunner(
        "evidence", "verify", "bundle.json", "--key", "key.pem", cwd=tmp_path
    )

    assert ended.returncode == 2
    assert "key.pem is not a public key in PEM" in ended.stderr


def test_calls_the_api(installation: Installation, tmp_path: Path) -> None:
    client = {"clientId": "operator", "clientSecret": "s3cret"}
    addresses = {"apiUrl": "http://127.0.0.1:1", "tokenUrl": "http://127.0.0.1:1"}
    stack_file = tmp_path / "stack.json"
    stack_file.write_text(json.dumps({**addresses, "clients": {"operator": client}}))

    ended = installation.taskrunner("runs", "--stack", str(stack_file))

    assert ended.returncode == 3
    assert "cannot reach http://127.0.0.1:1" in ended.stderr


@pytest.mark.parametrize(
    "command", [("local", "up"), ("local", "down"), ("local", "status"), ("demo",)]
)
def test_says_which_commands_need_a_clone(
    installation: Installation, command: tuple[str, ...]
) -> None:
    ended = installation.taskrunner(*command)

    assert (ended.returncode, ended.stdout) == (3, "")
    assert "this command needs a clone of the TaskRunner repository" in ended.stderr


def test_names_the_command_to_use_in_a_clone(installation: Installation) -> None:
    ended = installation.taskrunner("local", "status", cwd=ROOT)

    assert (ended.returncode, ended.stdout) == (3, "")
    assert "this installation of taskrunner cannot run the local stack" in ended.stderr
    assert f"run make setup in {ROOT}" in ended.stderr


def test_a_wheel_built_from_the_sdist_is_the_same(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sdist = build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))
    unpacked = tmp_path_factory.mktemp("unpacked")
    subprocess.run(["tar", "-xzf", sdist, "-C", unpacked], check=True)  # noqa: S603, S607 -- fixed
    (source,) = unpacked.iterdir()

    rebuilt = build("wheel", source, tmp_path_factory.mktemp("rebuilt"))

    prototypes = "taskrunner/compiler/machine/pack_run.asl.yaml"
    assert contents(rebuilt) == contents(wheel)
    assert contents(wheel)[prototypes] == (ROOT / "statemachine/pack_run.asl.yaml").read_bytes()
