"""Each row of the guarantee in model/secret_spellings.py, with a program that writes it."""

from __future__ import annotations

import json
from xml.sax.saxutils import escape

import pytest

from taskrunner.model.secret_spellings import MIN_CHARACTERS, spellings

SECRET = "p@ss w/ö'rd+<\"&\\>~%!"
MULTILINE = "first line of it\n  the second, longer line\nend"


@pytest.mark.parametrize(
    "spelling",
    [
        "p@ss w/ö'rd+<\"&\\>~%!",
        "p%40ss%20w%2F%C3%B6%27rd%2B%3C%22%26%5C%3E~%25%21",  # RFC 3986
        "p%40ss%20w/%C3%B6%27rd%2B%3C%22%26%5C%3E~%25%21",  # Python's quote()
        "p%40ss%20w%2F%C3%B6'rd%2B%3C%22%26%5C%3E~%25!",  # encodeURIComponent()
        "p@ss%20w/%C3%B6'rd+%3C%22&%5C%3E~%25!",  # encodeURI()
        "p%40ss+w%2F%C3%B6%27rd%2B%3C%22%26%5C%3E~%25%21",  # Python's urlencode()
        "p%40ss+w%2F%C3%B6%27rd%2B%3C%22%26%5C%3E%7E%25%21",  # URLSearchParams
        "p%40ss%20w%2f%c3%b6%27rd%2b%3c%22%26%5c%3e~%25%21",  # HttpUtility.UrlPathEncode()
        "p%2540ss%2520w%252F%25C3%25B6%2527rd%252B%253C%2522%2526%255C%253E~%2525%2521",
        "p@ss w/\\u00f6'rd+<\\\"&\\\\>~%!",  # Python's json
        "p@ss w/\\u00F6'rd+<\\\"&\\\\>~%!",  # Java's Jackson
        "p@ss w\\/\\u00f6'rd+<\\\"&\\\\>~%!",  # PHP
        "p@ss w/ö'rd+\\u003c\\\"\\u0026\\\\\\u003e~%!",  # Go
        "p@ss w/ö'rd+<\\\\\\\"&\\\\\\\\>~%!",  # JSON in JSON
        "p@ss w/ö\\'rd+<\"&\\\\>~%!",  # repr()
        "p@ss w/\\xc3\\xb6\\'rd+<\"&\\\\>~%!",  # repr() of bytes
        "p@ss w/\\xf6\\'rd+<\"&\\\\>~%!",  # ascii()
        "p@ss w/ö'rd+&lt;\"&amp;\\&gt;~%!",  # text in HTML
        "p@ss w/ö&#x27;rd+&lt;&quot;&amp;\\&gt;~%!",  # Python's html.escape()
        "p@ss w/ö&#39;rd+&lt;&quot;&amp;\\&gt;~%!",  # Jinja
        "p@ss w/ö&#39;rd+&lt;&#34;&amp;\\&gt;~%!",  # Go
        "p@ss w/ö&apos;rd+&lt;&quot;&amp;\\&gt;~%!",  # XML
    ],
)
def test_a_text_encoding_is_found(spelling: str) -> None:
    assert spelling.encode() in spellings(SECRET).texts


@pytest.mark.parametrize(
    "spelling",
    [
        SECRET.lower(),
        SECRET.upper(),
        SECRET.encode().decode("latin-1"),
        SECRET.encode().decode("cp1252"),
    ],
)
def test_an_alteration_is_found(spelling: str) -> None:
    assert spelling.encode() in spellings(SECRET).texts


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be", "latin-1", "cp1252"])
def test_another_charset_is_found(charset: str) -> None:
    assert SECRET.encode(charset) in spellings(SECRET).texts


def test_each_long_line_is_found_and_the_whole_with_each_line_end() -> None:
    found = spellings(MULTILINE).texts

    assert {b"first line of it", b"the second, longer line"} <= found
    assert MULTILINE.encode() in found
    assert b"first line of it\r\nthe second, longer line\r\nend" in found
    assert b"first line of it the second, longer line end" in found


def test_the_texts_and_numbers_of_a_json_document_are_found() -> None:
    document = {"user": "short", "password": ["correct-horse"], "pin": 12345678, "on": True}

    found = spellings(json.dumps(document)).texts

    assert {b"correct-horse", b"12345678"} <= found
    assert b"short" not in found


@pytest.mark.parametrize("secret", ["{not json at all", "[" * 2000, "{}", '["short"]  and more'])
def test_a_secret_that_only_looks_like_json_is_found_as_a_whole(secret: str) -> None:
    assert (
        secret.strip().encode() in spellings(secret).texts or len(secret.strip()) < MIN_CHARACTERS
    )


def test_digits_are_found_without_leading_zeros() -> None:
    assert b"1234567890" in spellings("00001234567890").texts


def test_no_spelling_is_shorter_than_the_minimum() -> None:
    texts, digits = spellings("00000001 {}")

    assert min(map(len, texts | digits)) >= MIN_CHARACTERS


def test_python_and_this_module_escape_xml_alike() -> None:
    assert escape(SECRET).encode() in spellings(SECRET).texts
