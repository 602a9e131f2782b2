"""Measure what a cold start costs, per function, as multiples of boto3 with one client.

    .venv/bin/python bench/cold_start.py [ROUNDS]

The layers are built as `sam build` builds them, for this machine's Python. Each round starts a
fresh interpreter per function, which imports the function, builds the ports of its first event
(tests/architecture/ports.py), and makes the clients that this event calls. The measure is the
processor time of the whole process, without that of an interpreter that does nothing. Rounds go
through all functions in turn, and medians count, so that other work on the machine slows all alike.

The unit is `import boto3` and its client for DynamoDB: a function that only reads one item needs as
much. Results are multiples, because Lambda's processor differs from this one. The first connection
and the event itself are not counted.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.architecture.ports import ENVIRONMENT, USED  # noqa: E402 - the folder above is not a package

ROUNDS = 5
LAYERS = ("CoreLayer", "SchemaLayer", "SignatureLayer")
BUILT = ROOT / ".local" / "bench" / "layers"
TARGETS = {"simulate_pack": 0.7, "describe_api": 0.2}
TARGET = 1.2
# The ports that make a client of the first event's services; a simulation calls nothing.
CLIENTS = {
    "authorize": "_table",
    "create_run": "_table _bucket _step_functions",
    "read_run": "_table _bucket",
    "decide_approval": "_table _bucket _step_functions",
    "cancel_run": "_table _step_functions",
    "run_step": "_table _bucket",
    "open_gate": "_table _bucket notifications",
    "offer_job": "_table _bucket",
    "call_machine": "_table _bucket _step_functions",
    "end_machine_call": "_table _step_functions",
    "serve_workers": "_table _bucket",
    "decide_flow": "_table _bucket",
    "settle_run": "_table _bucket evidence",
    "reconcile": "_table",
}
UNIT = "import boto3; boto3.client('dynamodb')"
READY = f"""
import sys
import app
if len(sys.argv) > 1:
    from taskrunner.bootstrap import AwsWorld
    world = AwsWorld({ENVIRONMENT})
    for port in sys.argv[1].split():
        getattr(world, port)
    for port in sys.argv[2].split():
        held = getattr(world, port)
        getattr(held, "_client", getattr(held, "_kms", held)).meta
"""


def build_layers() -> dict[str, int]:
    """Build the layers; return the bytes of each."""
    sizes = {}
    for layer in LAYERS:
        folder = BUILT / layer
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        version = ".".join(map(str, sys.version_info[:2]))
        words = [f"ARTIFACTS_DIR={folder}", f"PYTHON={sys.executable}", f"LAYER_PYTHON={version}"]
        subprocess.run(  # noqa: S603 - every word is ours
            [  # noqa: S607 - the make of the PATH, as for every other command here
                "make",
                "-s",
                "-C",
                "layers/core/python",
                f"build-{layer}",
                *words,
                "LAYER_PLATFORM=native",
            ],
            cwd=ROOT,
            check=True,
            stderr=subprocess.DEVNULL,
        )
        files = [file for file in folder.rglob("*") if file.is_file()]
        sizes[layer] = sum(file.stat().st_size for file in files)
    return sizes


def cpu_s(source: str, path: str, *arguments: str) -> float:
    """Return the processor time of an interpreter that runs *source* with *path* to import from."""
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    process = subprocess.Popen(  # noqa: S603 - every word is ours
        [sys.executable, "-c", source, *arguments],
        env={
            "PYTHONPATH": path,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_LAMBDA_FUNCTION_NAME": "bench",  # what bootstrap does in a function alone, counts
            **keys,
        },
        stdout=subprocess.DEVNULL,  # the log of a function
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise SystemExit("the interpreter failed; see above")
    return usage.ru_utime + usage.ru_stime


def ready_s(function: str) -> float:
    """Return the processor time until *function* may handle its first event."""
    layers = ":".join(str(BUILT / layer / "python") for layer in LAYERS)
    path = f"{ROOT}/functions/{function}:{layers}"
    ports = USED[function] if function != "simulate_pack" else {"ceilings", "principals"}
    if not ports:
        return cpu_s(READY, path)
    return cpu_s(READY, path, " ".join(sorted(ports)), CLIENTS.get(function, ""))


def ratios(rounds: int) -> dict[str, float]:
    """Return each function's cost in units. The layers must have been built."""
    nothing: list[float] = []
    unit: list[float] = []
    ready: dict[str, list[float]] = {function: [] for function in USED}
    for _ in range(rounds):
        nothing.append(cpu_s("pass", ""))
        unit.append(cpu_s(UNIT, ""))
        for function, costs in ready.items():
            costs.append(ready_s(function))
    start = statistics.median(nothing)
    one = statistics.median(unit) - start
    return {name: (statistics.median(costs) - start) / one for name, costs in ready.items()}


def main(rounds: int) -> None:
    """Measure every function, and print a table."""
    for layer, size in build_layers().items():
        print(f"{layer:<16} {size / 1e6:6.1f} MB")
    for function, ratio in ratios(rounds).items():
        print(
            f"{function:<16} {ratio:6.2f} (at most {TARGETS.get(function, TARGET)} is the target)"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)
