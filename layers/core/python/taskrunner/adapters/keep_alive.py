"""TCP keep-alive for calls that take minutes.

NAT gateways and load balancers drop a connection that was idle for 350 seconds, without a word to
either end. Linux sends its first probe after 7,200 seconds. botocore's `tcp_keepalive` turns probes
on, but cannot set when they are sent (https://github.com/boto/botocore/issues/2916).
"""

from __future__ import annotations

import socket
from typing import Any, Final

PROBE_S: Final = 60
# macOS calls the first of them TCP_KEEPALIVE.
IDLE_OPTION: Final = getattr(socket, "TCP_KEEPIDLE", None) or socket.TCP_KEEPALIVE  # type: ignore[attr-defined,unused-ignore]
_OPTIONS: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, IDLE_OPTION, PROBE_S),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_S),
)


def with_keep_alive(client: Any) -> Any:  # noqa: ANN401 - boto3 has no static types
    """Return *client*, which has opened no connection, with probes every PROBE_S seconds.

    The options are not part of botocore's interface. They are of the release that the requirements
    pin, and a test reads them back from a connection.
    """
    client._endpoint.http_session._socket_options.extend(_OPTIONS)  # noqa: SLF001 - see above
    return client
