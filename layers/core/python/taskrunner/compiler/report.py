"""What an author is told at once: every mistake, within bounds that no manifest can blow up."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from taskrunner.errors import Diagnostic, InvalidPackError
from taskrunner.model.wording import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable

# More than anybody mends in one round, and an answer that Lambda can still carry.
MAX_PROBLEMS: Final = 100
_MAX_PATH_CHARACTERS: Final = 1_000


def invalid(problems: Iterable[Diagnostic], code: str = "invalid_pack") -> InvalidPackError:
    """The error that carries *problems*; of those after MAX_PROBLEMS only that there are more."""
    told = [
        Diagnostic(shortened(p.path, _MAX_PATH_CHARACTERS), shortened(p.message))
        for p in islice(problems, MAX_PROBLEMS + 1)
    ]
    if len(told) > MAX_PROBLEMS:
        told[-1] = Diagnostic("$", f"there are more than {MAX_PROBLEMS} problems; mend these first")
    return InvalidPackError(told, code=code)
