"""A deployment moves the alias of each function to all of its new settings.

Lambda publishes no version by itself. SAM publishes one when a function's code changes, and
CloudFormation when the description of the version changes. A setting in neither would stay as it
was behind the alias.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.architecture.translation import translations
from tests.template import functions, template

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DESCRIPTION = 256
LONGEST_LAYER_VERSION = "1234567"
LAYERS = {
    name
    for name, it in template()["Resources"].items()
    if it["Type"] == "AWS::Serverless::LayerVersion"
}
# Properties that belong to the function and not to its versions, or that only SAM reads.
UNFUNCTIONS = {
    "AutoPublishAlias",
    "CodeUri",
    "Events",
    "Policies",
    "ReservedConcurrentExecutions",
    "VersionDescription",
}
DIGESTS = {
    name: it["Properties"]
    for name, it in template()["Resources"].items()
    if it["Type"] == "Custom::SettingsDigest"
}
FUNCTIONS = list(functions())
LONGEST_DIGEST = "0" * 64
# Nobody waits for them to start, so a snapshot would cost more than it gains.
STARTED_RARELY = {"RemoveMachinesFunction", "DigestSettingsFunction"}


def own_variables(name: str) -> dict[str, Any]:
    variables: dict[str, Any] = functions()[name].get("Environment", {}).get("Variables", {})
    return variables


def settings(name: str) -> dict[str, Any]:
    """Return all that a version of the function is made of, except for its code."""
    shared = template()["Globals"]["Function"]
    properties = functions()[name]
    merged = {**shared, **properties}
    merged["Layers"] = [*shared["Layers"], *properties.get("Layers", [])]
    variables = {**shared["Environment"]["Variables"], **own_variables(name)}
    merged["Environment"] = {"Variables": variables}
    return {key: value for key, value in merged.items() if key not in UNFUNCTIONS}


def parameters_in(node: Any) -> Iterator[str]:  # noqa: ANN401 - any value of the template
    """Yield the parameters of which *node* is made, and its layers, which have versions too."""
    match node:
        case {"Ref": name} if name in template()["Parameters"] or name in LAYERS:
            yield name
        case {"Fn::Sub": str(text)}:
            for name in re.findall(r"\$\{(\w+)\}", text):
                yield from parameters_in({"Ref": name})
        case {"Fn::If": [condition, *values]}:
            yield from parameters_in(template()["Conditions"][condition])
            yield from parameters_in(values)
        case dict():
            for child in node.values():
                yield from parameters_in(child)
        case list():
            for child in node:
                yield from parameters_in(child)


def description(name: str) -> str:
    text: str = functions()[name]["VersionDescription"]["Fn::Sub"][0]
    return text


def digested(name: str) -> str | None:
    """Return the resource whose digest the description of the function's versions has."""
    _, values = functions()[name]["VersionDescription"]["Fn::Sub"]
    if "Settings" not in values:
        return None
    resource, attribute = values["Settings"]["Fn::GetAtt"].split(".")
    assert attribute == "Digest"
    return str(resource)


def longest(parameter: str) -> str:
    if parameter == "Settings":
        return LONGEST_DIGEST
    if parameter in LAYERS:
        return LONGEST_LAYER_VERSION
    declared = template()["Parameters"][parameter]
    if "AllowedValues" in declared:
        return max(map(str, declared["AllowedValues"]), key=len)
    length = declared.get("MaxLength") or len(str(declared["MaxValue"]))
    return "x" * int(length)


def test_every_function_has_an_alias() -> None:
    assert [name for name, it in functions().items() if "AutoPublishAlias" not in it] == []


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_version_is_described_by_all_that_it_is_made_of_and_nothing_else(name: str) -> None:
    """A description with more would ask for a version that equals the last: Lambda makes none."""
    named = set(re.findall(r"\$\{(\w+)\}", description(name)))
    made_of = settings(name)
    if (resource := digested(name)) is not None:
        named.remove("Settings")
        for variable in DIGESTS[resource]["Settings"]:
            del made_of["Environment"]["Variables"][variable]

    assert named == set(parameters_in(made_of))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_digest_is_made_of_the_variables_of_its_function(name: str) -> None:
    if (resource := digested(name)) is not None:
        assert resource == f"{name.removesuffix('Function')}Settings"
        assert DIGESTS[resource]["Settings"] == own_variables(name)


