"""Hypothesis strategies: packs with every kind of step, and JSON values.

A new kind of step that holds others goes into `_blocks`, any other kind into `_leaves`. Hypothesis
checks each strategy when it is first drawn from, so a strategy that depends on nothing that was
drawn is made once, not for each example.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import yaml
from hypothesis import strategies as st

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from taskrunner.model.json_types import Json

from taskrunner.model.json_numbers import LARGEST_INTEGER
from taskrunner.model.retries import REASONS

_FIRST = string.ascii_letters + string.digits
step_ids = st.builds(str.__add__, st.sampled_from(_FIRST), st.text(_FIRST + "_-", max_size=62))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
# Text on one line, without a template.
plain_texts = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=20).filter(
    lambda text: "{{" not in text
)
integers = st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
scalars = st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False)


def json_values(
    leaves: SearchStrategy[Any] = scalars | texts, keys: SearchStrategy[str] = texts
) -> SearchStrategy[Any]:
    """JSON values that have a canonical form."""
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=8,
    )


parameters = st.dictionaries(
    plain_texts, json_values(scalars | plain_texts, plain_texts), max_size=3
)
# Numbers that inputs decide. Those of retries are in the machine, which must not depend on inputs
# here, so they are the number of inputs, which is always the same.
constant = st.just("{{ length(inputs) }}")
input_number = st.just("{{ inputs.number }}")
retries = st.fixed_dictionaries(
    {},
    optional={
        "maxAttempts": st.integers(1, 100) | constant,
        "backoffSeconds": st.integers(0, 86400) | constant,
        "backoffRate": st.sampled_from([1, 1.5, 2, 10]) | constant,
        "maxBackoffSeconds": st.integers(1, 86400) | constant,
        "jitter": st.sampled_from(["none", "full"]),
        "on": st.lists(st.sampled_from(REASONS), min_size=1),
    },
)
messages = plain_texts.filter(bool)
whens = st.sampled_from(
    ["inputs.flag", "!(inputs.flag)", "inputs.name == 'x'", "{{ inputs.list }}", "`true`"]
)
# The last two are known only at run time.
conditions = whens | st.sampled_from(["run.tenant == 'acme'", "{{ run.id }}"])
items = st.sampled_from(
    [
        "inputs.list",
        {"static": [1, "x"]},
        {"static": []},
        {"range": {"end": 2}},
        {"range": {"start": "{{ inputs.number }}", "end": 3, "step": "{{ inputs.number }}"}},
        "run.id && `[1]`",
    ]
)
MAX_DEPTH = 3
TEMPLATES = (
    "{{ inputs.name }}",
    "{{ inputs.list }} of {{ inputs.flag }}",
    "{{ run.id }}",
    "{{ secrets.token }}",
)

INPUTS = [
    {"name": "flag", "type": "boolean", "default": True},
    {"name": "name", "type": "string"},
    {"name": "list", "type": "array", "default": []},
    {"name": "number", "type": "integer", "default": 2},
]
inputs = st.fixed_dictionaries(
    {},
    optional={
        "flag": st.booleans(),
        "name": texts,
        "list": st.lists(json_values(), max_size=3),
        "number": st.integers(1, 3),
    },
)


def _id(declaration: dict[str, Any]) -> str:
    return str(declaration["id"])


_approvals = st.fixed_dictionaries(
    {"id": step_ids},
    optional={
        "minApprovals": st.integers(1, 20),
        "scope": st.sampled_from(["run", "gate"]),
        "distinctFromRequester": st.booleans(),
        "expiresAfterSeconds": st.integers(60, 364 * 86400),
        "message": messages,
    },
)
_rules = st.fixed_dictionaries({"id": step_ids, "require": whens}, optional={"message": messages})
_header: dict[str, SearchStrategy[Any]] = {"id": step_ids, "version": st.just("1")}
_policies = st.fixed_dictionaries(
    _header | {"rules": st.lists(_rules, min_size=1, max_size=2, unique_by=_id)}
) | st.fixed_dictionaries(_header | {"uses": st.sampled_from(["lambda:change-window", "lambda:x"])})
_lists_of_approvals = st.lists(_approvals, max_size=3, unique_by=_id)
_lists_of_policies = st.lists(_policies, max_size=2, unique_by=_id)
_lists_of_ids = st.lists(step_ids, min_size=1, max_size=10, unique=True)
_rests_of_specs = st.fixed_dictionaries(
    {},
    optional={
        "failure": st.fixed_dictionaries(
            {}, optional={"retries": retries, "continueOnError": st.booleans()}
        ),
        "sandbox": st.fixed_dictionaries(
            {},
            optional={
                "mode": st.sampled_from(["sealed", "open"]),
                "egressAllowlist": st.lists(st.just("example.com:443"), max_size=2),
                "quotaSeconds": st.integers(1, 604800),
            },
        ),
        "slo": st.fixed_dictionaries({}, optional={"maxQueueDepth": st.integers(1, 99)}),
        "outputs": st.just([{"name": "all", "type": "object", "expression": "{{ inputs }}"}]),
    },
)
_fields_of_every_step = st.fixed_dictionaries(
    {}, optional={"name": messages, "when": conditions, "continueOnError": st.booleans()}
)
_attempts = st.fixed_dictionaries(
    {}, optional={"retries": retries, "timeoutSeconds": st.integers(1, 840) | input_number}
)
_messages_of_gates = st.fixed_dictionaries({}, optional={"message": messages})
_limits = st.dictionaries(st.just("maxParallel"), st.integers(1, 3) | input_number)
_fail_fast = st.dictionaries(st.just("failFast"), st.booleans())
_counts = st.integers(0, 2) | constant
_names_of_branches = [
    st.dictionaries(st.just("name"), st.just(name)) for name in ("first", "second")
]


@st.composite
def packs(draw: DrawFn) -> dict[str, Any]:
    """A valid manifest as data, for all values of *inputs*."""
    approvals = draw(_lists_of_approvals)
    policies = draw(_lists_of_policies)
    ids = draw(_lists_of_ids)
    declared = _Declared(
        [_id(approval) for approval in approvals], [_id(policy) for policy in policies]
    )
    last = max(1, len(ids) - draw(st.integers(0, 2)))
    steps = draw(_step_lists(ids[:last], declared, depth=0))
    spec: dict[str, Any] = {
        "inputs": INPUTS,
        "secrets": [{"name": "token"}],
        "approvals": approvals,
        "policies": policies,
        "steps": steps,
    }
    if ids[last:]:  # which asks nobody
        final = _step_lists(ids[last:], _Declared([], declared.policies), depth=1)
        spec["finally"] = draw(final)
    spec |= draw(_rests_of_specs)
    return {
        "apiVersion": "stellaops.io/pack.v1",
        "kind": "TaskPack",
        "metadata": {"name": "generated", "version": "1.0.0"},
        "spec": spec,
    }


@dataclass(frozen=True)
class _Declared:
    """The ids of the pack's approvals and policies."""

    approvals: list[str]
    policies: list[str]


