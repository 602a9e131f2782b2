"""The modules that a cold start loads; bench/cold_start.py measures their cost.

A cold start loads the function's module, and then the ports that its first event uses. Both happen
here in a fresh interpreter with Lambda's PYTHONPATH.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest

from tests.architecture.ports import USED
from tests.template import ROOT

WATCHED = (
    "boto3",
    "botocore.exceptions",
    "cryptography",
    "jsonschema_rs",
    "jwt",
    "pydantic",
    "securesystemslib",
    "taskrunner.compiler.manifest.schema",
    "taskrunner.compiler.planning.plan",
    "yaml",
)
AWS = {"botocore.exceptions"}
TOKENS = {"cryptography", "jwt"}
COMPILER = {
    "pydantic",
    "taskrunner.compiler.manifest.schema",
    "taskrunner.compiler.planning.plan",
    "yaml",
}
# jsonschema-rs is for packs with schemas. The others would be a third of a cold start, for nothing.
NOWHERE = {"boto3", "jsonschema_rs", "securesystemslib"}
NEEDED = {
    "authorize": AWS | TOKENS,
    "simulate_pack": AWS | COMPILER,  # AWS for a comparison alone
    "create_run": AWS | COMPILER,
    "read_run": AWS,
    "decide_approval": AWS,
    "cancel_run": AWS,
    "console": set(),
    "describe_api": set(),
    "run_step": AWS,  # the sandbox checks the parameters of executors
    "open_gate": AWS,
    "decide_flow": AWS,
    "settle_run": AWS,
    "publish_events": AWS,
    "reconcile": AWS,  # the compiler only when it starts a run
    "digest_settings": set(),
    "remove_machines": AWS,
}
SOURCE = """
import sys
import app
print(*sys.modules)
from taskrunner.bootstrap import AwsWorld
names = "TABLE_NAME BUCKET_NAME PACK_RUN_MACHINE_ARN MACHINE_PREFIX ISSUER JWKS_URL".split()
names += "EXECUTOR_PREFIX SECRET_PREFIX EVIDENCE_KEY_ARN APPROVAL_TOPIC_ARN EVENT_BUS".split()
world = AwsWorld({**dict.fromkeys(names, "https://a"), "MACHINE_RETENTION_DAYS": "30"})
for port in sys.argv[1:]:
    getattr(world, port)
print(*sys.modules)
"""


@cache
def loaded(function: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the watched modules loaded after the function's import, and after its first event."""
    path = f"{ROOT}/functions/{function}:{ROOT}/layers/core/python"
    done = subprocess.run(  # noqa: S603 - every word is ours
        [sys.executable, "-c", SOURCE, *sorted(USED[function])],
        env={"PYTHONPATH": path, "AWS_DEFAULT_REGION": "us-east-1"},
        check=True,
        capture_output=True,
        text=True,
    )
    imported, with_ports = (frozenset(line.split()) for line in done.stdout.splitlines())
    return imported & set(WATCHED), with_ports & set(WATCHED)


@pytest.mark.parametrize("function", NEEDED)
def test_a_cold_start_loads_exactly_the_needed_modules(function: str) -> None:
    _, with_ports = loaded(function)

    assert with_ports == NEEDED[function]


@pytest.mark.parametrize("function", NEEDED)
def test_importing_a_function_does_not_load_the_aws_sdk(function: str) -> None:
    imported, _ = loaded(function)

    assert {"boto3", "botocore.exceptions"} & imported == set()


def test_every_function_is_measured() -> None:
    folders = {path.parent.name for path in ROOT.glob("functions/*/app.py")}

    assert NEEDED.keys() == USED.keys() == folders


def test_no_watched_module_is_loaded_everywhere_or_nowhere() -> None:
    everywhere = frozenset.intersection(*(loaded(function)[1] for function in NEEDED))

    assert everywhere == frozenset()
    assert set().union(*NEEDED.values()) | NOWHERE == set(WATCHED)
