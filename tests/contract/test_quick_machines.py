"""Definitions of machines, parsed by moto and by the quick parser of the tests: the same trees."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from moto.stepfunctions.parser.asl.parse.asl_parser import (
    AmazonStateLanguageParser,
    ASLParserException,
)

from tests.golden.cases import GOOD
from tests.quick_machines import parse, quick_texts

# Every kind of step is in one of these.
PACKS = (
    "continue-on-error-in-every-block",
    "flat-form-of-every-kind",
    "gate-in-every-block",
    "map-with-many-at-a-time-is-distributed",
    "policy-with-an-override",
    "steps-that-call-machines",
    "text-of-every-script",
)
STATE: dict[str, Any] = {"Type": "Pass", "Next": "b"}
DEFINITION: dict[str, Any] = {
    "StartAt": "a",
    "States": {"a": STATE, "b": {"Type": "Succeed"}},
}
WRONG = {
    "no end": json.dumps(DEFINITION)[:-1],
    "two ends": json.dumps(DEFINITION) + "}",
    "an unknown statement": json.dumps(DEFINITION).replace('"Next"', '"Then"'),
    "no comma": json.dumps(DEFINITION).replace('"Pass",', '"Pass"'),
    "an open text": json.dumps(DEFINITION).replace('"b"', '"b'),
    "not JSON": "StartAt: a",
    "nothing": "",
}


def _machine(name: str) -> str:
    """The machine of a golden pack, with names where a deployment has ARNs."""
    case = next(case for case in GOOD if case.name == name)
    return json.dumps(case.compiled().definition, ensure_ascii=False)


def _shape(node: Any) -> Any:  # noqa: ANN401 - antlr4 is untyped
    """The kinds of the parts of a tree, and its words."""
    if hasattr(node, "children"):
        return type(node).__name__, [_shape(child) for child in node.children or ()]
    return node.symbol.type, node.symbol.text


def _without_addresses(program: object) -> str:
    return re.sub("0x[0-9a-f]+", "", str(program))


@pytest.mark.parametrize("name", PACKS)
def test_a_definition_has_the_tree_and_the_program_that_it_has_for_moto(name: str) -> None:
    definition = _machine(name)
    program, tree = AmazonStateLanguageParser.parse(definition)

    with quick_texts():
        for _ in range(2):  # the second tree is made of parts of the first one
            quick_program, quick_tree = parse(definition)

            assert _shape(quick_tree) == _shape(tree)
            assert _without_addresses(quick_program) == _without_addresses(program)


@pytest.mark.parametrize("why", WRONG)
def test_a_wrong_definition_is_refused_as_by_moto(why: str) -> None:
    with pytest.raises(ASLParserException) as by_moto:
        AmazonStateLanguageParser.parse(WRONG[why])

    with quick_texts(), pytest.raises(ASLParserException) as quick:
        parse(WRONG[why])

    # The words of an error depend on what moto has parsed before.
    assert _place(quick.value) == _place(by_moto.value)


def _place(error: ASLParserException) -> str:
    """The line and column of the first error."""
    place, _, _ = error.errors[0].partition(",")
    return place
