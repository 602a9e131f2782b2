"""Lets containers reach the local stack while a command runs: `python -m ... relay COMMAND...`.

The emulator listens on 127.0.0.1 alone, and SAM gives a function's container an address of its own:
`--docker-network host` changes nothing there. So the stack's port is opened on the address that the
Docker bridge has on this machine, for containers and nobody else, and passed on. Docker Desktop has
no such address here; it leads `host.docker.internal` to 127.0.0.1 by itself.
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
    """Run *command* with the stack's *port* open to containers; return its exit code."""
    with contextlib.suppress(OSError):
        await asyncio.start_server(lambda r, w: _serve(r, w, port), _gateway(), port)
    process = await asyncio.create_subprocess_exec(*command)
    return await process.wait()


def _gateway() -> str:
    """This machine's address on Docker's bridge."""
    asked = subprocess.run(_INSPECT, capture_output=True, text=True, check=True)  # noqa: S603 -- ours
    bridge = json.loads(asked.stdout)
    # An engine that has run no container yet may not name it; it is the network's first address.
    return bridge.get("Gateway") or str(next(ip_network(bridge["Subnet"]).hosts()))


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    with contextlib.suppress(OSError):
        there, back = await asyncio.open_connection(HOST, port)
        await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_BUFFER_BYTES):
            target.write(data)
            await target.drain()
    target.close()


if __name__ == "__main__":
    endpoint = stack.load().endpoint_url
    sys.exit(asyncio.run(run(sys.argv[1:], int(endpoint.rpartition(":")[2]))))
