"""The comparison of a pack's sandbox with the ceilings of the deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from taskrunner.compiler.problems import Problem
from taskrunner.model import egress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.compiler.manifest.shapes import SandboxShape
    from taskrunner.model.ceilings import Ceilings
    from taskrunner.model.json_path import JsonPath

_SANDBOX: Final[JsonPath] = ("spec", "sandbox")


def problems(sandbox: SandboxShape, ceilings: Ceilings) -> Iterator[Problem]:
    """Yield what *sandbox* asks for above *ceilings*, also by a default of the language."""
    limits = (
        ("memoryLimitMiB", sandbox.memory_limit_mib, ceilings.memory_limit_mib),
        ("cpuLimitMillicores", sandbox.cpu_limit_millicores, ceilings.cpu_limit_millicores),
        ("quotaSeconds", sandbox.quota_seconds, ceilings.quota_s),
    )
    fields = type(sandbox).model_fields
    written = {fields[name].alias for name in sandbox.model_fields_set}
    for key, value, ceiling in limits:
        if ceiling is None or value <= ceiling:
            continue
        if key in written:
            message = f"{value} is more than the {ceiling} that this deployment allows"
            yield Problem((*_SANDBOX, key), f"{message}; write {ceiling} or less")
        else:
            message = f"'{key}' is {value} by default, and this deployment allows {ceiling}"
            yield Problem(_SANDBOX, f"{message}; write {key}: {ceiling} or less")
    if not ceilings.any_egress:
        yield from _egress(sandbox, ceilings)


def _egress(sandbox: SandboxShape, ceilings: Ceilings) -> Iterator[Problem]:
    allowed = ", ".join(ceilings.egress) or "none"
    if sandbox.mode == "open":
        message = f"this deployment allows no open sandbox; list the hosts you need, of: {allowed}"
        yield Problem((*_SANDBOX, "mode"), message)
    for index, entry in enumerate(sandbox.egress_allowlist):
        is_readable = egress.problem(entry) is None  # else another check reports it
        if is_readable and not ceilings.allows_egress(entry):
            message = f"this deployment does not allow '{entry}'; it allows: {allowed}"
            yield Problem((*_SANDBOX, "egressAllowlist", index), message)
