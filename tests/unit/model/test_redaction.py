"""Nothing of a secret remains, however it is written, and nothing else is changed."""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING, Any, Literal
from unicodedata import normalize
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from taskrunner.errors import SecretError
from taskrunner.model.redaction import MASK, MIN_CHARACTERS, Redactor
from tests.strategies import json_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = """-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj
MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu
NMoSfm76oqFvAp8Gy0iz5sxjZmSnXyCdPEovGhLa0VzMaQ8s+CLOyS56YyCFGeJZ
qgtzJ6GR3eqoYSW9b9UMvkBpZODSctWSNGj3P7jRFDO5VoTwCQAWbFnOjDfH5Ulg
ends=
-----END PRIVATE KEY-----
"""
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64 without padding": lambda s: base64.b64encode(s.encode()).decode().rstrip("="),
    "base64 for addresses": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "hex": lambda s: s.encode().hex(),
    "HEX": lambda s: s.encode().hex().upper(),
    "quote": quote,
    "quote all": lambda s: quote(s, safe=""),
    "quote_plus": quote_plus,
    "encodeURIComponent": lambda s: quote(s, safe="!'()*~"),
    "quote in lower case": lambda s: _lower_hex(quote(s, safe="")),
    "JSON": lambda s: json.dumps(s)[1:-1],
    "JSON with letters": lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
    "JSON as PHP writes it": lambda s: json.dumps(s)[1:-1].replace("/", "\\/"),
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
def test_nothing_of_a_secret_remains_and_what_is_around_it_does(
    secret: str, spelling: str, before: str, after: str
) -> None:
    # A sign that no spelling has keeps apart what would else look like a part of the secret.
    assume("¶" not in secret)
    before, after = before + "¶", "¶" + after
    text = before + SPELLINGS[spelling](secret) + after
    redactor = Redactor({"token": secret})
    assume(redactor.text(before) == before)
    assume(redactor.text(after) == after)

    assert redactor.text(text) == before + MASK + after
    assert redactor.find([text.encode()]) == "token"


