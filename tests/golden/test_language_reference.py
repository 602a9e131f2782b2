"""Every example in docs/language.md is planned, or rejected at the path that the page names.

The comment before a block marks it: `<!-- plans -->`, `<!-- plans {"x": 1} -->` with inputs, or
`<!-- refused: $.path, $.another -->`. A block that is not a whole manifest is put into one: a block
that begins with `- ` has steps, and any other is part of `spec`.
"""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from taskrunner.compiler.driver import compile_pack
from taskrunner.compiler.manifest import keys, source
from taskrunner.compiler.manifest.step_shapes import KINDS
from taskrunner.errors import InvalidPackError
from taskrunner.executors import references
from tests.packs import pack
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.model.json_types import Json

TEXT = (ROOT / "docs/language.md").read_text(encoding="utf-8")
_BLOCK = re.compile(
    r"(?:<!-- (?P<mark>(?:(?!-->).)*) -->\n)?```yaml\n(?P<text>.*?)```\n", re.DOTALL
)
_NOOP = "- {id: example, run: {uses: builtin:noop}}"


@dataclass(frozen=True)
class Example:
    line: int
    mark: str | None
    text: str

    @property
    def manifest(self) -> str:
        if self.text.startswith("apiVersion:"):
            return self.text
        if self.text.startswith("- "):
            return pack(self.text, spec=_SURROUNDINGS)
        if re.search("^steps:", self.text, re.MULTILINE):
            return pack(_NOOP).partition("  steps:")[0] + textwrap.indent(self.text, "  ")
        return pack(_NOOP, spec=self.text)


# The declarations that examples of steps may refer to.
_SURROUNDINGS = """
inputs:
  - {name: environment, type: string, default: test}
  - {name: image, type: string, default: registry.example.com/app:v1.2.3}
  - {name: replicas, type: integer, default: 2}
  - {name: dry-run, type: boolean, default: false}
  - {name: hosts, type: array, default: [a, b]}
approvals:
  - {id: security-review}
policies:
  - id: no-criticals
    version: "1"
    rules: [{id: allowed, require: with.allowed}]
"""

EXAMPLES = [
    Example(TEXT.count("\n", 0, match.start("text")), match["mark"], match["text"])
    for match in _BLOCK.finditer(TEXT)
]
PLANNED = [example for example in EXAMPLES if (example.mark or "").startswith("plans")]
REFUSED = [example for example in EXAMPLES if (example.mark or "").startswith("refused:")]


def line_of(example: Example) -> str:
    return f"line-{example.line}"


def test_every_example_has_a_mark() -> None:
    assert [line_of(each) for each in EXAMPLES if each not in PLANNED + REFUSED] == []
    assert len(PLANNED) >= 24
    assert len(REFUSED) >= 25


@pytest.mark.parametrize("example", PLANNED, ids=line_of)
def test_plans_an_example(example: Example) -> None:
    inputs = json.loads((example.mark or "").removeprefix("plans") or "{}")

    assert compile_pack(example.manifest, inputs).plan_hash.startswith("sha256:")


@pytest.mark.parametrize("example", REFUSED, ids=line_of)
def test_rejects_an_example_at_exactly_the_marked_paths(example: Example) -> None:
    places = re.split(r",\s+", (example.mark or "").removeprefix("refused:").strip())

    with pytest.raises(InvalidPackError) as refused:
        compile_pack(example.manifest, {})

    assert [problem.path for problem in refused.value.diagnostics] == places


def test_the_error_that_the_page_quotes_is_the_one_that_an_author_gets() -> None:
    first_pack = PLANNED[0].manifest.replace("builtin:scanner", "builtin:scaner")

    with pytest.raises(InvalidPackError) as refused:
        compile_pack(first_pack, {"image": "registry.example.com/app:v1.2.3"})

    [problem] = refused.value.diagnostics
    assert f"\n    {problem.path}: {problem.message}\n" in TEXT


def first_cells(heading: str) -> set[str]:
    """Return the code in the first cells of the tables under *heading*."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE)
    return {code for cell in rows for code in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize(
    ("sentence", "until"),
    [
        (r"([\d,]+) iterations of one step", ""),
        (r"([\d,]+) with `until`", "until: 'steps.a.outputs.done'"),
    ],
)
def test_a_loop_has_as_many_iterations_as_the_page_says(sentence: str, until: str) -> None:
    found = re.search(sentence, TEXT)
    assert found is not None
    most = int(found[1].replace(",", ""))

    compile_pack(_loop(most, until), {})
    with pytest.raises(InvalidPackError, match="history"):
        compile_pack(_loop(most + 50, until), {})


def _loop(iterations: int, until: str) -> str:
    return pack(
        f"""
        - id: repeat
          loop:
            items: {{range: {{start: 1, end: {iterations}}}}}
            maxIterations: {iterations}
            body: [{{id: a, run: {{uses: builtin:noop}}}}]
            {until}
        """
    )


def test_the_table_of_executors_lists_every_executor() -> None:
    with_a_name = {"lambda:<name>", "states:<name>", "worker:<pool>"}
    assert first_cells("run steps") == {*references(), *with_a_name}


def test_the_table_of_kinds_lists_every_kind_of_step() -> None:
    assert first_cells("steps") >= set(KINDS)


def test_the_planned_examples_use_every_key_of_the_language() -> None:
    manifests = [source.read(example.manifest).value for example in PLANNED]

    assert keys.all_keys() - set(keys_in(manifests)) == set()


def keys_in(value: Json) -> Iterator[str]:
    """Yield all keys in *value*."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for child in value:
            yield from keys_in(child)