def test_functions_with_parameters_of_any_length_have_a_digest() -> None:
    """The others do without, because a digest is one more call of a deployment."""
    unbounded = {
        name
        for name, declared in template()["Parameters"].items()
        if declared["Type"] == "String" and not {"AllowedValues", "MaxLength"} & declared.keys()
    }

    with_digest = {name for name in FUNCTIONS if digested(name)}
    assert with_digest == {
        name for name in FUNCTIONS if unbounded & set(parameters_in(settings(name)))
    }
    assert {digested(name) for name in with_digest} == DIGESTS.keys()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_description_names_a_layer_by_its_version(name: str) -> None:
    """`arn:aws:lambda:<Region>:<account>:layer:<name>:<version>`"""
    _, values = functions()[name]["VersionDescription"]["Fn::Sub"]
    layers = {key: value for key, value in values.items() if key != "Settings"}

    assert layers.keys() == LAYERS & set(re.findall(r"\$\{(\w+)\}", description(name)))
    assert all(
        value == {"Fn::Select": [7, {"Fn::Split": [":", {"Ref": layer}]}]}
        for layer, value in layers.items()
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_description_has_room_for_the_longest_parameters(name: str) -> None:
    text = re.sub(r"\$\{(\w+)\}", lambda match: longest(match[1]), description(name))

    assert len(text) <= MAX_DESCRIPTION


def test_the_versions_that_a_deployment_replaces_are_kept() -> None:
    resources = template()["Resources"]

    assert {resources[name].get("UpdateReplacePolicy") for name in FUNCTIONS} == {"Retain"}
    assert {resources[name].get("DeletionPolicy") for name in FUNCTIONS} == {None}


def test_machines_events_and_functions_call_the_alias() -> None:
    machine = template()["Resources"]["PackRunMachine"]["Properties"]
    values = machine["DefinitionSubstitutions"]
    called = {value["Ref"] for name, value in values.items() if name.endswith("FunctionArn")}
    reconcile = functions()["ReconcileFunction"]["Environment"]["Variables"]
    resources = {name: it.get("Properties", {}) for name, it in template()["Resources"].items()}
    authorizer = resources["Api"]["Auth"]["Authorizers"]["Authorize"]

    assert called == {f"{name}Function.Alias" for name in _CALLED_BY_MACHINES}
    assert reconcile["SETTLE_RUN_FUNCTION"] == {"Ref": "SettleRunFunction.Alias"}
    assert authorizer["FunctionArn"] == {"Ref": "AuthorizeFunction.Alias"}
    assert resources["RunStream"]["FunctionName"] == {"Ref": "PublishEventsFunction.Alias"}
    assert resources["PackMachines"]["ServiceToken"] == {"Ref": "RemoveMachinesFunction.Alias"}
    assert all(
        it["ServiceToken"] == {"Ref": "DigestSettingsFunction.Alias"} for it in DIGESTS.values()
    )


@pytest.mark.parametrize("starter", ["CreateRunFunction", "ReconcileFunction"])
def test_functions_that_machines_call_change_before_those_that_start_runs(starter: str) -> None:
    """A plan in which the language says more is never read by functions that do not know it.

    An approval of the scope `gate` would be one of the scope `run` to an older `open_gate`.
    CloudFormation updates a resource after each one that it refers to.
    """
    resources = translations()["aws", "Authorize"]["Resources"]
    called = {f"{name}FunctionAliaslive" for name in _CALLED_BY_MACHINES}

    assert called <= set(_updated_before(starter, resources))
    assert called <= resources.keys()


def _updated_before(name: str, resources: dict[str, Any]) -> Iterator[str]:
    """Yield the resources that a resource refers to, and that these refer to."""
    waiting, found = [name], set[str]()
    while waiting:
        references = set(_references(resources[waiting.pop()], resources)) - found
        found |= references
        waiting += references
        yield from references


def _references(node: Any, resources: dict[str, Any]) -> Iterator[str]:  # noqa: ANN401 - any value
    match node:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]} if name in resources:
            yield name
        case {"Fn::Sub": str(text)}:
            yield from (name for name in re.findall(r"\$\{(\w+)", text) if name in resources)
        case {"DependsOn": str(name), **rest}:
            yield from (name, *_references(rest, resources))
        case {"DependsOn": list(names), **rest}:
            yield from (*names, *_references(rest, resources))
        case dict():
            for child in node.values():
                yield from _references(child, resources)
        case list():
            for child in node:
                yield from _references(child, resources)


_CALLED_BY_MACHINES = ("RunStep", "DecideFlow", "OpenGate", "OfferJob", "CallMachine", "SettleRun")


def test_all_aliases_have_the_name_that_the_compiler_counts() -> None:
    """`budget/limits` counts the bytes of a machine with the longest ARNs of these."""
    assert {functions()[name]["AutoPublishAlias"] for name in FUNCTIONS} == {"live"}


def test_snapshots_are_refused_for_pythons_that_have_none() -> None:
    """Lambda makes them from Python 3.12 on."""
    rule = template()["Rules"]["SnapshotsOfPython"]
    refused = [
        assertion["Assert"]["Fn::Not"][0]["Fn::Equals"][1] for assertion in rule["Assertions"]
    ]
    runtimes = template()["Parameters"]["Runtime"]["AllowedValues"]

    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "SnapStart"}, "true"]}
    assert refused == [name for name in runtimes if int(name.removeprefix("python3.")) < 12]


def test_functions_that_lambda_can_make_snapshots_of_have_the_choice() -> None:
    """Lambda makes none of a function with a disk of more than 512 MiB: run_step holds files."""
    with_choice = {name for name in FUNCTIONS if "SnapStart" in functions()[name]}

    assert with_choice == set(FUNCTIONS) - {"RunStepFunction"} - STARTED_RARELY
    assert "EphemeralStorage" in functions()["RunStepFunction"]
    assert all("EphemeralStorage" not in functions()[name] for name in with_choice)
