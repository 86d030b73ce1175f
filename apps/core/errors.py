"""Errors, sorted by who must act: fix the input, retry, or stop the desk. Each has a code, an HTTP status and fields.

A refused order is no error but a value (`apps.core.trading.Verdict`). One handler renders these as RFC 9457 problem+json,
and the command base class turns them into exit codes.
"""

from typing import Any, ClassVar


class DeskError(Exception):
    """Base of all errors that the desk raises on purpose.

    `field` names the offending input (a JSON pointer without the leading slash, a form field or a command option).
    """

    code: ClassVar[str] = "ERROR"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, detail: str, *, field: str = "", **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.extra = extra


class InvalidInput(DeskError):
    """The caller must change what was sent."""

    code = "INVALID_INPUT"
    status = 400
    exit_code = 2


class NotFound(DeskError):
    """No such thing, or not for this user: the two look alike from outside."""

    code = "NOT_FOUND"
    status = 404
    exit_code = 2


class NotPermitted(DeskError):
    """The user may not do this."""

    code = "NOT_PERMITTED"
    status = 403
    exit_code = 4


class Conflict(DeskError):
    """The thing is in a state that does not allow this, or another request was first."""

    code = "CONFLICT"
    status = 409
    exit_code = 4


class PreconditionFailed(DeskError):
    """The thing has changed since the caller looked at it."""

    code = "PRECONDITION_FAILED"
    status = 412
    exit_code = 4


class RuleRefused(DeskError):
    """A business rule refuses the request as a whole (HTTP 422)."""

    code = "RULE_REFUSED"
    status = 422
    exit_code = 4


class TradingHalted(DeskError):
    """Trading is halted."""

    code = "HALTED"
    status = 423
    exit_code = 4


class Unavailable(DeskError):
    """A server that is needed does not answer; the same call may succeed later."""

    code = "UNAVAILABLE"
    status = 503
    exit_code = 5


class IntegrityBroken(DeskError):
    """Stored facts contradict each other: stop and look."""

    code = "INTEGRITY_BROKEN"
    status = 500
    exit_code = 1


class InsufficientData(DeskError):
    """There are too few observations for this number: it is not computed."""

    code = "INSUFFICIENT_DATA"
    status = 422
    exit_code = 1


class Unmeasurable(DeskError):
    """The observations exist, but this number means nothing for them (a spread of a locked or crossed market): it is not computed."""

    code = "UNMEASURABLE"
    status = 422
    exit_code = 1
