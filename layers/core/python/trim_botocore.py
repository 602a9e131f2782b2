"""Remove what the functions do not use from botocore's data, in the folder of a layer.

    python trim_botocore.py FOLDER

botocore describes some 400 services in 25 MB. Making a client lists the folders of all of them,
and reads the description of its service and a list of the endpoints of all. So a cold start pays
for services that are never called. This keeps the services below, in their newest versions, without
documentation and examples. botocore finds services by their folders, so nothing else changes.

botocore is under the Apache License 2.0, which allows this; section 4(b) asks to say that files
were changed, which the file NOTICE.taskrunner in the data's folder does.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

SERVICES = (
    "dynamodb",
    "ecr",
    "events",
    "kms",
    "lambda",
    "s3",
    "secretsmanager",
    "sns",
    "stepfunctions",
)
# The names of services in the list of endpoints, where they differ.
ENDPOINTS = {"ecr": ("ecr", "api.ecr"), "stepfunctions": ("states",)}
NEEDED = ("service-2", "endpoint-rule-set-1")
NOTICE = """\
The files in this folder are botocore's, changed by TaskRunner's build (trim_botocore.py):
services that it does not call, documentation and examples were removed.
"""


def trim(folder: Path) -> None:
    """Trim the botocore that *folder* holds."""
    data = folder / "botocore" / "data"
    for service in (path for path in data.iterdir() if path.is_dir()):
        if service.name in SERVICES:
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
            text = json.dumps(without_documentation(content), separators=(",", ":"))
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


def trim_endpoints(file: Path) -> None:
    """Keep all partitions and Regions, and of the services ours."""
    endpoints = json.loads(file.read_text(encoding="utf-8"))
    kept = {name for service in SERVICES for name in ENDPOINTS.get(service, (service,))}
    for partition in endpoints["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in services if name in kept}
    file.write_text(json.dumps(endpoints, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    trim(Path(sys.argv[1]))
