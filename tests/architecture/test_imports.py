"""Import thrift: what a cold start loads, counted and not timed.

A function's cold start is its module and then the ports that its first event asks for, so both are
done here, in a fresh interpreter with Lambda's own PYTHONPATH. bench/cold_start.py has the prices.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest

from tests.architecture.ports import USED
from tests.template import ROOT

WATCHED = (
    "aws_lambda_powertools",
    "boto3",
    "cryptography",
    "jsonschema_rs",
    "jwt",
    "pydantic",
    "securesystemslib",
    "taskrunner.compiler.manifest.schema",
    "taskrunner.compiler.planning.plan",
    "yaml",
)
LOGGING = {"aws_lambda_powertools"}  # whoever answers HTTP logs its refusals
AWS = {"boto3"}
TOKENS = {"cryptography", "jwt"}
SIGNING = {"cryptography", "securesystemslib"}  # nobody waits for the end of a run to be recorded
COMPILER = {
    "pydantic",
    "taskrunner.compiler.manifest.schema",
    "taskrunner.compiler.planning.plan",
    "yaml",
}
NEEDED = {
    "authorize": LOGGING | AWS | TOKENS,
    "simulate_pack": LOGGING | COMPILER,
    "create_run": LOGGING | AWS | COMPILER,
    "read_run": LOGGING | AWS,
    "decide_approval": LOGGING | AWS,
    "cancel_run": LOGGING | AWS,
    "describe_api": set(),
    "run_step": AWS | {"pydantic"},  # the executors' parameters, checked once they are filled in
    "open_gate": AWS,
    "decide_flow": AWS,
    "settle_run": AWS | SIGNING,
}
SOURCE = """
import sys
import app
print(*sys.modules)
from taskrunner.bootstrap import AwsWorld
names = "TABLE_NAME BUCKET_NAME PACK_RUN_MACHINE_ARN MACHINE_PREFIX ISSUER JWKS_URL".split()
names += "EXECUTOR_PREFIX SECRET_PREFIX EVIDENCE_KEY_ARN APPROVAL_TOPIC_ARN".split()
world = AwsWorld(dict.fromkeys(names, "https://a"))
for port in sys.argv[1:]:
    getattr(world, port)
print(*sys.modules)
"""


@cache
def loaded(function: str) -> tuple[frozenset[str], frozenset[str]]:
    """The watched modules that are loaded by the function's import, and by its first event."""
    path = f"{ROOT}/functions/{function}:{ROOT}/layers/core/python"
    done = subprocess.run(  # noqa: S603 - every word is ours
        [sys.executable, "-c", SOURCE, *sorted(USED[function])],
        env={"PYTHONPATH": path, "AWS_DEFAULT_REGION": "us-east-1"},
        check=True,
        capture_output=True,
        text=True,
    )
    imported, asked = (frozenset(line.split()) for line in done.stdout.splitlines())
    return imported & set(WATCHED), asked & set(WATCHED)


@pytest.mark.parametrize("function", NEEDED)
def test_a_cold_start_loads_what_the_function_needs_and_nothing_else(function: str) -> None:
    _, asked = loaded(function)

    assert asked == NEEDED[function]


@pytest.mark.parametrize("function", NEEDED)
def test_an_import_makes_no_client(function: str) -> None:
    imported, _ = loaded(function)

    assert "boto3" not in imported


def test_every_function_is_counted() -> None:
    folders = {path.parent.name for path in ROOT.glob("functions/*/app.py")}

    assert NEEDED.keys() == USED.keys() == folders


def test_every_watched_module_is_one_that_exists_and_may_not_be_everywhere() -> None:
    everywhere = frozenset.intersection(*(loaded(function)[1] for function in NEEDED))

    assert everywhere == frozenset()
    assert set().union(*NEEDED.values()) | {"jsonschema_rs"} == set(WATCHED)
