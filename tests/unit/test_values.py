"""Frozen classes behave as those that Python's own dataclass makes of the same text."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import sys
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from taskrunner import values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# As text: mypy takes the two decorators for one, so one text is compiled with each of them.
CLASSES = """
from dataclasses import field
from typing import ClassVar

@dataclass(frozen=True, slots=True)
class Empty:
    "Has no fields."


@dataclass(frozen=True, slots=True)
class Point:
    "Has a default, and a default that is made anew."

    x: int
    y: int = 2
    tags: list = field(default_factory=list)
    limit: ClassVar[int] = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    "Has keywords only."

    name: str
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Child(Base):
    "Has the fields of its base, and hides one."

    hidden: int = field(default=0, repr=False, compare=False)

    def __repr__(self):
        return f"<{self.name}>"


@dataclass(frozen=True, slots=True)
class Derived:
    "Sets a field itself."

    x: int
    double: int = field(init=False, compare=False)

    def __post_init__(self):
        object.__setattr__(self, "double", 2 * self.x)
"""
ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "Empty": [{}],
    "Point": [{"x": 1}, {"x": 1, "y": 3, "tags": ["a"]}],
    "Base": [{"name": "a"}, {"name": "b", "note": "c"}],
    "Child": [{"name": "a"}, {"name": "a", "hidden": 1}, {"name": "b"}],
    "Derived": [{"x": 1}, {"x": 2}],
}


@pytest.fixture(params=["taskrunner.values", "dataclasses"])
def classes(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The classes, once of each decorator: what one may expect, the other one must fulfil."""
    module = ModuleType("classes_for_a_test")
    sys.modules[module.__name__] = module  # pickle looks there
    exec(f"from {request.param} import dataclass{CLASSES}", vars(module))  # noqa: S102 - the text above
    yield vars(module)
    del sys.modules[module.__name__]


def instances(classes: dict[str, Any]) -> list[Any]:
    return [classes[name](**given) for name, calls in ARGUMENTS.items() for given in calls]


def test_initializers_take_the_same_arguments(classes: dict[str, Any]) -> None:
    signatures = {name: _parameters(classes[name].__init__) for name in ARGUMENTS}

    assert signatures == {
        "Empty": ["self"],
        "Point": ["self", "x", "y=", "tags="],
        "Base": ["self", "*name", "*note="],
        "Child": ["self", "*name", "*note=", "*hidden="],
        "Derived": ["self", "x"],
    }


def _parameters(function: Callable[..., None]) -> list[str]:
    return [
        "*" * (parameter.kind is inspect.Parameter.KEYWORD_ONLY)
        + name
        + "=" * (parameter.default is not inspect.Parameter.empty)
        for name, parameter in inspect.signature(function).parameters.items()
    ]


def test_instances_are_shown_with_their_fields(classes: dict[str, Any]) -> None:
    assert [repr(instance) for instance in instances(classes)] == [
        "Empty()",
        "Point(x=1, y=2, tags=[])",
        "Point(x=1, y=3, tags=['a'])",
        "Base(name='a', note=None)",
        "Base(name='b', note='c')",
        "<a>",
        "<a>",
        "<b>",
        "Derived(x=1, double=2)",
        "Derived(x=2, double=4)",
    ]


def test_instances_are_equal_if_class_and_compared_fields_are(classes: dict[str, Any]) -> None:
    equal = [[a == b for b in instances(classes)] for a in instances(classes)]

    same = {frozenset({5, 6})} | {frozenset({n}) for n in range(10)}
    assert equal == [[frozenset({a, b}) in same for b in range(10)] for a in range(10)]
    assert classes["Empty"]() != ()
    assert hash(classes["Child"](name="a")) == hash(classes["Child"](name="a", hidden=1))
    assert hash(classes["Base"](name="a")) != hash(classes["Base"](name="b"))


def test_nothing_can_be_changed_or_added(classes: dict[str, Any]) -> None:
    for instance in instances(classes):
        for field in dataclasses.fields(instance):
            with pytest.raises(dataclasses.FrozenInstanceError, match=f"assign to .*{field.name}"):
                setattr(instance, field.name, 1)
            with pytest.raises(dataclasses.FrozenInstanceError, match=f"delete .*{field.name}"):
                delattr(instance, field.name)
        assert not hasattr(instance, "__dict__")


def test_instances_can_be_copied_replaced_and_pickled(classes: dict[str, Any]) -> None:
    for instance in instances(classes):
        assert copy.deepcopy(instance) == instance
        assert pickle.loads(pickle.dumps(instance)) == instance  # noqa: S301 - made here
    point = dataclasses.replace(classes["Point"](x=1), y=5)
    assert dataclasses.asdict(point) == {"x": 1, "y": 5, "tags": []}


def test_a_default_is_made_anew_for_each_instance(classes: dict[str, Any]) -> None:
    first, second = classes["Point"](1), classes["Point"](1)

    assert first.tags is not second.tags


def test_fields_match_by_position(classes: dict[str, Any]) -> None:
    assert classes["Point"].__match_args__ == ("x", "y", "tags")
    assert classes["Base"].__match_args__ == ()


def test_a_missing_argument_is_named(classes: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        classes["Point"]()
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'name'"):
        classes["Base"]()


def test_a_class_that_can_change_is_refused() -> None:
    with pytest.raises(ValueError, match="use Python's own dataclass"):
        values.dataclass(frozen=False, slots=True)


def test_a_default_before_a_field_without_one_is_refused(request: pytest.FixtureRequest) -> None:
    for module in ("taskrunner.values", "dataclasses"):
        made = ModuleType("class_for_a_test")
        request.addfinalizer(partial(sys.modules.pop, made.__name__, None))
        sys.modules[made.__name__] = made
        lines = (
            "@dataclass(frozen=True, slots=True)\nclass Pair:\n    'x'\n    a: int = 1\n    b: int"
        )
        with pytest.raises(TypeError, match="default"):
            exec(f"from {module} import dataclass\n{lines}", vars(made))  # noqa: S102 - the text above


def test_classes_of_one_pattern_keep_their_names_and_defaults() -> None:
    @values.dataclass(frozen=True, slots=True)
    class Pair:
        """Has two fields."""

        left: int
        right: int = 2

    @values.dataclass(frozen=True, slots=True)
    class Range:
        """Has two fields of other names and defaults."""

        start: int
        end: int = 9

    assert (Pair(1), Range(start=1)) == (Pair(left=1, right=2), Range(1, 9))
    with pytest.raises(TypeError, match="left"):
        Range(left=1)  # type: ignore[call-arg]
