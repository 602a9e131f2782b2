"""CloudFormation's view of a translated template and parameters: resources without functions.

It knows the functions that the template uses, and no others. A reference to a resource that the
deployment does not have is an error, as it is for CloudFormation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCOUNT = "123456789012"
_ABSENT = object()  # AWS::NoValue
_SUFFIXES = {"aws": "amazonaws.com", "aws-us-gov": "amazonaws.com", "aws-cn": "amazonaws.com.cn"}
_VARIABLE = re.compile(r"\$\{([A-Za-z][\w.:]*)\}")


class DanglingReferenceError(LookupError):
    """The deployment does not have what its template refers to."""


@dataclass(frozen=True)
class Deployment:
    """A stack of *template* in a partition and Region; *parameters* override the defaults."""

    template: Mapping[str, Any]
    parameters: Mapping[str, str]
    partition: str
    region: str
    stack_name: str = "taskrunner"

    @cached_property
    def _values(self) -> dict[str, Any]:
        defaults = {
            name: str(entry.get("Default", ""))
            for name, entry in self.template["Parameters"].items()
        }
        stack = f"{self.region}:{ACCOUNT}:stack/{self.stack_name}/0d3f4a5b-1c2d-11ee"
        return (
            defaults
            | dict(self.parameters)
            | {
                "AWS::AccountId": ACCOUNT,
                "AWS::NoValue": _ABSENT,
                "AWS::Partition": self.partition,
                "AWS::Region": self.region,
                "AWS::StackId": f"arn:{self.partition}:cloudformation:{stack}",
                "AWS::StackName": self.stack_name,
                "AWS::URLSuffix": _SUFFIXES[self.partition],
            }
        )

    @cached_property
    def _present(self) -> set[str]:
        return {
            name
            for name, resource in self.template["Resources"].items()
            if "Condition" not in resource or self._holds({"Condition": resource["Condition"]})
        }

    @cached_property
    def resources(self) -> dict[str, dict[str, Any]]:
        """The resources that the deployment has, by logical id.

        Raises:
            DanglingReferenceError: a resource refers to one that the deployment does not have.

        """
        every = {name: self.template["Resources"][name] for name in sorted(self._present)}
        for name, resource in every.items():
            needed = resource.get("DependsOn", [])
            for other in [needed] if isinstance(needed, str) else needed:
                self._require(other, name)
        return {
            name: resource | {"Properties": self._resolved(resource.get("Properties", {}), name)}
            for name, resource in every.items()
        }

    @cached_property
    def outputs(self) -> dict[str, str]:
        """The outputs, without those whose condition does not hold."""
        return {
            name: self._resolved(output["Value"], f"output {name}")
            for name, output in self.template["Outputs"].items()
            if "Condition" not in output or self._holds({"Condition": output["Condition"]})
        }

    def _require(self, name: str, within: str) -> str:
        if name not in self._present:
            raise DanglingReferenceError(f"{within} refers to {name}")
        return name

    def _holds(self, condition: Any) -> bool:  # noqa: ANN401 - an expression of the template
        match condition:
            case {"Condition": name}:
                return self._holds(self.template["Conditions"][name])
            case {"Fn::Not": [operand]}:
                return not self._holds(operand)
            case {"Fn::And": operands}:
                return all(self._holds(operand) for operand in operands)
            case {"Fn::Or": operands}:
                return any(self._holds(operand) for operand in operands)
            case {"Fn::Equals": [left, right]}:
                return str(self._resolved(left)) == str(self._resolved(right))
        raise TypeError(f"a form that no condition had so far: {condition}")

    def _resolved(self, node: Any, within: str = "") -> Any:  # noqa: ANN401 - any value
        if isinstance(node, list):
            items = [self._resolved(value, within) for value in node]
            return [value for value in items if value is not _ABSENT]
        if not isinstance(node, dict):
            return node
        if node.keys() & {"Ref", "Fn::GetAtt", "Fn::Sub"}:
            return self._reference(node, within)
        if any(key.startswith("Fn::") for key in node):
            return self._function(node, within)
        members = {key: self._resolved(value, within) for key, value in node.items()}
        return {key: value for key, value in members.items() if value is not _ABSENT}

    def _reference(self, node: dict[str, Any], within: str) -> Any:  # noqa: ANN401
        match node:
            case {"Ref": name}:
                if name in self._values:
                    return self._values[name]
                self._require(name, within)
                if self.template["Resources"][name]["Type"].endswith("::LayerVersion"):
                    return f"arn:{self.partition}:lambda:{self.region}:{ACCOUNT}:layer:{name}:1"
                return f"<{name}>"
            case {"Fn::GetAtt": path}:
                return self._attribute(path if isinstance(path, str) else ".".join(path), within)
            case {"Fn::Sub": [text, variables]}:
                return self._substituted(text, self._resolved(variables, within), within)
            case {"Fn::Sub": text}:
                return self._substituted(text, {}, within)
        raise TypeError(f"a form that the template did not have so far: {node}")

    def _function(self, node: dict[str, Any], within: str) -> Any:  # noqa: ANN401
        match node:
            case {"Fn::If": [condition, then, otherwise]}:
                holds = self._holds({"Condition": condition})
                return self._resolved(then if holds else otherwise, within)
            case {"Fn::Split": [separator, text]}:
                return self._resolved(text, within).split(separator)
            case {"Fn::Select": [index, listed]}:
                return self._resolved(listed, within)[int(index)]
            case {"Fn::Join": [separator, parts]}:
                return separator.join(self._resolved(parts, within))
        raise TypeError(f"a function that the template did not have so far: {node}")

    def _substituted(self, text: str, variables: Mapping[str, str], within: str) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name in variables:
                return variables[name]
            if "." in name:
                return self._attribute(name, within)
            return str(self._resolved({"Ref": name}, within))

        return _VARIABLE.sub(value, text)

    def _attribute(self, path: str, within: str) -> str:
        name, _, attribute = path.partition(".")
        self._require(name, within)
        if attribute.endswith("Arn"):
            return f"arn:{self.partition}:any:{self.region}:{ACCOUNT}:{name}"
        return f"<{path}>"
