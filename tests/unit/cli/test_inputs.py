"""Inputs and packs that cannot be used: each is a message, and never a crash."""

import io
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Command
from tests.unit.cli.fake_service import FakeService

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
HELLO = str(EXAMPLES / "hello.yaml")
DEEP = "[" * 5000 + "]" * 5000
COMMANDS = ("simulate", "run", "gates")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("1e400", "--input image cannot be used: the number 1e400 cannot be kept exactly"),
        ("-1e400", "the number -1e400 cannot be kept exactly"),
        ("9007199254740993.0", "the number 9007199254740993.0 cannot be kept exactly"),
        ("9" * 5000, "cannot be kept exactly"),
        ("1e-99999999999999999999", "cannot be kept exactly"),
        ('{"deep": [1e999]}', "the number 1e999 cannot be kept exactly"),
        ('{"a": [{"b": 1, "b": 2}]}', "an object in it has two members 'b'; keep one"),
        (DEEP, "--input image cannot be used: it is nested deeper than 100 levels"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "it is nested deeper than 100 levels"),
        ('"\\ud800"', "the input 'image' has text that is not Unicode"),
        ('["\\udfff"]', "the input 'image' has text that is not Unicode"),
        ("caf\udce9", "the input 'image' has text that is not Unicode"),
    ],
)
def test_names_the_value_that_cannot_be_used(
    taskrunner: Command, command: str, value: str, reason: str
) -> None:
    ended = taskrunner(command, HELLO, "--input", f"image={value}", "-o", "json")

    assert (ended.code, ended.out) == (2, "")
    assert reason in ended.error["error"]["message"]


@pytest.mark.parametrize(
    "content",
    ['{"n": 1e400}', DEEP, '{"n": "\\ud800"}', '{"n": 0.10000000000000000001}', "NaN"],
    ids=["number", "depth", "surrogate", "rounded", "constant"],
)
def test_names_the_inputs_file_that_cannot_be_used(
    taskrunner: Command, tmp_path: Path, content: str
) -> None:
    (tmp_path / "inputs.json").write_text(content)

    ended = taskrunner("simulate", HELLO, "--inputs", str(tmp_path / "inputs.json"))

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: the input")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", 0.1),
        ("1e2", 100.0),
        ("12345678901234567890", 12345678901234567890),
        ("123e4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000"),
        ("caf\u00e9", "caf\u00e9"),
    ],
)
def test_sends_values_as_they_were_written(
    taskrunner: Command, service: FakeService, text: str, value: object
) -> None:
    taskrunner("simulate", HELLO, "--input", f"image={text}")

    assert service.requests[-1].document["inputs"]["image"] == value


def test_a_byte_order_mark_is_not_a_part_of_the_inputs_or_the_pack(
    taskrunner: Command, service: FakeService, tmp_path: Path
) -> None:
    pack, inputs = tmp_path / "pack.yaml", tmp_path / "inputs.json"
    pack.write_bytes(b"\xef\xbb\xbf" + Path(HELLO).read_bytes())
    inputs.write_bytes(b'\xef\xbb\xbf{"image": "alpine"}')

    ended = taskrunner("simulate", str(pack), "--inputs", str(inputs))

    assert ended.code == 0
    assert service.requests[-1].document == {
        "manifest": Path(HELLO).read_text(),
        "inputs": {"image": "alpine"},
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", HELLO, "--run-id", "caf\udce9"),
        ("run", HELLO, "--idempotency-key", "k\u20ac"),
        ("show", "r\udce9"),
        ("show", ".."),
        ("runs", "--tenant", "t\n"),
        ("approve", "r1", "a\udce9", "--summary", "\udce9", "--plan-hash", "x"),
        ("gates", "no\0where"),
        ("simulate", "no\0where"),
        ("artifacts", "r1", "n", "--save", "no\0where"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_text_that_cannot_be_sent_or_opened_is_no_crash(
    taskrunner: Command, service: FakeService, arguments: tuple[str, ...]
) -> None:
    service.add("r1")

    ended = taskrunner(*arguments)

    assert ended.code in {1, 2}
    assert ended.err.startswith("error: ")


def test_a_page_is_opened_for_any_text(taskrunner: Command) -> None:
    ended = taskrunner("open", "caf\udce9", "--print")

    assert ended.code == 0
    assert ended.out.endswith("/console#/runs/caf%3F\n")


def test_says_which_words_an_option_takes(taskrunner: Command) -> None:
    ended = taskrunner("runs", "--status", "bogus")

    assert ended.code == 2
    assert ended.err.startswith("error: Invalid value for '--status': 'bogus' is not one of")


@pytest.mark.parametrize(
    "arguments", [("plan", HELLO, "--inputs", "/dev/zero"), ("lint", "/dev/zero"), ("lint", "-")]
)
def test_refuses_a_file_that_does_not_end(
    arguments: tuple[str, ...], taskrunner: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\N{GRINNING FACE}" * (4 * 1024**2 + 1)))

    ended = taskrunner(*arguments)

    assert ended.code == 2
    assert ended.err.endswith(": it is larger than 4 MiB\n")


def test_a_pack_from_standard_input_that_is_not_utf_8_is_no_crash(
    taskrunner: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"a: \xff"), encoding="utf-8", errors="surrogateescape")
    monkeypatch.setattr("sys.stdin", stdin)

    assert taskrunner("simulate", "-").code == 2
