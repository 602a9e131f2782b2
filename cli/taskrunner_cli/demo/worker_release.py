"""The part of the demo with real commands: a release that the local stack's worker makes."""

import hashlib
import tempfile
from pathlib import Path
from typing import Final

from taskrunner_cli.api.requests import Decision, NewRun
from taskrunner_cli.api.watch import has_ended
from taskrunner_cli.demo.checks import check_success
from taskrunner_cli.demo.context import Demo
from taskrunner_cli.output.artifacts import artifact_list
from taskrunner_cli.output.formatting import text

_PACK: Final = "worker-release"
_APPROVAL: Final = "release-manager"
_STEPS: Final = ["build", "test", "package", "agreement", "publish"]


def run_worker_release(demo: Demo) -> None:
    """Build, test, pack and publish a program on the local stack's worker, if it has one."""
    demo.start_part("worker-release: commands on this machine, in the stack's worker")
    if not has_worker(demo):
        demo.print(
            text(
                "  skipped: no worker runs beside this stack; on Linux, local up starts it",
                "yellow",
            )
        )
        return
    folder = Path(tempfile.mkdtemp(prefix="taskrunner-demo-"))
    new_run = NewRun(manifest=demo.read_pack(_PACK), inputs={"folder": str(folder)})
    followed = demo.follow(demo.operator.create(new_run).view["runId"])
    waiting = demo.show_until(followed, lambda state: state.get("status") == "waiting")
    demo.check("the archive waits for an approval", "waiting", waiting.get("status"))
    decision = Decision(verdict="approved", plan_hash=waiting["planHash"], summary="Tests passed")
    demo.approver().decide(followed.run_id, _APPROVAL, decision)
    run = demo.show_until(followed, has_ended)
    check_success(demo, run, _STEPS)
    artifacts = demo.operator.artifacts(followed.run_id).view
    demo.print(artifact_list(artifacts))
    digests = {artifact["name"]: artifact.get("sha256") for artifact in artifacts}
    published = folder / "greet-1.0.0.tar.gz"
    actual = hashlib.sha256(published.read_bytes()).hexdigest() if published.exists() else None
    demo.check("what was packed is published", digests.get("archive"), actual)
    demo.print(text(f"  published as {published}", "dim"))


def has_worker(demo: Demo) -> bool:
    """Return whether the demo's stack has a worker; of one that was named nobody knows it."""
    session = demo.session
    return not session.choice.stack and session.world.local.status().worker_pid is not None
