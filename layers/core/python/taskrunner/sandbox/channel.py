"""Sends JSON objects, and open files beside them, between two processes over a Unix socket.

A message is its length in four bytes, then the JSON.
"""

from __future__ import annotations

import json
import socket
import struct
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskrunner.model.json_types import JsonObject

# An executor function may answer with 6 MB; no other message is nearly as large.
MAX_BYTES: Final = 16 * 1024 * 1024
_LENGTH: Final = struct.Struct("!I")
_MAX_FILES: Final = 1
_BLOCK_BYTES: Final = 1024 * 1024
# Linux takes 200 KB that nobody has received yet.
_AT_ONCE_BYTES: Final = 64 * 1024


class ChannelClosedError(Exception):
    """The other process has closed the channel, or has sent something that is not a message."""


class NoMessageError(ChannelClosedError):
    """The other process has sent something that is not a message, so no other can be read."""


class DeadlineError(Exception):
    """The deadline of this end has come."""


class Channel:
    """One end of a connection between two processes. Only one thread at a time may use it."""

    def __init__(self, connection: socket.socket) -> None:
        """Take ownership of *connection*."""
        self._socket = connection
        self._deadline: float | None = None

    def set_deadline(self, deadline: float | None) -> None:
        """Let this end's calls raise DeadlineError from *deadline* on, a time of `monotonic`."""
        self._deadline = deadline
        self._socket.settimeout(None)

    def send_at_once(self, message: JsonObject) -> bool:
        """Send *message* if that does not wait for the other end, and return whether it was sent.

        Raises:
            ChannelClosedError, TypeError, ValueError, RecursionError: as for `send`.
        """
        body = _body(message)
        if len(body) > _AT_ONCE_BYTES:
            return False
        self._send(body)
        return True

    def send(self, message: JsonObject, files: Sequence[int] = ()) -> None:
        """Send *message*, and with it the open files with the descriptors *files*.

        Raises:
            ChannelClosedError: the other end is closed.
            TypeError, ValueError: *message* has no JSON form, or is larger than MAX_BYTES.
            RecursionError: *message* is nested too deeply.
            DeadlineError: the deadline has come.
        """
        self._send(_body(message), files)

    def _send(self, body: bytes, files: Sequence[int] = ()) -> None:
        self._allow_time()
        try:
            # The files travel with the length, which is too short to be sent in parts.
            if files:
                socket.send_fds(self._socket, [_LENGTH.pack(len(body))], files)
            else:
                self._socket.sendall(_LENGTH.pack(len(body)))
            self._socket.sendall(body)
        except TimeoutError:
            raise DeadlineError from None
        except OSError:
            raise ChannelClosedError from None

    def receive(self, *, takes_files: bool = False) -> tuple[JsonObject, list[int]]:
        """Return the next message and the descriptors of the files that came with it.

        If this end takes none, the kernel closes what the other end has sent.

        Raises:
            ChannelClosedError: the other end is closed.
            NoMessageError: the other end has sent something else.
            DeadlineError: the deadline has come.
        """
        self._allow_time()
        try:
            head, files = self._receive_head(takes_files=takes_files)
            if not head:
                raise ChannelClosedError
            head += self._receive_exactly(_LENGTH.size - len(head))
            (size_bytes,) = _LENGTH.unpack(head)
            if size_bytes > MAX_BYTES:
                raise NoMessageError
            message = json.loads(self._receive_exactly(size_bytes))
        except TimeoutError:
            raise DeadlineError from None
        except OSError:
            raise ChannelClosedError from None
        except (ValueError, RecursionError):
            raise NoMessageError from None
        if not isinstance(message, dict):
            raise NoMessageError
        return message, files

    def _receive_head(self, *, takes_files: bool) -> tuple[bytes, list[int]]:
        if not takes_files:
            return self._socket.recv(_LENGTH.size), []
        head, files, _, _ = socket.recv_fds(self._socket, _LENGTH.size, _MAX_FILES)
        return head, files

    def _receive_exactly(self, size_bytes: int) -> bytes:
        received = bytearray()
        while len(received) < size_bytes:
            self._allow_time()
            block = self._socket.recv(min(size_bytes - len(received), _BLOCK_BYTES))
            if not block:
                raise ChannelClosedError
            received += block
        return bytes(received)

    def _allow_time(self) -> None:
        """Let the next call of the socket take as long as there is time."""
        if self._deadline is None:
            return
        # Looked at before each call: one that always finds a byte would never time out.
        left_s = self._deadline - monotonic()
        if left_s <= 0:
            raise DeadlineError
        self._socket.settimeout(left_s)

    def has_message(self) -> bool:
        """Return whether a message, or its beginning, has come and was not received."""
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False

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


def _body(message: JsonObject) -> bytes:
    body = json.dumps(message, ensure_ascii=True, separators=(",", ":")).encode()
    if len(body) > MAX_BYTES:
        raise ValueError(f"{len(body)} bytes, and at most {MAX_BYTES} can be sent")
    return body


def channel_pair() -> tuple[Channel, socket.socket]:
    """Return a channel, and the socket of its other end to hand to another process."""
    near, far = socket.socketpair()
    return Channel(near), far
