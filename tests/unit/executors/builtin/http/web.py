"""Servers under made-up names, and `builtin:http` steps that send requests to them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from taskrunner.executors.builtin import http
from tests.fakes.executor_world import a_work
from tests.unit.executors.builtin.http.servers import (
    END_OF_HEAD,
    LoopbackNetwork,
    Site,
    raw_server,
    serving,
)

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from taskrunner.model.json_types import JsonObject

HOST = "api.example.com"
OTHER = "other.example.com"
JSON = {"Content-Type": "application/json"}


class Web:
    """The servers of one test; *folder* is the step's."""

    def __init__(self, folder: Path) -> None:
        self.network = LoopbackNetwork()
        self.folder = folder
        self._servers = ExitStack()

    def close(self) -> None:
        self._servers.close()

    def site(self, host: str = HOST, port: int = 80, tls: ssl.SSLContext | None = None) -> Site:
        """Start a server that answers by path."""
        site = Site()
        self.network.ports[host, port] = self._servers.enter_context(serving(site, tls))
        return site

    def raw_server(
        self,
        respond: Callable[[socket.socket], None],
        host: str = HOST,
        *,
        after: bytes = END_OF_HEAD,
    ) -> None:
        """Start a server that calls *respond* with its connection once it has read *after*."""
        port = self._servers.enter_context(raw_server(respond, after))
        self.network.ports |= {(host, 80): port, (host, 443): port}

    def request(
        self,
        url: str = f"http://{HOST}/",
        make_tls: Callable[[], ssl.SSLContext] | None = None,
        time_s: float = 30,
        **parameters: Any,  # noqa: ANN401 - any parameter
    ) -> JsonObject:
        """Execute a step and return its outputs."""
        validated = http.Parameters.model_validate({"url": url, **parameters})
        work = a_work(self.output, network=self.network, time_s=time_s)
        if make_tls is None:
            return http.execute(validated, work)
        return http.execute_trusting(validated, work, make_tls)

    @property
    def output(self) -> Path:
        return self.folder / "output"

    @property
    def files(self) -> dict[str, bytes]:
        """The files that the step left, by name."""
        return {file.name: file.read_bytes() for file in self.output.iterdir()}


def sends(raw: bytes) -> Callable[[socket.socket], None]:
    """Return a response of these bytes."""
    return lambda connection: connection.sendall(raw)
