"""Between the functions and AWS: counts each function's calls, and breaks one of them."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError
from moto.core.botocore_stubber import MockRawResponse

from tests.faults.faults import Fault, Place
from tests.faults.interpreter import StateError
from tests.faults.step_functions import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.step_functions import StepFunctions

# DynamoDB knows a transaction again by its token, which the SDK repeats. moto does not.
_KNOWN_AGAIN = "dynamodb.TransactWriteItems"


class FunctionDiedError(BaseException):
    """The function's process is gone. No handler of errors sees this, because none is there."""


class NotBegunError(Exception):
    """A function did not begin; *error* is how Lambda reports that to a state machine."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


@dataclass
class Invocation:
    """One invocation of a function. Once *is_dead*, it makes no call any more."""

    name: str
    is_dead: bool = False
    broken: Place | None = None
    calls: list[str] = field(default_factory=list)

    def place(self, operation: str, call: str | None = None) -> Place:
        """The place of a call, which its id makes one with the SDK's other tries of it.

        Without an id it is the next call.
        """
        if call is None:
            return Place(self.name, len(self.calls) + 1, operation)
        if call not in self.calls:
            self.calls.append(call)
        return Place(self.name, self.calls.index(call) + 1, operation)


@dataclass
class Aws:
    """AWS as the functions meet it: moto, *states* for Step Functions, *functions* for Lambda.

    - *accept*: is given the payload of each asynchronous call of a function.
    - *call*: calls a function of TaskRunner by its ARN for another one.
    - *places*: each call that a function made, in order.
    - *faults*: what goes wrong at which call, by invocation and number.
    - *branch*: is asked at each place that is met, and may return a fault to strike there.
    - *next_fault*: the number of a call of the next invocation, and what goes wrong there.
    - *struck*: the places at which one struck.
    - *published*: the details of the events that the bus has taken, in order.
    """

    functions: dict[str, Callable[[dict[str, Any]], Any]] = field(default_factory=dict)
    states: StepFunctions | None = None
    accept: Callable[[dict[str, Any]], None] | None = None
    call: Callable[[str, dict[str, Any]], Any] | None = None
    places: list[Place] = field(default_factory=list)
    faults: dict[tuple[str, int], Fault] = field(default_factory=dict)
    branch: Callable[[Place], Fault | None] | None = None
    next_fault: tuple[int, Fault] | None = None
    struck: set[Place] = field(default_factory=set)
    published: list[dict[str, Any]] = field(default_factory=list)
    _gone: bool = False
    _first: Any = None
    _invocation: Invocation | None = None
    _numbers: Counter[str] = field(default_factory=Counter)

    def begin(self) -> None:
        """Forget what was recorded and what was to go wrong."""
        self.places, self.faults, self.struck, self._gone = [], {}, set(), False
        self.branch = None
        self.published.clear()
        self._numbers.clear()

    def is_caller_gone(self) -> bool:
        """Return whether the caller of the dead function is gone; the next one is there."""
        was_gone, self._gone = self._gone, False
        return was_gone

    @contextmanager
    def invocation(self, name: str) -> Iterator[None]:
        """Take the calls that are made meanwhile as those of an invocation of a function.

        Raises:
            NotBegunError: the function does not begin.
        """
        self._numbers[name] += 1
        full_name = f"{name} #{self._numbers[name]}"
        place = Place(full_name, 0, "")
        if self.next_fault is not None:
            self.faults[full_name, self.next_fault[0]] = self.next_fault[1]
            self.next_fault = None
        self._meet(place)
        if place.key in self.faults:
            self.struck.add(place)
            fault = self.faults[place.key]
            self._gone = fault is Fault.CALLER_GONE
            raise NotBegunError(_NOT_BEGUN.get(fault, ""))
        caller, self._invocation = self._invocation, Invocation(full_name)
        try:
            yield
        finally:
            self._invocation = caller

    def is_broken(self, operation: str) -> bool:
        """Return whether something goes wrong at the next call, which is made without a request."""
        invocation = self._invocation
        if invocation is None:
            return False
        if invocation.is_dead:
            raise FunctionDiedError
        return self._is_broken(invocation.place(operation))

    def count_call(self) -> None:
        """Count a call that was made without a request."""
        if self._invocation is not None:
            self._invocation.calls.append("")

    def between(self, operation: str, request: Any, send: Callable[[], Any]) -> Any:  # noqa: ANN401
        """Answer a request, or let it go wrong; see `tests.moto_aws`."""
        invocation = self._invocation
        if invocation is None:
            return self._send(operation, request, send)
        if invocation.is_dead:
            raise FunctionDiedError
        place = invocation.place(operation, str(request.headers["amz-sdk-invocation-id"]))
        if not self._is_broken(place):
            return self._send(operation, request, send)
        return self._break(invocation, place, request, send)

    def _is_broken(self, place: Place) -> bool:
        if place not in self.places:
            self._meet(place)
        return place.key in self.faults

    def _meet(self, place: Place) -> None:
        """Note a place, and learn whether something goes wrong there."""
        self.places.append(place)
        if self.branch is not None and (fault := self.branch(place)) is not None:
            self.faults[place.key] = fault

    def _break(
        self,
        invocation: Invocation,
        place: Place,
        request: Any,  # noqa: ANN401 - botocore's
        send: Callable[[], Any],
    ) -> Any:  # noqa: ANN401 - botocore's
        fault = self.faults[place.key]
        is_first_try, invocation.broken = invocation.broken != place, place
        self.struck.add(place)
        self._gone = fault is Fault.CALLER_GONE
        match fault:
            case Fault.THROTTLED:
                return _refusal(request, place.operation)
            case Fault.DIES_BEFORE:
                invocation.is_dead = True
                raise FunctionDiedError
            case Fault.DIES_AFTER | Fault.CALLER_GONE:
                self._send(place.operation, request, send)
                invocation.is_dead = True
                raise FunctionDiedError
            case Fault.REPEATED if not is_first_try:
                return self._again(place.operation, request, send)
            case _:
                answer = self._send if is_first_try else self._again
                self._first = answer(place.operation, request, send)
                raise ConnectionClosedError(endpoint_url=request.url)

    def _again(self, operation: str, request: Any, send: Callable[[], Any]) -> Any:  # noqa: ANN401
        """Carry out once more what was carried out already."""
        return self._first if operation == _KNOWN_AGAIN else self._send(operation, request, send)

    def _send(self, operation: str, request: Any, send: Callable[[], Any]) -> Any:  # noqa: ANN401
        service, _, name = operation.partition(".")
        if service in {"sfn", "stepfunctions"}:
            return self._ask_states(name, request)
        if service == "lambda":
            return self._invoke(request)
        if operation == "eventbridge.PutEvents":
            return self._publish(request)
        return send()

    def _publish(self, request: Any) -> Any:  # noqa: ANN401 - botocore's
        entries = json.loads(request.body)["Entries"]
        self.published += [json.loads(entry["Detail"]) for entry in entries]
        taken = [{"EventId": str(number)} for number, _ in enumerate(entries)]
        return _answer(request, 200, {"FailedEntryCount": 0, "Entries": taken})

    def _ask_states(self, name: str, request: Any) -> Any:  # noqa: ANN401 - botocore's
        assert self.states is not None
        try:
            return _answer(request, 200, self.states.answer(name, json.loads(request.body)))
        except RefusedError as error:
            return _answer(request, 400, {"__type": error.code, "message": error.code})

    def _invoke(self, request: Any) -> Any:  # noqa: ANN401 - botocore's
        if request.headers.get("X-Amz-Invocation-Type") == b"Event":
            assert self.accept is not None
            self.accept(json.loads(request.body))
            return _answer(request, 202, "")
        name = unquote(request.url.rpartition("/functions/")[2].partition("/")[0])
        payload = json.loads(request.body)
        if name in self.functions:
            return _answer(request, 200, self.functions[name](payload))
        assert self.call is not None
        try:
            return _answer(request, 200, self.call(name, payload))
        except StateError as error:
            if error.error == _NOT_BEGUN[Fault.REFUSED]:
                return _refusal(request, "lambda.Invoke")
            report = {"errorType": error.error, "errorMessage": error.cause}
            return _answer(request, 200, report, **{"x-amz-function-error": "Unhandled"})


_NOT_BEGUN = {
    Fault.DEAD: "Runtime.ExitError",
    Fault.REFUSED: "Lambda.TooManyRequestsException",
}
_THROTTLES = {
    "dynamodb": "ThrottlingException",
    "eventbridge": "ThrottlingException",
    "kms": "ThrottlingException",
    "secretsmanager": "ThrottlingException",
    "sfn": "ThrottlingException",
}


def _answer(request: Any, status: int, body: Any, **headers: str) -> AWSResponse:  # noqa: ANN401
    content = body if isinstance(body, str) else json.dumps(body)
    return AWSResponse(request.url, status, headers, MockRawResponse(content))


def _refusal(request: Any, operation: str) -> AWSResponse:  # noqa: ANN401 - botocore's
    """Return the service's error for too many requests."""
    service = operation.partition(".")[0]
    match service:
        case "s3":
            text = "<Error><Code>SlowDown</Code><Message>slow down</Message></Error>"
            return _answer(request, 503, text)
        case "sns":
            text = "<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>"
            return _answer(request, 400, text)
        case "lambda":
            kind = {"x-amzn-errortype": "TooManyRequestsException"}
            return _answer(request, 429, {"message": "rate exceeded"}, **kind)
    return _answer(request, 400, {"__type": _THROTTLES[service], "message": "rate exceeded"})
