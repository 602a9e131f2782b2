"""Names of artifacts that no earlier step can have written."""

from __future__ import annotations

from typing import Any

import pytest

from taskrunner.compiler.checks import artifacts
from taskrunner.compiler.driver import compile_pack
from taskrunner.errors import InvalidPackError
from taskrunner.executors.builtin import scanner
from taskrunner.executors.builtin.http import response
from tests.packs import pack

BUILD = '{id: built, run: {uses: "builtin:build", with: {files: {a.txt: a}}}}'
READ = '{id: read, run: {uses: "builtin:build", with: {artifacts: [%s]}}}'


def messages(steps: str, **more: Any) -> list[str]:  # noqa: ANN401 - sections of a pack
    try:
        compile_pack(pack(steps, **more), {})
    except InvalidPackError as error:
        return [found.message.partition(": ")[2] for found in error.diagnostics]
    return []


@pytest.mark.parametrize(
    "steps",
    [
        f"- {BUILD}\n- {READ % 'bundle'}",
        f"- {BUILD}\n- {READ % 'bundle.built'}",
        '- {id: f, run: {uses: "lambda:any"}}\n- ' + READ % "anything",
        '- {id: w, run: {uses: "worker:any", with: {script: a}}}\n- ' + READ % "anything",
        # The iteration before has built one.
        f"- {{id: l, loop: {{items: {{static: [1, 2]}}, body: [{READ % 'bundle'}, {BUILD}]}}}}",
        f"- {{id: m, map: {{items: {{static: [1]}}, step: {BUILD}}}}}\n- {READ % 'bundle.m-0'}",
        f"- {BUILD}\n- " + READ % '"{{ run.id }}"',
    ],
)
def test_takes_a_name_that_an_earlier_step_may_write(steps: str) -> None:
    assert messages(steps) == []


@pytest.mark.parametrize(
    "steps",
    [
        f"- {READ % 'bundle'}\n- {BUILD}",
        '- {id: m, run: {uses: "states:any"}}\n- ' + READ % "bundle",
        '- {id: n, run: {uses: "builtin:noop"}}\n- ' + READ % "bundle",
        f"- {{id: m, map: {{items: {{static: [1, 2]}}, steps: [{READ % 'bundle'}]}}}}\n- {BUILD}",
        '- {id: w, run: {uses: "worker:a", with: {script: a, artifacts: [bundle]}}}',
    ],
)
def test_rejects_a_name_before_the_first_step_that_writes(steps: str) -> None:
    assert messages(steps) == [
        "no step before this one can write an artifact 'bundle'; none of them writes a file"
    ]


def test_knows_a_file_by_the_name_that_the_outputs_give_it() -> None:
    outputs = "outputs: [{name: app, type: file, path: /output/bundle.zip}]"

    assert messages(f"- {BUILD}\n- {READ % 'app'}", spec=outputs) == []
    assert messages(f"- {BUILD}\n- {READ % 'bundle'}", spec=outputs) == [
        "no step before this one can write an artifact 'bundle'; available: app"
    ]


def test_steps_of_finally_read_what_the_steps_wrote() -> None:
    assert messages(f"- {BUILD}", spec=f"finally: [{READ % 'bundle'}]") == []


def test_has_the_names_of_the_executors_own_files() -> None:
    assert artifacts.BUILTIN_FILES["builtin:http"] == response.FILE_NAME
    assert artifacts.BUILTIN_FILES["builtin:scanner"] == scanner.REPORT_NAME
