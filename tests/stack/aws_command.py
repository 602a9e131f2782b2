"""The `aws` of the pages' commands, as far as they need it, by botocore alone.

It calls an operation with options in JSON or as text, reads all pages as the command line of AWS
does, and prints the answer, or what --query selects from it, as JSON or as text.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import botocore.session
import jmespath
from botocore import xform_name

SERVICES = {"s3api": "s3"}


def main(service: str, operation: str, *words: str) -> None:
    options = dict(zip(words[::2], words[1::2], strict=True))
    query, output = options.pop("--query", "@"), options.pop("--output", "json")
    client = botocore.session.get_session().create_client(SERVICES.get(service, service))
    method = operation.replace("-", "_")
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
    members = {f"--{xform_name(name, '-')}": name for name in model.input_shape.members}
    arguments = {}
    for option, text in options.items():
        name = members[option]
        is_text = model.input_shape.members[name].type_name == "string"
        arguments[name] = text if is_text else json.loads(text)
    if client.can_paginate(method):
        answer = client.get_paginator(method).paginate(**arguments).build_full_result()
    else:
        answer = getattr(client, method)(**arguments)
        del answer["ResponseMetadata"]
    show(jmespath.search(query, answer), output)


def show(selected: Any, output: str) -> None:  # noqa: ANN401 - any JSON
    if output == "text":
        text = "\t".join(map(str, selected if isinstance(selected, list) else [selected]))
    else:
        text = json.dumps(selected, default=str)
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
