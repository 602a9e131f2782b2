"""DynamoDB by moto alone, and with the parts of it that tests replace: the same answers."""

from __future__ import annotations

import copy
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType, Item

from tests.moto_aws import REGION, moto_aws
from tests.quick_moto import size_of_item, size_of_value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

KEY = {"pk": {"S": "a"}, "sk": {"S": "1"}}
ITEM: dict[str, Any] = {
    **KEY,
    "text": {"S": "x"},
    "empty": {"S": ""},
    "number": {"N": "1.50"},
    "bytes": {"B": b"\x00\xff"},
    "texts": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2"]},
    "blobs": {"BS": [b"1", b"2"]},
    "nothing": {"NULL": True},
    "yes": {"BOOL": True},
    "no": {"BOOL": False},
    "map": {"M": {"S": {"S": "s"}, "N": {"M": {}}, "deep": {"L": [{"M": {"a": {"N": "1"}}}]}}},
    "list": {"L": [{"S": "a"}, {"N": "2"}, {"L": []}, {"NULL": True}]},
}
LIST: dict[str, Any] = {"L": [{"S": "more"}, {"M": {"a": {"N": "1"}}}]}
VALUES = {
    ":s": {"S": "new"},
    ":n": {"N": "2"},
    ":l": {"L": [{"S": "more"}]},
    ":m": {"M": {"a": {"S": "b"}}},
    ":ss": {"SS": ["b", "c"]},
}
UPDATES = [
    "SET #t = :s",
    "SET #t = :s, #map.deep = :l, #list[1] = :n",
    "SET #number = #number + :n",
    "SET #number = :n - #number REMOVE #t, #list[0], #list[2] ADD #new :n DELETE #texts :ss",
    "SET #list = list_append(#list, :l), #new = if_not_exists(#new, :m)",
    "SET #new = if_not_exists(#t, :m), #map.#t = #number",
    "ADD #texts :ss SET #new.part = :s",
    "SET #t = :s SET #new = :s",
    "REMOVE #t REMOVE #new",
    "SET #map = :m, #map.deep = :l",
    "SET #t = :s, #t = :n",
    "SET #key = :s",
    "SET #t = #new",
    "SET #t = #t + :n",
    "SET #t :s",
    "SET #t = :unknown",
]
NAMES = {
    "#t": "text",
    "#map": "map",
    "#list": "list",
    "#number": "number",
    "#new": "new",
    "#texts": "texts",
    "#key": "sk",
}
NOT_THERE = "attribute_not_exists(pk)"


def test_a_read_answers_as_moto_does() -> None:
    index = {"IndexName": "by-text", "KeyConditionExpression": "#t = :x"}
    ordered = {"KeyConditionExpression": "pk = :a", "ExpressionAttributeValues": {":a": {"S": "a"}}}

    _assert_same(
        ("put_item", {"Item": ITEM}),
        *(("put_item", {"Item": _item("ba"[n % 2], n)}) for n in (10, 9, 2, 30, 11, 1)),
        ("get_item", {"Key": KEY}),
        ("get_item", {"Key": _key("a", 77)}),
        ("query", ordered),
        ("query", {**ordered, "ScanIndexForward": False, "Limit": 2}),
        ("query", {**ordered, "Limit": 2, "ExclusiveStartKey": _key("a", 10)}),
        (
            "query",
            {
                **index,
                "ExpressionAttributeNames": {"#t": "text"},
                "ExpressionAttributeValues": {":x": {"S": "x"}},
            },
        ),
        ("scan", {}),
        ("describe_table", {}),
    )


@pytest.mark.parametrize("name", ITEM)
def test_an_attribute_has_the_size_that_it_has_for_moto(name: str) -> None:
    value = DynamoType(ITEM[name])

    assert size_of_value(value) == value.size()


def test_an_item_has_the_size_that_it_has_for_moto() -> None:
    names = ITEM | {"größe": {"S": "größe"}}
    attributes = {name: DynamoType(value) for name, value in names.items()}
    item = Item(attributes["pk"], attributes["sk"], attributes)

    assert size_of_item(item) == item.size()


