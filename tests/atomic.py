"""moto's AWS, which answers one request at a time here.

moto's backends are not thread-safe: they create an item first and fill it afterwards, and two
simultaneous requests can break one another ("dictionary changed size during iteration"). AWS has no
such failure. Requests to Lambda are exempt, because a function makes requests itself.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from moto import mock_aws
from moto.core.models import botocore_stubber

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def one_at_a_time(config: Any = None) -> Iterator[None]:  # noqa: ANN401 - moto's own form
    """Give moto's AWS to every client that boto3's default session makes inside the block."""
    lock = threading.RLock()

    def answer(event_name: str, request: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - botocore's
        if event_name.startswith("before-send.lambda"):
            return botocore_stubber(event_name, request, **kwargs)
        with lock:
            return botocore_stubber(event_name, request, **kwargs)

    with mock_aws(config=config):
        # A session keeps its handlers, and moto has already registered its own with one.
        boto3.setup_default_session()
        session = boto3.DEFAULT_SESSION
        assert session is not None
        session.events.unregister("before-send", botocore_stubber)
        session.events.register("before-send", answer)
        try:
            yield
        finally:
            boto3.setup_default_session()
