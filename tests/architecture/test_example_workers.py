"""The files of examples/worker can be used: they parse, and their workers run without rights."""

from __future__ import annotations

import configparser
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import typer
import yaml

from taskrunner_cli.commands import worker
from tests.template import ROOT, parsed

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = ROOT / "examples/worker"
DOCKERFILE = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
STACK = parsed((FOLDER / "ecs.yaml").read_text(encoding="utf-8"))["Resources"]
CONTAINER = STACK["Worker"]["Properties"]["ContainerDefinitions"][0]
PROGRAM = "/opt/taskrunner/bin/taskrunner"
USER = 10001


def instructions(name: str) -> list[str]:
    """Return the arguments of each instruction of the Dockerfile with that name."""
    return re.findall(rf"^{name} (.+)$", DOCKERFILE.replace("\\\n", ""), re.MULTILINE)


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(FOLDER / "taskrunner-worker.service", encoding="utf-8")
    return parser


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


[DEPLOYMENT] = documents("kubernetes.yaml")
DEPLOYED = DEPLOYMENT["spec"]["template"]["spec"]
SCALED_JOB = documents("keda.yaml")[1]["spec"]
SCALED = SCALED_JOB["jobTargetRef"]["template"]["spec"]
PODS = {"kubernetes": DEPLOYED, "keda": SCALED}


# --- their commands ---------------------------------------------------------------------------


def entrypoint() -> list[str]:
    words: list[str] = json.loads(instructions("ENTRYPOINT")[-1])
    return words


def ecs_command(mode: str) -> list[str]:
    """Return the options of the task for *mode*, with a value for each parameter."""
    values = {"Pool": "linux", "JobMemoryMiB": "3072"}
    words = [
        values[word["Ref"]] if isinstance(word, dict) and "Ref" in word else word
        for word in CONTAINER["Command"]
    ]
    [choice] = [word for word in words if isinstance(word, dict)]
    condition, then, _ = choice["Fn::If"]
    assert condition == "Tasks"
    return [word for word in words if word is not choice] + ([then] if mode == "tasks" else [])


COMMANDS = {
    "Dockerfile": [*entrypoint(), *json.loads(instructions("CMD")[-1])],
    "systemd": unit()["Service"]["ExecStart"].split(),
    "ecs-tasks": [*entrypoint(), *ecs_command("tasks")],
    "ecs-service": [*entrypoint(), *ecs_command("service")],
    **{name: [*entrypoint(), *pod["containers"][0]["args"]] for name, pod in PODS.items()},
}


@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_a_command_runs_a_worker_with_options_that_exist(words: list[str]) -> None:
    group: Any = typer.main.get_command(worker.app)
    run = group.get_command(typer.Context(group), "run")

    options = run.make_context("run", words[3:]).params

    assert words[:3] == [PROGRAM, "worker", "run"]
    assert options["pool"] == "linux"


def test_a_task_or_pod_for_one_job_ends_after_it_and_others_do_not() -> None:
    assert {name for name, words in COMMANDS.items() if "--once" in words} == {"ecs-tasks", "keda"}


# --- their rights -----------------------------------------------------------------------------


def test_the_image_has_a_base_of_a_version_and_a_user_without_rights() -> None:
    [base] = [word.partition("=")[2] for word in instructions("ARG")]

    assert re.fullmatch(r"python:3\.\d+-slim-\w+", base)
    assert [line.split()[0] for line in instructions("FROM")] == ["${BASE}", "${BASE}"]
    assert instructions("USER") == [str(USER)]
    assert not instructions("ENV")


def test_the_image_is_made_of_files_of_the_repository() -> None:
    copied = [line.split()[:-1] for line in instructions("COPY") if not line.startswith("--from")]

    sources = [name for names in copied for name in names]
    assert [name for name in sources if not (ROOT / name).exists()] == []
    assert "statemachine" in sources  # the package has a link to a file there


def test_the_worker_is_the_first_process_of_its_container() -> None:
    """An init would have the credentials in its environment, where jobs can read them."""
    assert entrypoint()[0] == PROGRAM
    assert CONTAINER["LinuxParameters"]["InitProcessEnabled"] is False
    assert "EntryPoint" not in CONTAINER
    assert not any("command" in pod["containers"][0] for pod in PODS.values())
    assert not any(pod["shareProcessNamespace"] for pod in PODS.values())


