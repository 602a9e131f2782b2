from __future__ import annotations

import hashlib

from taskrunner.model.canonical_json import canonical_bytes, digest


def test_writes_the_canonical_form_of_rfc_8785() -> None:
    # Sorted by UTF-16 code units, numbers as ECMAScript writes them, no white space (section 3.2).
    document = {"b": 1.0, "\ufb33": 1e21, "\U0001f600": "é", "a": [True, None]}

    text = '{"a":[true,null],"b":1,"\U0001f600":"é","\ufb33":1e+21}'
    assert canonical_bytes(document) == text.encode()


def test_hashes_the_canonical_form() -> None:
    assert digest({"b": 2.0, "a": 1}) == "sha256:" + hashlib.sha256(b'{"a":1,"b":2}').hexdigest()
