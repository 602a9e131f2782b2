"""The redactor finds an encoded secret in every combination that model/secret_spellings.py states.

A secret is encoded by the functions that programs use for it: once or twice in base64 or hex, each
time within other data and in lines, and then written into JSON, a URL, markup or source code.
"""

from __future__ import annotations

import ast
import base64
import binascii
import html
import json
import re
import ssl
import textwrap
from dataclasses import dataclass
from email.base64mime import body_encode
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from taskrunner.model.redaction import MASK, MIN_CHARACTERS, Redactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from hypothesis.strategies import DrawFn, SearchStrategy

NOT_DIGITS = re.compile(r"[^A-Za-z0-9+/_-]")
# At both ends a digit may hold bits of the secret and of its neighbour. It stays in the text.
MAX_DIGITS_LEFT = 4


@dataclass(frozen=True)
class Written:
    """Some data in which the secret stands from *start* to *end*."""

    data: bytes
    start: int
    end: int


def base64_of(
    written: Written, encode: Callable[[bytes], bytes] = base64.b64encode, padding: bytes = b"="
) -> Written:
    data = encode(written.data).rstrip(b"=" if padding == b"" else b"")
    # The digits of the secret's bits alone; the last one may be incomplete at the end of the data.
    is_last = written.end == len(written.data)
    end = len(data.rstrip(b"=")) if is_last else written.end * 8 // 6
    return Written(data, -(-written.start * 8 // 6), end)


def hex_of(written: Written) -> Written:
    return Written(written.data.hex().encode(), written.start * 2, written.end * 2)


def upper_hex_of(written: Written) -> Written:
    data = base64.b16encode(written.data)
    return Written(data, written.start * 2, written.end * 2)


def in_lines(written: Written, width: int, line_end: bytes) -> Written:
    data = written.data
    lines = [data[start : start + width] for start in range(0, len(data), width)]
    added = len(line_end)
    return Written(
        line_end.join(lines),
        written.start + written.start // width * added,
        written.end + (written.end - 1) // width * added,
    )


ENCODINGS: dict[str, Callable[[Written], Written]] = {
    "base64": base64_of,
    "base64 without padding": lambda w: base64_of(w, padding=b""),
    "base64 for URLs": lambda w: base64_of(w, base64.urlsafe_b64encode),
    "hex": hex_of,
    "upper hex": upper_hex_of,
}
FORMS: dict[str, Callable[[str], bytes]] = {
    "as it is": str.encode,
    "JSON": lambda secret: json.dumps(secret)[1:-1].encode(),
    "JSON, not ASCII": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
    "URL": lambda secret: quote(secret, safe="").encode(),
    "UTF-16": lambda secret: secret.encode("utf-16-le"),
}
# The rest of an escape of JSON whose last digits are masked, because they look like digits of
# the secret that follows.
CUT_ESCAPE = re.compile(r"\\+u[0-9a-fA-F]{0,3}(?=\*{3})")
# How a text is written into another one, and how that is read again.
CARRIERS: dict[str, tuple[Callable[[str], str], Callable[[str], str]]] = {
    "as it is": (str, str),
    "JSON": (lambda text: json.dumps(text)[1:-1], lambda text: json.loads(f'"{text}"')),
    "JSON of PHP": (
        lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
        lambda text: json.loads(f'"{text}"'),
    ),
    "JSON of .NET": (
        lambda text: json.dumps(text)[1:-1].replace("+", "\\u002B"),
        lambda text: json.loads(f'"{text}"'),
    ),
    "JSON in JSON": (
        lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
        lambda text: json.loads(f'"{json.loads(chr(34) + text + chr(34))}"'),
    ),
    "URL": (lambda text: quote(text, safe=""), unquote),
    "URL, lower case": (
        lambda text: re.sub("%..", lambda escape: escape[0].lower(), quote(text, safe="")),
        unquote,
    ),
    "URL in a URL": (
        lambda text: quote(quote(text, safe=""), safe=""),
        lambda text: unquote(unquote(text)),
    ),
    "HTML of Go": (
        lambda text: html.escape(text).replace("+", "&#43;"),
        html.unescape,
    ),
    "HTML of mustache": (
        lambda text: html.escape(text).replace("/", "&#x2F;").replace("=", "&#x3D;"),
        html.unescape,
    ),
    "XML attribute": (
        lambda text: html.escape(text).replace("\n", "&#10;").replace("\r", "&#13;"),
        html.unescape,
    ),
    "Python": (
        lambda text: repr(f"{text}\"'".encode())[2:-4],
        lambda text: ast.literal_eval(f"'{text}'"),
    ),
}
LINE_ENDS = (b"\n", b"\r\n", b"\n  ", b"\r\n\t", b" ")
line_ends = st.sampled_from(LINE_ENDS)
quoting_line_ends = st.sampled_from((*LINE_ENDS, b"\n> ", b'",\n"', b"\0\n\0"))
secrets = st.text(st.characters(codec="utf-8"), min_size=MIN_CHARACTERS, max_size=80).filter(
    lambda text: len(text.strip()) >= MIN_CHARACTERS and MASK not in text
)
printable = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), max_size=20)


