"""Fuzz one target for some seconds: `python -m tests.security.fuzz.run pack 60`.

The targets are packs, expressions, and schemas with a value. Three of four mutations change the
tree of a pack or schema, or the grammar of an expression (mutators.py); the fourth changes bytes.
So 20,000 executions compile about 950 new packs, and 200 by bytes alone (bench/fuzzing.py).

atheris guides the fuzzer, libFuzzer, by coverage. Its wheels contain libFuzzer, and are for Linux
on x86_64 with Python 3.11 to 3.14. Without atheris, hypothesis mutates the same corpus blindly. The
first line of output says which of the two runs.

New inputs of interest and inputs that break a target are left in .local/fuzz, and the next run
continues from there. An input that breaks the compiler becomes a pack in tests/golden/bad. A slow
or large one becomes a case in tests/security/hostile.
"""

from __future__ import annotations

import importlib.util
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.security.fuzz import mutators

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
_LONGEST_BYTES = 4096
# The limit of one input in CPU time, which a busy machine does not stretch: the most that
# expressions may cost takes three with coverage counted. libFuzzer has a clock alone, for endless
# ones.
_SLOW_S = 15
_NEVER_S = 60
_MEMORY_MIB = 2048
_SEED = 7
_CHANGED_AGAIN = 2  # times that one input is; libFuzzer's 5 are for bytes, and break most trees


def seeds(target: str) -> list[Path]:
    """The corpus of *target*; a pack's is every golden pack that is small as well."""
    found = [path for path in sorted((HERE / "corpus" / target).iterdir()) if path.is_file()]
    if target == "pack":
        found += sorted((ROOT / "tests/golden").glob("*/*.yaml"))
    return [path for path in found if path.stat().st_size <= _LONGEST_BYTES]


def in_time(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """*run*, which fails on an input that takes too much CPU time."""

    def timed(data: bytes) -> None:
        before_s = time.process_time()
        run(data)
        spent_s = time.process_time() - before_s
        assert spent_s < _SLOW_S, f"an input took {spent_s:.1f} s of CPU time"

    return timed


def plant(target: str, place: Path) -> None:
    """Put the seeds of *target* where a fuzzer goes on from."""
    (place / "corpus").mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        (place / "corpus" / f"seed-{number:04d}").write_bytes(seed.read_bytes())


def main(target: str, seconds: int, place: Path = ROOT / ".local/fuzz") -> None:
    """Fuzz *target*; ends with an exit code other than 0 when it breaks."""
    place = place / target
    plant(target, place)
    if importlib.util.find_spec("atheris") is not None:
        sys.stdout.write(f"{target}: atheris, guided by coverage, {seconds} s\n")
        guided(target, place, [f"-max_total_time={seconds}"])
    else:
        sys.stdout.write(f"{target}: hypothesis, for atheris is not installed, {seconds} s\n")
        _blind(target, seconds, place)


def guided(
    target: str,
    place: Path,
    bounds: list[str],
    instead: Callable[[bytes], None] | None = None,
    *,
    by_structure: bool = True,
) -> None:
    """Fuzz *target*, or what runs *instead*, within *bounds*, libFuzzer's flags; ends the process.

    It goes on from the corpus in *place*.
    """
    import atheris  # noqa: PLC0415 - not everywhere

    with atheris.instrument_imports(
        include=["taskrunner.compiler", "taskrunner.model", "jmespath"]
    ):
        from tests.security.fuzz.targets import TARGETS  # noqa: PLC0415 - its imports are to be instrumented

    sys.stdout.flush()
    arguments = [
        target,
        *bounds,
        f"-seed={_SEED}",
        f"-max_len={_LONGEST_BYTES}",
        f"-timeout={_NEVER_S}",
        f"-rss_limit_mb={_MEMORY_MIB}",
        f"-dict={HERE / 'words' / target}",
        f"-artifact_prefix={place}/broken-",
        f"-mutate_depth={_CHANGED_AGAIN}",
        "-print_final_stats=1",
        "-verbosity=0",
        str(place / "corpus"),
    ]

    def by_bytes(data: bytes, max_size: int) -> bytes:
        changed: bytes = atheris.Mutate(data, max_size)  # another one from Fuzz() on
        return changed

    structure: dict[str, Callable[..., bytes]] = {
        "custom_mutator": mutators.mixed(target, by_bytes)
    }
    if target in mutators.CROSSOVERS:
        structure["custom_crossover"] = mutators.CROSSOVERS[target]
    run = in_time(instead or TARGETS[target])
    atheris.Setup(arguments, run, **(structure if by_structure else {}))
    atheris.Fuzz()


def _blind(target: str, seconds: int, place: Path) -> None:
    from hypothesis import HealthCheck, given, seed, settings  # noqa: PLC0415 - not for atheris
    from hypothesis import strategies as st  # noqa: PLC0415 - the same

    from tests.security.fuzz.targets import TARGETS  # noqa: PLC0415 - the same

    memory = _MEMORY_MIB * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    mutate, run_one = mutators.MUTATORS[target], in_time(TARGETS[target])
    known = [path.read_bytes() for path in sorted((place / "corpus").iterdir())]
    words = _words(target)
    places = st.integers(0, _LONGEST_BYTES)
    cuts = st.builds(lambda text, one, other: text[min(one, other) : max(one, other)],
                     st.sampled_from(known), places, places)  # fmt: skip
    parts = cuts | st.sampled_from(words) | st.binary(max_size=4)
    end = time.monotonic() + seconds

    @seed(_SEED)
    @settings(max_examples=200, deadline=None, database=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.sampled_from(known) | st.lists(parts, max_size=6).map(b"".join), st.integers(0))
    def holds(data: bytes, number: int) -> None:
        data = data[:_LONGEST_BYTES]
        run_one(mutate(data, _LONGEST_BYTES, number) if number else data)

    run: Callable[[], None] = holds
    while time.monotonic() < end:
        run()


def _words(target: str) -> list[bytes]:
    lines = (HERE / "words" / target).read_text(encoding="utf-8").splitlines()
    return [line[1:-1].encode().decode("unicode_escape").encode() for line in lines if line]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *map(Path, sys.argv[3:4]))
