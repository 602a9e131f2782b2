"""Refusing a pack that asks for more than its deployment allows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from taskrunner.compiler.driver import compile_pack
from taskrunner.errors import InvalidPackError
from taskrunner.model.ceilings import Ceilings
from tests.packs import pack

STEP = "- {id: a, run: {uses: builtin:noop}}"
LOW = Ceilings(
    memory_limit_mib=256, cpu_limit_millicores=500, quota_s=60, egress=("*.example.com",)
)


def problems(sandbox: str, ceilings: Ceilings = LOW) -> dict[str, str]:
    """Return what is wrong with a pack with that sandbox, by the path below the sandbox."""
    spec = f"sandbox: {sandbox}" if sandbox else ""
    try:
        compile_pack(pack(STEP, spec=spec), {}, ceilings)
    except InvalidPackError as error:
        return {
            found.path.removeprefix("$.spec.sandbox"): found.message.partition(": ")[2]
            for found in error.diagnostics
        }
    return {}


WITHIN = "{memoryLimitMiB: 256, cpuLimitMillicores: 500, quotaSeconds: 60}"


def test_accepts_a_pack_that_asks_for_all_that_is_allowed() -> None:
    assert problems(WITHIN) == {}


def test_reports_every_limit_that_is_too_high_with_the_number_to_write() -> None:
    sandbox = "{memoryLimitMiB: 257, cpuLimitMillicores: 501, quotaSeconds: 61}"

    more = "is more than the {0} that this deployment allows; write {0} or less"
    assert problems(sandbox) == {
        ".memoryLimitMiB": "257 " + more.format(256),
        ".cpuLimitMillicores": "501 " + more.format(500),
        ".quotaSeconds": "61 " + more.format(60),
    }


@pytest.mark.parametrize("sandbox", ["", "{mode: sealed, quotaSeconds: 60}"])
def test_refuses_a_default_that_is_too_high(sandbox: str) -> None:
    ceilings = Ceilings(memory_limit_mib=256)

    assert problems(sandbox, ceilings) == {
        "": "'memoryLimitMiB' is 512 by default, and this deployment allows 256; "
        "write memoryLimitMiB: 256 or less"
    }


def test_refuses_hosts_outside_what_is_allowed() -> None:
    entries = '["api.example.com", "*.eu.example.com:443", example.com, "api.example.org"]'

    allowed = "it allows: *.example.com"
    assert problems(f"{WITHIN[:-1]}, egressAllowlist: {entries}}}") == {
        ".egressAllowlist[2]": f"this deployment does not allow 'example.com'; {allowed}",
        ".egressAllowlist[3]": f"this deployment does not allow 'api.example.org'; {allowed}",
    }


def test_reports_an_entry_of_the_wrong_form_once() -> None:
    sandbox = f"{WITHIN[:-1]}, egressAllowlist: ['https://api.example.com']}}"

    (message,) = problems(sandbox).values()

    assert "omit the scheme" in message


def test_refuses_an_open_sandbox_unless_any_host_is_allowed() -> None:
    sandbox = f"{WITHIN[:-1]}, mode: open}}"

    hint = "list the hosts you need, of: *.example.com"
    assert problems(sandbox) == {".mode": f"this deployment allows no open sandbox; {hint}"}
    assert problems(sandbox, replace(LOW, egress=("*",))) == {}


def test_reports_ceilings_beside_the_other_problems_of_a_pack() -> None:
    spec = "sandbox: {memoryLimitMiB: 9999, quotaSeconds: 60, cpuLimitMillicores: 1}"
    manifest = pack("- {id: a, when: inputs.no, run: {uses: builtin:noop}}", spec=spec)

    with pytest.raises(InvalidPackError) as refused:
        compile_pack(manifest, {}, LOW)

    assert [found.path for found in refused.value.diagnostics] == [
        "$.spec.sandbox.memoryLimitMiB",
        "$.spec.steps[0].when",
    ]


def test_ceilings_change_nothing_in_a_plan_or_its_hash() -> None:
    manifest = pack(STEP, spec=f"sandbox: {WITHIN}")

    assert compile_pack(manifest, {}, LOW) == compile_pack(manifest, {})
