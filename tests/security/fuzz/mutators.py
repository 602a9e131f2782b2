"""The mutators of the fuzzers: they change the tree of a pack or schema, and tokens of expressions.

Mutated bytes seldom pass the check of a pack's shape, so the stages behind it are never reached.
A mutator therefore reads a document into YAML nodes, changes them and writes them. Nodes keep
anchors and tags, and allow a key twice. Text that is not YAML is mutated by bytes. A mutation
depends on its input and *seed* alone.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import yaml

from tests.security.fuzz.vocabulary import (
    BLOCKS,
    CONDITIONS,
    FORMS,
    FUNCTIONS,
    LITERALS,
    NAMES,
    PACK,
    SCHEMA,
    Words,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Change = Callable[["_Tree"], None]
    Mutator = Callable[[bytes, int, int], bytes]

_HOW_MANY = (1, 1, 1, 2, 3)  # changes at once
_BY_BYTES = 4  # one mutation of this many is libFuzzer's own
_DEEPEST = 120  # nesting of nodes; the parser and the writer are recursive
_LARGEST_NODES = 2000
_TEXT = "tag:yaml.org,2002:str"
_MAPPING = "tag:yaml.org,2002:map"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

# ------------------------------------------------------------------------------------- expressions

_TOKEN: Final = re.compile(r"[\w.-]+\(?|'[^']*'|`[^`]*`|\"[^\"]*\"|\s+|.", re.DOTALL)


def grown(rng: random.Random, depth: int = 3) -> str:
    """Return an expression of the grammar; many are valid."""
    if depth == 0 or rng.random() < 0.25:
        return rng.choice(NAMES if rng.random() < 0.7 else LITERALS)
    form = rng.choice(FUNCTIONS if rng.random() < 0.4 else FORMS)
    form = re.sub("N", lambda _: rng.choice(NAMES).split(".")[-1], form)
    return re.sub("E", lambda _: grown(rng, depth - 1), form)


def _changed_expression(text: str, rng: random.Random) -> str:
    tokens = _TOKEN.findall(text)
    at = rng.randrange(len(tokens) + 1)
    match rng.randrange(6):
        case 0:
            return grown(rng)
        case 1:
            form = rng.choice(FORMS + FUNCTIONS)
            return re.sub("E", lambda _: grown(rng, 1), form.replace("E", "\0", 1)).replace(
                "\0", text
            )
        case 2:
            return "".join([*tokens[:at], *tokens[at + rng.randint(1, 3) :]])
        case 3:
            end = rng.randint(at, len(tokens))
            return "".join([*tokens[:end], *tokens[at:]])
        case 4:
            return "".join([*tokens[:at], rng.choice(tokens or ["a"]), *tokens[at + 1 :]])
        case _:
            return "".join([*tokens[:at], grown(rng, 2), *tokens[at + 1 :]])


def expression(data: bytes, max_size: int, seed: int) -> bytes:
    """Return *data* with tokens omitted, repeated, or replaced by a grown expression."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    text = data.decode(errors="replace")
    for _ in range(rng.randint(1, 2)):
        text = _changed_expression(text, rng)
    return _fitting(text, max_size)


# ------------------------------------------------------------------------------------------- trees


@dataclass(frozen=True)
class _Place:
    """The place of a value: its list or mapping, and its index there.

    *key* is the value's key; an item of a list has the key of the list.
    """

    holder: yaml.Node
    at: int
    key: str = ""

    @property
    def value(self) -> yaml.Node:
        return _parts(self.holder.value[self.at])[-1]

    def put(self, value: yaml.Node) -> None:
        entry = self.holder.value[self.at]
        self.holder.value[self.at] = (entry[0], value) if isinstance(entry, tuple) else value


class _Tree:
    """A document as YAML nodes, with the operations that changes are made of."""

    def __init__(self, root: yaml.Node, words: Words, rng: random.Random) -> None:
        self.root = root
        self.words = words
        self.rng = rng

    def write(self) -> str:
        text: str = yaml.serialize(self.root, Dumper=_DUMPER, allow_unicode=True, width=100)
        return text

    def nodes(self) -> list[yaml.Node]:
        return list(_walk(self.root))

    def place(self, kind: type[yaml.Node] = yaml.CollectionNode) -> _Place | None:
        """Return the place of a value in a node of *kind*, mostly below the top."""
        places = [place for place in _places(self.root) if isinstance(place.holder, kind)]
        inner = [place for place in places if place.holder is not self.root]
        if inner and self.rng.random() > self.words.at_top:
            places = inner
        return self.rng.choice(places) if places else None

    def mapping(self) -> yaml.MappingNode:
        mappings = [node for node in self.nodes() if isinstance(node, yaml.MappingNode)]
        return self.rng.choice(mappings) if mappings else yaml.MappingNode(_MAPPING, [])

    def renewed(self, node: yaml.Node) -> yaml.Node:
        """Return a copy of *node*, mostly with new ids, because ids must be unique."""
        copy = _copied(node)
        if self.rng.random() < 0.8:
            for below in _walk(copy):
                for key, value in below.value if isinstance(below, yaml.MappingNode) else ():
                    if key.value in ("id", "name") and isinstance(value, yaml.ScalarNode):
                        value.value = f"{value.value[:8]}{self.rng.randrange(1000)}"
        return copy


