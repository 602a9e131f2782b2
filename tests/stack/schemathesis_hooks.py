"""What schemathesis is told of this API beside its document: which texts mean something here.

To the document a manifest is a text, a cursor is opaque and a run's id is any word; only the
service knows which of them are packs, pages and runs. So these are narrowed to some that are. What
it makes up beside them is wrong then, and must be refused.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

import schemathesis

from tests.packs import pack

if TYPE_CHECKING:
    from schemathesis.core.transport import Response

# The variable that names what there is: `{tenant, runId, approvalId, artifact, planHash, cursors}`,
# cursors by the operationId of their list.
KNOWN: Final = "TASKRUNNER_KNOWN"

_INPUTS: Final = """
inputs:
  - {name: text, type: string}
  - {name: count, type: integer}
  - {name: list, type: array}
"""
_PACKS: Final = (
    pack("- {id: one, run: {uses: builtin:noop, with: {a: '{{ inputs }}'}}}", spec=_INPUTS),
    pack("- {id: one, when: inputs.count > `3`, run: {uses: builtin:noop}}", spec=_INPUTS),
    pack(
        "- {id: gate, gate: {approval: {id: review}}}",
        spec=_INPUTS + "approvals: [{id: review}]",
    ),
    pack(
        """
        - id: all
          map:
            items: inputs.list || `[]`
            step: {id: each, run: {uses: builtin:noop, with: {a: "{{ item }}"}}}
        """,
        spec=_INPUTS,
    ),
)
# null counts as not given.
_INPUT_TYPES: Final = {
    "text": {"type": ["string", "null"]},
    "count": {"type": ["integer", "null"]},
    "list": {"type": ["array", "null"]},
}
_AN_ENTRY: Final = {
    "timestamp": "2025-12-06T10:00:00Z",
    "level": "info",
    "eventType": "run.created",
    "message": "Run created via API.",
}


@schemathesis.hook
def before_load_schema(_context: Any, schema: dict[str, Any]) -> None:  # noqa: ANN401 - untyped
    """Narrow the document to what KNOWN names, and to packs that take every value."""
    known = json.loads(os.environ[KNOWN])
    parameters = schema["components"]["parameters"]
    parameters["Tenant"]["schema"]["enum"] = [known["tenant"]]
    parameters["RunId"]["schema"]["enum"] = [known["runId"], "run-of-nobody"]
    parameters["ApprovalId"]["schema"]["enum"] = [known["approvalId"], "approval-of-nobody"]
    parameters["ArtifactName"]["schema"]["enum"] = [known["artifact"], "artifact-of-nobody"]
    # On the wire a number is a text, so that a form says more than a list would.
    parameters["LogCursor"]["schema"]["pattern"] = r"^[0-9]{1,9}\.[0-9]{1,9}$"
    schemas = schema["components"]["schemas"]
    schemas["ApprovalDecisionRequest"]["properties"]["planHash"]["enum"] = [known["planHash"]]
    for name in ("SimulationRequest", "CreateRunRequest"):
        fields = schemas[name]["properties"]
        fields["manifest"]["enum"] = list(_PACKS)
        fields["inputs"] |= {"additionalProperties": False, "properties": _INPUT_TYPES}
    fields["tenantId"]["enum"] = [known["tenant"]]
    # A run that is made under any name is there for whoever asks for that name by chance, and would
    # be found where the path allows two names alone. The rest is in
    # tests/security/hostile/test_requests.py.
    del fields["runId"]
    for item in schema["paths"].values():
        for operation in item.values():
            cursor = known["cursors"].get(operation["operationId"])
            for place, parameter in enumerate(operation.get("parameters", [])):
                if parameter.get("$ref", "").endswith("/Cursor"):
                    asked = {"name": "cursor", "in": "query", "schema": {"enum": [cursor]}}
                    operation["parameters"][place] = asked


@schemathesis.deserializer("application/x-ndjson")
def first_entry(_context: Any, response: Response) -> Any:  # noqa: ANN401 - any JSON
    """The first entry of a log, or one that fits where nothing is new.

    The document describes one entry, as the contract does; tests/api_schema.py checks every line.
    """
    lines = response.content.splitlines()
    return json.loads(lines[0]) if lines else _AN_ENTRY
