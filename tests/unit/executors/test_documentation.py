"""docs/executors.md describes every executor, and its examples work."""

import re
from pathlib import Path
from typing import Any

import pytest

from taskrunner import executors
from taskrunner.compiler.driver import plan_pack
from taskrunner.executors import function, worker
from taskrunner.model.plan import DEFAULT_JOB_TIMEOUT_S, MAX_JOB_TIMEOUT_S, RunStep
from tests.fakes.executor_world import MemoryFunctions, a_work

EXAMPLES = Path(__file__).parents[3] / "examples" / "executors"
DOCS = (Path(__file__).parents[3] / "docs" / "executors.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## `(.+?)`\n(.*?)(?=^## |\Z)", DOCS, re.DOTALL | re.MULTILINE))
WORKERS = (Path(__file__).parents[3] / "docs" / "workers.md").read_text(encoding="utf-8")
FUNCTION = "lambda:<name>"
MACHINE = "states:<name>"
WORKER = "worker:<pool>"


def test_every_executor_has_a_section_and_every_section_an_executor() -> None:
    assert [*executors.references(), FUNCTION, MACHINE, WORKER] == sorted(SECTIONS)


@pytest.mark.parametrize("reference", executors.references())
def test_the_example_of_a_section_is_a_pack_that_uses_the_executor(reference: str) -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", SECTIONS[reference], re.DOTALL)

    planned = plan_pack(example, {})

    assert reference in {step.uses for step in planned.steps if isinstance(step, RunStep)}


def test_the_example_of_a_function_calls_the_example_executor() -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", SECTIONS[FUNCTION], re.DOTALL)

    planned = plan_pack(example, {})

    [called] = {step.uses for step in planned.steps if isinstance(step, RunStep)} - {"builtin:noop"}
    folder = called.removeprefix("lambda:").replace("-", "_")
    assert (EXAMPLES / folder / "app.py").exists()


def test_the_example_of_a_machine_calls_one() -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", SECTIONS[MACHINE], re.DOTALL)

    planned = plan_pack(example, {})

    called = [step.uses for step in planned.steps if isinstance(step, RunStep)]
    assert called == ["states:import-orders", "builtin:noop"]


def test_a_function_receives_the_payload_that_the_page_shows(tmp_path: Path) -> None:
    payload_block = re.search(
        r"^    \{\n(.*?)^    \}", SECTIONS[FUNCTION], re.DOTALL | re.MULTILINE
    )
    assert payload_block is not None
    functions = MemoryFunctions({"x": {}})

    function.execute(function.Parameters(), a_work(tmp_path, uses="lambda:x", functions=functions))

    [(_, payload)] = functions.calls
    assert re.findall(r'^      "(\w+)":', payload_block[1], re.MULTILINE) == list(payload)


@pytest.mark.parametrize("reference", executors.references())
def test_every_parameter_is_described(reference: str) -> None:
    executor = executors.find(reference)
    assert executor is not None

    for name, field in executor.Parameters.model_fields.items():
        assert f"| `{field.alias or name}` |" in SECTIONS[reference]


@pytest.mark.parametrize("page", [SECTIONS[WORKER], WORKERS], ids=["executors", "workers"])
def test_an_example_of_a_worker_is_a_pack_that_needs_one(page: str) -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)

    planned = plan_pack(example, {})

    assert "worker:linux" in {step.uses for step in planned.steps if isinstance(step, RunStep)}


@pytest.mark.parametrize(
    ("name", "schema"), worker.Parameters.model_json_schema()["properties"].items()
)
def test_every_parameter_of_a_worker_is_described_with_its_limits(
    name: str, schema: dict[str, Any]
) -> None:
    row = re.search(rf"^\| `{name}` \|.*", WORKERS, re.MULTILINE)
    assert row is not None

    choices = [schema, *schema.get("anyOf", [])]
    keys = ("minimum", "maximum", "ge", "le", "minItems", "maxItems", "maxProperties")
    limits = [choice[key] for choice in choices for key in keys if key in choice]
    written = row[0].replace(",", "")
    assert [limit for limit in limits if not re.search(rf"\b{limit}\b", written)] == []


def test_the_page_on_workers_says_how_long_texts_and_attempts_may_be() -> None:
    schema = worker.Parameters.model_json_schema()
    choices = schema["properties"]["script"]["anyOf"]
    [longest] = [choice["maxLength"] for choice in choices if "maxLength" in choice]

    assert f"at most {longest:,} characters" in WORKERS
    assert f"is 1 to {MAX_JOB_TIMEOUT_S:,} (24 hours)" in WORKERS
    assert f"{DEFAULT_JOB_TIMEOUT_S:,} by default" in WORKERS
