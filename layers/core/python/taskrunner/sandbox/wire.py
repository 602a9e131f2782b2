"""Messages between two processes: JSON objects over a Unix socket, and open files beside them."""

from __future__ import annotations

import array
import json
import socket
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.json_types import JsonObject

# A function's answer may have 6 MB; nothing else comes near.
MAX_BYTES: Final = 16 * 1024 * 1024
_LENGTH: Final = struct.Struct("!I")
_MOST_FDS: Final = 1


class ClosedError(Exception):
    """The other side is gone, or says what no other side says."""


class Channel:
    """One end of a connection. One thread at a time may use it."""

    def __init__(self, connection: socket.socket) -> None:
        """Own *connection* from now on."""
        self._socket = connection

    def send(self, message: JsonObject, files: Sequence[int] = ()) -> None:
        """Send *message*, and with it open files by their descriptors.

        Raises:
            ClosedError: the other side is gone.
        """
        body = json.dumps(message, ensure_ascii=True, separators=(",", ":")).encode()
        if len(body) > MAX_BYTES:
            raise ValueError(f"a message of {len(body)} bytes; at most {MAX_BYTES} are sent")
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))] if files else []
        try:
            # The files travel with the length, which is far too short to be sent in parts.
            self._socket.sendmsg([_LENGTH.pack(len(body))], rights)
            self._socket.sendall(body)
        except OSError:
            raise ClosedError from None

    def receive(self) -> tuple[JsonObject, list[int]]:
        """The next message, and the descriptors of the files that came with it.

        Raises:
            ClosedError: the other side is gone.
        """
        try:
            head, ancillary, _, _ = self._socket.recvmsg(
                _LENGTH.size, socket.CMSG_SPACE(_MOST_FDS * array.array("i").itemsize)
            )
            head += self._exactly(_LENGTH.size - len(head)) if head else b""
            if not head:
                raise ClosedError
            (size,) = _LENGTH.unpack(head)
            if size > MAX_BYTES:
                raise ClosedError
            message = json.loads(self._exactly(size))
        except (OSError, ValueError):
            raise ClosedError from None
        if not isinstance(message, dict):
            raise ClosedError
        return message, _files(ancillary)

    def _exactly(self, size: int) -> bytes:
        received = bytearray()
        while len(received) < size:
            block = self._socket.recv(min(size - len(received), 1024 * 1024))
            if not block:
                raise ClosedError
            received += block
        return bytes(received)

    def close(self) -> None:
        """Hang up; the other side is told."""
        self._socket.close()

    def shut(self) -> None:
        """Hang up while another thread may be waiting in `receive`: it is told as well."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the other side was first


def _files(ancillary: Sequence[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(content[: len(content) - len(content) % found.itemsize])
    return found.tolist()


def channels() -> tuple[Channel, socket.socket]:
    """A channel, and the bare other end of it to hand over."""
    own, other = socket.socketpair()
    return Channel(own), other
