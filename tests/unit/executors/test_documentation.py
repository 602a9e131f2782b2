"""docs/executors.md tells of every executor, and what it shows works."""

import re
from pathlib import Path

import pytest

from taskrunner import executors
from taskrunner.compiler import plan
from taskrunner.model.plan import RunStep

DOCS = (Path(__file__).parents[3] / "docs" / "executors.md").read_text(encoding="utf-8")
SECTIONS = dict(
    re.findall(r"^## `(builtin:\w+)`\n(.*?)(?=^## |\Z)", DOCS, re.DOTALL | re.MULTILINE)
)


def test_every_executor_has_a_section_and_every_section_an_executor() -> None:
    assert executors.references() == sorted(SECTIONS)


@pytest.mark.parametrize("reference", executors.references())
def test_the_example_of_a_section_is_a_pack_that_uses_the_executor(reference: str) -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", SECTIONS[reference], re.DOTALL)

    planned = plan.make(example, {})

    assert reference in {step.uses for step in planned.steps if isinstance(step, RunStep)}


@pytest.mark.parametrize("reference", executors.references())
def test_every_parameter_is_told(reference: str) -> None:
    executor = executors.find(reference)
    assert executor is not None

    for name, field in executor.Parameters.model_fields.items():
        assert f"| `{field.alias or name}` |" in SECTIONS[reference]
