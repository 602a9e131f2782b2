"""A person and the command line decide at the gates of a map's items, and see what ran finally."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from playwright.sync_api import expect

from tests.packs import pack
from tests.stack.command_line import taskrunner

if TYPE_CHECKING:
    from tests.stack.api import Api
    from tests.stack.console.browser import Person

_REGIONS: Final = pack(
    """
    - id: probe
      continueOnError: true
      retries: {maxAttempts: 2, backoffSeconds: 1, backoffRate: 2, maxBackoffSeconds: 30}
      run: {uses: builtin:fail, with: {message: "the registry is <b>down</b>"}}
    - id: regions
      map:
        items: inputs.regions
        iterator: region
        step:
          id: ask
          gate:
            approval:
              id: region
              message: "Deploy to {{ region }}? {{ steps.probe.statusReason }}"
    - {id: announce, run: {uses: builtin:noop}}
    """,
    spec="""
    inputs: [{name: regions, type: array, default: [eu, us]}]
    approvals: [{id: region, scope: gate}]
    finally:
      - id: clean-up
        run: {uses: builtin:noop, with: {after: "{{ run.outcome }}", step: "{{ run.failedStep }}"}}
    """,
    name="deploy-regions",
)


def test_each_item_is_decided_by_itself_and_finally_runs_after_a_rejection(
    bob: Person, operator: Api
) -> None:
    run_id = operator.run(_REGIONS)
    bob.go("#/approvals")
    eu = bob.page.get_by_role("article", name=f"region at regions[0]::ask of {run_id}")
    us = bob.page.get_by_role("article", name=f"region at regions[1]::ask of {run_id}")
    expect(eu.get_by_role("heading", level=2)).to_contain_text("Deploy to eu? executor-error")
    expect(us.get_by_role("heading", level=2)).to_contain_text("Deploy to us? executor-error")
    expect(us).to_contain_text("steps.probe.statusReasonexecutor-error")
    expect(us).to_contain_text("none of these can start unless the gate is passed.announce")

    eu.get_by_role("button", name="Approve …").click()
    dialog = bob.page.get_by_role("dialog", name=f"region at regions[0]::ask of run {run_id}")
    dialog.get_by_role("button", name="Approve region").click()

    expect(eu).to_be_hidden()
    expect(us).to_be_visible()
    bob.go(f"#/runs/{run_id}/steps/probe?tab=step")
    expect(bob.page.get_by_role("article")).to_have_count(1)
    panel = bob.page.locator(".panel")
    expect(panel).to_contain_text(
        "Retriesup to 2 attempts, 1 s apart, each pause 2 times the one before, at most 30 s"
    )
    expect(panel.locator("ol.attempts > li")).to_have_count(2)
    final = bob.page.locator("li.box", has_text="runs after the steps, however they end").last
    expect(final).to_contain_text("clean-up Not started")

    _reject_by_command(run_id)

    expect(bob.page.get_by_role("heading", name="The run failed")).to_be_visible()
    failures = bob.page.get_by_label("Failures", exact=True)
    expect(failures).to_contain_text("regions[1]::ask an approver rejected it")
    expect(failures).to_contain_text("wait for the fix")
    expect(final).to_contain_text("clean-up Succeeded")
    bob.go(f"#/runs/{run_id}/steps/clean-up?tab=step")
    expect(panel).to_contain_text('"after": "failed"')
    expect(panel).to_contain_text('"step": "regions[1]::ask"')
    bob.go(f"#/runs/{run_id}/steps/regions?tab=step")
    expect(panel).to_contain_text('"Failed"')


def _reject_by_command(run_id: str) -> None:
    """Reject the gate that still waits, and check what the command line says before and after."""
    listed = json.loads(taskrunner("approvals", "--as", "approver", "-o", "json").stdout)
    waiting = [gate["stepId"] for gate in listed["approvals"] if gate["runId"] == run_id]
    assert waiting == ["regions[1]::ask"]
    step = ("--step", "regions[1]::ask", "--as", "approver", "--summary", "wait for the fix")

    rejected = taskrunner("reject", run_id, "region", *step, "--yes")

    assert rejected.returncode == 0, rejected.stderr
    assert "Deploy to us? executor-error" in rejected.stdout
    assert "region at regions[1]::ask" in rejected.stdout
    watched = taskrunner("watch", run_id)
    assert "✗ regions[1]::ask  approval-rejected: rejected by" in watched.stdout
