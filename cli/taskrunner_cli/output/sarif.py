"""The result of `lint` as a log in SARIF 2.1.0, which tools of code review read.

The one rule is the code that the API gives errors of packs, so its id is stable. A column counts
Unicode code points, as the log says.
"""

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from taskrunner_cli.errors import PackFile, PlanError
from taskrunner_cli.output.plan_errors import LocatedPlanError, located_plan_errors
from taskrunner_cli.pack_files import STDIN

RULE: Final = "invalid_pack"
_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LINE_NUMBER: Final = re.compile(r"^line \d+: ")
_Checked: TypeAlias = Sequence[tuple[PackFile, Sequence[PlanError]]]


def sarif_log(checked: _Checked) -> dict[str, Any]:
    """Return the errors of each pack as a log of one run, one result for each."""
    rule = {
        "id": RULE,
        "shortDescription": {"text": "The task pack is wrong for all inputs"},
        "defaultConfiguration": {"level": "error"},
    }
    driver = {"name": "taskrunner lint", "version": version("taskrunner"), "rules": [rule]}
    results = [
        _result(error, pack)
        for pack, errors in checked
        for error in located_plan_errors(errors, pack)
    ]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(error: LocatedPlanError, pack: PackFile) -> dict[str, Any]:
    """Return an error at its place; one that has none is at the beginning of its file."""
    region = {"startLine": error.get("line", 1), "startColumn": error.get("column", 1)}
    physical = {"artifactLocation": {"uri": _uri(pack.name)}, "region": region}
    logical = {"fullyQualifiedName": error["path"], "kind": "member"}
    return {
        "ruleId": RULE,
        "ruleIndex": 0,
        "level": "error",
        "message": {"text": _LINE_NUMBER.sub("", error["message"])},
        "locations": [{"physicalLocation": physical, "logicalLocations": [logical]}],
    }


def _uri(name: str) -> str:
    """Return the file as a reference, relative if it was named so."""
    return "stdin" if name in {STDIN, "<stdin>"} else quote(name.replace("\\", "/"))