def _walk(root: yaml.Node) -> Iterator[yaml.Node]:
    """Yield *root* and every node below it once; an alias may lead back to a node above it."""
    seen: set[int] = set()
    todo = [root]
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node.value, list):
            todo += [child for entry in node.value for child in _parts(entry)]


def _places(root: yaml.Node) -> Iterator[_Place]:
    """Yield the place of each value below *root*."""
    behind: dict[int, str] = {}
    for node in _walk(root):
        for at, entry in enumerate(node.value if isinstance(node, yaml.CollectionNode) else ()):
            key = str(entry[0].value) if isinstance(entry, tuple) else behind.get(id(node), "")
            behind[id(_parts(entry)[-1])] = key
            yield _Place(node, at, key)


def _parts(entry: yaml.Node | tuple[yaml.Node, yaml.Node]) -> Sequence[yaml.Node]:
    return entry if isinstance(entry, tuple) else (entry,)


def _copied(node: yaml.Node) -> yaml.Node:
    """Return a copy of *node* that shares no node with it."""
    return _read(yaml.serialize(node, Dumper=_DUMPER, allow_unicode=True)) or _node("~")


def _node(text: str) -> yaml.Node:
    node = yaml.compose(text, Loader=_LOADER)
    assert node is not None
    return node


def _read(text: str) -> yaml.Node | None:
    """Return *text* as nodes; None when it is not YAML, too deep or too large."""
    try:
        depth = 0
        for number, event in enumerate(yaml.parse(text, Loader=_LOADER)):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST or number > _LARGEST_NODES:
                return None
        return yaml.compose(text, Loader=_LOADER)
    except (yaml.YAMLError, ValueError):
        return None


def _replace(tree: _Tree) -> None:
    """Replace a value by one that fits its key, or by an odd one."""
    if (place := tree.place()) is None:
        return
    fitting = tree.words.values.get(place.key)
    if fitting is None or tree.rng.random() < 0.2:
        place.put(_node(tree.rng.choice(tree.words.scalars)))
    elif fitting is CONDITIONS:
        text = tree.rng.choice(fitting) if tree.rng.random() < 0.5 else grown(tree.rng, 2)
        place.put(yaml.ScalarNode(_TEXT, text))
    else:
        place.put(_node(tree.rng.choice(fitting)))


def _repeat(tree: _Tree) -> None:
    kind = yaml.SequenceNode if tree.rng.random() < 0.95 else yaml.MappingNode
    if (place := tree.place(kind)) is not None:
        entry = place.holder.value[place.at]
        again = tree.renewed(place.value)
        copy = (entry[0], again) if isinstance(entry, tuple) else again
        place.holder.value.insert(tree.rng.randint(0, len(place.holder.value)), copy)


def _remove(tree: _Tree) -> None:
    if (place := tree.place()) is not None:
        del place.holder.value[place.at]


def _swap(tree: _Tree) -> None:
    """Swap two values, mostly of the same key."""
    one, other = tree.place(), tree.place()
    for _ in range(20):
        if one is None or other is None or (one.key == other.key and one != other):
            break
        other = tree.place()
    if one is not None and other is not None:
        first, second = one.value, other.value
        one.put(second)
        other.put(first)


def _rename(tree: _Tree) -> None:
    mapping = tree.mapping()
    if mapping.value:
        at = tree.rng.randrange(len(mapping.value))
        known = tree.words.keys if tree.rng.random() < 0.7 else tree.words.scalars
        mapping.value[at] = (_node(tree.rng.choice(known)), mapping.value[at][1])


