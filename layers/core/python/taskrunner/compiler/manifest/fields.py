"""The fields of a manifest: how names, ids and numbers look, and the base of every shape."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

_PACK_NAME: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_STEP_ID: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"
_INPUT_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$"
_OUTPUT_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
_SEMVER: Final = (
    r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
    r"(-(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?"
    r"(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$"
)
# The words of messages for each pattern.
FORMS: Final = {
    _PACK_NAME: "1 to 63 of a-z, 0-9 and '-', with no '-' at its ends",
    _SEMVER: "a semantic version such as 1.0.0",
    _STEP_ID: "1 to 63 letters, digits, '_' and '-', beginning with a letter or digit",
    _INPUT_NAME: "1 to 64 letters, digits, '_' and '-', beginning with a letter or '_'",
    _OUTPUT_NAME: "1 to 128 letters, digits, '.', '_' and '-', beginning with a letter or digit",
}

PackName = Annotated[str, Field(pattern=_PACK_NAME)]
Version = Annotated[str, Field(pattern=_SEMVER, max_length=128)]
OutputName = Annotated[str, Field(pattern=_OUTPUT_NAME)]
Identifier = Annotated[str, Field(pattern=_STEP_ID)]
Name = Annotated[str, Field(pattern=_INPUT_NAME)]
Message = Annotated[str, Field(min_length=1, max_length=2000)]
ExpressionText = Annotated[str, Field(min_length=1)]
Attempts = Annotated[int, Field(ge=1, le=100)]
BackoffSeconds = Annotated[int, Field(ge=0, le=86400)]
BackoffRate = Annotated[float, Field(ge=1, le=10, allow_inf_nan=False)]
MaxBackoffSeconds = Annotated[int, Field(ge=1, le=86400)]
MaxParallel = Annotated[int, Field(ge=1, le=1000)]


class Shape(BaseModel):
    """The base of all shapes: closed, frozen, without conversions, with keys in camelCase."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        alias_generator=to_camel,
        # Linear in the text; every pattern here is anchored.
        regex_engine="rust-regex",
    )
