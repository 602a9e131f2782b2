"""A play that branches: at a call, a child process takes a fault and plays on from there.

All cases of a scenario share what comes before their calls, and it is played once. A child has
everything as it is at that moment: the table, the machines, the functions under way. At the end it
reports through a pipe and exits. A child shares no files: it makes its own in another folder. While
the play has files, its cases are left to be played from the beginning.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
import traceback
import warnings
from contextlib import contextmanager
from functools import partial
from io import StringIO
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.faults.faults import Case, Fault, Place

    Report = Callable[[Case, list[str]], None]


class Branches:
    """The branches of one play, one for each of *cases*, of which *most* run at the same time.

    *case* is that of this process, and None in the process that plays without a fault. *has_files*
    says whether the play has files at this moment.
    """

    def __init__(
        self, cases: Iterable[Case], report: Report, has_files: Callable[[], bool], most: int = 1
    ) -> None:
        self.case: Case | None = None
        self._has_files = has_files
        self._cases: dict[Place, list[Case]] = {}
        for case in cases:
            self._cases.setdefault(case.place, []).append(case)
        self._report = report
        self._most = most
        self._running: dict[Connection, tuple[Case, int]] = {}
        self._to_parent: Connection | None = None

    def run(self, play: Callable[[], list[str]], replay: Callable[[Case], list[str]]) -> None:
        """Run every case, and report its problems.

        *play* calls `at`, and returns the problems in the process of a case. *replay* does so for
        a case from its beginning.
        """
        with _long_lived_objects():
            self._in_child(play)
            for case in [case for cases in self._cases.values() for case in cases]:
                if self._fork(case):
                    self._in_child(partial(replay, case))
        while self._running:
            self._take_reports()

    def at(self, place: Place) -> Fault | None:
        """Begin the branches of a call; return the fault in each of them, and None here."""
        if place not in self._cases or self._has_files():
            return None
        for case in self._cases.pop(place):
            if self._fork(case):
                return case.fault
        return None

    def _fork(self, case: Case) -> bool:
        """Begin the process of a case; return whether this is that process."""
        while len(self._running) >= self._most:
            self._take_reports()
        from_child, to_parent = os.pipe()
        with warnings.catch_warnings():
            # The threads of pytest's own processes hold no lock that a branch takes.
            warnings.simplefilter("ignore", DeprecationWarning)
            process = os.fork()
        if process:
            os.close(to_parent)
            self._running[Connection(from_child, writable=False)] = case, process
            return False
        os.close(from_child)
        sys.stdout = StringIO()  # what functions log would be written by both processes
        tempfile.tempdir = tempfile.mkdtemp()
        self.case, self._cases, self._running = case, {}, {}
        self._to_parent = Connection(to_parent, readable=False)
        return True

    def _in_child(self, play: Callable[[], list[str]]) -> None:
        """Play; in the process of a case report the problems, and do not return."""
        try:
            problems = play()
        except BaseException:
            if self.case is None:
                raise
            problems = [traceback.format_exc()]
        if self.case is not None:
            self._exit(problems)

    def _take_reports(self) -> None:
        """Wait until a branch has ended, and report it."""
        for connection in wait(list(self._running)):
            assert isinstance(connection, Connection)
            case, process = self._running.pop(connection)
            try:
                problems = connection.recv()
            except EOFError:
                problems = ["its process died"]
            os.waitpid(process, 0)
            connection.close()
            self._report(case, problems)

    def _exit(self, problems: list[str]) -> NoReturn:
        """End the process of a branch at once: nothing of it may be undone or written twice."""
        assert self._to_parent is not None
        try:
            self._to_parent.send(problems)
            shutil.rmtree(tempfile.gettempdir(), ignore_errors=True)
        finally:
            os._exit(0)


@contextmanager
def _long_lived_objects() -> Iterator[None]:
    """Collect no garbage: that would copy all memory which processes share.

    Objects that live now are not collected later either. To visit all of them for each scenario
    took a fifth of the time. Warnings of what they leave open may be lost.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
