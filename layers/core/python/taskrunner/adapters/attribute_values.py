"""DynamoDB's attribute values as plain Python values, and back.

boto3 has the same in `boto3.dynamodb.types`. It costs the import of boto3, which nothing else here
needs, makes a Decimal of every number, and takes four times as long for a chunk of a journal.
"""

from __future__ import annotations

from typing import Any


def to_attribute_value(value: Any) -> dict[str, Any]:  # noqa: ANN401 - one line a type
    """Return *value* as DynamoDB's attribute value.

    Raises:
        TypeError: the table holds no values of that type.
    """
    match value:
        case str():
            return {"S": value}
        case bool() | None:
            return {"NULL": True} if value is None else {"BOOL": value}
        case int():
            return {"N": str(value)}
        case dict():
            return {"M": {key: to_attribute_value(child) for key, child in value.items()}}
        case list() | tuple():
            return {"L": [to_attribute_value(child) for child in value]}
        case set() | frozenset() if value and all(isinstance(child, str) for child in value):
            return {"SS": list(value)}
    message = f"the table cannot hold {type(value).__name__}: {value!r}"
    raise TypeError(message)


def from_attribute_value(attribute: dict[str, Any]) -> Any:  # noqa: ANN401 - as above
    """Return the plain value of one of DynamoDB's; numbers are integers.

    Raises:
        ValueError: it is of a type that the table does not hold.
    """
    ((kind, content),) = attribute.items()
    match kind:
        case "S" | "BOOL":
            return content
        case "N":
            return int(content)
        case "L":
            return [from_attribute_value(child) for child in content]
        case "M":
            return {key: from_attribute_value(child) for key, child in content.items()}
        case "SS":
            return set(content)
        case "NULL":
            return None
    message = f"the table holds no attribute of type {kind}"
    raise ValueError(message)
