"""The names of packs' machines: `<stack>_<pack>-<32 digits of a hash>`, at most 80 characters."""

from __future__ import annotations

import re
from typing import Final

MAX_LENGTH: Final = 80
# Tenants share machines by name. 128 bits keep anybody from finding two machines with one name.
_HASH_DIGITS: Final = 32
# Machines that steps call have this next. A pack's name has no underscore.
_CALLED: Final = "machine_"
_HASH: Final = re.compile(rf"-[0-9a-f]{{{_HASH_DIGITS}}}\Z")


def machine_name(stack: str, pack_name: str, digest: str) -> str:
    """Return a machine's name. A long pack name is cut; the digits of *digest* never are."""
    digits = digest[:_HASH_DIGITS]
    room = max(0, MAX_LENGTH - len(prefix(stack)) - len(digits) - 1)
    return f"{prefix(stack)}{pack_name[:room].rstrip('-')}-{digits}"


def prefix(stack: str) -> str:
    """Return how the names of all machines of *stack* begin.

    No stack's name has an underscore, so no other stack's machine begins like this.
    """
    return f"{stack}_"


def is_of_a_pack(name: str, stack: str) -> bool:
    """Return whether *name* is that of a pack's machine of *stack*.

    That of its frame is not, and neither are those of machines that steps call.
    """
    ours = prefix(stack)
    is_of_others = name.startswith(f"{ours}{_CALLED}")
    return name.startswith(ours) and not is_of_others and _HASH.search(name) is not None
