"""Callers inside AWS, in a deployment that admits signed requests instead of tokens.

API Gateway has checked the signature (SigV4), and IAM's permission for `execute-api:Invoke`. It
names the signer in `requestContext.identity`, which no part of a request can change. The registry
in the table says what a principal may do here: its tenants, scopes, grants and pools.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from taskrunner.adapters.table_layout import principal_key
from taskrunner.errors import ForbiddenError, InvalidRequestError
from taskrunner.model.caller import ALL_SCOPES, Caller, display_name, pools, tenants, words

if TYPE_CHECKING:
    from taskrunner.adapters.table import Table
    from taskrunner.model.json_types import JsonMapping

_USER: Final = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:user/[\x21-\x7e]+")
_SESSION: Final = re.compile(
    r"arn:(aws[a-z-]*):sts::([0-9]{12}):assumed-role/([A-Za-z0-9_+=,.@-]+)/[A-Za-z0-9_+=,.@-]+"
)


class Principals:
    """The registry of AWS principals."""

    def __init__(self, table: Table) -> None:
        """Cache nothing: each request reads the table, so a change applies immediately."""
        self._table = table

    def caller(self, identity: JsonMapping) -> Caller:
        """Return the caller that `requestContext.identity` names.

        Raises:
            InvalidRequestError: `unauthorized`: the request is not signed.
            ForbiddenError: the signer is not registered, or is of a kind that cannot be.
        """
        signer_arn = identity.get("userArn")
        if not signer_arn or not isinstance(signer_arn, str):
            raise InvalidRequestError("unauthorized", "the request is not signed")
        arn = registered_arn(signer_arn)
        item = None if arn is None else self._table.get(principal_key(arn))
        if arn is None or item is None:
            raise ForbiddenError("forbidden", f"{arn or signer_arn} is not registered here")
        return Caller(
            subject=arn,
            scopes=frozenset(words(item.get("scopes"))) & ALL_SCOPES,
            tenants=tenants(words(item.get("tenants"))),
            grants=frozenset(words(item.get("grants"))),
            name=display_name(item.get("name")),
            pools=pools(item.get("pools")),
        )


def registered_arn(signer_arn: str) -> str | None:
    """Return the ARN that a signer is registered by: a user, or a session's role; None for others.

    A session's ARN omits the path of its role. A role's name is unique in its account, so a role is
    registered as `arn:aws:iam::<account>:role/<name>`, without its path. All sessions of a role are
    one caller: otherwise one person could approve twice, under two session names.
    """
    if _USER.fullmatch(signer_arn):
        return signer_arn
    session = _SESSION.fullmatch(signer_arn)
    if session is None:
        return None
    return f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}"
