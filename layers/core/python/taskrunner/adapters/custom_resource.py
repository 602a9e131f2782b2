"""Answers to CloudFormation's requests for a custom resource.

CloudFormation gives each request an address for the answer, and waits for it. A request without an
answer holds up the stack until its timeout, so every request is answered.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MAX_REASON: Final = 1000  # an answer may have 4 KiB
_PAUSES_S: Final = (0.5, 1, 2, 4, 8)
_TIMEOUT_S: Final = 5


def answer(
    request: Mapping[str, Any],
    reason: str,
    *,
    succeeded: bool,
    sleep: Callable[[float], None] = time.sleep,
    **attributes: str,
) -> None:
    """Answer *request*; *reason* is shown in the stack's events if it has failed.

    The template reads *attributes* of the resource by `!GetAtt`.

    Raises:
        OSError: the address cannot be reached. Lambda then repeats the request.
    """
    document = {
        "Status": "SUCCESS" if succeeded else "FAILED",
        "Reason": reason[:_MAX_REASON],
        # CloudFormation deletes a resource whose id changes, so it never does.
        "PhysicalResourceId": request.get("PhysicalResourceId") or request["LogicalResourceId"],
        "StackId": request["StackId"],
        "RequestId": request["RequestId"],
        "LogicalResourceId": request["LogicalResourceId"],
        "Data": attributes,
    }
    body = json.dumps(document).encode()
    for pause_s in (*_PAUSES_S, None):
        try:
            _put(request["ResponseURL"], body)
        except OSError:
            if pause_s is None:
                raise
            sleep(pause_s)
        else:
            return


def _put(url: str, body: bytes) -> None:
    # The address is signed for a request without a media type.
    request = Request(url, body, {"Content-Type": ""}, method="PUT")  # noqa: S310 - CloudFormation's
    with urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310 - the same
        pass
