"""`builtin:deploy` makes a bundle the current one of an environment, and keeps the history."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from taskrunner.executors.parameters import ClosedParameters
from taskrunner.executors.work import ExecutorFailure

if TYPE_CHECKING:
    from taskrunner.executors.work import Bundle, Work
    from taskrunner.model.json_types import JsonObject

_HASH: Final = "[0-9a-f]{64}"
_REFERENCE: Final = re.compile(rf"bundles/sha256-{_HASH}\.zip|sha256:{_HASH}")


def _bundle_reference(text: str) -> str:
    if _REFERENCE.fullmatch(text) is None:
        raise PydanticCustomError(
            "bundle_reference",
            "it is not a bundle; write the `bundle` or `digest` output of a builtin:build step",
        )
    return text


class Parameters(ClosedParameters):
    """The environment, and the bundle by its reference or digest.

    Without a bundle the run's last one is deployed. The default is the empty text and not null: a
    template that gives null, such as the output of a skipped step, must not deploy another bundle.
    """

    environment: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")] = "default"
    bundle: Annotated[str, AfterValidator(_bundle_reference)] = ""


def execute(parameters: Parameters, work: Work) -> JsonObject:
    """Return `{environment, digest, previousDigest, revision}`.

    *previousDigest* is None for the environment's first revision.

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
        bundle = work.bundles.find(parameters.bundle)
        problem = (
            f"this tenant has no bundle '{parameters.bundle}'; build it first with builtin:build"
        )
    else:
        bundle = work.bundles.last_of_run()
        problem = (
            "this run has built no bundle: put a builtin:build step before this one, "
            "or name a bundle of an earlier run with `bundle`"
        )
    if bundle is None:
        raise ExecutorFailure(problem)
    return bundle