@st.composite
def _step_lists(
    draw: DrawFn, ids: list[str], declared: _Declared, depth: int
) -> list[dict[str, Any]]:
    """Lists of steps that use all of *ids*, one after another or inside one another."""
    steps: list[dict[str, Any]] = []
    while ids:
        count = draw(st.integers(1, len(ids))) if depth < MAX_DEPTH else 1
        first, inner, ids = ids[0], ids[1:count], ids[count:]
        block = _blocks(first, inner, declared, depth)
        steps.append(draw(block if inner else _leaves(first, declared)))
    return steps


@st.composite
def _blocks(
    draw: DrawFn, step_id: str, inner: list[str], declared: _Declared, depth: int
) -> dict[str, Any]:
    """A step that holds the steps with the ids *inner*."""
    kinds = ("parallel", "map", "loop", "conditional", *["policy"] * bool(declared.policies))
    kind = draw(_one_of(*kinds))
    step = {"id": step_id} | draw(_fields_of_every_step)
    steps = draw(_step_lists(inner, declared, depth + 1))
    limit = draw(_limits)
    if kind == "parallel":
        lanes = {"branches": draw(_branches(steps))} if draw(st.booleans()) else {"steps": steps}
        return step | {"parallel": lanes | limit}
    if kind == "conditional":
        split = draw(st.integers(1, len(steps)))
        branches = [{"condition": draw(conditions), "steps": steps[:split]}]
        return step | {"conditional": {"branches": branches, "else": steps[split:]}}
    if kind == "policy":
        policy = draw(_one_of(*declared.policies))
        gate = {"policy": policy, "failureAction": "branch", "branch": steps}
        return step | {"gate": {"policy": gate}}
    value = draw(_one_of("item{}", "[previous, item{}]", "index{} || previous"))
    fail_fast = draw(_fail_fast)
    block = {"items": draw(items), "iterator": f"item{depth}", "index": f"index{depth}"}
    if kind == "map":
        outputs = {"outputs": f"index{depth}"} if draw(st.booleans()) else {}
        return step | {"map": block | {"steps": steps} | limit | outputs | fail_fast}
    return step | {
        "loop": block | {"body": steps} | fail_fast | draw(_rests_of_loops(depth, value))
    }


