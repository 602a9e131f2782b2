"""Calls that are made one at a time, like the adapters' writes, so that threads share a world."""

from __future__ import annotations

from functools import wraps
from threading import RLock
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_T = TypeVar("_T")
_one_at_a_time = RLock()


def atomic(call: Callable[_P, _T]) -> Callable[_P, _T]:
    @wraps(call)
    def locked(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        with _one_at_a_time:
            return call(*args, **kwargs)

    return locked
