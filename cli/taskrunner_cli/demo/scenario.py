"""The parts of the demo, in their order, a function for each; every result is checked.

Two packs of the API's contract run unchanged. The second waits at its gate until another caller
approves it. A third pack writes a file, and a fourth runs commands on a worker. All calls go over
HTTP, with real tokens.
"""

import re
import tempfile
from pathlib import Path
from typing import Final, TypedDict

from rich.text import Text

from taskrunner_cli.api.documents import Artifact, RunState, Simulation
from taskrunner_cli.api.requests import Decision, NewRun
from taskrunner_cli.api.watch import has_ended
from taskrunner_cli.demo.checks import check_success, step_statuses
from taskrunner_cli.demo.context import Check, Demo, FollowedRun
from taskrunner_cli.demo.worker_release import run_worker_release
from taskrunner_cli.json_types import JsonObject
from taskrunner_cli.output.approvals import approval_list, approval_question
from taskrunner_cli.output.artifacts import artifact_list
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.runs import log_line, run_view
from taskrunner_cli.output.simulation import simulation_view
from taskrunner_cli.output.whole_lines import whole_lines

TARGET: Final = "registry.example.com/app:v1.2.3"
APPROVAL: Final = "security-review"
_PLAN_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")


class DemoResult(TypedDict):
    """The checks that passed, and the ids of the demo's runs."""

    checks: list[Check]
    runs: list[str]


def run_demo(demo: Demo) -> DemoResult:
    """Run every part, and return the checks.

    Raises:
        CommandError: a check failed or a call did; the message names what was expected.

    """
    scan = run_scan_deploy(demo)
    deploy = run_deploy_app_to_its_gate(demo)
    approve_as_another_caller(demo, deploy.run_id)
    deployed = finish_deploy_app(demo, deploy)
    run_hello(demo)
    run_worker_release(demo)
    print_records(demo, scan, deployed)
    print_next_commands(demo, deployed)
    return {"checks": demo.checks, "runs": demo.runs}


def run_scan_deploy(demo: Demo) -> RunState:
    """Simulate and run the contract's first pack."""
    demo.start_part("scan-deploy: one step, simulated and run")
    inputs = {"target": TARGET}
    plan = simulate(demo, "scan-deploy", inputs, statuses={"scan": "Pending"}, has_approval=False)
    new_run = NewRun(manifest=demo.read_pack("scan-deploy"), inputs=inputs)
    created = demo.operator.create(new_run).view
    run = demo.show_until(demo.follow(created["runId"]), has_ended)
    demo.check("the plan that ran is the plan simulated", plan["planHash"], run["planHash"])
    check_success(demo, run, ["scan"])
    return run


def run_deploy_app_to_its_gate(demo: Demo) -> FollowedRun:
    """Run the contract's second pack until it waits for an approval."""
    demo.start_part("deploy-app: build, wait for an approval, deploy")
    statuses = {"build": "Pending", "approval": "RequiresApproval", "deploy": "Pending"}
    plan = simulate(demo, "deploy-app", {}, statuses=statuses, has_approval=True)
    new_run = NewRun(
        manifest=demo.read_pack("deploy-app"),
        tenant_id="tenant-prod",
        expect_plan_hash=plan["planHash"],
    )
    followed = demo.follow(demo.operator.create(new_run).view["runId"])
    run = demo.show_until(followed, lambda state: state.get("status") == "waiting")
    demo.check("the run waits", "waiting", run.get("status"))
    at_gate = {"build": "Succeeded", "approval": "Pending", "deploy": "Pending"}
    demo.check("the build is done, the deployment is not", at_gate, step_statuses(run))
    reasons = [step.get("statusReason") for step in run["steps"] if step["stepId"] == "approval"]
    demo.check("the gate says why it waits", ["awaiting-approval"], reasons)
    return followed


def approve_as_another_caller(demo: Demo, run_id: str) -> None:
    """Find the gate in the list of open approvals and approve it, as the approver."""
    demo.start_part("another caller finds the gate, and approves it")
    approver = demo.approver()
    listed = approver.approvals(100).view["approvals"]
    approvals = [approval for approval in listed if approval["runId"] == run_id]
    demo.print(approval_list(approvals), "")
    approval_ids = [approval["approvalId"] for approval in approvals]
    demo.check("the approval is open", [APPROVAL], approval_ids)
    run = approver.run(run_id).view
    demo.print(approval_question(run, APPROVAL))
    decision = Decision(
        verdict="approved",
        plan_hash=run["planHash"],
        actor="user:alice@example.com",
        summary="Reviewed in the demo",
    )
    first, second = (approver.decide(run_id, APPROVAL, decision).document for _ in range(2))
    demo.check("approved, and the run resumed", {"status": "approved", "resumed": True}, first)
    demo.check("approved again: the same answer", first, second)


