"""Text of packs, logs, outputs and comments is shown as text, and never runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest
from playwright.sync_api import expect

from tests.packs import pack
from tests.stack.console.made_run import MadeRun, entry, step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stack.api import Api
    from tests.stack.console.browser import Person

_SCRIPT: Final = "</script><script>window.hacked = 1</script>"
_IMAGE: Final = "<img src=x onerror='window.hacked = 1'>"
_HOSTILE: Final = _IMAGE + _SCRIPT
_TEXT: Final = json.dumps(_HOSTILE)
_PACK: Final = pack(
    f"""
    - id: build
      name: {_TEXT}
      run: {{uses: builtin:noop, with: {{{_TEXT}: {_TEXT}}}}}
    - id: broken
      continueOnError: true
      run: {{uses: builtin:fail, with: {{message: {_TEXT}}}}}
    - id: review
      gate: {{approval: {{id: production, message: {_TEXT}}}}}
    """,
    spec=f"""
    inputs:
      - {{name: note, type: string, default: {_TEXT}}}
    approvals:
      - {{id: production, minApprovals: 2}}
    """,
    name="hostile",
)


@pytest.fixture(name="hostile_run", scope="module")
def _hostile_run(operator: Api, approver: Api) -> Iterator[str]:
    run_id = operator.run(_PACK)
    operator.wait(run_id, "waiting")
    approver.decide(run_id, "production", "approved", summary=_HOSTILE, actorId=_HOSTILE)
    yield run_id
    operator("POST", f"runs/{run_id}/cancel")


def assert_harmless(person: Person) -> None:
    """Nothing of the text became an element, a script or an address."""
    page = person.page
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.querySelectorAll('img, body script').length") == 0
    assert person.problems() == []


@pytest.mark.parametrize(
    "place",
    [
        "?tab=log",
        "?tab=timeline",
        "?tab=artifacts",
        "?tab=decisions",
        "?tab=plan",
        "/steps/build?tab=step",
        "/steps/broken?tab=step",
        "/steps/broken/attempts/1?tab=log",
        "/steps/review?tab=step",
    ],
)
def test_a_runs_text_stays_text(alice: Person, hostile_run: str, place: str) -> None:
    alice.go(f"#/runs/{hostile_run}{place}")

    expect(alice.page.get_by_role("link", name=_HOSTILE)).to_be_visible()  # the step's title
    expect(alice.page.get_by_label("Failures")).to_contain_text(_HOSTILE)
    expect(alice.gate(hostile_run)).to_contain_text(_HOSTILE)
    assert_harmless(alice)


def test_a_comment_and_a_question_stay_text(alice: Person, hostile_run: str) -> None:
    alice.go(f"#/runs/{hostile_run}?tab=decisions")
    expect(alice.page.locator("blockquote")).to_have_text(_HOSTILE)

    alice.gate(hostile_run).get_by_role("button", name="Reject …").click()

    expect(alice.page.get_by_role("dialog")).to_contain_text(_HOSTILE)
    assert_harmless(alice)
    alice.page.keyboard.press("Escape")


def test_outputs_and_their_names_stay_text(alice: Person, hostile_run: str) -> None:
    alice.go(f"#/runs/{hostile_run}/steps/build?tab=step")

    expect(alice.page.get_by_label("Value").first).to_contain_text("<img src=x onerror=")
    assert_harmless(alice)


def test_a_list_of_approvals_and_one_of_runs_stay_text(alice: Person, hostile_run: str) -> None:
    for place in ("#/approvals", "#/runs"):
        alice.go(place)
        expect(alice.page.get_by_role("link", name=hostile_run)).to_be_visible()
        assert_harmless(alice)


def test_the_reason_and_the_evidence_of_a_failed_run_stay_text(
    alice: Person, operator: Api
) -> None:
    failing = f"- {{id: broken, run: {{uses: builtin:fail, with: {{message: {_TEXT}}}}}}}"
    run_id = operator.run(pack(failing, name="hostile-failure"))
    operator.ended(run_id)

    alice.go("#/runs?pack=hostile-failure")
    row = alice.page.get_by_role("row").filter(has_text=run_id)
    expect(row).to_contain_text(_HOSTILE)
    assert_harmless(alice)

    alice.go(f"#/runs/{run_id}?tab=evidence")
    expect(alice.page.get_by_label("Details")).to_contain_text("✓ Verified")
    expect(alice.page.get_by_label("Failures")).to_contain_text(_HOSTILE)
    assert_harmless(alice)


def test_control_characters_are_visible(alice: Person) -> None:
    build = step(
        "build", "Failed", name="safe \u202eexe.\x1b", errorMessage="\x1b[31mred\x1b[0m \x9b"
    )
    log = [entry("step.failed", "broken\x07\x1b]0;title", stepId="build", level="error")]
    with MadeRun([build], log).shown_to(alice):
        expect(alice.page.get_by_role("log")).to_contain_text(r"broken\x07\x1b]0;title")
        expect(alice.page.get_by_label("Steps")).to_contain_text(r"safe \x202eexe.\x1b")
        expect(alice.page.get_by_label("Error of build")).to_have_text(r"red \x9b")
        assert_harmless(alice)


def test_a_simulated_pack_and_its_problems_stay_text(alice: Person) -> None:
    alice.go("#/simulate")
    alice.page.get_by_label("Pack (YAML)").fill(_PACK)
    alice.page.get_by_role("button", name="Simulate").click()
    expect(alice.page.get_by_label("Plan")).to_contain_text(_HOSTILE)
    assert_harmless(alice)

    alice.page.get_by_label("Pack (YAML)").fill(_PACK.replace("uses:", f"{_TEXT}:", 1))
    alice.page.get_by_role("button", name="Simulate").click()
    expect(alice.page.get_by_label("Problems")).to_contain_text("<img src=x onerror=")
    assert_harmless(alice)


@pytest.mark.parametrize("part", ["steps/", "steps/x?tab=", ""])
def test_the_address_stays_text(alice: Person, part: str) -> None:
    alice.go("#/approvals")
    alice.go(f"#/runs/x{part and '/'}{part}{_HOSTILE}")

    expect(alice.page.get_by_role("heading", level=1)).to_contain_text("Run x")
    assert_harmless(alice)