@given(secret=secrets.map(str.strip), before=st.binary(max_size=9), after=st.binary(max_size=9))
def test_base64_of_what_holds_a_secret_holds_it_at_each_alignment(
    secret: str, before: bytes, after: bytes
) -> None:
    redactor = Redactor({"token": secret})

    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        written = encode(before + secret.encode() + after)
        told = redactor.text(written.decode())
        assert redactor.find([written]) == "token"
        assert told.count(MASK) == 1
        # Of the secret's own bytes only the bits are left that share a character with others.
        first = -(-len(before) * 8 // 6)
        last = (len(before) + len(secret.encode())) * 8 // 6
        assert len(told) - len(MASK) <= first + len(written) - last


@given(secret=secrets, texts=st.lists(around), value=json_values())
def test_what_holds_no_secret_is_left_as_it_is(secret: str, texts: list[str], value: Any) -> None:  # noqa: ANN401
    redactor = Redactor({"token": secret})
    words = json.dumps([texts, value], ensure_ascii=False)
    assume(redactor.find([words.encode("utf-8", "surrogatepass")]) is None)

    assert [redactor.text(text) for text in texts] == texts
    assert redactor.json(value) == value


@given(content=st.binary(max_size=400), secret=secrets, sizes=st.lists(st.integers(1, 50)))
def test_a_stream_is_one_text_however_it_is_cut(
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
    redactor = Redactor({"one": "another-secret", "two": "correct-horse"})
    mib = bytes(1024 * 1024)

    chunks = [mib, mib[:at] + b"correct", b"-horse" + mib, mib]
    assert redactor.find(chunks) == "two"
    assert redactor.find([mib, mib[:at] + b"correct", b"-house" + mib, mib]) is None


def test_the_longest_spelling_is_found_wherever_it_is_cut() -> None:
    secret = "correct-horse"
    written = secret.encode().hex().encode()
    redactor = Redactor({"token": secret})
    first = bytes(1024 * 1024 + len(written))

    for cut in range(1, len(written)):
        assert redactor.find([first + written[:cut], written[cut:]]) == "token"


def test_what_a_large_stream_costs_is_bounded() -> None:
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
            yield Chunk(bytes(64 * 1024))

    assert redactor.find(chunks()) is None


def test_several_secrets_are_redacted_and_the_first_in_order_is_named() -> None:
    redactor = Redactor({"one": "first-secret", "two": "second-secret"})

    assert redactor.text("second-secret, first-secret!") == f"{MASK}, {MASK}!"
    assert redactor.find([b"second-secret"]) == "two"


def test_secrets_that_overlap_leave_nothing_of_either() -> None:
    redactor = Redactor({"one": "abcdefghij", "two": "fghijklmno"})

    assert redactor.text("<abcdefghijklmno>") == f"<{MASK}>"
    assert redactor.text("<abcdefghijfghijklmno>") == f"<{MASK}>"


def test_what_remains_does_not_come_together_to_a_secret() -> None:
    redactor = Redactor({"one": "abcdefgh", "two": f"open{MASK}door"})

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
def test_each_long_line_of_a_key_is_a_secret_by_itself(text: str) -> None:
    redactor = Redactor({"key": KEY})

    told = redactor.text(text)

    assert redactor.find([text.encode()]) == "key"
    for line in KEY.splitlines()[1:5]:
        for spelling in SPELLINGS.values():
            assert spelling(line) not in told


@pytest.mark.parametrize("written", ["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_a_secret_is_found_in_either_form_that_unicode_has_of_it(
    stored: Literal["NFC", "NFD"], written: Literal["NFC", "NFD"]
) -> None:
    """Who passes it on may normalise it, as browsers, file systems and forms do."""
    redactor = Redactor({"token": normalize(stored, "p\u00e4ss-w\u00f6rter")})
    other = normalize(written, "p\u00e4ss-w\u00f6rter")

    assert redactor.text(f"<{other}>") == f"<{MASK}>"
    assert redactor.text(json.dumps(other)) == f'"{MASK}"'
    assert redactor.find([base64.b64encode(other.encode())]) == "token"


def test_the_frame_of_a_key_and_a_short_line_are_no_secrets() -> None:
    redactor = Redactor({"key": KEY})
    innocent = "-----BEGIN PRIVATE KEY-----\nends=\n-----END PRIVATE KEY-----\n"

    assert redactor.text(innocent) == innocent
    assert redactor.find([innocent.encode()]) is None


def test_a_line_end_behind_a_secret_is_no_part_of_it() -> None:
    assert Redactor({"token": "correct-horse\n"}).text("<correct-horse>") == f"<{MASK}>"


class TestJson:
    redactor = Redactor({"token": "correct-horse", "pin": "12345678"})

    def test_texts_keys_and_numbers_are_redacted_wherever_they_stand(self) -> None:
        value = {"a": ["correct-horse", {"correct-horse": 123456789.5}], "b": 12345678, "c": True}

        assert self.redactor.json(value) == {
            "a": [MASK, {MASK: f"{MASK}9.5"}],
            "b": MASK,
            "c": True,
        }

    def test_two_keys_stay_two(self) -> None:
        value = {"correct-horse": 1, MASK: 2, "Y29ycmVjdC1ob3JzZQ==": 3, f"{MASK}-2": 4}

        told = self.redactor.json(value)

        assert told == {f"{MASK}-3": 1, MASK: 2, f"{MASK}-4": 3, f"{MASK}-2": 4}

    def test_the_value_that_was_given_is_left_as_it_was(self) -> None:
        value = {"a": ["correct-horse"]}

        self.redactor.json(value)

        assert value == {"a": ["correct-horse"]}


def test_without_secrets_everything_passes_as_the_same_object() -> None:
    redactor = Redactor({})
    text, value = "anything at all", {"a": [1]}

    assert redactor.text(text) is text
    assert redactor.json(value) is value
    assert redactor.find(iter([b"x"])) is None


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "is empty"),
        ("         ", "is empty"),
        ("1234567", "has 7 characters, at least 8 are needed"),
        ("  1234567\n\n", "has 7 characters, at least 8 are needed"),
    ],
)
def test_what_is_too_short_is_refused_by_name_alone(value: str, why: str) -> None:
    with pytest.raises(SecretError) as refused:
        Redactor({"pin": value})

    assert str(refused.value) == f"the secret 'pin' {why}"
