"""The base of most executors' parameters.

It is apart from `work`, which functions import that check no parameters, and need no pydantic.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class ClosedParameters(BaseModel):
    """Parameters without coercion, and without any that is unknown."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, frozen=True)
