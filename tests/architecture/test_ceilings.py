"""The deployment's limits for packs reach the functions that plan, and fit the steps' function."""

from __future__ import annotations

from itertools import product

from taskrunner.bootstrap import AwsWorld
from taskrunner.compiler.driver import compile_pack
from taskrunner.model.ceilings import NO_CEILINGS, Ceilings
from tests.architecture.ports import USED
from tests.packs import pack
from tests.template import folder, functions, refused_by_rules, template

VARIABLES = {
    "MAX_MEMORY_MIB": "MaxMemoryMiB",
    "MAX_CPU_MILLICORES": "MaxCpuMillicores",
    "MAX_QUOTA_SECONDS": "MaxQuotaSeconds",
    "ALLOWED_EGRESS": "AllowedEgress",
}
SPARE_MIB = 256
MIB_OF_ONE_CPU = 1769


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
        memory_limit_mib=768, cpu_limit_millicores=1000, quota_s=86400
    )
    egress = AwsWorld({"ALLOWED_EGRESS": " *.example.com, api.example.org:443 ,"}).ceilings.egress
    assert egress == ("*.example.com", "api.example.org:443")
    assert AwsWorld({"ALLOWED_EGRESS": ""}).ceilings.egress == ()
    assert AwsWorld({}).ceilings == NO_CEILINGS


def test_a_pack_without_a_sandbox_fits_the_defaults() -> None:
    manifest = pack("- {id: a, run: {uses: builtin:noop}}")

    assert compile_pack(manifest, {}, AwsWorld(defaults()).ceilings).plan.sandbox


def test_the_rules_accept_exactly_what_the_steps_function_can_give() -> None:
    """Lambda gives one vCPU for each 1,769 MB ("Configure Lambda function memory")."""
    parameters = template()["Parameters"]

    for memory_mib, most_mib, most_millicores in product(
        parameters["StepMemoryMiB"]["AllowedValues"],
        parameters["MaxMemoryMiB"]["AllowedValues"],
        parameters["MaxCpuMillicores"]["AllowedValues"],
    ):
        enough = (
            memory_mib >= most_mib + SPARE_MIB
            and memory_mib * 1000 >= most_millicores * MIB_OF_ONE_CPU
        )
        refused = refused_by_rules(
            StepMemoryMiB=memory_mib, MaxMemoryMiB=most_mib, MaxCpuMillicores=most_millicores
        )
        assert (not refused) == enough, (memory_mib, most_mib, most_millicores, refused)


def test_the_defaults_satisfy_every_rule() -> None:
    assert refused_by_rules() == []
