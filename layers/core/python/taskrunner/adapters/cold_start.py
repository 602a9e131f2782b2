"""Keep the garbage collector out of a cold start.

An import makes hundreds of thousands of objects and no garbage, and each collection walks through
many of them again: a tenth of a cold start. So nothing is collected while a function is imported.
Then all that lives is frozen: no later collection looks at it.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Final

from taskrunner import pydantic_plugins

if TYPE_CHECKING:
    from collections.abc import Mapping

_FUNCTION: Final = "AWS_LAMBDA_FUNCTION_NAME"
# Python's own 700 collects every few milliseconds while clients are made and packs are planned.
_YOUNG_OBJECTS: Final = 20_000


def is_function(environment: Mapping[str, str]) -> bool:
    """Return whether this process is a function of Lambda's, and nothing else."""
    return _FUNCTION in environment


def begin(environment: Mapping[str, str]) -> None:
    """Collect nothing and look for no plugins from now on, if this is a function's process."""
    if is_function(environment):
        gc.disable()
        pydantic_plugins.find_none()


def end(environment: Mapping[str, str]) -> None:
    """Freeze what has been imported, and collect what is made after it."""
    if is_function(environment):
        gc.freeze()
        gc.set_threshold(_YOUNG_OBJECTS)
        gc.enable()
