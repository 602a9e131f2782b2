"""The deployment's ceilings reach the functions that plan, and fit the function that executes."""

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
    """The environment of a deployment that chooses nothing."""
    parameters = template()["Parameters"]
    return {name: str(parameters[parameter]["Default"]) for name, parameter in VARIABLES.items()}


def test_who_plans_knows_the_ceilings_and_nobody_else() -> None:
    told = {
        folder(logical_id)
        for logical_id, properties in functions().items()
        if VARIABLES.keys() & properties.get("Environment", {}).get("Variables", {}).keys()
    }

    assert told == {name for name, ports in USED.items() if "ceilings" in ports}
    assert told == {"simulate_pack", "create_run"}
    for logical_id in ("SimulatePackFunction", "CreateRunFunction"):
        environment = functions()[logical_id]["Environment"]["Variables"]
        for name, parameter in VARIABLES.items():
            assert environment[name] == {"Ref": parameter}


def test_the_environment_is_read_as_ceilings() -> None:
    assert AwsWorld(defaults()).ceilings == Ceilings(
        memory_limit_mib=768, cpu_limit_millicores=2000, quota_s=86400
    )
    egress = AwsWorld({"ALLOWED_EGRESS": " *.example.com, api.example.org:443 ,"}).ceilings.egress
    assert egress == ("*.example.com", "api.example.org:443")
    assert AwsWorld({"ALLOWED_EGRESS": ""}).ceilings.egress == ()
    assert AwsWorld({}).ceilings == NO_CEILINGS


def test_a_pack_that_says_nothing_of_its_sandbox_fits_the_defaults() -> None:
    manifest = pack("- {id: a, run: {uses: builtin:noop}}")

    assert compile_pack(manifest, {}, AwsWorld(defaults()).ceilings).plan.sandbox


def test_the_steps_function_has_more_memory_than_a_step_may_ask_for() -> None:
    parameters = template()["Parameters"]

    most = parameters["MaxMemoryMiB"]["Default"]
    assert parameters["StepMemoryMiB"]["Default"] >= most + SPARE_MIB
    assert "MaxMemoryMiB" in parameters["StepMemoryMiB"]["Description"]
