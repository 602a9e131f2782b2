"""Plans in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from taskrunner.errors import NotFoundError
from taskrunner.model import plan_document

if TYPE_CHECKING:
    from taskrunner.model.json_types import JsonObject
    from taskrunner.model.plan import Plan


@dataclass
class MemoryPlans:
    """Plan documents by tenant and hash, as text, so that what is stored cannot be changed."""

    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    manifests: dict[tuple[str, str], str] = field(default_factory=dict)

    def put(
        self,
        tenant: str,
        plan_hash: str,
        document: JsonObject,
        longest_s: int,  # noqa: ARG002 - nothing expires here
    ) -> None:
        self.texts[tenant, plan_hash] = json.dumps(document)

    def put_manifest(
        self,
        tenant: str,
        digest: str,
        text: str,
        longest_s: int,  # noqa: ARG002 - nothing expires here
    ) -> None:
        self.manifests[tenant, digest] = text

    def manifest(self, tenant: str, digest: str) -> str:
        if (tenant, digest) not in self.manifests:
            raise NotFoundError(f"the manifest {digest}")
        return self.manifests[tenant, digest]

    def get(self, tenant: str, plan_hash: str) -> Plan:
        return plan_document.from_document(self.document(tenant, plan_hash))

    def document(self, tenant: str, plan_hash: str) -> JsonObject:
        if (tenant, plan_hash) not in self.texts:
            raise NotFoundError(f"the plan {plan_hash}")
        document: JsonObject = json.loads(self.texts[tenant, plan_hash])
        return document
