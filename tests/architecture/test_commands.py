"""The pages' commands of the AWS command line exist, and the pages name what the template has."""

from __future__ import annotations

import itertools
import re
import shlex
from typing import TYPE_CHECKING

import botocore.session
import pytest
from botocore import xform_name

from tests.template import ROOT, template

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from botocore.model import OperationModel

PAGES = sorted(ROOT.glob("docs/*.md"))
# Options of the command line itself, not of an operation.
GLOBAL = {"--output", "--query", "--region", "--profile"}
# `aws sns subscribe` calls it so, because --endpoint-url is an option of the command line.
RENAMED = {"--notification-endpoint": "--endpoint"}
# Commands without an operation of the same name.
BUILT_IN = {"s3", "cloudformation deploy"}
# The command line's own name for a service.
SERVICES = {"s3api": "s3"}
_CONTINUED = re.compile(r"\\\n\s*")
_COMMAND = re.compile(r"\baws ([a-z0-9-]+ [a-z0-9-]+(?: [^`\n|]*)?)")
# An apostrophe after a letter quotes nothing.
_QUOTED = re.compile(r"(?<!\w)'[^']*'|\"[^\"]*\"", re.DOTALL)


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of each command, without what is quoted."""
    text = _CONTINUED.sub("", page.read_text(encoding="utf-8"))
    for found in _COMMAND.findall(_QUOTED.sub("X", text)):
        words = shlex.split(found.replace("$(", "").rstrip(")"), posix=False)
        if words[0] in {*botocore.session.get_session().get_available_services(), *SERVICES}:
            yield words


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(commands(page))], ids=lambda page: page.name
)
def test_every_command_is_an_operation_with_these_options(page: Path) -> None:
    for words in commands(page):
        if words[0] in BUILT_IN or " ".join(words[:2]) in BUILT_IN:
            continue
        model, rest = operation(words)
        members = {f"--{xform_name(name, '-')}": name for name in model.input_shape.members}
        values = dict(itertools.pairwise([*rest, ""]))
        given = {RENAMED.get(word, word) for word in rest if word.startswith("--")} - GLOBAL
        for option in given:
            name = members.get(option) or members.get(option.replace("--no-", "--"))
            assert name is not None, (words, option)
            shape = model.input_shape.members[name]
            assert option in members or shape.type_name == "boolean", (words, option)
            fields = set(re.findall(r"(?:^|,)(\w+)=", values.get(option, "")))
            assert shape.type_name != "structure" or fields <= shape.members.keys(), (words, fields)
        required = {f"--{xform_name(name, '-')}" for name in model.input_shape.required_members}
        assert required <= given, (words, required - given)


def operation(words: list[str]) -> tuple[OperationModel, list[str]]:
    """Return the operation that a command calls, and the words after its name."""
    service, name, *rest = words
    service = SERVICES.get(service, service)
    session = botocore.session.get_session()
    model = session.get_service_model(service)
    names = {xform_name(each, "-"): each for each in model.operation_names}
    if name == "wait":
        waiters = session.get_waiter_model(service)
        waiting = {xform_name(each, "-"): each for each in waiters.waiter_names}
        assert rest[0] in waiting, words
        return model.operation_model(waiters.get_waiter(waiting[rest[0]]).operation), rest[1:]
    assert name in names, words
    return model.operation_model(names[name]), rest


def test_the_page_of_aws_names_what_the_template_has() -> None:
    text = (ROOT / "docs/aws.md").read_text(encoding="utf-8")
    outputs = set(re.findall(r"\boutput ([A-Z]\w+)", text))
    parameters = {
        name
        for cell in re.findall(r"^\| (`[A-Z].*?) \|", text, re.MULTILINE)
        for name in re.findall(r"`([A-Z][a-z]\w+)`", cell)
    }

    assert len(outputs) > 5
    assert outputs <= template()["Outputs"].keys()
    assert len(parameters) > 10
    assert parameters <= template()["Parameters"].keys()
