"""docs/language.md shows what works: every example in it is planned, or refused where it says so.

A block is marked by the comment before it: `<!-- plans -->`, `<!-- plans {"x": 1} -->` for given
inputs, or `<!-- refused: $.path, $.another -->`. A block that is no whole manifest is put into one:
what begins with `- ` are steps, everything else is part of `spec`.
"""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass

import pytest

from taskrunner.compiler import schema
from taskrunner.compiler.compiled import compile_pack
from taskrunner.errors import InvalidPackError
from taskrunner.executors import references
from tests.packs import pack
from tests.template import ROOT

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


# What the examples that show steps alone may read.
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


def at(example: Example) -> str:
    return f"line-{example.line}"


def test_every_example_says_whether_it_works() -> None:
    assert [at(one) for one in EXAMPLES if one not in PLANNED and one not in REFUSED] == []
    assert len(PLANNED) >= 24
    assert len(REFUSED) >= 25


@pytest.mark.parametrize("example", PLANNED, ids=at)
def test_an_example_works(example: Example) -> None:
    inputs = json.loads((example.mark or "").removeprefix("plans") or "{}")

    assert compile_pack(example.manifest, inputs).plan_hash.startswith("sha256:")


@pytest.mark.parametrize("example", REFUSED, ids=at)
def test_an_example_of_a_mistake_is_refused_there_and_nowhere_else(example: Example) -> None:
    places = re.split(r",\s+", (example.mark or "").removeprefix("refused:").strip())

    with pytest.raises(InvalidPackError) as refused:
        compile_pack(example.manifest, {})

    assert [one.path for one in refused.value.diagnostics] == places


@pytest.mark.parametrize("reference", references())
def test_every_executor_is_named(reference: str) -> None:
    assert f"`{reference}`" in TEXT


@pytest.mark.parametrize("kind", schema.KNOWN_KINDS)
def test_every_kind_of_step_is_named_as_working_or_as_coming(kind: str) -> None:
    assert f"`{kind}`" in TEXT


def test_every_key_of_the_language_is_named() -> None:
    keys = {"with", "schema"}
    todo: list[type] = [schema.Pack]
    seen: set[type] = set()
    while todo:
        model = todo.pop()
        if model in seen:
            continue  # steps hold steps
        seen.add(model)
        for name, field in model.model_fields.items():  # type: ignore[attr-defined]
            keys.add(field.alias or name)
            inner = schema._model_in(field.annotation)
            todo += [inner] if inner is not None else []

    assert [key for key in sorted(keys) if not re.search(rf"[`{{\s]{key}[`:\s]", TEXT)] == []
