"""People decide at gates, and see what they decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from playwright.sync_api import expect

from tests.packs import pack
from tests.stack.console.browser import RELEASE, WIDE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Route

    from tests.stack.api import Api
    from tests.stack.console.browser import Person

_SCANNED: Final = pack(
    """
    - {id: scan, run: {uses: builtin:noop, with: {target: "{{ inputs.image }}", critical: 0}}}
    - id: review
      gate:
        approval:
          id: production
          message: "{{ steps.scan.outputs.critical }} critical findings: is it good enough?"
    - {id: deploy, run: {uses: builtin:noop, with: {image: "{{ inputs.image }}"}}}
    """,
    spec="""
    inputs: [{name: image, type: string, required: true}]
    approvals: [{id: production}]
    """,
    name="scanned-app",
)

_WARNING: Final = "the account nears its quota <b>of machines</b>"


def _start(person: Person, manifest: str) -> str:
    """Simulate a pack, run it, and return the run's id."""
    person.go("#/simulate")
    person.page.get_by_label("Pack (YAML)").fill(manifest)
    person.page.get_by_role("button", name="Simulate").click()
    person.page.get_by_role("button", name="Run it …").click()
    person.page.get_by_role("button", name="Start the run").click()
    person.page.wait_for_url("**#/runs/run-*")
    return person.page.url.rpartition("/")[2]


def _with_a_warning(route: Route) -> None:
    """Answer as the service does near the quota of machines."""
    answer = route.fetch()
    warnings = [{"code": "machine_quota_near", "message": _WARNING}]
    route.fulfill(response=answer, json={**answer.json(), "warnings": warnings})


def test_a_second_person_approves_and_the_run_goes_to_its_end(
    alice: Person, bob: Person, operator: Api, picture: Callable[[str], Path | None]
) -> None:
    run_id = _start(alice, RELEASE)
    bob.go("#/approvals")
    gate = bob.gate(run_id)

    expect(gate).to_contain_text("Is version 1.4 good for production?")
    expect(gate).to_contain_text("user:alice")
    expect(gate).to_contain_text("Changes since")
    bob.picture(picture("waiting-for-you"), bob.page.get_by_role("article").first)
    bob.decide(run_id, "Approve", "The tests are green.")

    expect(gate).to_be_hidden()
    done = bob.page.get_by_text(f"You approved production of run {run_id}.")
    expect(done.get_by_role("link", name=run_id)).to_be_visible()
    expect(alice.page.get_by_text("Succeeded").first).to_be_visible()
    assert operator.ended(run_id)["status"] == "succeeded"
    alice.go(f"#/runs/{run_id}?tab=decisions")
    expect(alice.page.get_by_text("user:bob")).to_be_visible()
    expect(alice.page.get_by_text("The tests are green.")).to_be_visible()


def test_the_person_who_asked_for_a_run_cannot_approve_it(
    alice: Person, operator: Api, picture: Callable[[str], Path | None]
) -> None:
    run_id = _start(alice, RELEASE)
    card = alice.gate(run_id)
    expect(card).to_be_visible()
    refusal = card.get_by_text("You cannot approve this")

    if not refusal.is_visible():  # a service that does not say so beforehand refuses
        dialog = alice.decide(run_id, "Approve")
        expect(dialog.get_by_role("alert")).not_to_be_empty()
        alice.page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
    expect(card).to_contain_text("Changes since")
    expect(alice.page.get_by_role("log")).to_contain_text("Awaiting approval")
    alice.picture(picture("run-waiting"), alice.page.get_by_role("log"), width=WIDE)

    assert operator.state(run_id)["status"] == "waiting"
    operator("POST", f"runs/{run_id}/cancel")


def test_a_viewer_cannot_approve(vera: Person, waiting_run: str, operator: Api) -> None:
    vera.go(f"#/runs/{waiting_run}")
    card = vera.gate(waiting_run)
    expect(card).to_be_visible()

    if not card.get_by_text("You cannot approve this").is_visible():
        dialog = vera.decide(waiting_run, "Approve")
        expect(dialog.get_by_role("alert")).to_contain_text("taskrunner.operator")
        vera.page.keyboard.press("Escape")

    assert operator.state(waiting_run)["status"] == "waiting"


