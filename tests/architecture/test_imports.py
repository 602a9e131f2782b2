"""The modules that a cold start loads; bench/cold_start.py measures their cost.

A cold start loads the function's module, and then the ports that its first event uses. Both happen
here in a fresh interpreter with Lambda's PYTHONPATH.
"""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from typing import NamedTuple

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
# All modules of a cold start, before and after the clients of all its ports are made, with room for
# another Python's. Each takes 0.2 ms or more.
MOST_MODULES = {
    "authorize": (290, 440),
    "simulate_pack": (420, 590),
    "create_run": (420, 590),
    "read_run": (290, 460),
    "decide_approval": (250, 430),
    "cancel_run": (230, 420),
    "console": (170, 170),
    "describe_api": (170, 170),
    "run_step": (320, 480),
    "open_gate": (280, 450),
    "offer_job": (280, 460),
    "call_machine": (290, 470),
    "end_machine_call": (290, 470),
    "serve_workers": (290, 470),
    "decide_flow": (270, 450),
    "settle_run": (270, 450),
    "publish_events": (340, 500),
    "reconcile": (280, 450),
    "digest_settings": (200, 200),
    "remove_machines": (220, 370),
}
# Botocore and urllib3 would import these for documents of clients and for HTTP/2.
NOT_FOR_CLIENTS = {"boto3", "botocore.docs.service", "html.parser", "importlib.metadata"}
# Python's own frozen classes take 0.4 ms each, so nearly all are made by `taskrunner.values`.
MOST_SLOW_CLASSES = 5
SOURCE = f"""
import sys
import app
print(*sys.modules)
from taskrunner.bootstrap import AwsWorld
world = AwsWorld({ENVIRONMENT})
for port in sys.argv[1:]:
    getattr(world, port)
print(*sys.modules)
world.make_clients()
print(*sys.modules)
ours = [module for name, module in sys.modules.items() if name.startswith("taskrunner.")]
made = {{thing for module in ours for thing in vars(module).values() if isinstance(thing, type)}}
frozen = [thing for thing in made if "__dataclass_params__" in vars(thing)]
print(*(thing.__name__ for thing in frozen if thing.__dataclass_params__.frozen))
"""


class ColdStart(NamedTuple):
    """The modules at three times, and the classes that Python's own dataclass made."""

    imported: frozenset[str]
    with_ports: frozenset[str]
    with_clients: frozenset[str]
    slow_classes: frozenset[str]


@cache
def cold_start(function: str) -> ColdStart:
    """Start *function* in a fresh interpreter, for its first event."""
    path = f"{ROOT}/functions/{function}:{ROOT}/layers/core/python"
    done = subprocess.run(  # noqa: S603 - every word is ours
        [sys.executable, "-c", SOURCE, *sorted(USED[function])],
        env={
            "PYTHONPATH": path,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_LAMBDA_FUNCTION_NAME": function,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
        },
        check=True,
        capture_output=True,
        text=True,
    )
    return ColdStart(*(frozenset(line.split()) for line in done.stdout.splitlines()))


def loaded(function: str) -> frozenset[str]:
    """Return the watched modules that a cold start loads."""
    return cold_start(function).with_ports & set(WATCHED)


@pytest.mark.parametrize("function", NEEDED)
def test_a_cold_start_loads_exactly_the_needed_modules(function: str) -> None:
    assert loaded(function) == NEEDED[function]


@pytest.mark.parametrize("function", NEEDED)
def test_importing_a_function_does_not_load_the_aws_sdk(function: str) -> None:
    assert {"boto3", "botocore.exceptions"} & cold_start(function).imported == set()


@pytest.mark.parametrize("function", NEEDED)
def test_making_clients_loads_nothing_for_documents_or_http2(function: str) -> None:
    assert NOT_FOR_CLIENTS & cold_start(function).with_clients == set()


@pytest.mark.parametrize("function", NEEDED)
def test_a_cold_start_loads_few_modules_and_makes_few_slow_classes(function: str) -> None:
    start = cold_start(function)
    most_with_ports, most_with_clients = MOST_MODULES[function]

    assert len(start.with_ports) <= most_with_ports
    assert len(start.with_clients) <= most_with_clients
    slow_classes = sorted(start.slow_classes)
    assert len(slow_classes) <= MOST_SLOW_CLASSES, f"made by dataclasses: {slow_classes}"


def test_every_function_is_measured() -> None:
    folders = {path.parent.name for path in ROOT.glob("functions/*/app.py")}

    assert NEEDED.keys() == USED.keys() == MOST_MODULES.keys() == folders


def test_no_watched_module_is_loaded_everywhere_or_nowhere() -> None:
    everywhere = frozenset.intersection(*(loaded(function) for function in NEEDED))

    assert everywhere == frozenset()
    assert set().union(*NEEDED.values()) | NOWHERE == set(WATCHED)
