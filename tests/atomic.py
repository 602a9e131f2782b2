"""Makes moto's DynamoDB atomic: it creates an item first and fills it afterwards.

A machine's thread and a test's own would otherwise see each other's half-made items, which on
DynamoDB nobody can. One call at a time is what a lock around each call of a client gives.
"""

from __future__ import annotations

import threading
from typing import Any

# Reentrant, so that a client that is registered twice locks twice and releases twice.
_LOCK = threading.RLock()


def one_at_a_time(client: Any) -> Any:  # noqa: ANN401 - boto3 has no static types
    """Let *client* call only while no other such client does, and return it."""
    client.meta.events.register_first("before-call", _acquire)
    client.meta.events.register_last("after-call", _release)
    client.meta.events.register_last("after-call-error", _release)
    return client


def _acquire(**_: object) -> None:
    """Return nothing: botocore would take it for the answer."""
    _LOCK.acquire()


def _release(**_: object) -> None:
    _LOCK.release()