def test_the_confirmation_repeats_what_and_where_and_escape_leaves_it(
    bob: Person, waiting_run: str, picture: Callable[[str], Path | None]
) -> None:
    bob.go(f"#/runs/{waiting_run}?tab=timeline")  # the gate's buttons are on every tab
    expect(bob.gate(waiting_run)).to_contain_text("Proved for this plan")
    button = bob.gate(waiting_run).get_by_role("button", name="Approve …")
    button.click()
    dialog = bob.page.get_by_role("dialog", name=f"Approve production of run {waiting_run}?")

    question = "Is version 1.4 good for production?"
    for text in (question, "release-app 1.0.0", "review", "Lets startdeploy", "sha256:"):
        expect(dialog).to_contain_text(text)
    bob.picture(picture("decide"))
    bob.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()


def test_a_gate_shows_what_it_lets_start_and_what_has_changed(
    bob: Person, operator: Api, approver: Api, picture: Callable[[str], Path | None]
) -> None:
    before = operator.run(_SCANNED, inputs={"image": "app:1.3"})
    operator.wait(before, "waiting")
    approver.decide(before, "production", "approved")
    operator.ended(before)
    run_id = operator.run(_SCANNED, inputs={"image": "app:1.4"})
    operator.wait(run_id, "waiting")

    bob.go(f"#/runs/{run_id}")
    card = bob.gate(run_id)

    expect(card).to_contain_text("none of these can start unless the gate is passed.deploy")
    expect(card).to_contain_text("steps.scan.outputs.critical0")
    expect(card).to_contain_text("imageapp:1.4")
    expect(card).to_contain_text("since the plan of ")
    expect(card.locator(".diff li").first).to_contain_text("before app:1.3now app:1.4")
    bob.picture(picture("gate"), card, alone=True)
    operator("POST", f"runs/{run_id}/cancel")


def test_a_run_is_repeated_with_another_input(alice: Person, failed_run: str) -> None:
    alice.go(f"#/runs/{failed_run}")
    alice.page.get_by_role("button", name="Run again …").click()
    dialog = alice.page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("{")
    dialog.get_by_role("button", name="Start a new run").click()
    expect(dialog.get_by_role("alert")).to_contain_text("JSON")

    dialog.get_by_role("textbox").fill("{}")
    dialog.get_by_role("button", name="Start a new run").click()

    title = alice.page.get_by_role("heading", level=1)
    expect(title).not_to_contain_text(failed_run)
    expect(title).to_contain_text("Failed")


def test_the_page_of_a_repeated_run_shows_what_the_service_warns_of(
    alice: Person, failed_run: str
) -> None:
    alice.page.route("**/rerun", _with_a_warning)
    alice.go(f"#/runs/{failed_run}")
    expect(alice.page.get_by_role("heading", level=1)).to_contain_text(failed_run)
    expect(alice.page.get_by_text(_WARNING)).to_be_hidden()

    alice.page.get_by_role("button", name="Run again …").click()
    alice.page.get_by_role("dialog").get_by_role("button", name="Start a new run").click()

    expect(alice.page.get_by_role("heading", level=1)).not_to_contain_text(failed_run)
    expect(alice.page.get_by_role("status").get_by_text(_WARNING)).to_be_visible()
    alice.page.unroute("**/rerun")
    alice.go(f"#/runs/{failed_run}")
    expect(alice.page.get_by_role("heading", level=1)).to_contain_text(failed_run)
    expect(alice.page.get_by_text(_WARNING)).to_be_hidden()


def test_the_page_of_a_simulated_run_shows_what_the_service_warns_of(alice: Person) -> None:
    alice.page.route("**/runs", _with_a_warning)

    _start(alice, pack("- {id: one, run: {uses: builtin:noop}}", name="new-here"))

    expect(alice.page.get_by_role("status").get_by_text(_WARNING)).to_be_visible()
    alice.page.unroute("**/runs")