def finish_deploy_app(demo: Demo, deploy: FollowedRun) -> RunState:
    """Show the run after the gate until it ends."""
    demo.start_part("deploy-app continues")
    run = demo.show_until(deploy, has_ended)
    check_success(demo, run, ["build", "approval", "deploy"])
    return run


def run_hello(demo: Demo) -> None:
    """Run a pack that captures a file, and download the file."""
    demo.start_part("hello: a first pack of ten lines, which writes a file")
    created = demo.operator.create(NewRun(manifest=demo.read_pack("hello"))).view
    run = demo.show_until(demo.follow(created["runId"]), has_ended)
    check_success(demo, run, ["scan"])
    artifacts = demo.operator.artifacts(run["runId"]).view
    demo.print(artifact_list(artifacts))
    reports = [artifact for artifact in artifacts if artifact["name"] == "scan-report"]
    demo.check("the report is captured", ["captured"], [report.get("status") for report in reports])
    check_download(demo, run["runId"], reports[0])


def print_records(demo: Demo, *runs: RunState) -> None:
    """Print the final state, the log and the artifacts of the contract's runs."""
    for run in runs:
        run_id = run["runId"]
        demo.start_part(f"the record of {run_id}: state, log, artifacts")
        demo.print(run_view(demo.operator.run(run_id).view), "")
        pages = demo.operator.log_pages(run_id)
        log = [entry.view for page in pages for entry in page.entries]
        demo.print(*map(log_line, whole_lines(log)), "")
        check_log(demo, [entry["eventType"] for entry in log])
        artifacts = demo.operator.artifacts(run_id).view
        demo.print(artifact_list(artifacts))
        missing = [
            artifact["name"] for artifact in artifacts if artifact.get("status") != "captured"
        ]
        demo.check("artifacts missing", [], missing)


def print_next_commands(demo: Demo, run: RunState) -> None:
    """Print commands to try next, and the addresses of the API and the console."""
    demo.start_part("what to try next")
    profile, run_id = demo.session.profile, run["runId"]
    lines = {
        "taskrunner runs": "the runs of this tenant",
        f"taskrunner show {run_id}": "one of them, with its steps",
        f"taskrunner logs {run_id} --output json": "its log, for programs",
        f"taskrunner evidence fetch {run_id}": "its record, signed, to verify offline",
        "taskrunner run examples/hello.yaml --input image=alpine:latest": "a pack of your own",
        "taskrunner run examples/worker-release.yaml --input folder=$PWD": "commands, by a worker",
        "taskrunner gates examples/release.yaml": "the steps that need an approval",
        "taskrunner local status": "the stack; `taskrunner local down` stops it",
        profile.api_url + "/openapi": "the API's own description",
        profile.console_url: "the console",
    }
    for command, purpose in lines.items():
        if command:
            demo.print(Text.assemble(text(f"  {command}", "cyan"), "  ", text(purpose, "dim")))
    demo.print(text(f"\nAll {len(demo.checks)} checks hold.", "bold green"))


def simulate(
    demo: Demo, pack: str, inputs: JsonObject, *, statuses: dict[str, str], has_approval: bool
) -> Simulation:
    """Simulate an example pack and check the plan."""
    plan = demo.operator.simulate(demo.read_pack(pack), inputs).view
    demo.print(simulation_view(plan), "")
    demo.check("simulated", statuses, {step["id"]: step["status"] for step in plan["steps"]})
    demo.check("the plan needs an approval", has_approval, plan.get("hasPendingApprovals"))
    is_hash = bool(_PLAN_HASH.fullmatch(plan["planHash"]))
    demo.check("the plan has a hash", expected=True, actual=is_hash)
    return plan


def check_download(demo: Demo, run_id: str, artifact: Artifact) -> None:
    """Download an artifact, and check its size and its digest."""
    folder = Path(tempfile.mkdtemp(prefix="taskrunner-demo-"))
    name = artifact["name"]
    saved = demo.operator.download(run_id, name, folder / f"{name}.json")
    demo.check("its size is the one in the list", artifact.get("sizeBytes"), saved.size_bytes)
    demo.check("its digest is the one in the list", artifact.get("sha256"), saved.sha256)
    demo.check("the whole file is on the disk", saved.size_bytes, saved.path.stat().st_size)
    demo.print(text(f"  saved as {saved.path}", "dim"))


def check_log(demo: Demo, events: list[str]) -> None:
    """Check that a log starts with the creation, and has the completion once."""
    demo.check("the log starts with", "run.created", events[0] if events else None)
    demo.check("the run completed once", 1, events.count("run.completed"))