_around = st.binary(max_size=9)
_encodings = st.sampled_from(sorted(ENCODINGS))
_widths = st.sampled_from([None, 60, 64, 76]) | st.integers(16, 200)


@st.composite
def layer(draw: DrawFn, written: Written, ends: SearchStrategy[bytes]) -> Written:
    """Encode within other data, and perhaps in lines."""
    before, after = draw(_around), draw(_around)
    longer = Written(
        before + written.data + after, len(before) + written.start, len(before) + written.end
    )
    encoded = ENCODINGS[draw(_encodings)](longer)
    width = draw(_widths)
    if width is None:
        return encoded
    return in_lines(encoded, width, draw(ends))


def shown(written: Written, before: str, after: str, carrier: str) -> tuple[str, int]:
    """Return a text that contains *written*, and how many digits in it are not the secret's."""
    write, _ = CARRIERS[carrier]
    text = written.data.decode()
    around = before + text[: written.start] + text[written.end :] + after
    return write(before + text + after), len(NOT_DIGITS.sub("", around))


def assert_masked(redactor: Redactor, text: str, digits_around: int, carrier: str) -> None:
    _, read = CARRIERS[carrier]
    redacted = redactor.text(text)
    assert MASK in redacted
    whole = CUT_ESCAPE.sub("", redacted)
    assert len(NOT_DIGITS.sub("", read(whole))) <= digits_around + MAX_DIGITS_LEFT
    assert redactor.find([text.encode()]) == "token"


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("layers", [1, 2])
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    secret=secrets.map(str.strip),
    form=st.sampled_from(sorted(FORMS)),
    before=printable,
    after=printable,
    data=st.data(),
)
def test_a_secret_is_found_in_every_combination_of_encodings(  # noqa: PLR0913, PLR0917 - each is drawn
    secret: str,
    form: str,
    before: str,
    after: str,
    data: st.DataObject,
    layers: int,
    carrier: str,
) -> None:
    content = FORMS[form](secret)
    written = Written(content, 0, len(content))
    for number in range(layers):
        is_outermost = number == layers - 1
        ends = quoting_line_ends if is_outermost and carrier == "as it is" else line_ends
        written = data.draw(layer(written, ends))

    text, digits_around = shown(written, before, after, carrier)

    assert_masked(Redactor({"token": secret}), text, digits_around, carrier)


@given(
    secret=secrets.map(str.strip),
    form=st.sampled_from(sorted(FORMS)),
    encoding=st.sampled_from(sorted(ENCODINGS)),
    width=st.integers(1, 15),
    line_end=quoting_line_ends,
)
def test_a_secret_that_is_encoded_once_is_found_in_lines_of_any_length(
    secret: str, form: str, encoding: str, width: int, line_end: bytes
) -> None:
    content = FORMS[form](secret)
    encoded = ENCODINGS[encoding](Written(content, 0, len(content)))

    text = in_lines(encoded, width, line_end).data.decode()

    assert_masked(Redactor({"token": secret}), text, 0, "as it is")


RSA_KEY: PrivateKeyTypes = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY: PrivateKeyTypes = ec.generate_private_key(ec.SECP256R1())


def pem_of(key: PrivateKeyTypes, key_format: serialization.PrivateFormat) -> str:
    no_password = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, key_format, no_password).decode()


PEMS = {
    "RSA": pem_of(RSA_KEY, serialization.PrivateFormat.PKCS8),
    "RSA, traditional": pem_of(RSA_KEY, serialization.PrivateFormat.TraditionalOpenSSL),
    "EC": pem_of(EC_KEY, serialization.PrivateFormat.PKCS8),
    "OpenSSH": pem_of(RSA_KEY, serialization.PrivateFormat.OpenSSH),
}
PEMS["two in one"] = PEMS["EC"] + PEMS["RSA"]
PEMS["Windows"] = PEMS["RSA"].replace("\n", "\r\n")


def body_of(pem: str) -> str:
    return "".join(line for line in pem.splitlines() if not line.startswith("-----"))


def wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width))


