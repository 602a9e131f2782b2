"""The reasons why a caller may not decide an approval."""

from __future__ import annotations

from enum import StrEnum

from taskrunner.errors import ConflictError, ForbiddenError
from taskrunner.values import dataclass


class RefusalCode(StrEnum):
    """The reasons why a caller may not decide an approval."""

    SCOPE_REQUIRED = "scope_required"
    GRANT_REQUIRED = "grant_required"
    SELF_APPROVAL = "self_approval"
    ALREADY_APPROVED = "already_approved"
    ALREADY_DECIDED = "approval_already_decided"
    NOT_OPEN = "approval_not_open"


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason why a caller may not decide an approval, and a sentence that says so."""

    code: RefusalCode
    message: str

    @property
    def error(self) -> ForbiddenError | ConflictError:
        """The error of a decision that is refused for this reason."""
        if self.code in {RefusalCode.ALREADY_DECIDED, RefusalCode.NOT_OPEN}:
            return ConflictError(self.code.value, self.message)
        is_grant = self.code is RefusalCode.GRANT_REQUIRED
        return ForbiddenError(self.code.value if is_grant else "forbidden", self.message)
