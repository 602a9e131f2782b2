"""The deployment's limits for packs reach the functions that plan, and fit the steps' function."""

from __future__ import annotations

from taskrunner.bootstrap import AwsWorld
from taskrunner.compiler.driver import compile_pack
from taskrunner.model.ceilings import NO_CEILINGS, Ceilings
from tests.architecture.ports import USED
from tests.packs import pack
from tests.template import folder, functions, template

VARIABLES = {
    "MAX_MEMORY_MIB": "MaxMemoryMiB",
    "MAX_CPU_MILLICORES": "MaxCpuMillicores",
    "MAX_QUOTA_SECONDS": "MaxQuotaSeconds",
    "ALLOWED_EGRESS": "AllowedEgress",
}
SPARE_MIB = 256


def defaults() -> dict[str, str]:
    """Return the environment of a deployment with the template's defaults."""
    parameters = template()["Parameters"]
    return {name: str(parameters[parameter]["Default"]) for name, parameter in VARIABLES.items()}


def test_only_the_planning_functions_get_the_ceilings() -> None:
    configured = {
        folder(logical_id)
        for logical_id, properties in functions().items()
        if VARIABLES.keys() & properties.get("Environment", {}).get("Variables", {}).keys()
    }

    assert configured == {name for name, ports in USED.items() if "ceilings" in ports}
    assert configured == {"simulate_pack", "create_run"}
    for logical_id in ("SimulatePackFunction", "CreateRunFunction"):
        environment = functions()[logical_id]["Environment"]["Variables"]
        for name, parameter in VARIABLES.items():
            assert environment[name] == {"Ref": parameter}


def test_reads_the_ceilings_from_the_environment() -> None:
    assert AwsWorld(defaults()).ceilings == Ceilings(
        memory_limit_mib=768, cpu_limit_millicores=2000, quota_s=86400
    )
    egress = AwsWorld({"ALLOWED_EGRESS": " *.example.com, api.example.org:443 ,"}).ceilings.egress
    assert egress == ("*.example.com", "api.example.org:443")
    assert AwsWorld({"ALLOWED_EGRESS": ""}).ceilings.egress == ()
    assert AwsWorld({}).ceilings == NO_CEILINGS


def test_a_pack_without_a_sandbox_fits_the_defaults() -> None:
    manifest = pack("- {id: a, run: {uses: builtin:noop}}")

    assert compile_pack(manifest, {}, AwsWorld(defaults()).ceilings).plan.sandbox


def test_the_steps_function_has_more_memory_than_a_step_may_request() -> None:
    parameters = template()["Parameters"]

    most = parameters["MaxMemoryMiB"]["Default"]
    assert parameters["StepMemoryMiB"]["Default"] >= most + SPARE_MIB
