"""The values of the secrets that a step reads: looked up when it is reached, and kept nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskrunner.compiler import parameters

if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskrunner.compiler.expressions import Reference
    from taskrunner.usecases.world import World


def secret_values(read: Iterable[Reference], tenant: str, world: World) -> dict[str, str]:
    """The secrets among the names that are *read*, by name.

    Who reads none asks for no port, so that a function without the right to secrets may call this.

    Raises:
        SecretError: one cannot be used.
    """
    names = parameters.secrets(read)
    return world.secrets.values(tenant, names) if names else {}
