"""What goes wrong between the desk and a vendor, said in the desk's errors: by status, by header, by exception."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from apps.core.errors import DeskError
from apps.marketdata.providers.protocol import (
    RateLimited,
    UnknownVendorSymbol,
    VendorNonsense,
    VendorRefused,
    VendorUnavailable,
)

#: So much of a vendor's own words is told on.
LONGEST_QUOTE = 200


def check_status(vendor: str, status: int, headers: Mapping[str, str], text: str) -> None:
    """Raise what an HTTP status other than 200 means. `text` is the body, of which the beginning is quoted."""
    if status == 200:
        return
    said = f"{vendor} answered {status}: {' '.join(text.split())[:LONGEST_QUOTE]}"
    if status in (401, 403):
        raise VendorRefused(said)
    if status == 404:
        raise UnknownVendorSymbol(said, field="symbol")
    if status == 429:
        raise RateLimited(said, retry_after=retry_after(headers))
    if status >= 500 or status in (408, 425):
        raise VendorUnavailable(said)
    raise VendorNonsense(said)  # what is asked is well-formed, so the vendor no longer speaks the format that we know


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a vendor asks to wait; None if it does not say. A date counts against the answer's own Date, where it has one."""
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    with suppress(ValueError):
        seconds = float(value)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    moment = _http_date(value)
    if moment is None:
        return None
    now = _http_date(next((value for name, value in headers.items() if name.lower() == "date"), "")) or datetime.now(UTC)
    return max(0.0, (moment - now).total_seconds())


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@contextmanager
def reading(vendor: str, what: str) -> Iterator[None]:
    """Whatever a vendor's answer breaks while it is read (a missing name, text for a number) is nonsense, not a fault of the desk."""
    try:
        yield
    except DeskError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError) as error:
        raise VendorNonsense(f"{vendor} sent {what} that cannot be read: {type(error).__name__}: {str(error)[:LONGEST_QUOTE]}") from error
