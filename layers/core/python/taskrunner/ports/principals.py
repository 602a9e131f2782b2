"""The callers that a deployment lets in by requests that AWS's principals have signed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from taskrunner.model.caller import Caller
    from taskrunner.model.json_types import JsonMapping


class Principals(Protocol):
    """The registry of principals: which tenants, scopes and grants each of them has."""

    def caller(self, identity: JsonMapping) -> Caller:
        """Return the caller that API Gateway describes in `requestContext.identity`.

        Raises:
            InvalidRequestError: `unauthorized`: the request was not signed.
            ForbiddenError: the principal is not registered, or is of a kind that cannot be.
        """
        ...
