"""`init`: a pack to start from."""

import json
import os
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from tests.unit.cli.conftest import Command


def test_writes_a_pack_that_has_no_errors_and_can_be_planned(
    taskrunner: Command, tmp_path: Path
) -> None:
    ended = taskrunner("init", str(tmp_path / "My Release"))

    file = tmp_path / "My Release" / "pack.yaml"
    assert (ended.code, ended.out.splitlines()[0]) == (0, f"wrote {file}")
    assert taskrunner("lint", str(file)).code == 0
    plan = taskrunner("plan", str(file), "-o", "json").document
    assert plan["pack"] == {"name": "my-release", "version": "0.1.0"}
    (gate,) = plan["gates"]
    assert gate["guards"] == ["deploy"]


def test_writes_a_file_of_the_given_name(taskrunner: Command, tmp_path: Path) -> None:
    ended = taskrunner("init", str(tmp_path / "nightly scan.yml"), "--output", "json")

    file = tmp_path / "nightly scan.yml"
    assert ended.document == {
        "path": str(file),
        "pack": {"name": "nightly-scan", "version": "0.1.0"},
    }
    assert yaml.safe_load(file.read_text())["metadata"]["name"] == "nightly-scan"


def test_never_overwrites_a_file(taskrunner: Command, tmp_path: Path) -> None:
    (tmp_path / "pack.yaml").write_text("mine")

    ended = taskrunner("init", str(tmp_path))

    assert ended.code == 2
    assert "overwrites nothing" in ended.err
    assert (tmp_path / "pack.yaml").read_text() == "mine"


@pytest.mark.parametrize("name", ["___", "ÄÖÜ", "-"])
def test_a_folder_without_a_usable_name_gives_a_default_one(
    taskrunner: Command, tmp_path: Path, name: str
) -> None:
    ended = taskrunner("init", str(tmp_path / name), "-o", "json")

    assert ended.document["pack"]["name"] == "my-pack"
    assert taskrunner("lint", str(tmp_path / name / "pack.yaml")).code == 0


def test_a_folder_that_is_a_file_is_a_usage_error(taskrunner: Command, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")

    assert taskrunner("init", os.fspath(tmp_path / "f" / "g")).code == 2


def test_an_editor_finds_the_schema_of_the_pack_beside_it(
    taskrunner: Command, tmp_path: Path
) -> None:
    taskrunner("init", str(tmp_path))

    file = tmp_path / "pack.yaml"
    comment = file.read_text().splitlines()[0]
    assert comment == "# yaml-language-server: $schema=pack.v1.json"
    schema = json.loads((tmp_path / "pack.v1.json").read_text())
    assert jsonschema_rs.Draft202012Validator(schema).is_valid(yaml.safe_load(file.read_text()))


def test_leaves_a_schema_that_is_there(taskrunner: Command, tmp_path: Path) -> None:
    (tmp_path / "pack.v1.json").write_text("mine")

    assert taskrunner("init", str(tmp_path)).code == 0
    assert (tmp_path / "pack.v1.json").read_text() == "mine"
