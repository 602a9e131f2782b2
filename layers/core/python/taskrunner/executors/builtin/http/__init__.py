"""`builtin:http` makes one request and follows its redirects.

The parent process makes the connections, and checks each host and address before. `parameters.py`
checks the request, `redirects.py` follows it from host to host, `exchange.py` speaks HTTP over one
connection, and `response.py` turns the response into outputs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from taskrunner.executors.builtin.http import response, web_address
from taskrunner.executors.builtin.http.parameters import Parameters
from taskrunner.executors.work import ExecutorFailure

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from taskrunner.executors.work import Work
    from taskrunner.model.json_types import JsonObject

__all__ = ["Parameters", "execute"]

_MAX_REASON_CHARACTERS: Final = 100


def execute(parameters: Parameters, work: Work) -> JsonObject:
    """Return `{status, headers, body}`; a body that does not fit there is a file in `/output`.

    Raises:
        ExecutorFailure: there was no response, its status is not the expected one, or its body is
            not of the type that it should be.
        EgressDenied: the sandbox does not allow the host, or one that it redirects to.
    """
    return execute_trusting(parameters, work, _system_trust)


def execute_trusting(
    parameters: Parameters, work: Work, make_tls: Callable[[], ssl.SSLContext]
) -> JsonObject:
    """Do the same as `execute`, trusting the certificates that *make_tls* trusts."""
    # Imported here because planning a pack needs neither TLS nor an HTTP parser.
    from taskrunner.executors.builtin.http.exchange import Deadline, Request  # noqa: PLC0415
    from taskrunner.executors.builtin.http.redirects import follow_redirects  # noqa: PLC0415

    headers, body = _headers_and_body(parameters)
    request = Request(parameters.method, web_address.read(parameters.url), headers, body)
    body_file = work.scratch / response.FILE_NAME
    last_request, received = follow_redirects(
        request,
        parameters.expect_status,
        body_file=body_file,
        network=work.network,
        deadline=Deadline(min(parameters.timeout_s, work.time_s)),
        make_tls=make_tls,
    )
    if not _is_expected(received.status, parameters.expect_status):
        excerpt = response.excerpt(received, body_file)
        response.keep(body_file, work)
        expected = " or ".join(str(status) for status in parameters.expect_status) or "2xx"
        reason = received.reason if len(received.reason) <= _MAX_REASON_CHARACTERS else ""
        status = f"{received.status} {reason}".rstrip()
        origin = last_request.address.origin
        raise ExecutorFailure(f"expected {expected}, got {status} from {origin}{excerpt}")
    try:
        return response.outputs(
            received, body_file, work, parameters.response_type, method=last_request.method
        )
    except response.BodyError as error:
        response.keep(body_file, work)
        wanted = "text" if parameters.response_type == "text" else "JSON"
        alternative = "file" if wanted == "text" else "text or file"
        origin = last_request.address.origin
        raise ExecutorFailure(
            f"the body from {origin} is not usable as {wanted}: {error} "
            f"(responseType: {alternative} takes it as it is)"
        ) from None


def _system_trust() -> ssl.SSLContext:
    import ssl  # noqa: PLC0415 - as above

    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _headers_and_body(parameters: Parameters) -> tuple[tuple[tuple[str, str], ...], bytes]:
    defaults = {"Accept": "*/*", "User-Agent": "taskrunner"}
    body = b""
    if isinstance(parameters.body, str):
        defaults["Content-Type"] = "text/plain; charset=utf-8"
        body = parameters.body.encode()
    elif parameters.body is not None:
        defaults["Content-Type"] = "application/json"
        body = json.dumps(parameters.body, ensure_ascii=False).encode()
    set_by_pack = {name.lower() for name in parameters.headers}
    added = {name: value for name, value in defaults.items() if name.lower() not in set_by_pack}
    return (*parameters.headers.items(), *added.items()), body


def _is_expected(status: int, expected: tuple[int, ...]) -> bool:
    return status in expected if expected else 200 <= status <= 299  # noqa: PLR2004 - HTTP's