PEM_FORMS: dict[str, Callable[[str], str]] = {
    "76 characters a line": lambda pem: wrapped(body_of(pem), 76),
    "70 characters a line": lambda pem: wrapped(body_of(pem), 70),
    "17 characters a line": lambda pem: wrapped(body_of(pem), 17),
    "one line": body_of,
    "JSON": lambda pem: json.dumps({"key": wrapped(body_of(pem), 76)}),
    "JSON in JSON": lambda pem: json.dumps({"all": json.dumps({"key": wrapped(body_of(pem), 76)})}),
    "list of lines": lambda pem: json.dumps(textwrap.wrap(body_of(pem), 76), indent=2),
    "YAML block": lambda pem: textwrap.indent(wrapped(body_of(pem), 76), "      "),
    "YAML": lambda pem: yaml.dump({"key": wrapped(body_of(pem), 76)}),
    "shell": lambda pem: "KEY=$'" + wrapped(body_of(pem), 76).replace("\n", "\\n") + "'",
    "comments": lambda pem: textwrap.indent(wrapped(body_of(pem), 76), "# "),
    "URL": lambda pem: quote(wrapped(body_of(pem), 76), safe=""),
    "form": lambda pem: quote(wrapped(body_of(pem), 76)),
    "base64 for URLs": lambda pem: body_of(pem).translate(str.maketrans("+/", "-_")).rstrip("="),
    "base64": lambda pem: base64.encodebytes(wrapped(body_of(pem), 76).encode()).decode(),
    "base64 of its lines": lambda pem: base64.b64encode(pem.encode()).decode(),
    "MIME": lambda pem: body_encode(pem.encode(), maxlinelen=76),
}


@pytest.mark.parametrize("form", PEM_FORMS)
@pytest.mark.parametrize("kind", PEMS)
def test_a_pem_is_found_in_lines_of_any_length(kind: str, form: str) -> None:
    pem = PEMS[kind]
    redactor = Redactor({"key": pem})

    text = PEM_FORMS[form](pem)

    assert redactor.find([text.encode()]) == "key"
    redacted = redactor.text(f"before: {text} :after")
    assert redacted.startswith("before: ")
    assert redacted.endswith(" :after")
    # Nothing is left that decodes to as much as a number of the key.
    assert len(NOT_DIGITS.sub("", redacted)) <= len("before" + "after") + 24


@pytest.mark.parametrize("kind", ["RSA", "RSA, traditional", "EC"])
def test_a_pem_is_found_as_the_bytes_that_it_encodes(kind: str) -> None:
    pem = PEMS[kind]
    redactor = Redactor({"key": pem})
    der = base64.b64decode(body_of(pem))

    for content in (
        der,
        b"\x30\x82" + der + b"\x00",
        binascii.hexlify(der, sep=":"),
        base64.b64encode(b"store" + der),
        ssl.DER_cert_to_PEM_cert(der).encode(),
    ):
        assert redactor.find([content]) == "key"


@pytest.mark.parametrize(
    "secret",
    [
        "c29tZS1zZWNyZXQtdmFsdWU+P2E=",
        "MDEyMzQ1Njc4OWFiY2RlZg",
        "0123456789abcdef0123456789ABCDEF",
        "correct horse battery staple",
    ],
)
@pytest.mark.parametrize("width", [4, 7, 16])
def test_a_secret_of_base64_characters_is_found_in_lines(secret: str, width: int) -> None:
    redactor = Redactor({"token": secret})
    lines = [secret[start : start + width] for start in range(0, len(secret), width)]

    for line_end in ("\n", "\r\n", "\n    ", "\n> "):
        assert redactor.find([line_end.join(lines).encode()]) == "token"
        assert redactor.text(line_end.join(lines)) == MASK


@pytest.mark.parametrize(
    "write",
    [
        base64.encodebytes,
        lambda data: base64.encodebytes(base64.encodebytes(data)),
        lambda data: body_encode(data, maxlinelen=64).encode(),
        lambda data: wrapped(data.hex(), 60).encode(),
        lambda data: binascii.hexlify(data, sep=":").upper(),
    ],
)
@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "utf-16-be"])
def test_a_file_of_digits_is_found_in_each_charset(
    write: Callable[[bytes], bytes], charset: str
) -> None:
    secret = "correct-horse-battery-staple-" * 4

    content = write(f"user:{secret}".encode()).decode().encode(charset)

    assert Redactor({"token": secret}).find([content]) == "token"


@pytest.mark.parametrize("spaces", [0, 15])
def test_a_secret_in_many_lines_is_found_at_every_cut_of_a_file(spaces: int) -> None:
    """A window of the search is one MiB, and what it overlaps the next by must hold all lines."""
    secret = "correct-horse"
    redactor = Redactor({"token": secret})
    once = base64.b64encode(b"user:" + secret.encode()).hex()
    written = ("\n" + " " * spaces).join(textwrap.wrap(once, 16)).encode()
    mib = b"." * 1024 * 1024

    for position in range(0, len(written) + 1, 3):
        assert redactor.find([mib + written[:position], written[position:] + mib]) == "token"
        assert redactor.find([mib[position:] + written, mib]) == "token"
