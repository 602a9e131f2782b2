"""The fields of a manifest: how names, ids and numbers look, and the base of every shape."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, SchemaValidator, core_schema

from taskrunner.expressions.tokens import is_whole_expression
from taskrunner.model.plan import MAX_ITERATIONS, MAX_JOB_TIMEOUT_S, MAX_TIMEOUT_S

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema
    from pydantic_core.core_schema import ValidatorFunctionWrapHandler

    from taskrunner.model.json_types import Json

_N = TypeVar("_N", int, float)

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


class NumberField(Generic[_N]):
    """The bounds of a field that holds a number, or one whole `{{ }}` over inputs.

    Planning evaluates the expression, and the same bounds hold for its value. *misfit* is the kind
    of error for other text with an expression in it.
    """

    def __init__(self, least: _N | None, most: _N | None, number: CoreSchema, misfit: str) -> None:
        self.least: _N | None = least
        self.most: _N | None = most
        self._number = number
        self._misfit = misfit

    @cached_property
    def validator(self) -> SchemaValidator:
        """The validator of a number, which takes no expression."""
        return SchemaValidator(self._number)

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> CoreSchema:
        """Return the schema of a field that has these bounds as its annotation."""
        return core_schema.no_info_wrap_validator_function(self._or_expression, self._number)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the JSON Schema: bounds say nothing of text, and patterns nothing of numbers."""
        number = handler(schema)
        return number | {"type": [number["type"], "string"], "pattern": r"^\{\{[\s\S]*\}\}$"}

    def _or_expression(self, value: Json, as_number: ValidatorFunctionWrapHandler) -> Json:
        if isinstance(value, str) and "{{" in value:
            if is_whole_expression(value):
                return value
            raise PydanticCustomError(self._misfit, "not one whole expression")
        return as_number(value)


def _whole(least: int | None = None, most: int | None = None) -> NumberField[int]:
    schema = core_schema.int_schema(strict=True, ge=least, le=most)
    return NumberField(least, most, schema, "whole_or_expression_type")


def _number(least: float, most: float) -> NumberField[float]:
    schema = core_schema.float_schema(strict=True, ge=least, le=most, allow_inf_nan=False)
    return NumberField(least, most, schema, "number_or_expression_type")


WHOLE_NUMBER: Final = _whole()
ATTEMPTS: Final = _whole(1, 100)
EVALUATIONS_AGAIN: Final = _whole(0, 20)
BACKOFF_SECONDS: Final = _whole(0, 86400)
BACKOFF_RATE: Final = _number(1, 10)
MAX_BACKOFF_SECONDS: Final = _whole(1, 86400)
MAX_PARALLEL: Final = _whole(1, 1000)
ITERATIONS: Final = _whole(1, MAX_ITERATIONS)
# The checks know the lower bound of steps that functions execute.
TIMEOUT_SECONDS: Final = _whole(1, MAX_JOB_TIMEOUT_S)
FUNCTION_TIMEOUT_SECONDS: Final = _whole(1, MAX_TIMEOUT_S)

WholeNumber = Annotated[int | str, WHOLE_NUMBER]
Attempts = Annotated[int | str, ATTEMPTS]
EvaluationsAgain = Annotated[int | str, EVALUATIONS_AGAIN]
BackoffSeconds = Annotated[int | str, BACKOFF_SECONDS]
BackoffRate = Annotated[float | str, BACKOFF_RATE]
MaxBackoffSeconds = Annotated[int | str, MAX_BACKOFF_SECONDS]
MaxParallel = Annotated[int | str, MAX_PARALLEL]
Iterations = Annotated[int | str, ITERATIONS]
TimeoutSeconds = Annotated[int | str, TIMEOUT_SECONDS]


class Shape(BaseModel):
    """The base of all shapes: closed, frozen, without conversions, with keys in camelCase."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        alias_generator=to_camel,
        # Linear in the text; every pattern here is anchored.
        regex_engine="rust-regex",
        # Pydantic would build a validator for each shape at once, with all shapes inside it. Only
        # that of a whole pack is used, and it does not need the others.
        defer_build=True,
    )
