"""Starts, stops and describes the local stack, and writes the stack file for its callers.

`up` starts the emulator, deploys the template, creates the callers, and writes the stack file last.
So the file never describes a stack that is incomplete, and after a crash the next `up` continues.
Then it starts a worker, if none runs for this deployment.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any

from taskrunner_cli.local import clients, deployment, emulator, people, worker
from taskrunner_cli.local.clients import Client
from taskrunner_cli.local.emulator import Emulator
from taskrunner_cli.local.errors import LocalStackError
from taskrunner_cli.local.people import Person
from taskrunner_cli.local.workspace import Progress, Workspace, find


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The running stack: its addresses, its clients, and the names of its resources.

    Args:
        console_url: the console's address; None if there is no console, and then the stack file
            has no such member.
        people: those who can sign in to the console, by name.
        access_key_id: the emulator's root credentials, which give access behind the API.

    """

    api_url: str
    token_url: str
    clients: dict[str, Client]
    endpoint_url: str
    region: str
    table_name: str
    bucket_name: str
    machine_prefix: str
    pack_run_machine_arn: str
    reconcile_function: str
    evidence_key_arn: str
    approval_topic_arn: str
    user_pool_id: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    console_url: str | None = None
    people: dict[str, Person] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The state of the local stack.

    Args:
        running: whether the emulator's process is alive.
        healthy: whether it answers.
        current: whether the deployment matches the sources.
        stack: the deployed stack, if there is one.
        log: the path of the emulator's log.
        worker_pid: the process of the stack's worker; None if it does not run.
        worker_log: the path of the worker's log.

    """

    running: bool
    healthy: bool
    current: bool
    pid: int | None
    port: int | None
    stack: Stack | None
    log: str
    worker_pid: int | None
    worker_log: str


def up(
    progress: Progress = lambda _: None,
    port: int | None = None,
    workspace: Workspace | None = None,
) -> Stack:
    """Start the local stack, or bring it up to date; return immediately if it is current.

    Args:
        progress: called with a few words before each step.
        port: the emulator's port; None: TASKRUNNER_PORT, or 4566.
        workspace: the clone whose stack it is; None: the one that `find` finds.

    Raises:
        LocalStackError: the port is in use, a tool is not installed, or a tool failed.

    """
    workspace = workspace or find()
    with workspace.locked():
        process = _emulator(workspace, progress, port)
        target = {"digest": deployment.digest(workspace), "emulator": asdict(process)}
        if _deployed(workspace) == target and workspace.stack_file.exists():
            progress("the stack is up to date")
            worker.ensure(workspace, target, progress)
            return load(workspace)
        progress("deploying the stack")
        outputs = deployment.deploy(workspace, process)
        progress("registering the clients")
        callers = clients.register(process, outputs["UserPoolId"], outputs["TableName"])
        users = people.register(process, outputs["UserPoolId"], outputs["TableName"])
        stack = _stack(process, outputs, callers, users)
        if stack.console_url:
            people.admit_console(
                process, stack.user_pool_id, outputs["ConsoleClientId"], stack.console_url
            )
        public_key = deployment.public_key(process, stack.evidence_key_arn)
        workspace.evidence_key_file.write_text(public_key, encoding="ascii")
        _write_invocation(workspace, stack)
        _write_privately(workspace, _to_document(stack))
        workspace.deployed_file.write_text(json.dumps(target), encoding="utf-8")
        worker.ensure(workspace, target, progress)
        return stack


def down(progress: Progress = lambda _: None, workspace: Workspace | None = None) -> bool:
    """Stop the local stack and delete its state; return whether one was running.

    It is the stack of *workspace*, or of the clone that `find` finds.
    """
    workspace = workspace or find()
    with workspace.locked():
        worker.stop(workspace)
        progress("stopping the emulator")
        was_running = emulator.stop(workspace)
        workspace.stack_file.unlink(missing_ok=True)
        workspace.deployed_file.unlink(missing_ok=True)
        workspace.evidence_key_file.unlink(missing_ok=True)
        return was_running


def status() -> Status:
    """Return the state of the local stack, changing nothing."""
    workspace = find()
    process = emulator.running(workspace)
    its_worker = worker.running(workspace)
    deployed = process is not None and workspace.stack_file.exists()
    target = {"digest": deployment.digest(workspace), "emulator": asdict(process)} if process else 0
    return Status(
        running=process is not None,
        healthy=process is not None and emulator.healthy(process),
        current=deployed and _deployed(workspace) == target,
        pid=process.pid if process else None,
        port=process.port if process else None,
        stack=load(workspace) if deployed else None,
        log=str(workspace.logs / "emulator.log"),
        worker_pid=its_worker.pid if its_worker else None,
        worker_log=str(worker.log_of(workspace)),
    )


def load(workspace: Workspace | None = None) -> Stack:
    """Return the stack that `.local/stack.json` of *workspace*, or of this clone, describes.

    Raises:
        LocalStackError: the file does not exist, or another version wrote it.

    """
    path = (workspace or find()).stack_file
    try:
        return _from_document(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise LocalStackError(
            f"there is no local stack: {path} does not exist", cure="make up"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise LocalStackError(
            f"{path} cannot be read as a stack file", cure="create it again: make down up"
        ) from error


def _emulator(workspace: Workspace, progress: Progress, port: int | None) -> Emulator:
    """Return the running emulator, started if none is running."""
    requested = port or _port_of_environment()
    process = emulator.running(workspace)
    if process and emulator.healthy(process):
        if requested and requested != process.port:
            raise LocalStackError(
                f"the local stack is running on port {process.port}, not {requested}",
                cure="stop it first: make down",
            )
        return process
    emulator.stop(workspace)
    chosen = requested or emulator.DEFAULT_PORT
    progress(f"starting the emulator on port {chosen}")
    return emulator.start(workspace, chosen)


def _port_of_environment() -> int | None:
    value = os.environ.get("TASKRUNNER_PORT")
    if not value:
        return None
    if not value.isdigit():
        raise LocalStackError(
            f"TASKRUNNER_PORT is {value!r}, which is not a port", cure="set it to a number"
        )
    return int(value)


def _deployed(workspace: Workspace) -> Any:  # noqa: ANN401 -- only compared as a whole
    try:
        return json.loads(workspace.deployed_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _stack(
    process: Emulator,
    outputs: dict[str, str],
    callers: dict[str, Client],
    users: dict[str, Person],
) -> Stack:
    # The outputs hold AWS's addresses; the emulator's *.localhost names do not resolve everywhere.
    gateway = f"{process.endpoint_url}/_aws/execute-api/{outputs['ApiId']}/{deployment.STAGE}"
    return Stack(
        api_url=gateway,
        token_url=f"{process.endpoint_url}/oauth2/token",
        clients=callers,
        endpoint_url=process.endpoint_url,
        region=emulator.REGION,
        table_name=outputs["TableName"],
        bucket_name=outputs["BucketName"],
        machine_prefix=outputs["MachinePrefix"],
        pack_run_machine_arn=outputs["PackRunMachineArn"],
        reconcile_function=outputs["ReconcileFunctionName"],
        evidence_key_arn=outputs["EvidenceKeyArn"],
        approval_topic_arn=outputs["ApprovalTopicArn"],
        user_pool_id=outputs["UserPoolId"],
        access_key_id=emulator.ACCESS_KEY_ID,
        secret_access_key=emulator.SECRET_ACCESS_KEY,
        console_url=f"{gateway}/console",
        people=users,
    )


def _write_invocation(workspace: Workspace, stack: Stack) -> None:
    """Write the file for `sam local invoke --env-vars`: physical names instead of logical ids."""
    issuer = f"https://cognito-idp.{stack.region}.amazonaws.com/{stack.user_pool_id}"
    # In a container 127.0.0.1 is the container; Docker resolves this name to the host machine.
    endpoint_url = stack.endpoint_url.replace(emulator.HOST, "host.docker.internal")
    variables = {
        "AWS_ENDPOINT_URL": endpoint_url,
        "TABLE_NAME": stack.table_name,
        "BUCKET_NAME": stack.bucket_name,
        "MACHINE_PREFIX": stack.machine_prefix,
        "PACK_RUN_MACHINE_ARN": stack.pack_run_machine_arn,
        "EVIDENCE_KEY_ARN": stack.evidence_key_arn,
        "APPROVAL_TOPIC_ARN": stack.approval_topic_arn,
        "ISSUER": issuer,
        "JWKS_URL": f"{endpoint_url}/{stack.user_pool_id}/.well-known/jwks.json",
    }
    document = json.dumps({"Parameters": variables}, indent=2)
    workspace.invocation_file.write_text(document + "\n", encoding="utf-8")


def _write_privately(workspace: Workspace, document: dict[str, Any]) -> None:
    """Write the stack file atomically, readable by its owner only, because it holds secrets."""
    draft = workspace.stack_file.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as sink:
        json.dump(document, sink, indent=2)
        sink.write("\n")
    draft.replace(workspace.stack_file)


def _to_document(stack: Stack) -> dict[str, Any]:
    members = asdict(stack).items()
    document = {_camel(key): value for key, value in members if value is not None}
    document["clients"] = {
        name: {_camel(key): value for key, value in asdict(caller).items()}
        for name, caller in stack.clients.items()
    }
    return document


def _from_document(document: dict[str, Any]) -> Stack:
    callers = {
        name: Client(**{_snake(key): value for key, value in caller.items()})
        for name, caller in document["clients"].items()
    }
    users = {name: Person(**person) for name, person in document.get("people", {}).items()}
    members = {_snake(key): value for key, value in document.items()}
    return Stack(**members | {"clients": callers, "people": users})


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
