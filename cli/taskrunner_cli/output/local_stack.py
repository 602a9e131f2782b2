"""The local stack's state, as documents and views; they never hold a client's secret."""

import sys
from typing import TYPE_CHECKING, NotRequired, TypedDict

from rich.console import Group, RenderableType
from rich.text import Text

from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.tables import Facts

if TYPE_CHECKING:
    from taskrunner_cli.local import Stack, Status


class CallerDocument(TypedDict):
    """A caller of the local stack."""

    scope: str
    tenant: str


class StackDocument(TypedDict):
    """The addresses of the local stack, and its callers by name."""

    apiUrl: str
    tokenUrl: str
    consoleUrl: NotRequired[str]
    clients: dict[str, CallerDocument]


class StatusDocument(TypedDict):
    """The state of the local stack: that of its process, and that of the deployment in it."""

    running: bool
    healthy: bool
    current: bool
    pid: int | None
    port: int | None
    log: str
    worker: "WorkerDocument | None"
    stack: StackDocument | None


class WorkerDocument(TypedDict):
    """The process of the local stack's worker."""

    pid: int
    log: str


def stack_document(stack: "Stack") -> StackDocument:
    """Return the document of a running stack."""
    console = {"consoleUrl": stack.console_url} if stack.console_url else {}
    return {
        "apiUrl": stack.api_url,
        "tokenUrl": stack.token_url,
        **console,  # type: ignore[typeddict-item] # mypy does not follow the condition
        "clients": {
            name: {"scope": client.scope, "tenant": client.tenant}
            for name, client in stack.clients.items()
        },
    }


def status_document(status: "Status") -> StatusDocument:
    """Return the document of the local stack's state."""
    return {
        "running": status.running,
        "healthy": status.healthy,
        "current": status.current,
        "pid": status.pid,
        "port": status.port,
        "log": status.log,
        "worker": (
            {"pid": status.worker_pid, "log": status.worker_log} if status.worker_pid else None
        ),
        "stack": stack_document(status.stack) if status.stack else None,
    }


def stack_view(stack: "Stack") -> Facts:
    """Return the addresses of a running stack, and the names of its callers."""
    facts = Facts(indent=2)
    facts.add_row("API", text(stack.api_url))
    facts.add_row("tokens", text(stack.token_url))
    facts.add_row("callers", text(", ".join(stack.clients)))
    if stack.people:
        names = ", ".join(f"{name} ({person.group})" for name, person in stack.people.items())
        facts.add_row("people", text(f"{names}; passwords: .local/stack.json"))
    if stack.console_url:
        facts.add_row("console", text(stack.console_url))
    return facts


def status_view(status: "Status") -> RenderableType:
    """Return the local stack's state in words, with the next command to type."""
    if not status.running:
        return Group(
            text("the local stack is not running", "yellow"), text("try: taskrunner local up")
        )
    process = f"process {status.pid}, port {status.port}"
    if not status.healthy:
        return text(
            f"the emulator runs ({process}) but does not answer; its log is {status.log}", "red"
        )
    if not status.stack:
        return text(
            f"the emulator runs ({process}), but nothing is deployed in it;"
            " try: taskrunner local up",
            "yellow",
        )
    age = "up to date" if status.current else "older than the sources; try: taskrunner local up"
    facts = stack_view(status.stack)
    facts.add_row("log", text(status.log))
    facts.add_row("worker", _worker(status))
    return Group(text(f"the local stack is running ({process}), {age}", "green"), facts)


def _worker(status: "Status") -> Text:
    if sys.platform != "linux":
        return text("none: a worker needs Linux")
    if status.worker_pid is None:
        return text("does not run; try: taskrunner local up", "yellow")
    return text(f"of the pool local (process {status.worker_pid}); {status.worker_log}")
