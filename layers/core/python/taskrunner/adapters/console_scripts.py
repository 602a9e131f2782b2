"""Joins the console's scripts into one, because every file costs the browser a request.

Each script is an ES module, as developers and linters read it. In the joined script it becomes a
function that runs once and returns its exports, after those that it imports. So names that two
scripts have in common stay apart.

It does not parse JavaScript. It knows the forms of `import` and `export` with which lines of the
console's scripts begin, and refuses all others.
"""

import re
from collections.abc import Mapping
from typing import Final

# Each begins with the end of a line: the search for a literal is much faster than that for `^`.
_IMPORT: Final = re.compile(
    r"\nimport (?:\{(?P<names>\s*\w+(?:,\s*\w+)*,?\s*)\} from )?'\./(?P<script>[\w-]+\.js)';(?=\n)"
)
_EXPORT: Final = re.compile(r"\nexport (?=(?:class|const|(?:async )?function\*?) (?P<name>\w+))")
_OTHER_FORM: Final = re.compile(r"\n(?:import|export)\b.*")


def join_scripts(scripts: Mapping[str, str], first: str) -> str:
    """Return the script *first* and all that it imports as one module.

    :raises ValueError: A script has another form of import or export, or imports itself by way of
        others.
    :raises KeyError: An imported script is missing.
    """
    texts = {name: f"\n{text}" for name, text in scripts.items() if name.endswith(".js")}
    return "".join(_module(name, texts[name]) for name in _in_order(texts, first))


def _in_order(scripts: Mapping[str, str], first: str) -> list[str]:
    """Return the names of the scripts, each after those that it imports."""
    ordered: list[str] = []
    open_names: list[str] = []

    def visit(name: str) -> None:
        if name in open_names:
            raise ValueError(f"{name} imports itself by way of {', '.join(open_names)}")
        if name in ordered:
            return
        open_names.append(name)
        for match in _IMPORT.finditer(scripts[name]):
            visit(match["script"])
        ordered.append(open_names.pop())

    visit(first)
    return ordered


def _module(name: str, text: str) -> str:
    exports = ", ".join(match["name"] for match in _EXPORT.finditer(text))
    body = _EXPORT.sub("\n", _IMPORT.sub(_assignment, text))
    if other := _OTHER_FORM.search(body):
        raise ValueError(f"{name} has an import or export in an unknown form: {other[0].strip()}")
    return f"const {_variable(name)} = (() => {{{body}\nreturn {{ {exports} }};\n}})();\n"


def _assignment(match: re.Match[str]) -> str:
    """Return what stands for an import: nothing, if only the effects of the script are needed."""
    names = match["names"]
    return f"\nconst {{{names}}} = {_variable(match['script'])};" if names else "\n"


def _variable(script: str) -> str:
    """Return the name of a script's exports, which no script has."""
    return f"$_{script.removesuffix('.js').replace('-', '_')}"
