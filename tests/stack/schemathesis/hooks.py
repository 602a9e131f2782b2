"""The knowledge of this API that schemathesis lacks in its document: which values exist.

In the document a manifest is any text, a cursor is opaque and a run's id is any word. Only the
service knows which of them are packs, pages and runs, so the hooks narrow the document to some that
exist. Everything else that schemathesis generates is then wrong, and must be rejected.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

import schemathesis

from tests.packs import pack
from tests.stack.schemathesis.known import KNOWN

if TYPE_CHECKING:
    from schemathesis.core.transport import Response

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
# An input that is null counts as not given.
_INPUT_TYPES: Final = {
    "text": {"type": ["string", "null"]},
    "count": {"type": ["integer", "null"]},
    "list": {"type": ["array", "null"]},
}
# Parameters that are valid beside others only, which a document cannot say. A cursor is one of a
# list with the same filters, and `since` waits. tests/unit/adapters/test_http_filters.py has them;
# tests/security/hostile/test_requests.py has the tail of a log.
_DEPENDENT: Final = frozenset(
    {
        "VersionFilter",
        "CreatedBeforeFilter",
        "ChildStatus",
        "ChildLimit",
        "ChildCursor",
        "Since",
        "WaitSeconds",
        "LogTail",
        "LogBefore",
    }
)
_ANY_ENTRY: Final = {
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
    # A pattern, because in a query a number is text, which a list of numbers would not match.
    parameters["LogCursor"]["schema"]["pattern"] = r"^[0-9]{1,9}\.[0-9]{1,9}$"
    parameters["ParentStep"]["schema"]["enum"] = ["block-of-nobody"]
    parameters["CreatedAfterFilter"]["schema"]["enum"] = [
        "2025-12-06T12:00:00Z",
        "2025-12-06T12:00:00.5+01:00",
    ]
    schemas = schema["components"]["schemas"]
    schemas["ApprovalDecisionRequest"]["properties"]["planHash"]["enum"] = [known["planHash"]]
    earlier_plans = [known["runId"], known["planHash"], "last-approved"]
    parameters["CompareTo"]["schema"]["enum"] = earlier_plans
    schemas["SimulationRequest"]["properties"]["compareTo"]["enum"] = earlier_plans
    # The run that exists has no inputs.
    schemas["RerunRequest"]["properties"]["inputs"]["additionalProperties"] = False
    del schemas["RerunRequest"]["properties"]["runId"]
    # The contract does not say that unknown members are refused, and may not be changed.
    for name in (
        "SimulationRequest",
        "CreateRunRequest",
        "RerunRequest",
        "ApprovalDecisionRequest",
    ):
        schemas[name]["additionalProperties"] = False
    _narrow_workers(schemas)
    for name in ("SimulationRequest", "CreateRunRequest"):
        fields = schemas[name]["properties"]
        fields["manifest"]["enum"] = list(_PACKS)
        fields["inputs"] |= {"additionalProperties": False, "properties": _INPUT_TYPES}
    fields["tenantId"]["enum"] = [known["tenant"]]
    # A run created under a generated name would be found by a later request for that name, although
    # the narrowed document allows two names only. tests/security/hostile/test_requests.py generates
    # run ids.
    del fields["runId"]
    for item in schema["paths"].values():
        for operation in item.values():
            removed = set(_DEPENDENT)
            if operation["operationId"] == "listRuns":
                removed.add("Cursor")
            operation["parameters"] = [
                parameter
                for parameter in operation.get("parameters", [])
                if parameter.get("$ref", "").rpartition("/")[2] not in removed
            ]
            cursor = known["cursors"].get(operation["operationId"])
            for place, parameter in enumerate(operation.get("parameters", [])):
                if parameter.get("$ref", "").endswith("/Cursor"):
                    schema_of_cursor = {"enum": [cursor]}
                    operation["parameters"][place] = {
                        "name": "cursor",
                        "in": "query",
                        "schema": schema_of_cursor,
                    }


def _narrow_workers(schemas: dict[str, Any]) -> None:
    """Leave out what the document cannot say of good reports, and do not wait for a job.

    No lease exists. tests/unit/adapters/test_worker_requests.py has good and bad reports.
    """
    schemas["LeaseRequest"]["properties"]["pool"]["enum"] = ["local"]
    del schemas["LeaseRequest"]["properties"]["waitSeconds"]
    for name in ("JobFile", "UploadRequest"):
        schemas[name]["properties"]["path"]["enum"] = ["junit.xml", "reports/a b.txt"]
        schemas[name]["properties"]["mediaType"]["enum"] = ["text/xml"]
    for name in ("HeartbeatRequest", "CompletionRequest"):
        schemas[name]["properties"]["output"]["maxItems"] = 1
    ended = schemas["CompletionRequest"]["properties"]
    ended["status"]["enum"] = ["succeeded"]
    ended["artifacts"]["maxItems"] = 1
    del ended["reason"]


@schemathesis.deserializer("application/x-ndjson")
def first_entry(_context: Any, response: Response) -> Any:  # noqa: ANN401 - any JSON
    """The first entry of a log, or a valid one where the log has no new lines.

    The document describes one entry, as the contract does. tests/api_schema.py checks every line.
    """
    lines = response.content.splitlines()
    return json.loads(lines[0]) if lines else _ANY_ENTRY