@pytest.mark.parametrize("update", ["SET #t = :x", "SET #t.#k = :x", "REMOVE #t"])
def test_the_size_of_an_item_is_known_anew_after_an_update(update: str) -> None:
    names = {name: text for name, text in {"#t": "t", "#k": "k"}.items() if name in update}
    values = {"ExpressionAttributeValues": {":x": {"S": "x" * 99}}} if ":x" in update else {}
    with _credentials(), moto_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        _create_table(client)
        client.put_item(TableName="t", Item={**KEY, "t": {"M": {"k": {"S": "x"}}}})
        [item] = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables["t"].all_items()
        before = size_of_item(item)

        client.update_item(
            TableName="t",
            Key=KEY,
            UpdateExpression=update,
            ExpressionAttributeNames=names,
            **values,
        )

        assert size_of_item(item) != before
        assert size_of_item(item) == size_of_item(copy.deepcopy(item))


@pytest.mark.parametrize("update", UPDATES)
def test_an_update_does_what_it_does_with_moto(update: str) -> None:
    request: dict[str, Any] = {
        "Key": KEY,
        "UpdateExpression": update,
        "ExpressionAttributeNames": {name: NAMES[name] for name in NAMES if name in update},
        "ExpressionAttributeValues": {
            name: value for name, value in VALUES.items() if f"{name}," in f"{_words(update)},"
        },
    }
    request = {name: value for name, value in request.items() if value}
    whole = {**request, "ReturnValues": "ALL_NEW"}

    _assert_same(
        ("put_item", {"Item": ITEM}),
        ("update_item", whole),
        ("get_item", {"Key": KEY}),
        ("update_item", {**whole, "Key": _key("other", 1)}),
        ("update_item", {**whole, "ConditionExpression": NOT_THERE}),
        ("transact_write_items", {"TransactItems": [{"Update": request}]}),
        ("scan", {}),
    )


@pytest.mark.parametrize(
    ("update", "values"),
    [
        (
            "SET place = :s REMOVE #new, #list",
            [{"S": "a"}, {"S": "b"}, {"N": "1"}, {"S": ""}, None],
        ),
        ("SET other = :s", [{"S": "a"}, {"N": "1"}, {"S": ""}, {"B": b""}, {"L": []}, None]),
        ("SET other = #map, #list = #new", [{"S": "a"}, {"S": "a"}]),
        ("SET other = if_not_exists(#new, :s)", [{"S": "a"}, {"N": "1"}, None]),
        ("SET #new = if_not_exists(#new, :s)", [{"S": "a"}, {"N": "1"}, None]),
        ("SET #list = list_append(if_not_exists(#list, :none), :s)", [LIST, LIST, {"S": ""}, LIST]),
        ("SET #new = list_append(if_not_exists(#new, :none), :s)", [LIST, LIST, {"S": "a"}, LIST]),
        ("SET #text = list_append(#text, :s)", [LIST, LIST]),
        ("ADD #new :s", [{"N": "1"}, {"N": "2.5"}, {"S": "a"}, {"SS": ["a"]}, {"N": "1"}]),
        ("ADD #texts :s", [{"SS": ["a", "z"]}, {"SS": ["y"]}, {"NS": ["1"]}, {"S": "a"}]),
        ("DELETE #texts :s", [{"SS": ["a"]}, {"NS": ["1"]}, {"SS": ["b"]}, {"SS": ["b"]}]),
        ("REMOVE #list, #map, #new", [{}, {}]),
        ("REMOVE #list[0], #map.deep", [{}, {}]),
    ],
)
def test_an_update_is_checked_with_the_values_of_its_request(
    update: str, values: list[dict[str, Any] | None]
) -> None:
    names = {**NAMES, "#text": "text"}
    request = {
        "Key": KEY,
        "UpdateExpression": update,
        "ExpressionAttributeNames": {name: names[name] for name in names if name in update},
    }
    steps: list[tuple[str, dict[str, Any]]] = [("put_item", {"Item": ITEM})]
    for value in values:
        given = ({":s": value} if value else {}) | (
            {":none": {"L": []}} if ":none" in update else {}
        )
        changed = request | ({"ExpressionAttributeValues": given} if given else {})
        changed = {name: part for name, part in changed.items() if part}
        steps += [("update_item", changed), ("update_item", {**changed, "Key": _key("b", 2)})]
        steps += [("transact_write_items", {"TransactItems": [{"Update": changed}]})]

    _assert_same(*steps, ("scan", {}))


