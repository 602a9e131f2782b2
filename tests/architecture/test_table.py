"""The adapters' keys and indexes are those of the template, and the reconciler reads the same."""

from __future__ import annotations

import re

import yaml

from taskrunner.adapters import table_layout
from tests.template import ROOT, template

ADAPTERS = ROOT / "layers/core/python/taskrunner/adapters"


def test_every_index_of_the_template_is_one_that_an_adapter_names() -> None:
    properties = template()["Resources"]["RunTable"]["Properties"]
    deployed = {index["IndexName"] for index in properties["GlobalSecondaryIndexes"]}

    assert deployed == {
        table_layout.RUNS_BY_TENANT,
        table_layout.OPEN_APPROVALS,
        table_layout.UNFINISHED_RUNS,
    }


def test_an_item_has_the_keys_of_the_template() -> None:
    properties = template()["Resources"]["RunTable"]["Properties"]
    keys = [(key["AttributeName"], key["KeyType"]) for key in properties["KeySchema"]]

    assert keys == [("pk", "HASH"), ("sk", "RANGE")]


def test_every_attribute_of_an_index_is_written_by_an_adapter() -> None:
    properties = template()["Resources"]["RunTable"]["Properties"]
    attributes = {
        key["AttributeName"]
        for index in properties["GlobalSecondaryIndexes"]
        for key in index["KeySchema"]
    }
    expiry = properties["TimeToLiveSpecification"]["AttributeName"]
    code = "\n".join(path.read_text(encoding="utf-8") for path in ADAPTERS.glob("*.py"))

    # In an item, or in the text of an update.
    unwritten = {
        name
        for name in (*attributes, expiry)
        if not re.search(rf'"{name}": |"{name}"\]|\b{name} = :', code)
    }
    assert unwritten == set()


def test_the_reconciler_scans_the_index_of_unfinished_runs() -> None:
    text = (ROOT / "statemachine/reconcile.asl.yaml").read_text(encoding="utf-8")
    states = yaml.safe_load(text)["States"].values()

    scanned = {
        state["Parameters"]["IndexName"]
        for state in states
        if state.get("Resource", "").endswith("dynamodb:scan")
    }
    assert scanned == {table_layout.UNFINISHED_RUNS}
