"""The modules that a cold start loads; bench/cold_start.py measures their cost.

A cold start loads the function's module, and then the ports that its first event uses. Both happen
here in a fresh interpreter with Lambda's PYTHONPATH.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import pytest

from tests.architecture.ports import ENVIRONMENT, USED
from tests.template import ROOT

WATCHED = (
    "boto3",
    "botocore.exceptions",
    "cryptography",
    "importlib.metadata",
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
NOWHERE = {"boto3", "importlib.metadata", "jsonschema_rs", "securesystemslib"}
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
    "offer_job": AWS,
    "call_machine": AWS,  # the compiler's models only when it calls a machine
    "end_machine_call": AWS,
    "serve_workers": AWS,  # the compiler's models only when it gives a job away
    "decide_flow": AWS,
    "settle_run": AWS,
    "publish_events": AWS,
    "reconcile": AWS,  # the compiler only when it starts a run
    "digest_settings": set(),
    "remove_machines": AWS,
}
# All modules of a cold start, with room for another Python's. Each takes 0.2 ms or more.
MOST_MODULES = {
    "authorize": 290,
    "simulate_pack": 420,
    "create_run": 420,
    "read_run": 290,
    "decide_approval": 250,
    "cancel_run": 230,
    "console": 170,
    "describe_api": 170,
    "run_step": 320,
    "open_gate": 280,
    "offer_job": 280,
    "call_machine": 290,
    "end_machine_call": 290,
    "serve_workers": 290,
    "decide_flow": 270,
    "settle_run": 270,
    "publish_events": 340,
    "reconcile": 280,
    "digest_settings": 200,
    "remove_machines": 220,
}
# Python's own frozen classes take 0.4 ms each, so nearly all are made by `taskrunner.values`.
MOST_SLOW_CLASSES = 10
SOURCE = f"""
import sys
import app
print(*sys.modules)
from taskrunner.bootstrap import AwsWorld
world = AwsWorld({ENVIRONMENT})
for port in sys.argv[1:]:
    getattr(world, port)
print(*sys.modules)
ours = [module for name, module in sys.modules.items() if name.startswith("taskrunner.")]
made = {{thing for module in ours for thing in vars(module).values() if isinstance(thing, type)}}
frozen = [thing for thing in made if "__dataclass_params__" in vars(thing)]
print(*(thing.__name__ for thing in frozen if thing.__dataclass_params__.frozen))
"""


@cache
def cold_start(function: str) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Return the modules after the function's import, those after its first event, slow classes."""
    path = f"{ROOT}/functions/{function}:{ROOT}/layers/core/python"
    done = subprocess.run(  # noqa: S603 - every word is ours
        [sys.executable, "-c", SOURCE, *sorted(USED[function])],
        env={
            "PYTHONPATH": path,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_LAMBDA_FUNCTION_NAME": function,
        },
        check=True,
        capture_output=True,
        text=True,
    )
    imported, with_ports, slow = (frozenset(line.split()) for line in done.stdout.splitlines())
    return imported, with_ports, slow


def loaded(function: str) -> frozenset[str]:
    """Return the watched modules that a cold start loads."""
    return cold_start(function)[1] & set(WATCHED)


@pytest.mark.parametrize("function", NEEDED)
def test_a_cold_start_loads_exactly_the_needed_modules(function: str) -> None:
    assert loaded(function) == NEEDED[function]


@pytest.mark.parametrize("function", NEEDED)
def test_importing_a_function_does_not_load_the_aws_sdk(function: str) -> None:
    imported, _, _ = cold_start(function)

    assert {"boto3", "botocore.exceptions"} & imported == set()


@pytest.mark.parametrize("function", NEEDED)
def test_a_cold_start_loads_few_modules_and_makes_few_slow_classes(function: str) -> None:
    _, modules, slow_classes = cold_start(function)

    assert len(modules) <= MOST_MODULES[function]
    assert len(slow_classes) <= MOST_SLOW_CLASSES, f"made by dataclasses: {sorted(slow_classes)}"


def test_every_function_is_measured() -> None:
    folders = {path.parent.name for path in ROOT.glob("functions/*/app.py")}

    assert NEEDED.keys() == USED.keys() == MOST_MODULES.keys() == folders


def test_no_watched_module_is_loaded_everywhere_or_nowhere() -> None:
    everywhere = frozenset.intersection(*(loaded(function) for function in NEEDED))

    assert everywhere == frozenset()
    assert set().union(*NEEDED.values()) | NOWHERE == set(WATCHED)
