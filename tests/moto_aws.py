"""moto's AWS, answering one request at a time.

moto's backends are plain Python objects that know no threads: an item is created first and filled
afterwards, and two requests at once can break one another ("dictionary changed size during
iteration"), which on AWS nobody can. Lambda alone answers beside the others: a function takes its
own time, and makes requests itself.
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
    """moto's AWS for every client that boto3 makes by its default session until the end."""
    lock = threading.RLock()

    def answer(event_name: str, request: Any, **more: Any) -> Any:  # noqa: ANN401 - botocore's
        if event_name.startswith("before-send.lambda"):
            return botocore_stubber(event_name, request, **more)
        with lock:
            return botocore_stubber(event_name, request, **more)

    with mock_aws(config=config):
        # moto has begun with a session of its own, and a session keeps its handlers.
        boto3.setup_default_session()
        session = boto3.DEFAULT_SESSION
        assert session is not None
        session.events.unregister("before-send", botocore_stubber)
        session.events.register("before-send", answer)
        try:
            yield
        finally:
            boto3.setup_default_session()
