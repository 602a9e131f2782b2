"""Generated requests, good and bad by the document: the document describes every answer.

schemathesis runs as a program of its own, as somebody outside this project would run it. It is
configured in schemathesis.toml and hooks.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.api_schema import document
from tests.packs import pack
from tests.stack.api import Api
from tests.stack.schemathesis.known import KNOWN
from tests.template import ROOT

HERE = Path(__file__).parent
# Fixed, so that each run sends the same requests. A failure prints the seed.
_SEED = "20251206"
_DEADLINE_S = 1100  # many times what it takes on two idle cores


PACK = pack(
    """
    - {id: scan, run: {uses: builtin:scanner, with: {target: "registry.example.com/app:v1"}}}
    - {id: gate, gate: {approval: {id: review}}}
    """,
    spec="""
    approvals: [{id: review}]
    outputs: [{name: scan-report, type: file, path: /output/scan-report.json}]
    """,
)


@pytest.fixture(name="known")
def _known(operator: Api) -> dict[str, Any]:
    """Names of what exists: two runs at their gates, and a cursor of the approvals."""
    for run_id in (runs := [operator.run(PACK) for _ in range(2)]):
        operator.wait(run_id, "waiting")
    page = {"limit": "1"}
    return {
        "tenant": operator.stack.clients["operator"].tenant,
        "runId": runs[0],
        "approvalId": "review",
        "artifact": "scan-report",
        "planHash": operator("GET", f"runs/{runs[0]}").json()["planHash"],
        "cursors": {
            "listOpenApprovals": operator("GET", "approvals", query=page).json()["nextCursor"],
        },
    }


@pytest.mark.parametrize(
    ("caller", "chosen"),
    [("operator", "--exclude-path-regex"), ("worker", "--include-path-regex")],
)
def test_schemathesis_finds_no_answer_that_breaks_the_document(
    operator: Api, known: dict[str, Any], tmp_path: Path, caller: str, chosen: str
) -> None:
    client = Api(operator.stack, operator.http, caller)
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("--config-file", str(HERE / "schemathesis.toml")),
        *("run", str(ROOT / "functions/describe_api/openapi.yaml")),
        *("--url", operator.stack.api_url),
        *("--header", f"Authorization: Bearer {client.token}"),
        *(chosen, "/worker/"),
        *("--seed", os.environ.get("TASKRUNNER_SCHEMATHESIS_SEED", _SEED)),
    ]

    done = subprocess.run(  # noqa: S603 - our own tool
        command,
        cwd=tmp_path,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": "tests.stack.schemathesis.hooks",
            KNOWN: json.dumps(known),
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=_DEADLINE_S,
        check=False,
    )

    report = done.stdout.replace(client.token, "TOKEN")
    assert done.returncode == 0, report[-12_000:] + done.stderr[-2_000:]
    counts = {path: len(item) for path, item in document()["paths"].items()}
    of_workers = sum(count for path, count in counts.items() if "/worker/" in path)
    total = sum(counts.values())
    selected = of_workers if caller == "worker" else total - of_workers
    assert f"{selected} selected / {total} total" in report
