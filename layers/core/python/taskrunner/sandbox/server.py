"""The server: a clean, small, warm process that forks a child for each attempt.

It is started without an environment and never receives a credential, so none of its forks has one.
It has one thread and one child at a time, because a Lambda function handles one step at a time. A
child may wait for its attempt: a fork takes longer than anything else before an executor runs.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from taskrunner.sandbox import child, limits, messages
from taskrunner.sandbox.channel import Channel, ChannelClosedError
from taskrunner.sandbox.messages import Exited, Forked

if TYPE_CHECKING:
    from taskrunner.sandbox.child import Executors


def serve(descriptor: int, executors_module: str) -> None:
    """Fork a child for each Fork message on the socket *descriptor*, until it closes.

    Each Fork is answered by Forked immediately, and by Exited when the child has ended.
    *executors_module* is the name of the module that knows the executors.
    """
    os.environ.clear()  # the interpreter sets some variables itself when it starts
    _let_others_finish()
    control = socket.socket(fileno=descriptor)
    channel = Channel(control)
    child_ended = _child_end_signals()
    server = os.getpid()
    executors: Executors = import_module(executors_module)
    for reference in executors.references():
        executors.find(reference)
    # Freeze what is loaded: a garbage collection in a child would copy the pages that it visits.
    # The launcher has disabled it, because it took an eighth of the start.
    gc.freeze()
    gc.enable()
    with suppress(ChannelClosedError):
        while True:
            _, files = channel.receive(takes_files=True)
            pid = os.fork()
            if pid == 0:
                os.close(signal.set_wakeup_fd(-1))
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                control.close()
                child_ended.close()
                _be_child(files[0], executors, server)
            os.close(files[0])
            channel.send(messages.encode(Forked(pid)))
            channel.send(messages.encode(_wait(pid, control, child_ended)))


def _let_others_finish() -> None:
    """Let this process and its forks wake up without interrupting another process.

    Else a fork that is requested for the next attempt takes the processor from the function, before
    it has answered. The share of processor time stays the same.
    """
    with suppress(AttributeError, OSError):  # not Linux, or not allowed
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _child_end_signals() -> socket.socket:
    """Return a socket that becomes readable when a child has ended."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    reader.setblocking(False)
    # Python writes to the wake-up descriptor only for signals that have a handler.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer.detach())
    return reader


def _wait(pid: int, control: socket.socket, child_ended: socket.socket) -> Exited:
    """Wait for the child to end, or kill it when the parent has closed the control socket."""
    with selectors.DefaultSelector() as selector:
        selector.register(child_ended, selectors.EVENT_READ)
        selector.register(control, selectors.EVENT_READ)
        while child_ended in {key.fileobj for key, _ in selector.select()}:
            child_ended.recv(64)
            ended, status, used = os.wait4(pid, os.WNOHANG)
            if ended:  # and was not only stopped
                return Exited(status, *limits.used(used))
    # The parent sends nothing while a child runs, so it has gone.
    os.kill(pid, signal.SIGKILL)
    _, status, used = os.wait4(pid, 0)
    return Exited(status, *limits.used(used))


def _be_child(descriptor: int, executors: Executors, server: int) -> NoReturn:
    try:
        os.setsid()
        limits.die_with_parent()
        if os.getppid() == server:  # else it had ended before, and nobody would end this process
            child.run(Channel(socket.socket(fileno=descriptor)), executors)
    finally:
        # Not sys.exit, which would run the server's own clean-up a second time.
        os._exit(0)
