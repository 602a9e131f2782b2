"""Keep pydantic from looking for plugins among the installed packages.

There are none. To find that out, pydantic imports `importlib.metadata`, with e-mail, ZIP and bzip2,
and reads the metadata of each package: an eighth of a cold start of `create_run`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Final

# Pydantic imports this module of its own when it makes the first model.
_LOADER: Final = "pydantic.plugin._loader"


def find_none() -> None:
    """Let pydantic find no plugins in this process. Must be called before a model is made."""
    loader = ModuleType(_LOADER)
    loader.get_plugins = tuple  # type: ignore[attr-defined]
    sys.modules.setdefault(_LOADER, loader)
