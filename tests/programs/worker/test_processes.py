"""A supervisor sees its job's processes, reads little for that, and sends each signal once."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from queue import Queue

import psutil
import pytest

from taskrunner_cli.worker.supervisor import processes

# A child, and another one that has two. Each of the three that wait for their input says so first.
_TREE = """
exec 3<&0
await() { echo up; exec cat <&3; }
await & (await & await & wait) & wait
"""
# Prints how many files of other processes a look opens, whose tree has one process.
_OPENED = """
import os, subprocess, sys
from taskrunner_cli.worker.supervisor import processes
child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
opened = []
sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" else None)
assert [found.pid for found in processes.glance(os.getpid())] == [child.pid]
print(len(opened))
child.communicate()
"""
# Prints how many signals it has got before its input. Signals of this number are never merged.
_COUNTING = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
print("up", flush=True)
sys.stdin.readline()
signals = iter(lambda: signal.sigtimedwait([signal.SIGRTMIN], 0), None)
print(len(list(signals)), flush=True)
"""


@pytest.fixture(name="tree")
def _tree() -> Iterator[int]:
    """The pid of a process with others below it."""
    with ExitStack() as opened:
        tree = opened.enter_context(waiting("/bin/sh", "-c", _TREE))
        assert tree.stdout is not None
        for _ in range(3):
            assert tree.stdout.readline() == b"up\n"
        yield tree.pid


@contextmanager
def waiting(*command: str, leads_group: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that ends when its input does."""
    with subprocess.Popen(  # noqa: S603 - every word is ours
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0 if leads_group else None,
    ) as process:
        yield process
        process.communicate()


def opened_files() -> int:
    with waiting(sys.executable, "-c", _OPENED) as process:
        assert process.stdout is not None
        return int(process.stdout.readline())


def test_a_glance_sees_the_processes_that_the_whole_list_has(tree: int) -> None:
    expected = {child.pid for child in psutil.Process(tree).children(recursive=True)}

    assert {found.pid for found in processes.glance(tree)} == expected
    assert {found.pid for found in processes.descendants(tree)} == expected
    assert len(expected) == 4


def test_a_glance_sees_what_any_thread_has_started() -> None:
    started: Queue[int] = Queue()
    seen = threading.Event()

    def start() -> None:
        with waiting("/bin/cat") as process:
            started.put(process.pid)
            seen.wait()

    thread = threading.Thread(target=start)
    thread.start()
    pid = started.get()
    found = processes.glance(os.getpid())
    seen.set()
    thread.join()

    assert pid in {process.pid for process in found}


def test_a_glance_leaves_out_what_has_ended() -> None:
    with waiting("/bin/true") as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

        assert child.pid not in {found.pid for found in processes.glance(os.getpid())}
        assert child.pid in {found.pid for found in processes.family(os.getpid())}


def test_a_glance_reads_nothing_of_other_processes() -> None:
    alone = opened_files()
    with ExitStack() as others:
        for _ in range(30):
            others.enter_context(waiting("/bin/cat"))
        among_others = opened_files()

    assert among_others == alone


def test_a_family_is_without_those_left_out_and_all_below_them(tree: int) -> None:
    below = psutil.Process(tree).children()
    parent = next(child for child in below if child.children())
    left_out = {parent.pid, *(child.pid for child in parent.children())}

    everybody = {found.pid for found in processes.family(tree)}

    assert {found.pid for found in processes.family(tree, parent.pid)} == everybody - left_out


@pytest.mark.parametrize("leads_group", [True, False])
def test_a_signal_arrives_once(*, leads_group: bool) -> None:
    """Programs may end at once when they are asked for the second time."""
    with waiting(sys.executable, "-c", _COUNTING, leads_group=leads_group) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        found = [each for each in processes.glance(os.getpid()) if each.pid == process.pid]

        processes.send(signal.SIGRTMIN, found)

        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"1\n"
