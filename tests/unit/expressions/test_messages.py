"""Messages to approvers."""

from __future__ import annotations

import pytest

from taskrunner.expressions import messages

CONTEXT = {"inputs": {"tag": "v2", "none": None}, "steps": {"scan": {"outputs": {"found": [1]}}}}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("Ship it?", "Ship it?"),
        ("Ship {{ inputs.tag }}?", "Ship v2?"),
        ("{{ steps.scan.outputs.found }} of {{ inputs.tag }}", "[1] of v2"),
        ("{{ steps.scan.outputs }}", '{"found":[1]}'),
        ("none: {{ inputs.none }}", "none: "),
        # An empty result says less than the template.
        ("{{ inputs.none }}", "{{ inputs.none }}"),
        # A plan from before messages were templates.
        ("{{ never closed", "{{ never closed"),
        ("{{ not an expression }}", "{{ not an expression }}"),
    ],
)
def test_fills_what_can_be_evaluated(message: str, text: str) -> None:
    assert messages.filled(message, CONTEXT) == text


def test_leaves_a_note_for_an_expression_that_cannot_be_evaluated() -> None:
    filled = messages.filled("{{ length(inputs.tag.x) }} of {{ inputs.tag }}", CONTEXT)

    assert filled.startswith("[not available: ")
    assert filled.endswith("] of v2")


def test_cuts_what_is_too_long() -> None:
    filled = messages.filled("{{ inputs.tag }}, really?", {"inputs": {"tag": "x" * 5000}})

    assert len(filled) == messages.MAX_CHARACTERS
    assert filled.endswith("x…")


def test_the_work_of_all_expressions_is_bounded_together() -> None:
    hungry = "{{ length(inputs.list[*].[@, @, @, @]) }} "
    many = {"inputs": {"list": list(range(20_000))}}

    alone, together = messages.filled(hungry, many), messages.filled(hungry * 40, many)

    assert alone == "20000 "
    assert "[not available: " in together


def test_a_simulation_keeps_what_only_the_run_knows() -> None:
    message = "{{ inputs.tag }}: {{ steps.scan.outputs.found }} by {{ run.id }}"

    assert messages.filled_as_far_as_known(message, {"inputs": {"tag": "v2"}}) == (
        "v2: {{ steps.scan.outputs.found }} by {{ run.id }}"
    )


@pytest.mark.parametrize(
    ("message", "is_template"),
    [(None, False), ("plain", False), ("{{ inputs.tag }}", True), ("{{ `1` }}", True)],
)
def test_knows_a_template(message: str | None, is_template: bool) -> None:  # noqa: FBT001 - a case
    assert messages.is_template(message) is is_template
