"""The redactor masks a secret in every spelling, and changes nothing else."""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING, Any, Literal
from unicodedata import normalize
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from taskrunner.errors import SecretError
from taskrunner.model.encoded_layers import layers
from taskrunner.model.redaction import MASK, MIN_CHARACTERS, Redactor
from tests.strategies import json_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

KEY = """-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj
MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu
NMoSfm76oqFvAp8Gy0iz5sxjZmSnXyCdPEovGhLa0VzMaQ8s+CLOyS56YyCFGeJZ
qgtzJ6GR3eqoYSW9b9UMvkBpZODSctWSNGj3P7jRFDO5VoTwCQAWbFnOjDfH5Ulg
ends=
-----END PRIVATE KEY-----
"""
SPELLINGS: dict[str, Callable[[str], str]] = {
    "unchanged": str,
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 without padding": lambda s: base64.b64encode(s.encode()).decode().rstrip("="),
    "base64 for URLs": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "hex": lambda s: s.encode().hex(),
    "HEX": lambda s: s.encode().hex().upper(),
    "percent": quote,
    "percent, all": lambda s: quote(s, safe=""),
    "form": quote_plus,
    "encodeURIComponent": lambda s: quote(s, safe="!'()*~"),
    "percent, lower case": lambda s: _lower_hex(quote(s, safe="")),
    "JSON": lambda s: json.dumps(s)[1:-1],
    "JSON, not ASCII": lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
    "JSON of PHP": lambda s: json.dumps(s)[1:-1].replace("/", "\\/"),
    "HTML": html.escape,
    "HTML text": lambda s: html.escape(s, quote=False),
    "Python": lambda s: repr(s)[1:-1],
}
secrets = (
    st.text(st.characters(codec="utf-8"), min_size=MIN_CHARACTERS, max_size=60)
    | st.text("aZ09-_.~/+=&%<>'\"\\ é😀", min_size=MIN_CHARACTERS, max_size=60)
).filter(lambda text: len(text.strip()) >= MIN_CHARACTERS and MASK not in text)
around = st.text(st.characters(codec="utf-8"), max_size=20)


def _lower_hex(quoted: str) -> str:
    pieces = quoted.split("%")
    return "%".join([pieces[0], *(piece[:2].lower() + piece[2:] for piece in pieces[1:])])


@pytest.mark.parametrize("spelling", SPELLINGS)
@given(secret=secrets.map(str.strip), before=around, after=around)
@example(secret="0" * 16, before="0", after="")  # in hex, a zero byte stands before the secret
@example(secret="0:::::::", before="3", after="")
def test_a_secret_is_masked_in_each_spelling_and_the_text_around_is_kept(
    secret: str, spelling: str, before: str, after: str
) -> None:
    # No text spelling contains this sign, so the text around cannot look like part of one.
    assume("¶" not in secret)
    before, after = before + "¶", "¶" + after
    written = SPELLINGS[spelling](secret)
    text = before + written + after
    redactor = Redactor({"token": secret})
    assume(not _digits_around_complete_an_encoding(redactor._digits, written, text))
    assume(redactor.text(before) == before)
    assume(redactor.text(after) == after)

    assert redactor.text(text) == before + MASK + after
    assert redactor.find([text.encode()]) == "token"


def test_zero_bytes_before_a_secret_are_masked_only_as_part_of_an_escape() -> None:
    redactor = Redactor({"token": "+++/+++/+++/++++"})

    assert redactor.text("a\0\0+++/+++/+++/++++") == f"a\0\0{MASK}"
    assert redactor.text("a%2B++%2F+++/+++/++++") == f"a{MASK}"


def test_digits_around_that_complete_an_encoding_are_masked_too() -> None:
    """With the 3, the percent-encoded text is also the secret in hex, in lines of two digits."""
    redactor = Redactor({"token": "0:::::::"})

    assert redactor.text("2¶0%3A%3A%3A%3A%3A%3A%3A¶") == f"2¶{MASK}¶"
    assert redactor.text("3¶0%3A%3A%3A%3A%3A%3A%3A¶") == f"{MASK}¶"


def _digits_around_complete_an_encoding(
    encodings: Iterable[bytes], written: str, text: str
) -> bool:
    """Return whether *text* contains an encoding of the secret that is not in *written* alone."""
    return _most_encodings(encodings, text) > _most_encodings(encodings, written)


def _most_encodings(encodings: Iterable[bytes], text: str) -> int:
    """Return how many *encodings* stand in a layer of *text*, whatever separates their digits."""
    return max(
        sum(
            layer.digits.startswith(encoding, start)
            for encoding in encodings
            for start in range(len(layer.digits) - len(encoding) + 1)
        )
        for layer in layers(text.encode())
    )


