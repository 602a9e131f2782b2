"""The process that forks children: clean, small, and warm.

It is started with no environment and never sees a credential, so that no fork of it has any. It has
one thread and forks one child at a time, since a Lambda function handles one step at a time.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
from importlib import import_module
from typing import TYPE_CHECKING, Final, NoReturn

from taskrunner.sandbox import child, limits
from taskrunner.sandbox.wire import Channel, ClosedError

if TYPE_CHECKING:
    from resource import struct_rusage

    from taskrunner.sandbox.child import Executors

_KIB_PER_MIB: Final = 1024


def serve(descriptor: int, registry: str) -> None:
    """Fork a child for each socket that comes in over the socket *descriptor*, until it closes.

    Each is answered by `{pid}` at once and by `{status, cpu_s, memory_mib}` when the child has
    ended, status being wait's. *registry* names the module that knows the executors.
    """
    os.environ.clear()  # of what the interpreter itself puts there when it starts
    control = socket.socket(fileno=descriptor)
    channel = Channel(control)
    ended = _children_tell()
    executors: Executors = import_module(registry)
    for reference in executors.references():
        executors.find(reference)
    # What is here already is nobody's garbage: a collection in a child would copy its pages.
    gc.collect()
    gc.freeze()
    while True:
        try:
            _, files = channel.receive()
        except ClosedError:
            return
        pid = os.fork()
        if pid == 0:
            os.close(signal.set_wakeup_fd(-1))
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.close()
            ended.close()
            _be_child(files[0], executors)
        os.close(files[0])
        channel.send({"pid": pid})
        status, used = _wait(pid, control, ended)
        channel.send(
            {
                "status": status,
                "cpu_s": used.ru_utime + used.ru_stime,
                "memory_mib": used.ru_maxrss // _KIB_PER_MIB,
            }
        )


def _children_tell() -> socket.socket:
    """A socket that can be read when a child has ended."""
    told, teller = socket.socketpair()
    teller.setblocking(False)
    told.setblocking(False)
    # A signal without a handler would not wake anybody.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(teller.detach())
    return told


def _wait(pid: int, control: socket.socket, ended: socket.socket) -> tuple[int, struct_rusage]:
    """Wait for the child; when the parent is gone meanwhile, nobody wants the child any more."""
    with selectors.DefaultSelector() as selector:
        selector.register(ended, selectors.EVENT_READ)
        selector.register(control, selectors.EVENT_READ)
        ready = {key.fileobj for key, _ in selector.select()}
    if ended in ready:
        ended.recv(64)
    else:  # the parent says nothing while a child runs: it hung up
        os.kill(pid, signal.SIGKILL)
    _, status, used = os.wait4(pid, 0)
    return status, used


def _be_child(descriptor: int, executors: Executors) -> NoReturn:
    try:
        os.setsid()
        limits.die_with_parent()
        child.run(Channel(socket.socket(fileno=descriptor)), executors)
    finally:
        # Not sys.exit: nothing of the server's may be cleaned up twice.
        os._exit(0)
