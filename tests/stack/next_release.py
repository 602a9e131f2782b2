"""A copy of the sources that is the next release: it differs in all that a waiting run meets.

Its machines have another frame and send other events, and its journal has other entries. It reads
the old ones too, as every release must.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from taskrunner_cli.local.workspace import Workspace
from tests.template import ROOT

if TYPE_CHECKING:
    from pathlib import Path

OLD_STATE: Final = "Settle run"
NEW_STATE: Final = "Settle this run"
OLD_TIME: Final = "at"
NEW_TIME: Final = "happened"

_DEPLOYED: Final = (
    "functions",
    "examples/executors",
    "layers/core/python",
    "requirements",
    "statemachine",
)
# Links lead to the second one, and to the state machine.
_FILES: Final = ("template.yaml", "cli/taskrunner_cli/pack.v1.json")
_FRAME: Final = "statemachine/pack_run.asl.yaml"
_EVENTS: Final = "layers/core/python/taskrunner/adapters/machine_events.py"
_JOURNAL: Final = "layers/core/python/taskrunner/model/journal.py"
# A release reads what the next one writes, so that one can be rolled back to it.
_READS: Final = (
    (_EVENTS, 'event["place"]', '(event.get("where") or event["place"])'),
    (_EVENTS, 'event.get("place", {})', '(event.get("where") or event.get("place", {}))'),
    (
        _JOURNAL,
        f'document["{OLD_TIME}"]',
        f'(document.get("{NEW_TIME}") or document["{OLD_TIME}"])',
    ),
)
_WRITES: Final = (
    (_FRAME, OLD_STATE, NEW_STATE),
    (_FRAME, "place.$: $.place\n                step:", "where.$: $.place\n                step:"),
    (_JOURNAL, f'"{OLD_TIME}": entry', f'"{NEW_TIME}": entry'),
)


def next_release(folder: Path) -> Workspace:
    """Write the sources of the next release into *folder*, with the installed packages of ours."""
    return _changed(folder, _READS + _WRITES)


def release_before(folder: Path) -> Workspace:
    """Write the sources of the release before that one: it reads the new forms, and writes none."""
    return _changed(folder, _READS)


def _changed(folder: Path, changes: tuple[tuple[str, str, str], ...]) -> Workspace:
    for name in _DEPLOYED:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
    for name in _FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    for name, old, new in changes:
        path = folder / name
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{name} does not have {old}"
        path.write_text(text.replace(old, new), encoding="utf-8")
    workspace = Workspace(folder)
    workspace.local.mkdir()
    (workspace.local / "venvs").symlink_to(Workspace(ROOT).local / "venvs")
    workspace.scratch.mkdir()
    return workspace
