"""Secrets in AWS Secrets Manager, named `<prefix><tenant>/<name>`, and cached for half a minute."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError
from cachetools import TTLCache

from taskrunner.adapters.aws_errors import code, translated
from taskrunner.errors import SecretError
from taskrunner.model.redaction import usable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_CACHE_S: Final = 30.0
_CACHED_SECRETS: Final = 100
# Neither part may contain a slash: what follows the prefix is exactly one tenant and one name.
_TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
# InvalidRequestException: the secret is scheduled for deletion.
_MISSING_CODES: Final = frozenset({"ResourceNotFoundException", "InvalidRequestException"})
_DENIED_CODES: Final = frozenset({"AccessDeniedException", "DecryptionFailure"})


class ManagedSecrets:
    """`ports.Secrets`. *prefix* begins the name of every secret.

    *now_s* returns the wall clock's seconds. A monotonic clock may stand still while Lambda freezes
    the environment, and a value would be used hours after it was replaced.
    """

    def __init__(
        self,
        client: Any,  # noqa: ANN401 - boto3 has no static types
        prefix: str,
        now_s: Callable[[], float],
    ) -> None:
        """Call nothing yet."""
        self._client = client
        self._prefix = prefix
        self._cache: TTLCache[tuple[str, str], str] = TTLCache(_CACHED_SECRETS, _CACHE_S, now_s)

    def values(self, tenant: str, names: Collection[str]) -> dict[str, str]:
        """See the port."""
        return {name: self._value(tenant, name) for name in names}

    def _value(self, tenant: str, name: str) -> str:
        value = self._cache.get((tenant, name))
        if value is None:
            value = usable(name, self._read(tenant, name))
            self._cache[tenant, name] = value
        return value

    def _read(self, tenant: str, name: str) -> str:
        if not _TENANT.fullmatch(tenant) or not _NAME.fullmatch(name):
            raise SecretError(f"'{name}' cannot be the name of a secret of the tenant '{tenant}'")
        secret_id = f"{self._prefix}{tenant}/{name}"
        try:
            with translated("read the secret"):
                answer = self._client.get_secret_value(SecretId=secret_id)
        except ClientError as error:
            if code(error) in _MISSING_CODES:
                message = f"there is no secret '{name}'; store it in Secrets Manager as {secret_id}"
                raise SecretError(message) from None
            if code(error) in _DENIED_CODES:
                message = f"the secret '{name}' may not be read: {code(error)}"
                raise SecretError(message) from None
            raise
        if "SecretString" not in answer:
            raise SecretError(f"the secret '{name}' is binary; store it as text")
        return str(answer["SecretString"])
