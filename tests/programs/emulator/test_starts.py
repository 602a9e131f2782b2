"""A forked function is as its `bootstrap` would start it, and functions start without forks too.

Functions are forked on Linux alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import psutil

from taskrunner_cli.local import emulator, prepared_function
from taskrunner_cli.local.packaging import bootstrap
from taskrunner_cli.local.workspace import Workspace, python_version
from tests.template import ROOT

VENVS = ROOT / ".local/venvs"
PACKAGES = f"lib/python{python_version()}/site-packages"
STARTING = Path(emulator.__file__).with_name("emulator_starts.py")
PROGRAM = Path(__file__).with_name("started_functions.py")


# The first three would look at the prepared process or change it; no function imports the last one.
OF_A_PROCESS = {
    "taskrunner.bootstrap",
    "taskrunner.sandbox.launcher",
    "aws_lambda_powertools",
    "botocore.docs.service",
}


def command(
    folder: Path, what: str, layer: Path, *more: str, starting: Path = STARTING
) -> list[str]:
    """Return the command that does *what* with functions of the packages in *layer*."""
    copy = folder / "copy"
    if not copy.exists():
        shutil.copytree(ROOT / "layers/core/python/taskrunner", copy / "taskrunner")
    (folder / "bootstrap").write_bytes(bootstrap(Workspace(ROOT), [copy, layer / PACKAGES]))
    words = [VENVS / "emulator/bin/python", "-P", PROGRAM, starting, folder / "bootstrap", what]
    return [*map(str, words), *more]


def environment(folder: Path) -> dict[str, str]:
    return emulator.environment(Workspace(folder), 1, os.environ) | {"TMPDIR": str(folder)}


def outcome(folder: Path, what: str, layer: Path = VENVS / "layer", *more: str, **to: Path) -> Any:  # noqa: ANN401 - it is JSON
    done = subprocess.run(  # noqa: S603 - our own program
        command(folder, what, layer, *more, **to),
        check=True,
        capture_output=True,
        env=environment(folder),
        timeout=120,
    )
    return json.loads(done.stdout)


def a_layer(folder: Path) -> Path:
    """Return an environment with the layers' packages, of which a test may change the pins."""
    layer = folder / "layer"
    (layer / PACKAGES).parent.mkdir(parents=True)
    (layer / PACKAGES).symlink_to((VENVS / "layer" / PACKAGES).resolve())
    return layer


def test_a_forked_function_is_as_its_bootstrap_would_start_it(tmp_path: Path) -> None:
    found = outcome(tmp_path, "compare")

    assert found["is_forked"] == [False, True, True]
    assert found["forked"] == [found["plain"], found["plain"]]
    assert found["plain"]["variables"]["OWN"] == "1"


def test_two_forked_functions_have_different_random_numbers(tmp_path: Path) -> None:
    numbers = outcome(tmp_path, "compare")["random"]

    assert len(set(numbers)) == len(numbers) == 8


def test_a_forked_function_has_modules_and_nothing_that_looks_at_a_process(tmp_path: Path) -> None:
    found = outcome(tmp_path, "compare")

    assert {*prepared_function.MODULES, "taskrunner.usecases.run_step"} <= set(found["modules"])
    for modules in found["new_modules"]:
        assert not OF_A_PROCESS & {*modules}
    package, *packages = found["origins"]
    assert package == str(tmp_path / "copy/taskrunner/__init__.py")
    assert all(path.startswith(str(VENVS / "layer" / PACKAGES)) for path in packages)


def test_functions_are_forked_though_a_module_cannot_be_imported(tmp_path: Path) -> None:
    copy = tmp_path / "copy" / "taskrunner"
    shutil.copytree(ROOT / "layers/core/python/taskrunner", copy)
    (copy / "usecases/begin_finally.py").write_text("not Python")

    found = outcome(tmp_path, "compare")

    assert found["is_forked"] == [False, True, True]


def test_the_emulator_sees_how_a_forked_function_ends(tmp_path: Path) -> None:
    assert outcome(tmp_path, "end_functions") == {
        "log": "to output\nto errors",
        "failure": "Runtime.ExitError",
        "ends": [3, None, -9, None, -15],
        "again": True,
    }


def test_functions_start_when_the_prepared_process_is_killed(tmp_path: Path) -> None:
    assert outcome(tmp_path, "lose_prepared") == {
        "kinds": [False, True, True],
        "survives": True,
        "prepared": 1,
    }


def test_new_packages_get_a_new_prepared_process(tmp_path: Path) -> None:
    layer = a_layer(tmp_path)

    found = outcome(tmp_path, "reinstall", layer, str(layer / ".pins"))

    assert found == {"is_kept": True, "is_replaced": True, "without": False}


def test_a_function_with_settings_of_its_interpreter_is_not_forked(tmp_path: Path) -> None:
    assert outcome(tmp_path, "refuse") == {"kinds": [True, False, False, False, True]}


def test_functions_start_where_no_process_can_be_prepared(tmp_path: Path) -> None:
    shutil.copy(STARTING, tmp_path)
    (tmp_path / "prepared_function.py").write_text("raise SystemExit\n")

    found = outcome(tmp_path, "fail", starting=tmp_path / STARTING.name)

    assert found == {"kinds": [False, False], "tries": False}


def test_the_prepared_process_ends_with_an_emulator_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(  # noqa: S603 - our own program
        command(tmp_path, "wait_for_kill", VENVS / "layer"),
        stdout=subprocess.PIPE,
        env=environment(tmp_path),
    ) as process:
        assert process.stdout
        family = [psutil.Process(pid) for pid in json.loads(process.stdout.readline())]
        assert [each.ppid() for each in family] == [process.pid, process.pid]
        assert family[1].num_threads() == 1  # a fork of another thread's process may hang

        process.kill()

    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []
