"""A run's page and the list of runs show what the service knows, and how old it is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from playwright.sync_api import expect

from tests.packs import pack, scan_deploy
from tests.stack.console.browser import WIDE
from tests.stack.console.made_run import MadeRun, step
from tests.stack.packs import GATED

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

    from tests.stack.api import Api
    from tests.stack.console.browser import Person

_RETRIED: Final = pack(
    """
    - id: again
      run: {uses: builtin:fail, with: {message: Not yet.}}
      retries: {maxAttempts: 2, backoffSeconds: 120}
    """
)
_BRANCHES: Final = pack(
    """
    - id: regions
      parallel:
        branches:
          - name: eu
            steps:
              - {id: build-eu, run: {uses: builtin:noop}}
              - {id: test-eu, run: {uses: builtin:noop}}
          - steps: [{id: build-us, run: {uses: builtin:noop}}]
    """
)
_ITEMS: Final = pack(
    """
    - id: each
      map:
        items: {range: {end: 2}}
        steps:
          - {id: probe, run: {uses: builtin:noop}}
          - {id: ask, gate: {approval: {id: qa}}}
    """,
    spec="approvals: [{id: qa}]",
)


def test_a_failed_run_shows_the_step_its_message_and_its_reason_first(
    alice: Person, failed_run: str, picture: Callable[[str], Path | None]
) -> None:
    alice.go(f"#/runs/{failed_run}")
    failures = alice.page.get_by_label("Failures")

    expect(failures).to_contain_text("The run failed")
    expect(failures).to_contain_text("push the step failed")
    expect(failures).to_contain_text("registry.example.com: the disk is full")
    expect(alice.page.get_by_role("log")).to_contain_text("Run failed")
    alice.picture(picture("run-failed"), alice.page.get_by_role("log"), width=WIDE)
    failures.get_by_role("link", name="push").click()
    expect(alice.page.get_by_role("heading", name="push")).to_be_visible()
    alice.page.get_by_role("link", name="Attempt 1").click()
    expect(alice.page).to_have_url(re.compile(r"/steps/push/attempts/1\?tab=step$"))


def test_steps_that_failed_beside_the_first_three_are_links_in_a_closed_list(
    alice: Person,
) -> None:
    names = [f"push-{number}" for number in range(105)]
    failed = [step(name, "Failed", statusReason="executor-error") for name in names]
    with MadeRun(failed).shown_to(alice):
        failures = alice.page.get_by_label("Failures")
        expect(failures.get_by_role("link")).to_have_text(names[:3])

        failures.get_by_text("and 102 more steps").click()

        expect(failures.get_by_role("link")).to_have_text(names[:103])
        expect(failures).to_contain_text("and 2 more steps, which the list of steps has")
        failures.get_by_role("link", name="push-50").click()
        expect(alice.page).to_have_url(re.compile(r"/steps/push-50\?tab=step$"))


def test_a_policy_gate_has_no_duration(alice: Person, operator: Api) -> None:
    spec = "policies: [{id: fine, version: '1', rules: [{id: yes, require: '`true`'}]}]"
    manifest = pack("- {id: findings, gate: {policy: {policy: fine}}}", spec=spec)
    run_id = operator.run(manifest)
    operator.ended(run_id)

    alice.go(f"#/runs/{run_id}?tab=timeline")

    expect(alice.page.get_by_label("Details")).to_contain_text(
        "findingsSucceeded, after 0 msat once"
    )
    expect(alice.page.get_by_label("Steps").locator(".facts")).to_have_text("")


def test_an_unknown_run_leads_to_the_list_of_runs(alice: Person) -> None:
    alice.go("#/runs/nobody-knows")

    expect(alice.page.get_by_role("alert")).to_contain_text("run nobody-knows not found")
    alice.page.get_by_role("link", name="the list of runs").click()
    expect(alice.page.get_by_role("heading", name="Runs")).to_be_visible()


def test_the_log_follows_the_selected_step(alice: Person, waiting_run: str) -> None:
    alice.go(f"#/runs/{waiting_run}")
    log = alice.page.get_by_role("log")
    expect(log).to_contain_text("Run created via API by operator (")

    alice.page.get_by_role("link", name="Build the image").click()

    expect(log).to_contain_text("Step completed: build")
    expect(log).not_to_contain_text("Run created")
    alice.page.get_by_role("checkbox", name="The whole run").check()
    expect(log).to_contain_text("Run created")
    alice.page.get_by_label("Level").select_option("warn")
    expect(log).not_to_contain_text("Run created")


def test_the_log_of_a_block_has_the_steps_in_it(alice: Person, waiting_run: str) -> None:
    alice.go("#/runs")  # a run's page keeps the level that was chosen in its log
    alice.go(f"#/runs/{waiting_run}/steps/tests")
    log = alice.page.get_by_role("log")

    expect(log).to_contain_text("Step completed: unit-tests")
    expect(log).to_contain_text("Step completed: scan")
    expect(log).not_to_contain_text("Step completed: build")


def test_a_step_that_is_tried_again_says_when(alice: Person, operator: Api) -> None:
    run_id = operator.run(_RETRIED)
    alice.go(f"#/runs/{run_id}")
    steps = alice.page.get_by_label("Steps")

    expect(steps).to_contain_text(re.compile(r"tries again in \d+"))
    steps.get_by_role("link", name="again").click()
    alice.page.get_by_role("link", name="Step", exact=True).click()
    expect(alice.page.get_by_label("Details")).to_contain_text(re.compile(r"Tries againin \d+"))
    operator("POST", f"runs/{run_id}/cancel")


def test_each_tab_of_a_run_shows_its_part(alice: Person, waiting_run: str) -> None:
    shown = {
        "timeline": "unit-tests",
        "artifacts": "no artifacts",
        "decisions": "Nobody has decided",
        "plan": "sha256:",
        "evidence": "signed record when it ends",
        "log": "Awaiting approval: production",
    }

    for tab, text in shown.items():
        alice.go(f"#/runs/{waiting_run}?tab={tab}")
        expect(alice.page.get_by_label("Details")).to_contain_text(text)
        expect(alice.gate(waiting_run)).to_be_visible()


def test_a_step_shows_its_outputs(alice: Person, waiting_run: str) -> None:
    alice.go(f"#/runs/{waiting_run}/steps/build?tab=step")

    expect(alice.page.get_by_label("Value").last).to_contain_text('"image": "app:1.4"')


def test_an_artifact_is_downloaded_under_its_name(alice: Person, operator: Api) -> None:
    run_id = operator("POST", "runs", scan_deploy()).json()["runId"]
    operator.ended(run_id)
    alice.go(f"#/runs/{run_id}?tab=artifacts")

    with alice.page.expect_download() as download:
        alice.page.get_by_role("button", name="Download scan-report").click()

    report = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert download.value.suggested_filename == "scan-report.json"
    assert report["target"]


def test_older_runs_in_the_list_stay_live(alice: Person, operator: Api) -> None:
    """A page of the list has one run here, so the first run is on the second page."""
    name = f"older-{uuid4().hex[:8]}"
    manifest = GATED.replace("name: a-pack", f"name: {name}")
    older, newer = operator.run(manifest), operator.run(manifest)
    operator.wait(older, "waiting")
    alice.page.route(
        "**/runs?limit=50*",
        lambda route: route.continue_(url=route.request.url.replace("limit=50", "limit=1")),
    )
    alice.go(f"#/runs?pack={name}")
    expect(alice.page.get_by_role("link", name=newer)).to_be_visible()
    expect(alice.page.get_by_role("link", name=older)).to_be_hidden()

    alice.page.get_by_role("button", name="Show older runs").click()
    row = alice.page.get_by_role("row").filter(has_text=older)
    expect(row).to_contain_text("Waiting for approval")
    operator("POST", f"runs/{older}/cancel")

    expect(row).to_contain_text("Cancelled by operator (")
    row.get_by_role("link", name=older).click()
    expect(alice.page.get_by_text("Cancelled by")).to_be_visible()
    log = alice.page.get_by_role("log")
    expect(log).to_contain_text("Run created via API by operator (")
    expect(log).to_contain_text("Cancellation requested via API by operator (")
    alice.page.unroute_all()
    operator("POST", f"runs/{newer}/cancel")


def test_the_list_filters_runs_by_status(
    alice: Person, failed_run: str, waiting_run: str, picture: Callable[[str], Path | None]
) -> None:
    alice.go("#/runs")
    expect(alice.page.get_by_role("link", name=waiting_run)).to_be_visible()

    alice.page.get_by_label("Status").select_option("failed")

    expect(alice.page.get_by_role("link", name=failed_run)).to_be_visible()
    expect(alice.page.get_by_role("link", name=waiting_run)).to_be_hidden()
    expect(alice.page).to_have_url(re.compile("status=failed"))
    row = alice.page.get_by_role("row").filter(has_text=failed_run)
    expect(row.get_by_role("cell").nth(2)).to_have_text(
        "push the step failedregistry.example.com: the disk is full"
    )
    alice.go("#/runs?status=failed&pack=nightly")
    expect(row).to_be_visible()
    alice.picture(picture("runs"), row)


def test_a_lost_connection_says_how_old_the_data_is(alice: Person, waiting_run: str) -> None:
    alice.go(f"#/runs/{waiting_run}")
    expect(alice.page.get_by_text("● Live")).to_be_visible()

    alice.page.context.set_offline(True)
    expect(alice.page.get_by_text("Connection lost. This is from")).to_be_visible()
    expect(alice.gate(waiting_run)).to_be_visible()

    with alice.page.expect_response(lambda response: response.status == 304) as answer:
        alice.page.context.set_offline(False)
    assert "wait=" not in answer.value.url, "the page learns late that it is connected"
    expect(alice.page.get_by_text("● Live")).to_be_visible()
    alice.reports.clear()  # the browser reports each request that failed


def test_cancelling_is_confirmed_and_ends_the_run(alice: Person, operator: Api) -> None:
    run_id = operator.run(GATED)
    operator.wait(run_id, "waiting")
    alice.go(f"#/runs/{run_id}")

    alice.page.get_by_role("button", name="Cancel …").click()
    alice.page.get_by_role("button", name=f"Cancel {run_id}").click()

    title = alice.page.get_by_role("heading", level=1)
    expect(title).to_contain_text("Cancelled")


def test_a_pack_that_cannot_be_planned_shows_problems_at_their_lines(
    alice: Person, picture: Callable[[str], Path | None]
) -> None:
    alice.go("#/simulate")
    alice.page.get_by_label("Pack (YAML)").fill(GATED.replace("uses:", "use:", 1))
    alice.page.get_by_role("button", name="Simulate").click()
    problems = alice.page.get_by_label("Problems")

    expect(problems).to_contain_text("unknown key 'use'; did you mean 'uses'?")
    expect(problems.locator("li.wrong").first).to_contain_text("use: builtin:noop")
    alice.picture(picture("simulate-problems"), problems)


def simulated(person: Person, manifest: str) -> Locator:
    """Let *person* simulate a pack, and return its plan on the page."""
    person.go("#/simulate")
    person.page.get_by_label("Pack (YAML)").fill(manifest)
    person.page.get_by_role("button", name="Simulate").click()
    return person.page.get_by_label("Plan")


def test_a_simulation_shows_the_plan_its_budget_and_its_gates(alice: Person) -> None:
    plan = simulated(alice, GATED)

    expect(plan).to_contain_text("security")
    expect(plan).to_contain_text("State transitions, at most")
    expect(plan.get_by_text("build", exact=True)).to_be_visible()
    expect(plan.get_by_text("Requires an approval")).to_have_count(1)


def test_a_simulation_has_no_link_away_from_the_pack_that_somebody_writes(alice: Person) -> None:
    plan = simulated(alice, GATED)

    plan.get_by_text("build", exact=True).click()

    expect(plan.get_by_role("link")).to_have_count(0)
    expect(alice.page.get_by_label("Pack (YAML)")).to_have_value(GATED)


def test_a_simulation_shows_the_items_of_a_map_by_their_numbers(alice: Person) -> None:
    plan = simulated(alice, _ITEMS)
    expect(plan).to_contain_text("3 items")
    expect(plan.get_by_role("progressbar")).to_have_count(0)

    plan.get_by_role("button", name="Open each").click()
    plan.get_by_role("button", name="Open iteration 2").click()

    expect(plan.get_by_text("#0")).to_be_visible()
    expect(plan.get_by_text("probe", exact=True)).to_have_count(1)
    expect(plan).to_contain_text("Gatesqa")


def test_branches_are_boxes_with_their_names_in_a_simulation_and_in_its_run(alice: Person) -> None:
    alice.go("#/simulate")
    alice.page.get_by_label("Pack (YAML)").fill(_BRANCHES)
    alice.page.get_by_role("button", name="Simulate").click()
    plan = alice.page.get_by_label("Plan")
    expect(plan.get_by_label("branch eu").get_by_role("listitem")).to_have_count(2)
    expect(plan.get_by_label("branch 1").get_by_role("listitem")).to_have_count(1)

    plan.get_by_role("button", name="Run it …").click()
    alice.page.get_by_role("dialog").get_by_role("button", name="Start the run").click()

    expect(alice.page).to_have_url(re.compile(r"#/runs/run-"))
    branch = alice.page.get_by_label("branch eu")
    expect(branch).to_contain_text("build-eu")
    expect(branch).not_to_contain_text("build-us")
    expect(branch.get_by_text("succeeded", exact=False)).to_have_count(2)
    branch.get_by_role("link", name="test-eu").click()
    expect(alice.page.get_by_role("log")).to_contain_text("Step completed: test-eu")
