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

from taskrunner_cli.local import stack
from taskrunner_cli.local.emulator import HOST

_BUFFER_BYTES = 64 * 1024
_INSPECT = ["docker", "network", "inspect", "bridge", "-f", "{{json (index .IPAM.Config 0)}}"]


async def run(command: Sequence[str], port: int) -> int:
    """Run *command* with the stack's *port* open to containers, and return its exit code."""
    with contextlib.suppress(OSError):
        await asyncio.start_server(
            lambda reader, writer: _forward(reader, writer, port), _gateway(), port
        )
    process = await asyncio.create_subprocess_exec(*command)
    return await process.wait()


def _gateway() -> str:
    """Return this machine's address on Docker's bridge."""
    inspection = subprocess.run(_INSPECT, capture_output=True, text=True, check=True)  # noqa: S603 -- a fixed command
    bridge = json.loads(inspection.stdout)
    # Before its first container an engine may not name the gateway; it is the first address.
    return bridge.get("Gateway") or str(next(ip_network(bridge["Subnet"]).hosts()))


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


if __name__ == "__main__":
    endpoint = stack.load().endpoint_url
    sys.exit(asyncio.run(run(sys.argv[1:], int(endpoint.rpartition(":")[2]))))
