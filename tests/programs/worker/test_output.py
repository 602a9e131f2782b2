"""A job's output: its streams, their bounds, and secrets in them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskrunner_cli.redaction import new_redactor
from taskrunner_cli.worker.output_pump import KeptOutput
from taskrunner_cli.worker.output_queue import OutputQueue
from taskrunner_cli.worker.output_stream import RedactedStream
from tests.worker_fixtures import RunOnce, in_background
from tests.worker_service import WorkerService

SECRET = "correct horse battery"


def test_output_appears_while_the_job_runs(
    service: WorkerService, run_once: RunOnce, tmp_path: Path
) -> None:
    flag = tmp_path / "flag"
    script = 'echo first; until [ -e "$FLAG" ]; do sleep 0.05; done; echo second'
    job = service.offer(script, env={"FLAG": str(flag)})

    with in_background(run_once):
        service.wait_for(lambda: job.text() == "first\n")
        flag.touch()
        service.ended(job)

    assert job.text() == "first\nsecond\n"


def test_the_first_64_kib_are_recorded_and_the_whole_is_uploaded(
    service: WorkerService, run_once: RunOnce
) -> None:
    service.heartbeat_s = 0.1
    job = service.offer("seq 1 20000")

    run_once()

    whole = "".join(f"{number}\n" for number in range(1, 20001))
    assert job.recorded_bytes == 64 << 10
    assert job.text() == whole[: 64 << 10]
    assert [file["path"] for file in service.ended(job)["artifacts"]] == ["output.log"]
    assert job.uploads["output.log"].decode() == whole


def test_a_file_output_log_of_the_job_keeps_its_name(
    service: WorkerService, run_once: RunOnce
) -> None:
    service.heartbeat_s = 0.1
    job = service.offer("seq 1 20000; echo mine > output/output.log")

    run_once()

    assert service.ended(job)["status"] == "succeeded"
    assert job.uploads["output.log"] == b"mine\n"
    assert len(job.uploads["output-1.log"]) > 64 << 10


def test_bytes_that_are_not_text_are_replaced(service: WorkerService, run_once: RunOnce) -> None:
    job = service.offer(r"printf 'a\377b\303'; sleep 0.2; printf '\244'")

    run_once()

    assert job.text() == "a\ufffdbä"


class TestRedactedStream:
    @given(st.lists(st.integers(1, 40), max_size=12), st.text("ab\n", max_size=60))
    def test_finds_a_secret_however_it_is_split(self, sizes: list[int], around: str) -> None:
        stream = RedactedStream(new_redactor({"key": SECRET}))
        data = f"{around}{SECRET}{around}é{SECRET}".encode() + b"\n" * 3000
        text, position = "", 0
        for size in [*sizes, len(data)]:
            text += stream.feed(data[position : position + size])
            position += size
        text += stream.close()

        assert text == f"{around}***{around}é***" + "\n" * 3000

    def test_finds_a_secret_in_base64_that_is_split(self) -> None:
        stream = RedactedStream(new_redactor({"key": SECRET}))

        pieces = [stream.feed(bytes([byte])) for byte in b"Y29ycmVjdCBob3JzZSBiYXR0ZXJ5"]

        assert "".join(pieces) + stream.close() == "***"

    def test_holds_back_no_more_than_a_secret_can_be(self) -> None:
        stream = RedactedStream(new_redactor({"key": SECRET}))

        assert len(stream.feed(b"x" * 100_000)) > 90_000

    def test_holds_back_nothing_without_secrets(self) -> None:
        assert RedactedStream(new_redactor({})).feed(b"a") == "a"


class TestOutputQueue:
    def test_joins_small_pieces_and_splits_large_ones(self) -> None:
        queue = OutputQueue()
        for stream, text in (("stdout", "a"), ("stdout", "b"), ("stderr", "x" * 4001)):
            queue.put(stream, text)  # type: ignore[arg-type] # one of the streams

        items = queue.take()

        assert [(item["sequence"], len(item["text"])) for item in items] == [
            (1, 2),
            (2, 4000),
            (3, 1),
        ]

    def test_does_not_change_items_that_were_taken(self) -> None:
        queue = OutputQueue()
        queue.put("stdout", "a")
        first = queue.take()
        queue.put("stdout", "b")

        queue.acknowledge(100)

        assert [item["text"] for item in first] == ["a"]
        assert [(item["sequence"], item["text"]) for item in queue.take()] == [(2, "b")]

    def test_keeps_the_beginning_in_whole_characters(self) -> None:
        queue = OutputQueue()
        queue.put("stdout", "x" * ((64 << 10) - 1))
        assert not queue.is_cut

        queue.put("stdout", "ä")
        queue.put("stdout", "y")

        assert queue.is_cut
        sent = ""
        while items := queue.take():
            sent += "".join(item["text"] for item in items)
            queue.acknowledge(None)
        assert sent == "x" * ((64 << 10) - 1)

    def test_drops_what_the_service_does_not_record(self) -> None:
        queue = OutputQueue()
        queue.put("stdout", "x" * 20_000)
        queue.take()

        queue.acknowledge(0)

        assert queue.is_empty
        assert queue.is_cut


@pytest.mark.parametrize("texts", [("12345678", "90abc", "more"), ("1234567890", "a")])
def test_the_file_of_the_whole_output_says_where_it_was_cut(
    tmp_path: Path, texts: tuple[str, ...]
) -> None:
    kept = KeptOutput(tmp_path / "output.log", limit_bytes=10)
    for text in texts:
        kept.write(text)
    kept.close()

    content = (tmp_path / "output.log").read_text()
    assert content == "1234567890\n[the output was cut after 10 bytes]\n"


def test_a_whole_output_of_just_the_limit_is_not_cut(tmp_path: Path) -> None:
    kept = KeptOutput(tmp_path / "output.log", limit_bytes=10)
    kept.write("1234567890")
    kept.close()

    assert (tmp_path / "output.log").read_text() == "1234567890"


def test_no_line_is_cut_between_two_parts_unless_it_is_longer_than_one() -> None:
    queue = OutputQueue()
    numbers = "".join(f"{number}\n" for number in range(3000))

    queue.put("stdout", numbers + "x" * 5000 + "\nend\n")

    parts = []
    while not queue.is_empty:
        parts += [item["text"] for item in queue.take()]
        queue.acknowledge(None)
    assert "".join(parts) == numbers + "x" * 5000 + "\nend\n"
    assert all(len(part) <= 4000 for part in parts)
    assert [part[-1] for part in parts if "x" not in part] == ["\n"] * (len(parts) - 2)
