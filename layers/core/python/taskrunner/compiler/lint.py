"""The check of a manifest without inputs: stages 1 to 3, which need no plan and no machine.

It is a module beside the driver because the later stages take half of the driver's import, and an
editor that checks a pack at every save needs none of them.
"""

from __future__ import annotations

from taskrunner.compiler.checks import pack as pack_checks
from taskrunner.compiler.manifest import schema, source
from taskrunner.model.ceilings import NO_CEILINGS, Ceilings


def lint_pack(text: str, ceilings: Ceilings = NO_CEILINGS) -> None:
    """Check all of the manifest *text* that does not depend on inputs.

    Raises:
        InvalidPackError: the manifest is wrong for all inputs.
    """
    manifest = schema.parse(source.read(text))
    manifest.refuse(pack_checks.problems(manifest.pack, ceilings, manifest.repaired))
