"""Runs a command while containers can reach the local stack: `python -m ... relay COMMAND...`.

The emulator listens on 127.0.0.1 only, and a function's container has its own 127.0.0.1, even with
SAM's `--docker-network host`. So this process listens on the Docker bridge's address, which only
containers reach, and forwards each connection to the emulator. Docker Desktop has no bridge address
on the host, and needs none: there `host.docker.internal` leads to 127.0.0.1.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence
from ipaddress import ip_network
from urllib.parse import urlsplit

from taskrunner_cli.errors import CommandError, UnreachableError, UsageError
from taskrunner_cli.local import stack
from taskrunner_cli.local.emulator import HOST
from taskrunner_cli.local.errors import LocalStackError
from taskrunner_cli.local.stack import Stack

_BUFFER_BYTES = 64 * 1024
_INSPECT = ["docker", "network", "inspect", "bridge", "-f", "{{json (index .IPAM.Config 0)}}"]


async def run(command: Sequence[str], port: int) -> int:
    """Run *command* with the stack's *port* open to containers, and return its exit code."""
    gateway = _gateway()
    with contextlib.suppress(OSError):
        await asyncio.start_server(
            lambda reader, writer: _forward(reader, writer, port), gateway, port
        )
    try:
        process = await asyncio.create_subprocess_exec(*command)
    except OSError as error:
        reason = error.strerror or "it cannot be started"
        raise UsageError(
            f"cannot run {command[0]}: {reason}", cure="check the command after `relay`"
        ) from error
    return await process.wait()


def _gateway() -> str:
    """Return this machine's address on Docker's bridge.

    Raises:
        LocalStackError: Docker is not installed or not running, or has no such network.

    """
    try:
        inspection = subprocess.run(_INSPECT, capture_output=True, text=True, check=True)  # noqa: S603 -- a fixed command
    except OSError as error:
        reason = error.strerror or "it cannot be started"
        raise LocalStackError(f"cannot run docker: {reason}", cure="install Docker") from error
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip() or f"docker exited with {error.returncode}"
        raise LocalStackError(f"Docker does not answer: {reason}", cure="start Docker") from error
    try:
        bridge = json.loads(inspection.stdout)
        # Before its first container an engine may not name the gateway; it is the first address.
        return str(bridge.get("Gateway") or next(ip_network(bridge["Subnet"]).hosts()))
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise LocalStackError(
            "Docker does not say the address of its network `bridge`",
            cure="check the answer of: docker network inspect bridge",
        ) from error


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    with contextlib.suppress(OSError):
        stack_reader, stack_writer = await asyncio.open_connection(HOST, port)
        await asyncio.gather(_copy(reader, stack_writer), _copy(stack_reader, writer))


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_BUFFER_BYTES):
            target.write(data)
            await target.drain()
    target.close()


def main(command: Sequence[str]) -> int:
    """Run *command* as `run` does and return its exit code; after an error, print it."""
    try:
        if not command:
            raise UsageError("no command is given", cure="name one: make invoke FUNCTION=...")
        return asyncio.run(run(command, _port(stack.load())))
    except (CommandError, LocalStackError) as error:
        sys.stderr.write(f"error: {error.message}\ntry:   {error.cure}\n")
        return error.exit_code if isinstance(error, CommandError) else UnreachableError.exit_code


def _port(local_stack: Stack) -> int:
    try:
        port = urlsplit(local_stack.endpoint_url).port
    except ValueError:
        port = None
    if port is None:
        raise LocalStackError(
            f"the stack file names no port: its address is {local_stack.endpoint_url!r}",
            cure="create it again: make down up",
        )
    return port


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
