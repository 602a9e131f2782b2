"""The commands of docs/operations.md do what the page says, on the local stack."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from tests.packs import scan_deploy
from tests.template import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from taskrunner_cli.local import Stack
    from tests.stack.api import Api


def commands(heading: str) -> str:
    """Return the commands of a section of the page."""
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    section = re.split(r"^## ", page.partition(f"\n## {heading}\n")[2], flags=re.MULTILINE)[0]
    (block,) = re.findall(r"^```\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    return str(block)


def run_as_written(script: str, stack: Stack, folder: Path) -> None:
    aws = folder / "aws"
    aws.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/stack/aws_command.py "$@"\n')
    aws.chmod(0o755)
    done = subprocess.run(  # noqa: S603 - the page's commands
        ["/bin/bash", "-euo", "pipefail", "-c", script],
        check=False,
        capture_output=True,
        text=True,
        env={
            "PATH": f"{folder}:{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": stack.endpoint_url,
            "AWS_DEFAULT_REGION": stack.region,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "TableName": stack.table_name,
            "BucketName": stack.bucket_name,
        },
    )
    assert done.returncode == 0, done.stderr


def expirations(stack: Stack, aws: Callable[[str], Any], run_id: str, kept: list[str]) -> list[Any]:
    """Return the times to live of a run's items, and the tags of its objects and of *kept*."""
    items = aws("dynamodb").query(
        TableName=stack.table_name,
        KeyConditionExpression="pk = :run",
        ExpressionAttributeValues={":run": {"S": f"T#tenant-prod#R#{run_id}"}},
    )["Items"]
    s3 = aws("s3")
    prefix = f"tenant-prod/runs/{run_id}/"
    listed = s3.list_objects_v2(Bucket=stack.bucket_name, Prefix=prefix)["Contents"]
    keys = [*(entry["Key"] for entry in listed), *kept]
    tags = [s3.get_object_tagging(Bucket=stack.bucket_name, Key=key)["TagSet"] for key in keys]
    return [*(item.get("expires_at") for item in items), *tags]


def test_a_run_on_legal_hold_expires_no_more(
    stack: Stack, operator: Api, aws: Callable[[str], Any], tmp_path: Path
) -> None:
    run_id: str = operator("POST", "runs", scan_deploy()).json()["runId"]
    # The evidence, which comes after the run's end, is on hold too.
    plan_hash = operator.sealed(run_id)["planHash"].removeprefix("sha256:")
    plan = f"tenant-prod/plans/sha256-{plan_hash}.json"
    manifest = sha256(scan_deploy()["manifest"].encode()).hexdigest()
    kept = [plan, f"tenant-prod/plans/sha256-{manifest}.yaml"]
    before = expirations(stack, aws, run_id, kept)

    script = commands("Legal hold").replace("<the plan's hash>", plan_hash)
    run_as_written(script.replace("run-20251206-001", run_id), stack, tmp_path)

    after = expirations(stack, aws, run_id, kept)
    assert len(after) == len(before) > 5
    assert any(before)
    assert [value for value in after if value] == []
