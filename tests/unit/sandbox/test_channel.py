"""A channel trusts nothing that comes from its other end."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import closing
from time import monotonic

import pytest

from taskrunner.sandbox.channel import DeadlineError, channel_pair


def test_a_deadline_holds_also_if_there_always_is_another_byte() -> None:
    """The other end could send a byte each time, so that no call of the socket ever waits."""
    channel, far = channel_pair()
    with far, closing(channel):
        far.sendall(struct.pack("!I", 1000) + b"{}" + b" " * 998)
        channel.set_deadline(monotonic() - 1)

        with pytest.raises(DeadlineError):
            channel.receive()


def test_files_that_nobody_takes_are_not_left_open() -> None:
    channel, far = channel_pair()
    reader, writer = os.pipe()
    with far, closing(channel):
        socket.send_fds(far, [struct.pack("!I", 2)], [writer])
        far.sendall(b"{}")
        os.close(writer)

        assert channel.receive() == ({}, [])
        assert os.read(reader, 1) == b""  # nobody has the other end
        os.close(reader)
