"""The story that `taskrunner demo` tells, one function per act, every claim of it checked.

Two packs of the contract run as they stand there. The second stops at its gate until somebody
else approves. A third, ours, leaves a file behind. All of it goes over HTTP with real tokens.
"""

import re
import tempfile
from pathlib import Path
from typing import Any, Final

from rich.text import Text

from taskrunner_cli.api.client import NewRun
from taskrunner_cli.api.documents import Artifact, RunState, Simulation
from taskrunner_cli.api.watch import Watch, ended
from taskrunner_cli.demo.context import Stage
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.runs import (
    approval_list,
    approval_question,
    artifact_list,
    log_line,
    run_view,
    simulation_view,
)

TARGET: Final = "registry.example.com/app:v1.2.3"
APPROVAL: Final = "security-review"
_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")


def play(stage: Stage) -> dict[str, Any]:
    """Tell the whole story and return what was checked.

    Raises:
        CommandError: something is not as it should be; the message names what was expected.

    """
    scan = act_scan(stage)
    gate = act_deploy_up_to_the_gate(stage)
    act_somebody_else_approves(stage, gate.run_id)
    deploy = act_deploy_goes_on(stage, gate)
    act_a_file_is_left(stage)
    act_look_back(stage, scan, deploy)
    act_where_to_look_next(stage, deploy)
    return {"checks": stage.checks, "runs": stage.runs}


def act_scan(stage: Stage) -> RunState:
    """Simulate and run the contract's first pack, from beginning to end."""
    stage.act("scan-deploy: one step, simulated and run")
    inputs = {"target": TARGET}
    planned = simulated(stage, "scan-deploy", inputs, steps={"scan": "Pending"}, waits=False)
    created = stage.operator.create(NewRun(manifest=stage.pack("scan-deploy"), inputs=inputs))
    run = stage.follow(stage.watch(created["runId"]), ended)
    stage.expect("the plan that ran is the plan simulated", planned["planHash"], run["planHash"])
    expect_end(stage, run, ["scan"])
    return run


def act_deploy_up_to_the_gate(stage: Stage) -> Watch:
    """Run the contract's second pack until it waits for an approval."""
    stage.act("deploy-app: build, wait for an approval, deploy")
    steps = {"build": "Pending", "approval": "RequiresApproval", "deploy": "Pending"}
    planned = simulated(stage, "deploy-app", {}, steps=steps, waits=True)
    new = NewRun(
        manifest=stage.pack("deploy-app"),
        tenant_id="tenant-prod",
        expect_plan_hash=planned["planHash"],
    )
    watch = stage.watch(stage.operator.create(new)["runId"])
    run = stage.follow(watch, _waits)
    stage.expect("the run waits", "waiting", run["status"])
    stood = {step["stepId"]: step["status"] for step in run["steps"]}
    wanted = {"build": "Succeeded", "approval": "Pending", "deploy": "Pending"}
    stage.expect("the steps stand as they should at the gate", wanted, stood)
    reasons = [step.get("statusReason") for step in run["steps"] if step["stepId"] == "approval"]
    stage.expect("the gate says why it waits", ["awaiting-approval"], reasons)
    return watch


def act_somebody_else_approves(stage: Stage, run_id: str) -> None:
    """Find the gate in the list of open approvals and approve it, as another caller."""
    stage.act("another caller finds the gate, and approves")
    approver = stage.approver()
    waiting = [a for a in approver.approvals(100)["approvals"] if a["runId"] == run_id]
    stage.tell(approval_list(waiting), "")
    stage.expect("the approval is open", [APPROVAL], [a["approvalId"] for a in waiting])
    run = approver.run(run_id)
    stage.tell(approval_question(run, APPROVAL))
    answers = [
        approver.decide(
            run_id,
            APPROVAL,
            "approved",
            plan_hash=run["planHash"],
            actor="user:alice@example.com",
            summary="Reviewed in the demo",
        )
        for _ in range(2)
    ]
    stage.expect(
        "approved, and the run resumed", {"status": "approved", "resumed": True}, answers[0]
    )
    stage.expect("approved again: the same answer", answers[0], answers[1])


def act_deploy_goes_on(stage: Stage, watch: Watch) -> RunState:
    """See the run go on behind the gate and end."""
    stage.act("deploy-app goes on")
    run = stage.follow(watch, ended)
    expect_end(stage, run, ["build", "approval", "deploy"])
    return run


