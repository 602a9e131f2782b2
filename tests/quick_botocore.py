"""The slow parts of making botocore's clients, whose results are the same for each client.

Each use of `moto_aws` makes a session and clients of its own. Each of them would inspect the same
hundred handlers, rename the same events, describe the same operations, make a method for each of
them, copy all handlers, look for proxies, and make a context for TLS that nothing uses, because
moto answers before anything is sent. Each request would describe its client in six hundred letters,
each of which is checked, and would be signed, which nobody checks. Each time in an answer would
make a time zone.
"""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from botocore import auth, client, compat, endpoint, hooks, httpsession, regions, useragent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

    from botocore.model import ServiceModel

_by_botocore_accepts_kwargs = hooks.accepts_kwargs
_by_botocore_name_of_event = hooks.EventAliaser._alias_event_name
_by_botocore_append = hooks._PrefixTrie.append_item
_by_botocore_remove = hooks._PrefixTrie.remove_item
_of_signatures = {
    name: getattr(auth.SigV4Auth, name) for name in ("canonical_request", "signature")
}
_EndpointProvider = regions.EndpointProvider
_by_botocore_load_model = client.ClientCreator._load_service_model
_by_botocore_create_methods = client.ClientCreator._create_methods
_methods: dict[int, Any] = {}
_models: dict[tuple[str, str | None], ServiceModel] = {}
_names_of_events: dict[str, str] = {}
_keywords: dict[CodeType, Any] = {}
_endpoints: dict[int, Any] = {}


@contextmanager
def quick_botocore() -> Iterator[None]:
    """Replace botocore's slow parts until the end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hooks, "accepts_kwargs", accepts_kwargs)
        patch.setattr(hooks.EventAliaser, "_alias_event_name", name_of_event)
        patch.setattr(client.ClientCreator, "_load_service_model", load_service_model)
        patch.setattr(client.ClientCreator, "_create_methods", create_methods)
        patch.setattr(hooks._PrefixTrie, "__copy__", copy_handlers)
        patch.setattr(hooks._PrefixTrie, "append_item", append_handler)
        patch.setattr(hooks._PrefixTrie, "remove_item", remove_handler)
        patch.setattr(endpoint.EndpointCreator, "_get_proxies", lambda *_: {})
        patch.setattr(regions, "EndpointProvider", endpoint_provider)
        patch.setattr(httpsession, "create_urllib3_context", tls_context)
        patch.setattr(compat, "tzlocal", cache(compat.tzlocal))
        for name, by_botocore in _of_signatures.items():
            patch.setattr(auth.SigV4Auth, name, lambda *_: "of the tests")
            patch.setattr(auth.SigV4QueryAuth, name, by_botocore)  # of URLs, which tests compare
        patch.setattr(useragent.UserAgentString, "to_string", lambda _: "Boto3/tests")
        yield


def accepts_kwargs(handler: Any) -> Any:  # noqa: ANN401 - any callable
    """Return the name of the `**` parameter of a handler, or None."""
    code = getattr(handler, "__code__", None)  # a method has that of its function
    if code is None:
        return _by_botocore_accepts_kwargs(handler)
    if code not in _keywords:
        _keywords[code] = _by_botocore_accepts_kwargs(handler)
    return _keywords[code]


def name_of_event(self: Any, event_name: str) -> str:  # noqa: ANN401 - botocore is untyped
    """Return the name under which an event is known, which is the same in each session."""
    if event_name not in _names_of_events:
        _names_of_events[event_name] = _by_botocore_name_of_event(self, event_name)
    return _names_of_events[event_name]


def load_service_model(self: Any, service_name: str, api_version: str | None = None) -> Any:  # noqa: ANN401 - botocore is untyped
    """Return the description of a service, which no client changes."""
    key = (service_name, api_version)
    if key not in _models:
        _models[key] = _by_botocore_load_model(self, service_name, api_version)
    return _models[key]


def create_methods(self: Any, service_model: Any) -> dict[str, Any]:  # noqa: ANN401 - botocore is untyped
    """Return the methods of a client, by name: functions of its class, which hold no client."""
    key = id(service_model)
    if key not in _methods:
        # `load_service_model` keeps the description, and so its id.
        _methods[key] = _by_botocore_create_methods(self, service_model)
    return dict(_methods[key])


def copy_handlers(self: Any) -> Any:  # noqa: ANN401 - botocore is untyped
    """Return a copy of the handlers of events, which shares its nodes until one is changed."""
    copied = type(self)()
    copied._root = self._root
    return copied


def append_handler(self: Any, key: str, value: Any, section: int = hooks._MIDDLE) -> None:  # noqa: ANN401 - botocore is untyped
    """Add a handler of an event to nodes that belong to these handlers alone."""
    _own_nodes(self, key)
    _by_botocore_append(self, key, value, section)


def remove_handler(self: Any, key: str, value: Any) -> None:  # noqa: ANN401 - botocore is untyped
    """Remove a handler of an event from nodes that belong to these handlers alone."""
    _own_nodes(self, key)
    _by_botocore_remove(self, key, value)


def _own_nodes(handlers: Any, key: str) -> None:  # noqa: ANN401 - botocore is untyped
    """Replace the nodes of an event, which others may share, by copies."""
    handlers._root = node = _copied(handlers._root)
    for part in key.split("."):
        if part not in node["children"]:
            return
        child = _copied(node["children"][part])
        node["children"][part] = child
        node = child


def _copied(node: dict[str, Any]) -> dict[str, Any]:
    values = node["values"]
    return {
        "chunk": node["chunk"],
        "children": dict(node["children"]),
        "values": values and hooks.NodeList(*map(list, values)),
    }


def endpoint_provider(ruleset_data: Any, **more: Any) -> Any:  # noqa: ANN401 - botocore is untyped
    """Return the rules of a service's endpoints, which `moto_aws` loads once."""
    key = id(ruleset_data)
    if key not in _endpoints:
        provider = _EndpointProvider(ruleset_data, **more)
        _endpoints[key] = (provider, ruleset_data)  # which keeps its id
    return _endpoints[key][0]


@cache
def tls_context() -> ssl.SSLContext:
    """Return a context for TLS with which nothing is sent."""
    return ssl.create_default_context()
