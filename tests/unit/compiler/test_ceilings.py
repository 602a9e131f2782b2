"""A pack that asks for more than its deployment allows is refused when it is planned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taskrunner.compiler.compiled import compile_pack
from taskrunner.errors import InvalidPackError
from taskrunner.model.ceilings import Ceilings
from tests.packs import pack

STEP = "- {id: a, run: {uses: builtin:noop}}"
LOW = Ceilings(
    memory_limit_mib=256, cpu_limit_millicores=500, quota_s=60, egress=("*.example.com",)
)


def told(sandbox: str, ceilings: Ceilings = LOW) -> dict[str, str]:
    """What the author of a pack with that sandbox is told, by the path below the sandbox."""
    spec = f"sandbox: {sandbox}" if sandbox else ""
    try:
        compile_pack(pack(STEP, spec=spec), {}, ceilings)
    except InvalidPackError as error:
        return {
            one.path.removeprefix("$.spec.sandbox"): one.message.partition(": ")[2]
            for one in error.diagnostics
        }
    return {}


WITHIN = "{memoryLimitMiB: 256, cpuLimitMillicores: 500, quotaSeconds: 60}"


def test_a_pack_may_ask_for_all_that_is_allowed() -> None:
    assert told(WITHIN) == {}


def test_all_that_is_too_much_is_told_at_once_with_what_would_be_right() -> None:
    sandbox = "{memoryLimitMiB: 257, cpuLimitMillicores: 501, quotaSeconds: 61}"

    more = "is more than the {0} that this deployment allows; write {0} or less"
    assert told(sandbox) == {
        ".memoryLimitMiB": "257 " + more.format(256),
        ".cpuLimitMillicores": "501 " + more.format(500),
        ".quotaSeconds": "61 " + more.format(60),
    }


@pytest.mark.parametrize("sandbox", ["", "{mode: sealed, quotaSeconds: 60}"])
def test_what_is_left_out_counts_as_its_default(sandbox: str) -> None:
    ceilings = Ceilings(memory_limit_mib=256)

    assert told(sandbox, ceilings) == {
        "": "'memoryLimitMiB' is 512 when left out, more than the 256 of this deployment; "
        "write memoryLimitMiB: 256 or less"
    }


def test_a_pack_lists_hosts_within_what_is_allowed() -> None:
    entries = '["api.example.com", "*.eu.example.com:443", example.com, "api.example.org"]'

    why = "is not within what this deployment allows: *.example.com"
    assert told(f"{WITHIN[:-1]}, egressAllowlist: {entries}}}") == {
        ".egressAllowlist[2]": f"'example.com' {why}",
        ".egressAllowlist[3]": f"'api.example.org' {why}",
    }


def test_an_open_sandbox_is_for_deployments_that_allow_anything() -> None:
    sandbox = f"{WITHIN[:-1]}, mode: open}}"

    why = "this deployment allows no open sandbox; list what you need of: *.example.com"
    assert told(sandbox) == {".mode": why}
    assert told(sandbox, replace(LOW, egress=("*",))) == {}


def test_ceilings_stand_beside_the_other_problems_of_a_pack() -> None:
    spec = "sandbox: {memoryLimitMiB: 9999, quotaSeconds: 60, cpuLimitMillicores: 1}"
    manifest = pack("- {id: a, when: inputs.no, run: {uses: builtin:noop}}", spec=spec)

    with pytest.raises(InvalidPackError) as refused:
        compile_pack(manifest, {}, LOW)

    assert [one.path for one in refused.value.diagnostics] == [
        "$.spec.sandbox.memoryLimitMiB",
        "$.spec.steps[0].when",
    ]


def test_a_plan_and_its_hash_know_nothing_of_ceilings() -> None:
    manifest = pack(STEP, spec=f"sandbox: {WITHIN}")

    assert compile_pack(manifest, {}, LOW) == compile_pack(manifest, {})
