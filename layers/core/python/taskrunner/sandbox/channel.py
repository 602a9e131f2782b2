"""Sends JSON objects, and open files beside them, between two processes over a Unix socket.

A message is its length in four bytes, then the JSON.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.json_types import JsonObject

# An executor function may answer with 6 MB; no other message is nearly as large.
MAX_BYTES: Final = 16 * 1024 * 1024
_LENGTH: Final = struct.Struct("!I")
_MAX_FILES: Final = 1
_BLOCK_BYTES: Final = 1024 * 1024


class ChannelClosedError(Exception):
    """The other process has closed the channel, or has sent something that is not a message."""


class NoMessageError(ChannelClosedError):
    """The other process has sent something that is not a message, so no other can be read."""


class Channel:
    """One end of a connection between two processes. Only one thread at a time may use it."""

    def __init__(self, connection: socket.socket) -> None:
        """Take ownership of *connection*."""
        self._socket = connection

    def send(self, message: JsonObject, files: Sequence[int] = ()) -> None:
        """Send *message*, and with it the open files with the descriptors *files*.

        Raises:
            ChannelClosedError: the other end is closed.
            TypeError, ValueError: *message* has no JSON form, or is larger than MAX_BYTES.
            RecursionError: *message* is nested too deeply.
        """
        body = json.dumps(message, ensure_ascii=True, separators=(",", ":")).encode()
        if len(body) > MAX_BYTES:
            raise ValueError(f"{len(body)} bytes, and at most {MAX_BYTES} can be sent")
        try:
            # The files travel with the length, which is too short to be sent in parts.
            if files:
                socket.send_fds(self._socket, [_LENGTH.pack(len(body))], files)
            else:
                self._socket.sendall(_LENGTH.pack(len(body)))
            self._socket.sendall(body)
        except OSError:
            raise ChannelClosedError from None

    def receive(self) -> tuple[JsonObject, list[int]]:
        """Return the next message and the descriptors of the files that came with it.

        Raises:
            ChannelClosedError: the other end is closed.
            NoMessageError: the other end has sent something else.
        """
        try:
            head, files, _, _ = socket.recv_fds(self._socket, _LENGTH.size, _MAX_FILES)
            if not head:
                raise ChannelClosedError
            head += self._receive_exactly(_LENGTH.size - len(head))
            (size_bytes,) = _LENGTH.unpack(head)
            if size_bytes > MAX_BYTES:
                raise NoMessageError
            message = json.loads(self._receive_exactly(size_bytes))
        except OSError:
            raise ChannelClosedError from None
        except (ValueError, RecursionError):
            raise NoMessageError from None
        if not isinstance(message, dict):
            raise NoMessageError
        return message, files

    def _receive_exactly(self, size_bytes: int) -> bytes:
        received = bytearray()
        while len(received) < size_bytes:
            block = self._socket.recv(min(size_bytes - len(received), _BLOCK_BYTES))
            if not block:
                raise ChannelClosedError
            received += block
        return bytes(received)

    def is_closed(self) -> bool:
        """Return whether the other end is closed, and all that it has sent was received."""
        try:
            return not self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        """Close this end, which ends the other end's `receive`."""
        self._socket.close()

    def shut_down(self) -> None:
        """End `receive` on both ends, also in a thread of this process that is waiting in it."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the other end was closed first


def channel_pair() -> tuple[Channel, socket.socket]:
    """Return a channel, and the socket of its other end to hand to another process."""
    near, far = socket.socketpair()
    return Channel(near), far
