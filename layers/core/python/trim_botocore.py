"""Remove what the functions do not use from botocore's data, in the folder of a layer.

    python trim_botocore.py FOLDER

botocore describes some 400 services in 25 MB. Making a client lists the folders of all of them,
reads the description of its service and a list of the endpoints of all, and makes a method for each
operation. So a cold start pays for services and operations that are never called. This keeps the
operations below, in their newest versions, without documentation and examples. botocore finds
services by their folders and operations by their names, so nothing else changes. A test compares
the list with the code, and the operations with the unchanged ones.

botocore is under the Apache License 2.0, which allows this; section 4(b) asks to say that files
were changed, which the file NOTICE.taskrunner in the data's folder does.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

# The operations of each service that the code calls; botocore itself makes the last calls of S3's
# list, where a bucket is in another Region or zone.
OPERATIONS = {
    "dynamodb": ("BatchGetItem", "GetItem", "Query", "TransactWriteItems", "UpdateItem"),
    "ecr": ("DescribeImageScanFindings",),
    "events": ("PutEvents",),
    "kms": ("GetPublicKey", "Sign"),
    "lambda": ("Invoke",),
    "s3": ("GetObject", "HeadObject", "PutObject", "CreateSession", "HeadBucket"),
    "secretsmanager": ("GetSecretValue",),
    "sns": ("Publish",),
    "stepfunctions": (
        "CreateStateMachine",
        "DeleteStateMachine",
        "DescribeExecution",
        "DescribeStateMachine",
        "ListExecutions",
        "ListStateMachines",
        "SendTaskFailure",
        "SendTaskSuccess",
        "StartExecution",
        "StopExecution",
    ),
}
# The names of services in the list of endpoints, where they differ.
ENDPOINTS = {"ecr": ("ecr", "api.ecr"), "stepfunctions": ("states",)}
NEEDED = ("service-2", "endpoint-rule-set-1")
NOTICE = """\
The files in this folder are botocore's, changed by TaskRunner's build (trim_botocore.py):
services and operations that it does not call, documentation and examples were removed.
"""


def trim(folder: Path) -> None:
    """Trim the botocore that *folder* holds."""
    data = folder / "botocore" / "data"
    for service in (path for path in data.iterdir() if path.is_dir()):
        if service.name in OPERATIONS:
            trim_service(service)
        else:
            shutil.rmtree(service)
    trim_endpoints(data / "endpoints.json")
    (data / "NOTICE.taskrunner").write_text(NOTICE, encoding="utf-8")


def trim_service(service: Path) -> None:
    """Keep the newest version of a service, and of it what making a client and a call reads."""
    *older, newest = sorted(path for path in service.iterdir() if path.is_dir())
    for version in older:
        shutil.rmtree(version)
    for file in newest.iterdir():
        if not file.name.startswith(NEEDED):
            file.unlink()
        elif file.name.endswith(".json.gz"):
            content = json.loads(gzip.decompress(file.read_bytes()))
            content = without_documentation(content)
            for parameter in content.get("clientContextParams", {}).values():
                parameter["documentation"] = ""  # botocore reads it at each call
            if "operations" in content:
                content = with_operations(content, OPERATIONS[service.name])
            text = json.dumps(content, separators=(",", ":"))
            # Not compressed: decompressing costs a cold start more than it saves.
            file.with_suffix("").write_text(text, encoding="utf-8")
            file.unlink()


def without_documentation(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return *value* without texts called `documentation`; a member of that name is an object."""
    if isinstance(value, dict):
        return {
            key: without_documentation(child)
            for key, child in value.items()
            if not (key == "documentation" and isinstance(child, str))
        }
    if isinstance(value, list):
        return [without_documentation(child) for child in value]
    return value


def with_operations(model: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return a service's *model* with these operations, their shapes, and the shapes of all errors.

    An operation through which clients find their endpoints stays too.
    """
    operations = {
        name: operation
        for name, operation in model["operations"].items()
        if name in names or operation.get("endpointoperation")
    }
    errors = (name for name, shape in model["shapes"].items() if shape.get("exception"))
    kept: set[str] = set()
    pending = [*errors, *references(operations)]
    while pending:
        name = pending.pop()
        if name not in kept:
            kept.add(name)
            pending += references(model["shapes"][name])
    shapes = {name: shape for name, shape in model["shapes"].items() if name in kept}
    return model | {"operations": operations, "shapes": shapes}


def references(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Yield the names of the shapes to which *value* refers, at any depth."""
    if isinstance(value, dict):
        if isinstance(value.get("shape"), str):
            yield value["shape"]
        value = list(value.values())
    if isinstance(value, list):
        for child in value:
            yield from references(child)


def trim_endpoints(file: Path) -> None:
    """Keep all partitions and Regions, and of the services ours."""
    endpoints = json.loads(file.read_text(encoding="utf-8"))
    kept = {name for service in OPERATIONS for name in ENDPOINTS.get(service, (service,))}
    for partition in endpoints["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in services if name in kept}
    file.unlink()  # an installer may have linked it to its cache
    file.write_text(json.dumps(endpoints, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    trim(Path(sys.argv[1]))
