"""Hypothesis strategies: packs of what the language has so far, and JSON values."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

import yaml
from hypothesis import strategies as st

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

    from taskrunner.model.json_types import Json

from taskrunner.model.json_types import LARGEST_INTEGER

_FIRST = string.ascii_letters + string.digits
step_ids = st.builds(str.__add__, st.sampled_from(_FIRST), st.text(_FIRST + "_-", max_size=62))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
# Text as an author writes it on one line, without a template.
plain_texts = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=20).filter(
    lambda text: "{{" not in text
)
integers = st.integers(-LARGEST_INTEGER, LARGEST_INTEGER)
scalars = st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False)


def json_values(
    leaves: SearchStrategy[Any] = scalars | texts, keys: SearchStrategy[str] = texts
) -> SearchStrategy[Any]:
    """JSON with a canonical form."""
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=8,
    )


parameters = st.dictionaries(
    plain_texts, json_values(scalars | plain_texts, plain_texts), max_size=3
)
retries = st.fixed_dictionaries(
    {},
    optional={"maxAttempts": st.integers(1, 100), "backoffSeconds": st.integers(0, 86400)},
)
messages = plain_texts.filter(bool)
whens = st.sampled_from(
    ["inputs.flag", "!(inputs.flag)", "inputs.name == 'x'", "{{ inputs.list }}", "`true`"]
)
TEMPLATES = ("{{ inputs.name }}", "{{ inputs.list }} of {{ inputs.flag }}", "{{ run.id }}")

INPUTS = [
    {"name": "flag", "type": "boolean", "default": True},
    {"name": "name", "type": "string"},
    {"name": "list", "type": "array", "default": []},
]
inputs = st.fixed_dictionaries(
    {},
    optional={
        "flag": st.booleans(),
        "name": texts,
        "list": st.lists(json_values(), max_size=3),
    },
)


@st.composite
def packs(draw: DrawFn) -> dict[str, Any]:
    """A manifest as data; it is valid, and takes whatever *inputs* gives."""
    approvals = draw(st.lists(_approvals(), max_size=3, unique_by=lambda one: str(one["id"])))
    ids = draw(st.lists(step_ids, min_size=1, max_size=6, unique=True))
    steps = [draw(_steps(step_id, [str(one["id"]) for one in approvals])) for step_id in ids]
    spec: dict[str, Any] = {"inputs": INPUTS, "approvals": approvals, "steps": steps}
    spec |= draw(
        st.fixed_dictionaries(
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
                "outputs": st.just(
                    [{"name": "all", "type": "object", "expression": "{{ inputs }}"}]
                ),
            },
        )
    )
    return {
        "apiVersion": "stellaops.io/pack.v1",
        "kind": "TaskPack",
        "metadata": {"name": "generated", "version": "1.0.0"},
        "spec": spec,
    }


def _approvals() -> SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"id": step_ids},
        optional={
            "minApprovals": st.integers(1, 20),
            "distinctFromRequester": st.booleans(),
            "expiresAfterSeconds": st.integers(60, 364 * 86400),
            "message": messages,
        },
    )


@st.composite
def _steps(draw: DrawFn, step_id: str, approvals: list[str]) -> dict[str, Any]:
    step: dict[str, Any] = {"id": step_id}
    step |= draw(
        st.fixed_dictionaries(
            {},
            optional={"name": messages, "when": whens, "continueOnError": st.booleans()},
        )
    )
    is_gate = draw(st.booleans())
    if approvals and is_gate:
        gate = draw(
            st.fixed_dictionaries(
                {"id": st.sampled_from(approvals)}, optional={"message": messages}
            )
        )
        return step | {"gate": {"approval": gate}}
    given = draw(parameters)
    given |= draw(st.dictionaries(st.just("template"), st.sampled_from(TEMPLATES)))
    own = draw(
        st.fixed_dictionaries(
            {}, optional={"retries": retries, "timeoutSeconds": st.integers(1, 840)}
        )
    )
    return step | own | {"run": {"uses": "builtin:noop", "with": given}}


class _Dumper(yaml.SafeDumper):
    """Quotes all text: PyYAML leaves bare what is text to YAML 1.1 but no more to 1.2: 0E0."""


_Dumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


def as_yaml(value: Json, indent: int = 2) -> str:
    """*value* as a YAML document in block style."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, indent=indent)
    return text