@cache
def _rests_of_loops(depth: int, value: str) -> SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"maxIterations": st.just(5) | st.just("{{ sum([inputs.number, `4`]) }}")},
        optional={
            "until": st.sampled_from([f"index{depth} == `1`", "previous", "!previous"]),
            "aggregation": st.sampled_from(["collect", "merge", "last", "first", "none"]),
            "outputs": st.just(value.format(depth)),
        },
    )


@st.composite
def _branches(draw: DrawFn, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The branches of a parallel, named or not, that hold *steps*."""
    split = draw(st.integers(1, len(steps)))
    lanes = [lane for lane in (steps[:split], steps[split:]) if lane]
    return [
        {"steps": lane} | draw(name) for name, lane in zip(_names_of_branches, lanes, strict=False)
    ]


@st.composite
def _leaves(draw: DrawFn, step_id: str, declared: _Declared) -> dict[str, Any]:
    """A step that holds no other steps."""
    step: dict[str, Any] = {"id": step_id} | draw(_fields_of_every_step)
    approvals = declared.approvals
    kind = draw(_one_of("run", "run", "approval", "policy"))
    if declared.policies and kind == "policy":
        return step | {"gate": {"policy": draw(_policy_gates(declared))}}
    if approvals and kind == "approval":
        gate = {"id": draw(_one_of(*approvals))} | draw(_messages_of_gates)
        return step | {"gate": {"approval": gate}}
    uses = draw(_one_of("builtin:noop", "builtin:noop", "states:import"))
    given = draw(parameters)
    given |= draw(_templates_for(uses))
    return step | draw(_attempts) | {"run": {"uses": uses, "with": given}}


@cache
def _templates_for(uses: str) -> SearchStrategy[dict[str, str]]:
    """The templates that the parameters of an executor may have: a called machine keeps them."""
    texts = [text for text in TEMPLATES if uses == "builtin:noop" or "secrets" not in text]
    return st.dictionaries(st.just("template"), st.sampled_from(texts))


@lru_cache(maxsize=1024)
def _one_of(*texts: str) -> SearchStrategy[str]:
    return st.sampled_from(texts)


@st.composite
def _policy_gates(draw: DrawFn, declared: _Declared) -> dict[str, Any]:
    gate: dict[str, Any] = {"policy": draw(_one_of(*declared.policies))}
    actions = ("abort", "warn", *["requestOverride"] * bool(declared.approvals))
    gate["failureAction"] = draw(_one_of(*actions))
    if gate["failureAction"] == "requestOverride":
        gate["override"] = {"approval": draw(_one_of(*declared.approvals))}
    gate["with"] = draw(parameters)
    gate["with"] |= draw(_templates_for("builtin:noop"))
    gate["retries"] = {"count": draw(_counts)}
    return gate


# libyaml's writer takes a fifth of the time of the Python one; PyYAML's wheels contain it.
_Writer: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Writer):  # type: ignore[misc]
    """Quotes all text: PyYAML leaves 0E0 bare, which is text to YAML 1.1 and a number to 1.2."""


_Dumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


def as_yaml(value: Json, indent: int = 2) -> str:
    """Return *value* as a YAML document in block style."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, indent=indent)
    return text