def test_a_condition_is_checked_with_the_names_and_values_of_its_request() -> None:
    update = {
        "Key": KEY,
        "UpdateExpression": "SET #new = :s",
        "ConditionExpression": "#n = :n AND attribute_exists(#t)",
    }
    names = {"#new": "new", "#t": "text", "#n": "number"}

    _assert_same(
        ("put_item", {"Item": ITEM}),
        *(
            (
                "update_item",
                {
                    **update,
                    "ExpressionAttributeNames": names | {"#t": attribute},
                    "ExpressionAttributeValues": {":s": {"S": number}, ":n": {"N": number}},
                },
            )
            for number in ("1.5", "2", "1.5")
            for attribute in ("text", "missing", "new")
        ),
        ("scan", {}),
    )


def test_a_transaction_is_kept_whole_or_not_at_all() -> None:
    change = {
        "Key": KEY,
        "UpdateExpression": "SET #n = #n + :n",
        "ExpressionAttributeNames": {"#n": "number"},
        "ExpressionAttributeValues": {":n": {"N": "1"}},
    }
    good = [
        {"Put": {"Item": _item("b", 1)}},
        {"Update": change},
        {"Delete": {"Key": _key("a", 2)}},
    ]
    late = {"Put": {"Item": _item("a", 3), "ConditionExpression": NOT_THERE}}
    steps: list[tuple[str, dict[str, Any]]] = [
        ("put_item", {"Item": ITEM}),
        *(("put_item", {"Item": _item("a", n)}) for n in (2, 3)),
    ]

    for writes in ([*good, late], good, [*good, good[0]], [good[2], good[1]], [late, *good]):
        steps += [("transact_write_items", {"TransactItems": writes}), ("scan", {})]

    _assert_same(*steps)


def _item(pk: str, number: int) -> dict[str, Any]:
    return {**_key(pk, number), "text": {"S": "x"}, "number": {"N": str(number)}}


def _key(pk: str, number: int) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": str(number)}}


def _words(update: str) -> str:
    return update.replace(" ", ",").replace(")", ",")


def _assert_same(*requests: tuple[str, dict[str, Any]]) -> None:
    with _credentials():
        quick = _answers(moto_aws(), requests)
        # Those of a known form are not sent.
        quicker = _answers(moto_aws(), requests)
        alone = _answers(mock_aws(), requests)

    assert quick == alone
    assert quicker == alone


def _answers(
    aws: AbstractContextManager[Any], requests: tuple[tuple[str, dict[str, Any]], ...]
) -> list[Any]:
    """Return DynamoDB's answer to each request, or the error if it refuses one."""
    answers: list[Any] = []
    with aws, nullcontext(boto3.client("dynamodb", region_name=REGION)) as client:
        _create_table(client)
        for operation, request in requests:
            try:
                answer = getattr(client, operation)(**_with_table(request))
            except ClientError as error:
                answer = error.response
            answer.pop("ResponseMetadata")
            answers.append(answer)
    for answer in answers:
        answer.get("Table", {}).pop("CreationDateTime", None)
        answer.get("Table", {}).pop("TableId", None)
    return answers


def _with_table(request: dict[str, Any]) -> dict[str, Any]:
    if "TransactItems" not in request:
        return {"TableName": "t", **request}
    return {
        "TransactItems": [
            {kind: {"TableName": "t", **body} for kind, body in write.items()}
            for write in request["TransactItems"]
        ]
    }


def _create_table(client: Any) -> None:  # noqa: ANN401 - boto3 has no static types
    keys = [("pk", "HASH"), ("sk", "RANGE")]
    client.create_table(
        TableName="t",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "text", "place")
        ],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in keys],
        GlobalSecondaryIndexes=[
            {
                "IndexName": f"by-{name}",
                "KeySchema": [{"AttributeName": name, "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
            for name in ("text", "place")
        ],
    )


@contextmanager
def _credentials() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        yield
