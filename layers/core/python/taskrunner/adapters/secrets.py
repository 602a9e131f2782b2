"""Secrets of AWS Secrets Manager, `<prefix><tenant>/<name>`, and for half a minute in memory."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from taskrunner.adapters.aws_errors import code, translated
from taskrunner.errors import SecretError
from taskrunner.model.redaction import usable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_FRESH_S: Final = 30.0
_REMEMBERED: Final = 100
# Neither part may hold a slash: what is behind the prefix is one tenant and one name.
_TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_ABSENT: Final = frozenset({"ResourceNotFoundException", "InvalidRequestException"})
_DENIED: Final = frozenset({"AccessDeniedException", "DecryptionFailure"})


class ManagedSecrets:
    """`usecases.ports.Secrets`. *prefix* begins every secret's name; *now_s* only ever grows."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - boto3 has no static types
        prefix: str,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Hold the client; nothing is called yet."""
        self._client = client
        self._prefix = prefix
        self._now_s = now_s
        self._memory: dict[tuple[str, str], tuple[float, str]] = {}

    def values(self, tenant: str, names: Collection[str]) -> dict[str, str]:
        """See the port."""
        return {name: self._value(tenant, name) for name in names}

    def _value(self, tenant: str, name: str) -> str:
        until_s, value = self._memory.get((tenant, name), (0.0, ""))
        if self._now_s() < until_s:
            return value
        value = usable(name, self._read(tenant, name))
        if len(self._memory) >= _REMEMBERED:
            self._memory.clear()
        self._memory[tenant, name] = (self._now_s() + _FRESH_S, value)
        return value

    def _read(self, tenant: str, name: str) -> str:
        if not _TENANT.fullmatch(tenant) or not _NAME.fullmatch(name):
            raise SecretError(f"no secret can be called '{name}' for the tenant '{tenant}'")
        secret_id = f"{self._prefix}{tenant}/{name}"
        try:
            with translated("read the secret"):
                answer = self._client.get_secret_value(SecretId=secret_id)
        except ClientError as error:
            if code(error) in _ABSENT:
                message = f"there is no secret '{name}'; it is to be stored as {secret_id}"
                raise SecretError(message) from None
            if code(error) in _DENIED:
                message = f"the secret '{name}' may not be read: {code(error)}"
                raise SecretError(message) from None
            raise
        if "SecretString" not in answer:
            raise SecretError(f"the secret '{name}' is binary, and must be text")
        return str(answer["SecretString"])
