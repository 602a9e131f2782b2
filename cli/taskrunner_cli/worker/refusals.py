"""Explains to a worker's operator why the service gives it no job, and what to do about it."""

from typing import Final

from taskrunner_cli.api.profiles import WORKER_SCOPE, Profile
from taskrunner_cli.errors import CommandError, RefusedError, UnreachableError

_PAGE: Final = "docs/aws.md, section Workers"
# API Gateway answers so for an API that is not there, and an emulator with 404.
_NOT_THERE: Final = frozenset({401, 403, 404})
_OF_THE_API: Final = frozenset({"forbidden"})


def explained(error: CommandError, profile: Profile, pool: str) -> CommandError:
    """Return *error*, which a poll of *pool* got, with the address, or the right that is missing.

    A worker runs for a long time, so its service may be gone, and another one be in its place.
    """
    match error:
        case RefusedError(status=403, code=code) if code in _OF_THE_API:
            return _right_is_missing(error, profile, pool)
        case RefusedError(status=status) if status in _NOT_THERE:
            message = f"{profile.api_url} does not know this worker: HTTP {status}, {error.message}"
            return _like(error, message, _start_again(profile))
        case RefusedError(code="no_token"):
            return _like(error, f"{profile.token_url}: {error.message}", _start_again(profile))
        case RefusedError() | UnreachableError(code="busy"):
            return _like(error, f"{profile.api_url}: {error.message}", error.cure)
        case UnreachableError():  # its message has the address
            return _like(error, error.message, _start_again(profile))
        case _:
            return error


def _right_is_missing(error: RefusedError, profile: Profile, pool: str) -> CommandError:
    if f"the pool {pool}" in error.message:
        message = f"the caller {profile.caller!r} may not take jobs of the pool {pool!r}"
        cure = (
            "its client has the pool 'local': --pool local"
            if profile.is_local
            else f"add the pool to the client's entry in the registry: {_PAGE}"
        )
    elif "scope" in error.message:
        scope = WORKER_SCOPE.replace("/", ".")
        message = f"the caller {profile.caller!r} lacks the scope {scope}, so it takes no jobs"
        cure = (
            "omit --as and TASKRUNNER_AS: the client of workers is the default"
            if profile.is_local
            else f"use a client of workers: {_PAGE}"
        )
    else:
        return _like(error, f"{profile.api_url}: {error.message}", f"see {_PAGE}")
    return _like(error, message, cure)


def _start_again(profile: Profile) -> str:
    if profile.is_local:
        return (
            "taskrunner local status shows the stack; if it was made anew, start this worker again"
        )
    return (
        "check TASKRUNNER_API_URL and TASKRUNNER_TOKEN_URL; if the service has moved, "
        "start this worker again with its new addresses"
    )


def _like(error: CommandError, message: str, cure: str) -> CommandError:
    match error:
        case RefusedError():
            return RefusedError(
                message, status=error.status, code=error.code, trace_id=error.trace_id, cure=cure
            )
        case UnreachableError():
            return UnreachableError(
                message, cure=cure, code=error.code, retry_after_s=error.retry_after_s
            )
        case _:
            return CommandError(message, cure=cure, code=error.code)