def test_the_jobs_of_a_task_have_no_role_and_no_capabilities() -> None:
    assert "TaskRoleArn" not in STACK["Worker"]["Properties"]
    assert CONTAINER["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_a_pod_has_no_rights(pod: dict[str, Any]) -> None:
    [container] = pod["containers"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == USER
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {"/jobs", "/tmp"}  # noqa: S108
    assert container["resources"]["limits"].keys() >= {"memory", "ephemeral-storage"}


def test_the_unit_has_a_user_without_rights_and_lets_jobs_finish() -> None:
    service = unit()["Service"]

    assert service["User"] not in {"", "root", "0"}
    assert service["CapabilityBoundingSet"] == ""
    assert (service["KillMode"], service["TimeoutStopSec"]) == ("mixed", "1h")
    assert service["StateDirectoryMode"] == "0700"


GRACES_S = {
    "systemd": 3600,
    "ecs-tasks": CONTAINER["StopTimeout"],
    "ecs-service": CONTAINER["StopTimeout"],
    **{name: pod["terminationGracePeriodSeconds"] for name, pod in PODS.items()},
}


@pytest.mark.parametrize("name", GRACES_S)
def test_a_worker_has_the_time_to_give_its_jobs_back_before_it_is_killed(name: str) -> None:
    words = COMMANDS[name]
    drain_s = float(words[words.index("--drain-seconds") + 1])

    assert GRACES_S[name] - drain_s == 30


def test_the_pods_of_both_files_differ_in_their_ends_only() -> None:
    deployed, scaled = (json.loads(json.dumps(pod)) for pod in (DEPLOYED, SCALED))
    assert scaled.pop("restartPolicy") == "Never"
    assert scaled["containers"][0]["args"].pop() == "--once"

    assert scaled == deployed


# --- their credentials ------------------------------------------------------------------------


def test_the_credentials_of_a_task_come_from_a_secret_under_the_names_that_a_worker_reads() -> None:
    given = {variable["Name"] for variable in CONTAINER["Environment"]}
    secret = {variable["Name"] for variable in CONTAINER["Secrets"]}

    assert given == {"TASKRUNNER_API_URL", "TASKRUNNER_TOKEN_URL"}
    assert secret == {"TASKRUNNER_CLIENT_ID", "TASKRUNNER_CLIENT_SECRET"}


@pytest.mark.parametrize("file", sorted(FOLDER.iterdir()), ids=lambda file: file.name)
def test_no_file_has_a_credential(file: Path) -> None:
    text = file.read_text(encoding="utf-8")

    assert not re.search(r"CLIENT_(?:ID|SECRET) *= *\S", text)
    assert not re.search(r"AKIA[0-9A-Z]{16}", text)


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_the_credentials_of_a_pod_are_a_secret(pod: dict[str, Any]) -> None:
    [container] = pod["containers"]

    assert container["envFrom"] == [{"secretRef": {"name": "taskrunner-worker"}}]
    assert "env" not in container


# --- how many there are -----------------------------------------------------------------------


def test_the_number_of_workers_follows_the_metric_of_the_pool() -> None:
    alarms = [STACK[name]["Properties"] for name in ("JobsWait", "NoJobsWait")]
    [trigger] = SCALED_JOB["triggers"]

    for alarm in alarms:
        assert (alarm["Namespace"], alarm["MetricName"]) == ("TaskRunner", "WaitingJobs")
        assert [dimension["Name"] for dimension in alarm["Dimensions"]] == ["Stack", "Pool"]
    assert [alarm["TreatMissingData"] for alarm in alarms] == ["notBreaching", "breaching"]
    assert trigger["metadata"]["metricName"] == "WaitingJobs"
    assert trigger["metadata"]["namespace"] == "TaskRunner"
    assert trigger["metadata"]["dimensionName"] == "Stack;Pool"


def test_the_rule_selects_each_event_after_which_a_job_waits() -> None:
    pattern = STACK["Offered"]["Properties"]["EventPattern"]

    assert pattern["detail-type"] == ["step.offered", "step.worker-lost"]
    assert pattern["detail"] == {"pool": [{"Ref": "Pool"}]}


def test_the_page_names_every_file() -> None:
    page = (ROOT / "docs/workers.md").read_text(encoding="utf-8")

    assert [f.name for f in FOLDER.iterdir() if f"`examples/worker/{f.name}`" not in page] == []
