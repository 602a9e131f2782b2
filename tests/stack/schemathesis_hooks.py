"""What schemathesis is told of this API beside its document; see schemathesis.toml."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import schemathesis

if TYPE_CHECKING:
    from schemathesis.core.transport import Response


@schemathesis.hook
def before_load_schema(_context: Any, schema: dict[str, Any]) -> None:  # noqa: ANN401 - untyped
    """Narrow two parameters to what the service takes.

    The contract gives the tenant's header no form and a run's id no greatest length, and the
    document may not say more. A slug that is none and an id that is too long are 400, which the
    checks would call a refusal of good data.
    """
    parameters = schema["components"]["parameters"]
    parameters["Tenant"]["schema"]["pattern"] = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
    parameters["RunId"]["schema"]["maxLength"] = 128


@schemathesis.deserializer("application/x-ndjson")
def first_entry(_context: Any, response: Response) -> Any:  # noqa: ANN401 - any JSON
    """The first entry of a log, which always has one: the run's creation.

    The document describes one entry, as the contract does; tests/api_schema.py checks every line.
    """
    return json.loads(response.content.splitlines()[0])
