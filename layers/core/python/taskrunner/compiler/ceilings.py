"""A part of stage 3: what a pack asks of its sandbox, held against what the deployment allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskrunner.compiler.schema import Pack
    from taskrunner.model.ceilings import Ceilings
    from taskrunner.model.json_path import Path

_SANDBOX: Final = ("spec", "sandbox")


def problems(pack: Pack, ceilings: Ceilings) -> Iterator[tuple[Path, str]]:
    """What *pack* asks for that is more than *ceilings*, also by leaving it out."""
    asked = pack.spec.sandbox
    limits = (
        ("memory_limit_mib", "memoryLimitMiB", ceilings.memory_limit_mib),
        ("cpu_limit_millicores", "cpuLimitMillicores", ceilings.cpu_limit_millicores),
        ("quota_seconds", "quotaSeconds", ceilings.quota_s),
    )
    for field, key, most in limits:
        value: int = getattr(asked, field)
        if most is None or value <= most:
            continue
        if field in asked.model_fields_set:
            message = f"{value} is more than the {most} that this deployment allows"
            yield (*_SANDBOX, key), f"{message}; write {most} or less"
        else:
            message = f"'{key}' is {value} when left out, more than the {most} of this deployment"
            yield _SANDBOX, f"{message}; write {key}: {most} or less"
    yield from _egress(pack, ceilings)


def _egress(pack: Pack, ceilings: Ceilings) -> Iterator[tuple[Path, str]]:
    if ceilings.any_egress:
        return
    allowed = ", ".join(ceilings.egress) or "none"
    if pack.spec.sandbox.mode == "open":
        message = f"this deployment allows no open sandbox; list what you need of: {allowed}"
        yield (*_SANDBOX, "mode"), message
    for index, entry in enumerate(pack.spec.sandbox.egress_allowlist):
        if not ceilings.allows_egress(entry):
            message = f"'{entry}' is not within what this deployment allows: {allowed}"
            yield (*_SANDBOX, "egressAllowlist", index), message
