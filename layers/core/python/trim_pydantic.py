"""Remove types that only type checkers read from pydantic's core, in the folder of a layer.

    python trim_pydantic.py FOLDER

pydantic_core describes the keys of each kind of schema by a TypedDict. At run time, Python compiles
the type of each of the 600 keys, in 8 ms of a cold start, and nothing reads them. The classes stay,
without keys, and so does everything else, on its line.

pydantic_core is under the MIT License, which allows this.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULE = Path("pydantic_core/core_schema.py")
NOTICE = (
    "# Changed by TaskRunner's build (trim_pydantic.py): the keys of TypedDicts were removed.\n"
)


def trim(folder: Path) -> None:
    """Trim the pydantic_core that *folder* holds."""
    file = folder / MODULE
    source = file.read_text(encoding="utf-8")
    file.unlink()  # an installer may have linked it to its cache
    file.write_text(without_keys(source), encoding="utf-8")


def without_keys(source: str) -> str:
    """Return *source* with `pass` in place of each key of a TypedDict, and a notice at its end."""
    lines = source.splitlines(keepends=True)
    for key in keys(ast.parse(source)):
        lines[key.lineno - 1] = f"{' ' * key.col_offset}pass\n"
        for line in range(key.lineno, key.end_lineno or key.lineno):
            lines[line] = "\n"
    return "".join([*lines, NOTICE])


def keys(tree: ast.Module) -> Iterator[ast.AnnAssign]:
    """Yield the keys of the TypedDicts in *tree*."""
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    for found in classes:
        if any(isinstance(base, ast.Name) and base.id == "TypedDict" for base in found.bases):
            yield from (node for node in found.body if isinstance(node, ast.AnnAssign))


if __name__ == "__main__":
    trim(Path(sys.argv[1]))