def _add(tree: _Tree) -> None:
    """A key with what stands behind it in a right document."""
    mapping = tree.mapping()
    keys = [key.value for key, _ in mapping.value]
    fitting = [piece for key, some in tree.words.pieces.items() if key in keys for piece in some]
    if not fitting or tree.rng.random() < 0.1:
        fitting = [piece for some in tree.words.pieces.values() for piece in some]
    key, value = _node(tree.rng.choice(fitting)).value[0]
    mapping.value = [entry for entry in mapping.value if entry[0].value != key.value]
    mapping.value.append((key, value))


def _refer(tree: _Tree) -> None:
    """An alias in the place of a value, or merged into a mapping."""
    if tree.rng.random() < 0.3:
        tree.mapping().value.append((_node("<<"), tree.mapping()))
    elif (place := tree.place()) is not None:
        place.put(tree.rng.choice(tree.nodes()))


def _tag(tree: _Tree) -> None:
    tags = ("str", "int", "float", "null", "bool", "binary", "set", "seq", "map", "timestamp")
    tag = f"tag:yaml.org,2002:{tree.rng.choice(tags)}"
    tree.rng.choice(tree.nodes()).tag = tag if tree.rng.random() < 0.9 else "!x"


def _nest(tree: _Tree) -> None:
    """Move a step into a block, which takes its place."""
    steps = [
        _Place(holder, at)
        for holder in tree.nodes()
        if isinstance(holder, yaml.SequenceNode)
        for at, step in enumerate(holder.value)
        if isinstance(step, yaml.MappingNode) and any(key.value == "id" for key, _ in step.value)
    ]
    if not steps:
        return
    step = tree.rng.choice(steps)
    block = _node(f"{{id: b{tree.rng.randrange(1000)}, {tree.rng.choice(BLOCKS)}}}")
    for node in list(_walk(block)):
        for at, _ in enumerate(node.value if isinstance(node, yaml.CollectionNode) else ()):
            if (inner := _Place(node, at)).value.value == "STEP":
                inner.put(step.value)
    step.put(block)


_CHANGES: Final[tuple[Change, ...]] = (
    _replace, _replace, _replace, _repeat, _repeat, _remove, _swap, _rename, _add, _add, _refer,
    _tag, _nest,
)  # fmt: skip


def _of_tree(words: Words) -> Mutator:
    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)  # noqa: S311 - no secret
        root = _read(data.decode(errors="replace"))
        if root is None:
            return data[:max_size]
        tree = _Tree(root, words, rng)
        for _ in range(rng.choice(_HOW_MANY)):
            rng.choice(_CHANGES)(tree)
            if len(tree.nodes()) > _LARGEST_NODES:
                return data[:max_size]
        return _written(tree, data, max_size)

    return mutate


def crossover(first: bytes, second: bytes, max_size: int, seed: int) -> bytes:
    """Return *first* with a part of *second* in place of one of its parts, or beside it.

    Both parts mostly have the same key.
    """
    rng = random.Random(seed)  # noqa: S311 - no secret
    root, donor = (_read(data.decode(errors="replace")) for data in (first, second))
    if root is None or donor is None:
        return first[:max_size]
    tree = _Tree(root, PACK, rng)
    place = tree.place()
    given = list(_places(donor))
    if place is None or not given:
        return second[:max_size]
    alike = [
        part for part in given if part.key == place.key and type(part.value) is type(place.value)
    ]
    part = tree.renewed(rng.choice(alike if alike and rng.random() < 0.9 else given).value)
    if isinstance(place.holder, yaml.SequenceNode) and rng.random() < 0.5:
        place.holder.value.insert(place.at, part)
    else:
        place.put(part)
    return _written(tree, first, max_size)


def _written(tree: _Tree, before: bytes, max_size: int) -> bytes:
    """Return the text of *tree*, or *before* when it cannot be written or is too long."""
    try:
        data = tree.write().encode(errors="replace")
    except (yaml.YAMLError, RecursionError):
        return before[:max_size]
    return data if len(data) <= max_size else before[:max_size]


def _fitting(text: str, max_size: int) -> bytes:
    return text.encode(errors="replace")[:max_size]


MUTATORS: Final[dict[str, Mutator]] = {
    "pack": _of_tree(PACK),
    "schema": _of_tree(SCHEMA),
    "expression": expression,
}


CROSSOVERS: Final = {"pack": crossover, "schema": crossover}


def mixed(target: str, by_bytes: Callable[[bytes, int], bytes]) -> Mutator:
    """Return the mutator of *target*, which leaves every fourth mutation to *by_bytes*."""
    structured = MUTATORS[target]

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        if seed % _BY_BYTES:
            changed = structured(data, max_size, seed)
            if changed != data[:max_size]:
                return changed
        return by_bytes(data, max_size)

    return mutate
