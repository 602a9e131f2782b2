"""`builtin:deploy` makes a bundle the current one of an environment, and keeps what was before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from taskrunner.executors.work import ClosedParameters, ExecutorFailure

if TYPE_CHECKING:
    from taskrunner.executors.work import Bundle, Work
    from taskrunner.model.json_types import JsonObject

_HASH: Final = "[0-9a-f]{64}"
_REFERENCE = re.compile(rf"bundles/sha256-{_HASH}\.zip|sha256:{_HASH}")


def _a_reference(text: str) -> str:
    if _REFERENCE.fullmatch(text) is None:
        raise PydanticCustomError(
            "bundle_reference",
            "it is no bundle; write the `bundle` or the `digest` that a builtin:build step put out",
        )
    return text


class Parameters(ClosedParameters):
    """Where to, and which bundle, by its reference or its digest.

    No bundle means the run's last, and is the empty text rather than null: a template that comes to
    nothing, such as the output of a step that was skipped, must not deploy something else.
    """

    environment: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")] = "default"
    bundle: Annotated[str, AfterValidator(_a_reference)] = ""


def execute(parameters: Parameters, work: Work) -> JsonObject:
    """Return `{environment, digest, previousDigest, revision}`; the first has no previous digest.

    Raises:
        ExecutorFailure: there is no such bundle, or the run has built none.
    """
    revision = work.environments.promote(parameters.environment, _bundle(parameters, work))
    return {
        "environment": parameters.environment,
        "digest": revision.digest,
        "previousDigest": revision.previous_digest,
        "revision": revision.number,
    }


def _bundle(parameters: Parameters, work: Work) -> Bundle:
    if parameters.bundle:
        found = work.bundles.find(parameters.bundle)
        cure = f"there is no bundle '{parameters.bundle}' here; build it first with builtin:build"
    else:
        found = work.bundles.last_of_run()
        cure = (
            "this run has built no bundle: put a builtin:build step before this one, "
            "or name a bundle of an earlier run with `bundle`"
        )
    if found is None:
        raise ExecutorFailure(cure)
    return found
