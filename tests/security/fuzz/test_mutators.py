"""The fuzzers' mutators make other inputs, of the allowed size, that come past the shape."""

from __future__ import annotations

import random
from itertools import cycle, islice

import pytest
import yaml

from taskrunner.compiler.manifest import schema, source
from taskrunner.errors import InvalidPackError
from taskrunner.expressions import ExpressionError, templates
from tests.security.fuzz import mutators
from tests.security.fuzz.run import seeds
from tests.security.fuzz.vocabulary import CONDITIONS, PACK, SCHEMA, Words

_LONGEST = 4096
_COUNT = 600


def _known(target: str) -> list[bytes]:
    return [path.read_bytes() for path in seeds(target)]


def _made(target: str) -> list[tuple[bytes, bytes]]:
    """Seeds, each with what becomes of it."""
    mutate = mutators.MUTATORS[target]
    return [
        (data, mutate(data, _LONGEST, number))
        for number, data in enumerate(islice(cycle(_known(target)), _COUNT))
    ]


def _has_a_shape(data: bytes) -> bool:
    try:
        schema.parse(source.read(data.decode())).refuse(())
    except InvalidPackError:
        return False
    return True


def _parses(data: bytes) -> bool:
    try:
        templates.split(data.decode())
    except ExpressionError:
        return False
    return True


@pytest.mark.parametrize("target", mutators.MUTATORS)
def test_most_inputs_become_other_ones(target: str) -> None:
    changed = [after for before, after in _made(target) if after != before]

    assert len(changed) > 0.8 * _COUNT
    assert len(set(changed)) > 0.7 * _COUNT


@pytest.mark.parametrize("target", mutators.MUTATORS)
def test_a_seed_gives_the_same_again(target: str) -> None:
    assert _made(target) == _made(target)


@pytest.mark.parametrize("target", mutators.MUTATORS)
@pytest.mark.parametrize("most", [0, 1, 60])
def test_nothing_becomes_larger_than_is_allowed(target: str, most: int) -> None:
    for number, data in enumerate(_known(target)):
        assert len(mutators.MUTATORS[target](data, most, number)) <= most


@pytest.mark.parametrize("target", mutators.CROSSOVERS)
def test_two_documents_become_one(target: str) -> None:
    known = _known(target)
    joined = [
        mutators.CROSSOVERS[target](one, other, _LONGEST, number)
        for number, (one, other) in enumerate(zip(known, reversed(known), strict=True))
    ]

    assert all(len(text) <= _LONGEST for text in joined)
    assert sum(text not in known for text in joined) > 0.8 * len(known)


def test_many_changed_packs_keep_a_packs_shape() -> None:
    fine = [(before, after) for before, after in _made("pack") if _has_a_shape(before)]

    kept = sum(_has_a_shape(after) for before, after in fine if after != before)
    blind = (_one_byte_more(before, number) for number, (before, _) in enumerate(fine))
    by_bytes = sum(map(_has_a_shape, blind))

    assert kept > 0.3 * len(fine)
    assert kept > by_bytes


def _one_byte_more(data: bytes, seed: int) -> bytes:
    """Return the result of the least of blind mutations."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    at = rng.randrange(len(data))
    return data[:at] + bytes([rng.randrange(32, 127)]) + data[at:]


def test_many_grown_expressions_parse() -> None:
    rng = random.Random(1)  # noqa: S311 - no secret
    grown = {mutators.grown(rng) for _ in range(_COUNT)}

    assert len(grown) > 0.5 * _COUNT
    assert sum(_parses(f"{{{{ {text} }}}}".encode()) for text in grown) > 0.3 * len(grown)


@pytest.mark.parametrize("word", ["!!binary", "<<: ", "__proto__", "parallel:", "{{ "])
def test_mutations_contain_syntax_that_byte_mutations_seldom_find(word: str) -> None:
    assert any(
        word in after.decode() and word not in before.decode() for before, after in _made("pack")
    )


def test_aliases_come_where_none_were() -> None:
    assert any(b"*id001" in after and b"*" not in before for before, after in _made("pack"))


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"- [", b"a: *a", b"[" * 4000, b"&a [*a]", b"x", b"--- 1\n--- 2", b"? {a: b}"],
)
@pytest.mark.parametrize("target", mutators.MUTATORS)
def test_a_mutator_accepts_any_bytes(target: str, data: bytes) -> None:
    for number in range(100):
        assert isinstance(mutators.MUTATORS[target](data, _LONGEST, number), bytes)


def test_every_fourth_mutation_is_of_bytes() -> None:
    mutate = mutators.mixed("pack", lambda data, _: data + b"#")
    known = _known("pack")[0]

    assert [mutate(known, _LONGEST, n) == known + b"#" for n in (0, 4, 8)] == [True] * 3
    assert mutate(known, _LONGEST, 1) == mutators.MUTATORS["pack"](known, _LONGEST, 1)


def test_text_that_is_not_a_document_is_mutated_by_bytes() -> None:
    mutate = mutators.mixed("pack", lambda data, _: data + b"#")

    assert mutate(b"- [", _LONGEST, 1) == b"- [#"


@pytest.mark.parametrize("words", [PACK, SCHEMA], ids=["pack", "schema"])
def test_every_word_is_yaml(words: Words) -> None:
    texts = [*words.scalars, *words.keys]
    texts += [text for some in words.pieces.values() for text in some]
    texts += [text for some in words.values.values() if some is not CONDITIONS for text in some]

    for text in texts:
        assert isinstance(yaml.compose(text, Loader=yaml.CSafeLoader), yaml.Node), text
