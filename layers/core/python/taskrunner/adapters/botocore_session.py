"""Make botocore's session without the parts of botocore that no function uses.

They were a twentieth of a cold start. The documentation of clients imports a parser of HTML. HTTP/2
imports `importlib.metadata` and ZIP. 81 of 127 handlers are for documents and other services. Rules
give the addresses that a list gives too.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

# The services that are called, as botocore names them in its events.
SERVICES: Final = frozenset(
    {"dynamodb", "ecr", "eventbridge", "kms", "lambda", "s3", "secrets-manager", "sfn", "sns"}
)
# How a client finds its address by rules; see botocore's "Endpoint resolution".
_RULES: Final = "endpoint-rule-set-1"
_NEEDS_RULES: Final = "s3"  # its addresses depend on the bucket
_VARIANTS: Final = ("use_fips_endpoint", "use_dualstack_endpoint")
_DOCSTRINGS: Final = ("ClientMethodDocstring", "PaginatorDocstring", "WaiterDocstring")


def leave_out_unused_modules() -> None:
    """Let botocore import neither documentation nor HTTP/2.

    Call it before `botocore.session` or `botocore.config` is imported.
    """
    # Other modules of these packages are used, so only their own imports are left out.
    _add_empty_package("botocore.docs")
    _add_empty_package("urllib3.http2")
    docstrings = ModuleType("botocore.docs.docstring")
    for name in _DOCSTRINGS:
        setattr(docstrings, name, _no_docstring)
    sys.modules.setdefault(docstrings.__name__, docstrings)


def make() -> Any:  # noqa: ANN401 - botocore has no static types
    """Return a session with the handlers of the services that are called."""
    import botocore.session  # noqa: PLC0415 - a port without clients does not pay for it
    from botocore import handlers  # noqa: PLC0415

    session = botocore.session.Session(include_builtin_handlers=False)
    emitter = session.get_component("event_emitter")
    register_at = {
        handlers.REGISTER_FIRST: emitter.register_first,
        handlers.REGISTER_LAST: emitter.register_last,
        None: emitter.register,
    }
    for event, handler, *place in handlers.BUILTIN_HANDLERS:
        if is_needed(event):
            register_at[place[0] if place else None](event, handler)
    if not any(session.get_config_variable(variant) for variant in _VARIANTS):
        _leave_out_rules(session.get_component("data_loader"))
    return session


def is_needed(event: str) -> bool:
    """Return whether *event* is one of a service that is called, or of every service."""
    kind, *names = event.split(".")
    return kind != "docs" and (not names or names[0] in SERVICES | {"*"})


def _leave_out_rules(loader: Any) -> None:  # noqa: ANN401 - botocore has no static types
    """Let clients find their addresses in botocore's list of endpoints, as before it had rules.

    They are the same, except for the variants FIPS and dual stack. The rules take 1.5 ms for a
    client, and a tenth of botocore's time for a call.
    """
    from botocore.exceptions import UnknownServiceError  # noqa: PLC0415

    load = loader.load_service_model

    def load_service_model(
        service_name: str, type_name: str, api_version: str | None = None
    ) -> dict[str, Any]:
        if type_name == _RULES and service_name != _NEEDS_RULES:
            raise UnknownServiceError(service_name=service_name, known_service_names=_NEEDS_RULES)
        model: dict[str, Any] = load(service_name, type_name, api_version)
        return model

    loader.load_service_model = load_service_model


def _add_empty_package(name: str) -> None:
    package, _, child = name.partition(".")
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    module = ModuleType(name)
    module.__path__ = [f"{folder}/{child}" for folder in folders or ()]
    sys.modules.setdefault(name, module)


def _no_docstring(**_: object) -> str:
    return ""