@given(secret=secrets.map(str.strip), before=st.binary(max_size=9), after=st.binary(max_size=9))
def test_a_secret_inside_base64_is_found_at_each_alignment(
    secret: str, before: bytes, after: bytes
) -> None:
    redactor = Redactor({"token": secret})

    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        written = encode(before + secret.encode() + after)
        redacted = redactor.text(written.decode())
        assert redactor.find([written]) == "token"
        assert redacted.count(MASK) == 1
        # Only bits that share a base64 character with a neighbour may be left of the secret.
        first = -(-len(before) * 8 // 6)
        last = (len(before) + len(secret.encode())) * 8 // 6
        assert len(redacted) - len(MASK) <= first + len(written) - last


@given(secret=secrets, texts=st.lists(around), value=json_values())
def test_a_value_without_a_secret_is_unchanged(secret: str, texts: list[str], value: Any) -> None:  # noqa: ANN401
    redactor = Redactor({"token": secret})
    words = json.dumps([texts, value], ensure_ascii=False)
    assume(redactor.find([words.encode("utf-8", "surrogatepass")]) is None)

    assert [redactor.text(text) for text in texts] == texts
    assert redactor.json(value) == value


@given(content=st.binary(max_size=400), secret=secrets, sizes=st.lists(st.integers(1, 50)))
def test_a_secret_is_found_however_the_stream_is_cut(
    content: bytes, secret: str, sizes: list[int]
) -> None:
    redactor = Redactor({"token": secret})
    data = content + secret.encode() + content

    assert redactor.find(_cut(data, sizes)) == "token"


def _cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


@pytest.mark.parametrize("at", [-9, -1, 0, 1, 5])
def test_a_secret_across_two_windows_is_found(at: int) -> None:
    redactor = Redactor({"first": "another-secret", "second": "correct-horse"})
    mib = b"." * 1024 * 1024

    chunks = [mib, mib[:at] + b"correct", b"-horse" + mib, mib]
    assert redactor.find(chunks) == "second"
    assert redactor.find([mib, mib[:at] + b"correct", b"-house" + mib, mib]) is None


def test_a_secret_among_zero_bytes_is_found() -> None:
    """A zero byte may be a part of an encoding, so all of a sparse file is decoded."""
    zeros = bytes(1024 * 1024)
    redactor = Redactor({"token": "correct-horse"})

    assert redactor.find([zeros, zeros[:-5] + b"correct", b"-horse" + zeros, zeros]) == "token"
    assert redactor.find([zeros, zeros[:-5] + b"correct", b"-house" + zeros, zeros]) is None


def test_the_longest_spelling_is_found_at_every_cut() -> None:
    secret = "correct-horse"
    written = secret.encode().hex().encode()
    redactor = Redactor({"token": secret})
    first = b"." * (1024 * 1024 + len(written))

    for cut in range(1, len(written)):
        assert redactor.find([first + written[:cut], written[cut:]]) == "token"


def test_a_large_stream_is_not_kept_in_memory() -> None:
    redactor = Redactor({"token": "correct-horse"})
    alive = 0

    class Chunk(bytes):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def chunks() -> Iterator[bytes]:
        nonlocal alive
        for _ in range(400):
            alive += 1
            assert alive <= 30
            yield Chunk(b"." * 64 * 1024)

    assert redactor.find(chunks()) is None


def test_several_secrets_are_masked_and_the_found_one_is_named() -> None:
    redactor = Redactor({"first": "first-secret", "second": "second-secret"})

    assert redactor.text("second-secret, first-secret!") == f"{MASK}, {MASK}!"
    assert redactor.find([b"second-secret"]) == "second"


def test_overlapping_secrets_are_masked_together() -> None:
    redactor = Redactor({"first": "abcdefghij", "second": "fghijklmno"})

    assert redactor.text("<abcdefghijklmno>") == f"<{MASK}>"
    assert redactor.text("<abcdefghijfghijklmno>") == f"<{MASK}>"


def test_a_secret_that_masking_brings_together_is_masked_too() -> None:
    redactor = Redactor({"first": "abcdefgh", "second": f"open{MASK}door"})

    assert redactor.text("openabcdefghdoor") == MASK


@pytest.mark.parametrize(
    "text",
    [
        KEY,
        KEY.replace("\n", "\r\n"),
        KEY.splitlines()[2],
        "key: |\n  " + KEY.replace("\n", "\n  "),
        json.dumps({"key": KEY}),
        base64.b64encode(KEY.encode()).decode(),
        base64.b64encode(b"x" + KEY.splitlines()[3].encode()).decode(),
        quote(KEY),
    ],
)
def test_each_long_line_of_a_key_is_masked(text: str) -> None:
    redactor = Redactor({"key": KEY})

    redacted = redactor.text(text)

    assert redactor.find([text.encode()]) == "key"
    for line in KEY.splitlines()[1:5]:
        for spelling in SPELLINGS.values():
            assert spelling(line) not in redacted


@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_a_secret_is_found_in_either_unicode_form(
    stored: Literal["NFC", "NFD"], written: Literal["NFC", "NFD"]
) -> None:
    """Browsers, file systems and forms normalise text."""
    redactor = Redactor({"token": normalize(stored, "p\u00e4ss-w\u00f6rter")})
    other = normalize(written, "p\u00e4ss-w\u00f6rter")

    assert redactor.text(f"<{other}>") == f"<{MASK}>"
    assert redactor.text(json.dumps(other)) == f'"{MASK}"'
    assert redactor.find([base64.b64encode(other.encode())]) == "token"


def test_the_frame_and_the_short_lines_of_a_key_are_not_masked() -> None:
    redactor = Redactor({"key": KEY})
    innocent = "-----BEGIN PRIVATE KEY-----\nends=\n-----END PRIVATE KEY-----\n"

    assert redactor.text(innocent) == innocent
    assert redactor.find([innocent.encode()]) is None


def test_a_line_end_after_a_secret_is_not_part_of_it() -> None:
    assert Redactor({"token": "correct-horse\n"}).text("<correct-horse>") == f"<{MASK}>"


class TestJson:
    redactor = Redactor({"token": "correct-horse", "pin": "12345678"})

    def test_texts_keys_and_numbers_are_redacted_at_any_depth(self) -> None:
        value = {"a": ["correct-horse", {"correct-horse": 123456789.5}], "b": 12345678, "c": True}

        assert self.redactor.json(value) == {
            "a": [MASK, {MASK: f"{MASK}9.5"}],
            "b": MASK,
            "c": True,
        }

    def test_redacted_keys_stay_different(self) -> None:
        value = {"correct-horse": 1, MASK: 2, "Y29ycmVjdC1ob3JzZQ==": 3, f"{MASK}-2": 4}

        redacted = self.redactor.json(value)

        assert redacted == {f"{MASK}-3": 1, MASK: 2, f"{MASK}-4": 3, f"{MASK}-2": 4}

    def test_the_original_value_is_not_changed(self) -> None:
        value = {"a": ["correct-horse"]}

        self.redactor.json(value)

        assert value == {"a": ["correct-horse"]}


def test_a_redactor_without_secrets_returns_the_same_object() -> None:
    redactor = Redactor({})
    text, value = "anything at all", {"a": [1]}

    assert redactor.text(text) is text
    assert redactor.json(value) is value
    assert redactor.find(iter([b"x"])) is None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "is empty"),
        ("         ", "is empty"),
        ("1234567", "has 7 characters, and at least 8 are needed"),
        ("  1234567\n\n", "has 7 characters, and at least 8 are needed"),
    ],
)
def test_a_value_that_is_too_short_is_refused_by_name_only(value: str, problem: str) -> None:
    with pytest.raises(SecretError) as error:
        Redactor({"pin": value})

    assert str(error.value) == f"the secret 'pin' {problem}"


class TestAStreamInPieces:
    SECRET = "correct horse battery"

    def test_without_secrets_everything_is_settled(self) -> None:
        assert Redactor({}).settled_bytes(b"abc") == 3

    def test_the_beginning_of_a_secret_is_not_settled(self) -> None:
        data = b"x" * 100_000 + self.SECRET[:10].encode()

        assert Redactor({"key": self.SECRET}).settled_bytes(data) <= 100_000

    def test_what_is_settled_ends_before_a_secret_and_not_in_it(self) -> None:
        redactor = Redactor({"key": self.SECRET})
        size = 100_000 - redactor.settled_bytes(b"x" * 100_000)

        for missing in range(len(self.SECRET) + 1):
            data = b"x" * 10 + self.SECRET.encode() + b"x" * (size - missing)
            settled = redactor.settled_bytes(data)
            assert settled <= 10 or settled >= 10 + len(self.SECRET)

    def test_bytes_that_are_not_text_stay(self) -> None:
        data = b"\xff" + self.SECRET.encode() + b"\xc3"

        assert Redactor({"key": self.SECRET}).data(data) == b"\xff***\xc3"
