"""Everybody can use the console: with a screen reader, a phone, in light and dark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.stack.console.browser import RELEASE
from tests.stack.console.made_run import MadeRun, entry, step
from tests.stack.packs import GATED

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Page

    from taskrunner_cli.local import Stack
    from tests.stack.api import Api
    from tests.stack.console.browser import Person

_PHONE: Any = {"width": 360, "height": 740}
_DESKTOP: Any = {"width": 1280, "height": 900}
_PLACES = (
    "#/approvals",
    "#/runs",
    "#/simulate",
    "#/runs/nobody-knows",
    "#/runs/{waiting}?tab=log",
    "#/runs/{waiting}?tab=timeline",
    "#/runs/{waiting}/steps/build?tab=step",
    "#/runs/{waiting}/steps/review?tab=step",
    "#/runs/{failed}/steps/push?tab=step",
    "#/runs/{failed}?tab=artifacts",
    "#/runs/{failed}?tab=decisions",
    "#/runs/{failed}?tab=plan",
    "#/runs/{failed}?tab=evidence",
    "#/runs/{printing}?tab=log",
    "#/runs/{printing}?tab=timeline",
    "#/runs/{printing}/steps/print?tab=step",
    "#/runs/{printing}/steps/print/attempts/1?tab=log",
    "#/runs/{printing}/steps/rare?tab=step",
)
_LONG_PLACES = (
    "#/runs?pack=" + "p" * 63,
    *(
        f"#/runs/{{long}}{rest}"
        for rest in (
            "?tab=log",
            "?tab=timeline",
            "?tab=artifacts",
            "?tab=plan",
            f"/steps/{'b' * 63}?tab=step",
            f"/steps/{'g' * 63}?tab=step",
            f"/steps/{'s' * 63}%5B0%5D%3A%3A{'i' * 63}?tab=step",
            f"/steps/{'s' * 63}%5B0%5D%3A%3A{'i' * 63}/attempts/1?tab=log",
        )
    ),
)
_AXE: Final = Axe()
# Dark differs by colours alone (unit/functions/test_console.py), which no other rule looks at.
_OF_COLOURS: Final = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
# Only what is asserted comes back: axe's whole report describes each element of the page.
_RUN: Final = """
(rules) => axe.run({resultTypes: ['violations'], ...rules}).then(({passes, violations}) => ({
  passes: passes.length,
  problems: violations.flatMap(({id, nodes}) =>
    nodes.map(({target, failureSummary}) => `${id}: ${target} ${failureSummary}`)),
}))
"""


@pytest.fixture(name="places")
def _places(waiting_run: str, failed_run: str, printing_run: str) -> list[str]:
    """Each page, and each view of a run, with the states that steps can have."""
    runs = {"waiting": waiting_run, "failed": failed_run, "printing": printing_run}
    return [template.format(**runs) for template in _PLACES]


@pytest.fixture(name="worker_prints")
def _worker_prints(alice: Person, printing_run: str) -> None:
    """The second attempt of the step on a worker runs, and has printed something."""
    alice.go(f"#/runs/{printing_run}?tab=log")
    expect(alice.page.get_by_role("log")).to_contain_text("still compiling")


@pytest.mark.usefixtures("worker_prints")
def test_axe_finds_nothing(alice: Person, places: list[str]) -> None:
    found = {}
    for place in places:
        alice.go(place)
        _settle(alice)
        found[place] = _violations(alice.page)

    assert {place: problems for place, problems in found.items() if problems} == {}


def test_axe_finds_nothing_in_dialogs(alice: Person, waiting_run: str) -> None:
    alice.go(f"#/runs/{waiting_run}")
    found = {}
    for name in ("Approve …", "Reject …", "Cancel …", "Run again …"):
        alice.page.get_by_role("button", name=name).click()
        found[name] = _violations(alice.page)
        alice.page.keyboard.press("Escape")
    alice.go("#/simulate")
    alice.page.get_by_label("Pack (YAML)").fill(GATED)
    alice.page.get_by_role("button", name="Simulate").click()
    alice.page.get_by_role("button", name="Run it …").click()
    found["Run it …"] = _violations(alice.page)
    alice.page.keyboard.press("Escape")
    found["a plan"] = _violations(alice.page)
    alice.page.get_by_label("Pack (YAML)").fill(GATED.replace("uses:", "use:", 1))
    alice.page.get_by_role("button", name="Simulate").click()
    expect(alice.page.get_by_label("Problems")).to_be_visible()
    found["problems"] = _violations(alice.page)

    assert {name: problems for name, problems in found.items() if problems} == {}


def test_axe_finds_nothing_in_lost_attempts_open_blocks_and_many_failures(
    alice: Person,
) -> None:
    lost = {
        **step("build", "Failed", statusReason="worker-lost", attempts=2, pool="local"),
        "errorMessage": "the worker was lost",
        "attemptHistory": [_lost_attempt(1), _lost_attempt(2)],
    }
    names = [f"push-{number}" for number in range(8)]
    failed = [step(name, "Failed", statusReason="executor-error") for name in names]
    lines = [entry("step.worker-lost", "The worker was lost.", level="warn", stepId="build")]
    items = [
        step(f"hosts[{number}]::reach", status, templateId="reach", parentId="hosts")
        for number, status in enumerate(["Failed", "Running", *["Succeeded"] * 28, "Pending"])
    ]
    steps = [lost, *failed, step("hosts", "Running", kind="Map"), *items]
    with MadeRun(steps, lines, lost).shown_to(alice, "/steps/build?tab=step"):
        expect(alice.page.get_by_label("Details")).to_contain_text("its worker was lost")
        alice.page.get_by_text("and 7 more steps").click()
        alice.page.get_by_role("button", name="Open hosts").click()
        alice.page.get_by_role("button", name="Open iteration 0").click()
        expect(alice.page.get_by_role("link", name="reach")).to_have_count(2)
        found = _violations(alice.page)
        alice.page.get_by_role("link", name="Log", exact=True).first.click()
        expect(alice.page.get_by_role("log")).to_contain_text("The worker was lost.")
        found += _violations(alice.page)

    assert found == []


def _lost_attempt(number: int) -> dict[str, Any]:
    return {
        "attempt": number,
        "status": "Failed",
        "reason": "worker-lost",
        "message": "the worker was lost",
        "worker": "build-7",
        "startedAt": "2026-01-01T00:00:00Z",
        "endedAt": "2026-01-01T00:00:05Z",
    }


def test_axe_finds_nothing_before_signing_in_without_a_connection_and_after_a_decision(
    visitors: BrowserContext, bob: Person, stack: Stack, operator: Api
) -> None:
    page = visitors.new_page()
    page.goto(f"{stack.console_url}")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    found = {"the sign-in": _violations(page)}
    page.close()
    run_id = operator.run(RELEASE)
    operator.wait(run_id, "waiting")
    bob.go("#/approvals")
    bob.decide(run_id, "Reject")
    expect(bob.page.get_by_text(f"You rejected production of run {run_id}.")).to_be_visible()
    found["a decision"] = _violations(bob.page)
    bob.page.context.set_offline(True)
    expect(bob.page.get_by_text("Connection lost.")).to_be_visible()
    found["a lost connection"] = _violations(bob.page)
    bob.page.context.set_offline(False)

    assert {name: problems for name, problems in found.items() if problems} == {}


@pytest.mark.usefixtures("worker_prints")
def test_no_page_is_wider_than_a_phone(
    alice: Person,
    places: list[str],
    long_run: str,
    waiting_run: str,
    picture: Callable[[str], Path | None],
) -> None:
    alice.page.set_viewport_size(_PHONE)
    widths = {}
    for place in [*places, *(template.format(long=long_run) for template in _LONG_PLACES)]:
        alice.go(place)
        _settle(alice)
        widths[place] = alice.page.evaluate("document.scrollingElement.scrollWidth")
    alice.page.get_by_role("button", name="Approve …").first.click()
    widths["the dialog"] = alice.page.evaluate(
        "document.querySelector('dialog').scrollWidth + document.scrollingElement.scrollLeft"
    )
    alice.page.keyboard.press("Escape")
    alice.go(f"#/runs/{waiting_run}")
    expect(alice.gate(waiting_run)).to_contain_text("Proved for this plan")
    alice.picture(picture("phone"), width=_PHONE["width"])
    alice.page.set_viewport_size(_DESKTOP)

    assert {place: width for place, width in widths.items() if width > _PHONE["width"]} == {}


def _settle(person: Person) -> None:
    """Wait until the page has its data."""
    expect(person.page.get_by_text("Loading …")).to_have_count(0)
    expect(person.page.get_by_role("heading", level=1)).to_be_visible()


def _violations(page: Page) -> list[str]:
    """Return what axe finds on a page in both schemes.

    The document keeps axe until it is loaded again.
    """
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(_AXE.axe_script)
    light = page.evaluate(_RUN, {})
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(_RUN, {"runOnly": _OF_COLOURS})
    page.emulate_media(color_scheme="light")
    assert light["passes"], "axe has checked nothing"
    assert dark["passes"], "axe has checked no colours"
    return [*light["problems"], *(f"dark: {problem}" for problem in dark["problems"])]
