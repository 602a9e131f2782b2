"""The input of an execution, and that every item of a map is given its part of it."""

from __future__ import annotations

import json
import re
from textwrap import indent
from typing import Any

from taskrunner.compiler.driver import compile_pack, plan_pack
from taskrunner.compiler.machine.execution_input import execution_input
from taskrunner.compiler.machine.frame import FRAME
from taskrunner.model.flow import NO_BRANCH
from tests.packs import pack

HOSTS = "inputs: [{name: hosts, type: array, default: [a, b]}]"
EVERYTHING_DECIDED = """
- {id: a, when: inputs.hosts, parallel: {steps: [{id: f, run: {uses: builtin:noop}}]}}
- id: choice
  conditional:
    branches: [{condition: inputs.hosts, steps: [{id: b, run: {uses: builtin:noop}}]}]
- id: two
  parallel:
    maxParallel: 1
    steps:
      - {id: c, when: inputs.hosts, parallel: {steps: [{id: g, run: {uses: builtin:noop}}]}}
- id: turns
  loop:
    items: {range: {end: 1}}
    iterator: turn
    index: nr
    body:
      - id: each
        map:
          items: inputs.hosts
          iterator: x
          index: y
          maxParallel: "{{ length(inputs.hosts) }}"
          step: {id: d, run: {uses: builtin:noop}}
- id: again
  loop:
    items: inputs.hosts
    until: run.id
    iterator: p
    index: q
    body: [{id: e, run: {uses: builtin:noop}}]
"""


def test_carries_everything_that_inputs_decide() -> None:
    plan = plan_pack(pack(EVERYTHING_DECIDED, spec=HOSTS), {})

    assert execution_input(plan, "acme", "run-1") == {
        "place": {"run": {"tenant": "acme", "id": "run-1"}, "path": ""},
        "when": {"a": True, "c": True},
        "branch": {"choice": 0},
        "items": {"two": [0], "turns": [0, 1], "each": [0, 1]},
        "error": None,
        "maxParallel": {"each": 2},
    }


def test_carries_nothing_that_only_the_run_can_decide() -> None:
    steps = """
    - {id: a, run: {uses: builtin:noop}}
    - {id: b, when: steps.a.outputs.x, run: {uses: builtin:noop}}
    - {id: c, map: {items: steps.a.outputs.y, step: {id: d, run: {uses: builtin:noop}}}}
    """

    first_input = execution_input(plan_pack(pack(steps), {}), "acme", "run-1")

    assert (first_input["when"], first_input["branch"], first_input["items"]) == ({}, {}, {})


def test_a_skipped_block_has_no_items_and_a_skipped_conditional_no_branch() -> None:
    steps = """
    - id: each
      when: "!(inputs.hosts)"
      map: {items: inputs.hosts, step: {id: a, run: {uses: builtin:noop}}}
    - id: turns
      when: "!(inputs.hosts)"
      loop: {items: {static: [1]}, body: [{id: b, run: {uses: builtin:noop}}]}
    - id: lanes
      when: "!(inputs.hosts)"
      parallel: {maxParallel: 1, steps: [{id: c, run: {uses: builtin:noop}}]}
    - id: choice
      when: "!(inputs.hosts)"
      conditional:
        branches: [{condition: inputs.hosts, steps: [{id: d, run: {uses: builtin:noop}}]}]
    """

    given = execution_input(plan_pack(pack(steps, spec=HOSTS), {}), "acme", "run-1")

    assert given["items"] == {"each": [], "turns": [], "lanes": []}
    assert given["branch"] == {"choice": NO_BRANCH}
    assert given["when"] == {}


def test_carries_no_condition_that_a_function_decides() -> None:
    steps = """
    - {id: a, when: inputs.hosts, run: {uses: builtin:noop}}
    - {id: b, when: inputs.hosts, map: {items: run.id, step: {id: c, run: {uses: builtin:noop}}}}
    """

    given = execution_input(plan_pack(pack(steps, spec=HOSTS), {}), "acme", "run-1")

    assert given["when"] == {}


def test_every_item_is_given_all_that_its_states_read() -> None:
    """An item of a Distributed Map is an execution of its own: it has its input and no more."""
    steps = "- id: many\n  map:\n    items: inputs.hosts\n    maxParallel: 41\n    steps:\n"
    steps += indent(EVERYTHING_DECIDED.strip("\n"), "      ")
    definition = compile_pack(pack(steps, spec=HOSTS), {}).definition
    many = definition["States"][FRAME]["Branches"][0]["States"]["many"]

    assert many["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED"
    assert missing_in(many) == []
    assert given_to(many) == {"place", "arn", "when", "branch", "items", "maxParallel"}


def given_to(state: dict[str, Any]) -> set[str]:
    return {key.removesuffix(".$") for key in state["ItemSelector"]}


def missing_in(state: dict[str, Any]) -> list[str]:
    """Return what the states in a Map read of their input and are not given; inner Maps too."""
    inside = walked(state["ItemProcessor"]["States"])
    read = {name for inner in inside for name in reads(inner)}
    nested = [name for inner in inside if inner["Type"] == "Map" for name in missing_in(inner)]
    return sorted(read - given_to(state) - {"decision"}) + nested


def walked(states: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the states that see the same input: those of a Parallel's branches too."""
    found = []
    for state in states.values():
        found.append(state)
        for branch in state.get("Branches", []):
            found += walked(branch["States"])
    return found


def reads(state: dict[str, Any]) -> set[str]:
    """Return the names that *state* itself reads of its input."""
    fields = {
        key: field for key, field in state.items() if key not in {"ItemProcessor", "Branches"}
    }
    fields.pop("ResultSelector", None)  # reads the result
    fields.pop("ResultPath", None)  # is written
    return set(re.findall(r"(?<![$.\w])\$\.([a-zA-Z]+)", json.dumps(fields)))