def act_a_file_is_left(stage: Stage) -> None:
    """Run a pack that captures a file, and download the file."""
    stage.act("hello: a first pack of ten lines, which leaves a file")
    created = stage.operator.create(NewRun(manifest=stage.pack("hello")))
    run = stage.follow(stage.watch(created["runId"]), ended)
    expect_end(stage, run, ["scan"])
    listed = stage.operator.artifacts(run["runId"])
    stage.tell(artifact_list(listed))
    reports = [artifact for artifact in listed if artifact["name"] == "scan-report"]
    stage.expect("the report is captured", ["captured"], [report["status"] for report in reports])
    expect_download(stage, run["runId"], reports[0])


def act_look_back(stage: Stage, *runs: RunState) -> None:
    """Print how the contract's runs ended: state, log and artifacts."""
    for run in runs:
        run_id = run["runId"]
        stage.act(f"looking back at {run_id}: state, log, artifacts")
        stage.tell(run_view(stage.operator.run(run_id)), "")
        log = [entry for page in stage.operator.log_pages(run_id) for entry in page.entries]
        stage.tell(*(log_line(entry) for entry in log), "")
        expect_log(stage, [entry["eventType"] for entry in log])
        listed = stage.operator.artifacts(run_id)
        stage.tell(artifact_list(listed))
        missed = [artifact["name"] for artifact in listed if artifact["status"] != "captured"]
        stage.expect("artifacts missing", [], missed)


def act_where_to_look_next(stage: Stage, run: RunState) -> None:
    """Say what to try now, and where things are."""
    stage.act("where to look next")
    connection, run_id = stage.session.connection, run["runId"]
    lines = {
        "taskrunner runs": "the runs of this tenant",
        f"taskrunner show {run_id}": "one of them, with its steps",
        f"taskrunner logs {run_id} --output json": "its log, for programs",
        f"taskrunner evidence fetch {run_id}": "what it was, signed, to verify offline",
        "taskrunner run examples/hello.yaml --input image=alpine:latest": "a pack of your own",
        "taskrunner gates examples/release.yaml": "what no run can do without an approval",
        "taskrunner local status": "the stack; `taskrunner local down` ends it",
        connection.api_url + "/openapi": "the API's own description",
        connection.console_url: "the console",
    }
    for what, why in lines.items():
        if what:
            stage.tell(Text.assemble(text(f"  {what}", "cyan"), "  ", text(why, "dim")))
    stage.tell(text(f"\nAll {len(stage.checks)} checks hold.", "bold green"))


def simulated(
    stage: Stage, pack: str, inputs: dict[str, str], *, steps: dict[str, str], waits: bool
) -> Simulation:
    """Simulate an example and check what it says would happen."""
    planned = stage.operator.simulate(stage.pack(pack), inputs)
    stage.tell(simulation_view(planned), "")
    stage.expect("simulated", steps, {step["id"]: step["status"] for step in planned["steps"]})
    stage.expect("it foresees an approval", waits, planned["hasPendingApprovals"])
    stage.expect("the plan has a hash", True, bool(_HASH.fullmatch(planned["planHash"])))
    return planned


def expect_end(stage: Stage, run: RunState, steps: list[str]) -> None:
    """Check that a run succeeded with every one of *steps*."""
    stage.expect("the run ended", "succeeded", run["status"])
    stood = {step["stepId"]: step["status"] for step in run["steps"]}
    stage.expect("every step succeeded", dict.fromkeys(steps, "Succeeded"), stood)


def expect_download(stage: Stage, run_id: str, artifact: Artifact) -> None:
    """Download an artifact and check that it is, byte for byte, what the list promised."""
    folder = Path(tempfile.mkdtemp(prefix="taskrunner-demo-"))
    name = artifact["name"]
    saved = stage.operator.download(run_id, name, folder / f"{name}.json")
    stage.expect("it has the size in the list", artifact.get("sizeBytes"), saved.size_bytes)
    stage.expect("it has the digest in the list", artifact.get("sha256"), saved.sha256)
    stage.expect("all of it is on the disk", saved.size_bytes, saved.path.stat().st_size)
    stage.tell(text(f"  saved as {saved.path}", "dim"))


def expect_log(stage: Stage, events: list[str]) -> None:
    """Check that a log begins and ends as a good run's does, and says each once."""
    stage.expect("the log begins", "run.created", events[0] if events else None)
    stage.expect("the run completed once", 1, events.count("run.completed"))


def _waits(run: RunState) -> bool:
    return run["status"] == "waiting"
