"""Proposes words to the shell: ids of runs, approvals and artifacts, callers, and files.

A shell asks while a person types, so an answer is quick or empty: no request is repeated, and every
error counts as having no proposal. Shells evaluate some of what they get, so proposals have only
characters without a meaning to a shell.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import typer

if TYPE_CHECKING:
    from taskrunner_cli.api.client import Client
    from taskrunner_cli.world import World

_Proposals: TypeAlias = Iterable[str | tuple[str, str]]
_Propose: TypeAlias = Callable[[typer.Context, str], _Proposals]
_Complete: TypeAlias = Callable[[typer.Context, str], list[str | tuple[str, str]]]

_TIMEOUT_S: Final = 2.0
_MOST_PROPOSALS: Final = 50
_HARMLESS: Final = re.compile(r"[\w./@+][\w./@+ -]*", re.ASCII)
_PACK_SUFFIXES: Final = frozenset({".yaml", ".yml"})
_INPUTS_SUFFIXES: Final = frozenset({".json"})


def _quietly(propose: _Propose) -> _Complete:
    """Turn *propose* into a function that proposes nothing if anything goes wrong."""

    @wraps(propose)
    def complete(ctx: typer.Context, incomplete: str) -> list[str | tuple[str, str]]:
        try:
            return [
                proposal
                for proposal in propose(ctx, incomplete)
                if _is_harmless(proposal) and _word(proposal).startswith(incomplete)
            ]
        except Exception:  # noqa: BLE001 -- a traceback would spoil the line that a person types
            return []

    return complete


@_quietly
def complete_run(ctx: typer.Context, incomplete: str) -> _Proposals:  # noqa: ARG001
    """Propose the latest runs."""
    with _client(ctx) as client:
        runs = client.runs(_MOST_PROPOSALS).view["runs"]
    return [(run["runId"], f"{run['pack']['name']} {run['status']}") for run in runs]


@_quietly
def complete_waiting_run(ctx: typer.Context, incomplete: str) -> _Proposals:  # noqa: ARG001
    """Propose the runs that wait for an approval."""
    with _client(ctx) as client:
        approvals = client.approvals(_MOST_PROPOSALS).view["approvals"]
    return list({approval["runId"]: approval["approvalId"] for approval in approvals}.items())


@_quietly
def complete_approval(ctx: typer.Context, incomplete: str) -> _Proposals:  # noqa: ARG001
    """Propose the open approvals of the run on the command line."""
    with _client(ctx) as client:
        approvals = client.approvals(_MOST_PROPOSALS).view["approvals"]
    run_id = ctx.params.get("run")
    return list({entry["approvalId"]: "" for entry in approvals if entry["runId"] == run_id})


@_quietly
def complete_artifact(ctx: typer.Context, incomplete: str) -> _Proposals:  # noqa: ARG001
    """Propose the artifacts of the run on the command line."""
    with _client(ctx) as client:
        artifacts = client.artifacts(ctx.params["run"]).view
    return [artifact["name"] for artifact in artifacts]


@_quietly
def complete_step(ctx: typer.Context, incomplete: str) -> _Proposals:  # noqa: ARG001
    """Propose the steps of the run on the command line."""
    with _client(ctx) as client:
        steps = client.run(ctx.params["run"]).view["steps"]
    return [(step["stepId"], step["status"]) for step in steps[:_MOST_PROPOSALS]]


@_quietly
def complete_caller(ctx: typer.Context, incomplete: str) -> _Proposals:  # noqa: ARG001
    """Propose the callers of the local stack."""
    from taskrunner_cli.api.profiles import caller_names  # noqa: PLC0415 -- only a shell needs it

    return caller_names(_stack(ctx), _world(ctx).environ)


@_quietly
def complete_profile(ctx: typer.Context, incomplete: str) -> _Proposals:  # noqa: ARG001
    """Propose the profiles in the config file."""
    from taskrunner_cli.api.config import read_config  # noqa: PLC0415 -- only a shell needs it

    return read_config(_world(ctx).environ).profiles


@_quietly
def complete_pack(ctx: typer.Context, incomplete: str) -> _Proposals:  # noqa: ARG001
    """Propose files of packs, and folders."""
    return _files(incomplete, _PACK_SUFFIXES)


@_quietly
def complete_inputs(ctx: typer.Context, incomplete: str) -> _Proposals:  # noqa: ARG001
    """Propose files of inputs, and folders."""
    return _files(incomplete, _INPUTS_SUFFIXES)


def _files(incomplete: str, suffixes: frozenset[str]) -> list[str]:
    """Return the files with one of *suffixes* and the folders that begin with *incomplete*."""
    folder, _, _ = incomplete.rpartition("/")
    top = Path(folder or ("/" if incomplete.startswith("/") else "."))
    prefix = incomplete[: len(incomplete) - len(incomplete.rpartition("/")[2])]
    visible = (path for path in top.iterdir() if not path.name.startswith("."))
    return sorted(
        f"{prefix}{path.name}{'/' if path.is_dir() else ''}"
        for path in visible
        if path.is_dir() or path.suffix in suffixes
    )


@contextmanager
def _client(ctx: typer.Context) -> "Iterator[Client]":
    """Yield the API as the caller on the command line sees it, without patience."""
    from taskrunner_cli.api.client import Client  # noqa: PLC0415 -- brings httpx
    from taskrunner_cli.api.profiles import Choice, resolve_profile  # noqa: PLC0415
    from taskrunner_cli.api.retries import Patience  # noqa: PLC0415

    world = _world(ctx)
    choice = Choice(
        caller=ctx.params.get("as_"),
        stack=_stack(ctx),
        tenant=ctx.params.get("tenant"),
        profile=ctx.params.get("profile"),
    )
    profile = resolve_profile(choice, world.environ, world.clock.now())
    patience = Patience(timeout_s=_TIMEOUT_S, max_wait_s=0.0, tries_again=False)
    client = Client(profile, world.clock, world.randomness, lambda _: None, patience)
    try:
        yield client
    finally:
        client.close()


def _world(ctx: typer.Context) -> "World":
    from taskrunner_cli.world import World  # noqa: PLC0415 -- only a shell needs it

    return ctx.ensure_object(World)


def _stack(ctx: typer.Context) -> Path | None:
    stack = ctx.params.get("stack")
    return Path(stack) if stack else None


def _is_harmless(proposal: str | tuple[str, str]) -> bool:
    parts = proposal if isinstance(proposal, tuple) else (proposal,)
    return all(not part or _HARMLESS.fullmatch(part) for part in parts)


def _word(proposal: str | tuple[str, str]) -> str:
    return proposal[0] if isinstance(proposal, tuple) else proposal
