"""Callers inside AWS, where a deployment lets them in by signed requests instead of tokens.

API Gateway has checked the signature (SigV4) and that IAM allows `execute-api:Invoke`; who that is,
it says in `requestContext.identity`, where nothing that a request carries can come. What a
principal may do here, the registry says: `I#<arn>`/`I` with its tenants, scopes and grants.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from taskrunner.errors import ForbiddenError, InvalidRequestError
from taskrunner.model.caller import ADMIN, OPERATOR, VIEWER, Caller, tenants, words

if TYPE_CHECKING:
    from taskrunner.adapters.table import Table
    from taskrunner.model.json_types import JsonMapping

_USER: Final = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:user/[\x21-\x7e]+")
_SESSION: Final = re.compile(
    r"arn:(aws[a-z-]*):sts::([0-9]{12}):assumed-role/([A-Za-z0-9_+=,.@-]+)/[A-Za-z0-9_+=,.@-]+"
)


class Principals:
    """Who a principal of AWS is for us."""

    def __init__(self, table: Table) -> None:
        """Hold the table; each request is one read of it, so that a change holds at once."""
        self._table = table

    def caller(self, identity: JsonMapping) -> Caller:
        """The caller of `requestContext.identity`.

        Raises:
            InvalidRequestError: `unauthorized`: the request was not signed.
            ForbiddenError: the principal is none that can be registered, or is not.
        """
        signed_by = identity.get("userArn")
        if not signed_by or not isinstance(signed_by, str):
            raise InvalidRequestError("unauthorized", "the request is not signed")
        arn = principal(signed_by)
        item = None if arn is None else self._table.get(f"I#{arn}", "I")
        if arn is None or item is None:
            raise ForbiddenError("forbidden", f"{arn or signed_by} is not registered here")
        return Caller(
            subject=arn,
            scopes=frozenset(words(item.get("scopes"))) & {VIEWER, OPERATOR, ADMIN},
            tenants=tenants(words(item.get("tenants"))),
            grants=frozenset(words(item.get("grants"))),
        )


def principal(arn: str) -> str | None:
    """The user, or the role of a session; None for what is neither.

    A session's ARN names the role without its path. A role's name is unique in its account, so it
    is registered as `arn:aws:iam::<account>:role/<name>` wherever its path leads. All sessions of a
    role are one caller: who could choose another session name would else be another approver.
    """
    if _USER.fullmatch(arn):
        return arn
    session = _SESSION.fullmatch(arn)
    if session is None:
        return None
    return f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}"
