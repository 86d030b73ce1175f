"""The forms of targets (one line for each instrument, as people write and paste them) and of bookings by hand."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from apps.core.errors import InvalidInput
from apps.portfolios.selectors.portfolios import portfolio_by_name
from apps.portfolios.services.bookings import BookingTerms
from apps.portfolios.services.targets import PlanTerms

if TYPE_CHECKING:
    from apps.portfolios.models import TargetPlan

PERCENT = Decimal(100)
_NUMBERS = ("amount", "fx_rate", "rate", "quantity", "cost")


def targets_text(weights: Mapping[str, Decimal]) -> str:
    """The weights as the form shows them: a symbol and its percentage in each line."""
    return "\n".join(f"{symbol} {_percent(weight)}" for symbol, weight in weights.items())


def terms_percents(terms: "PlanTerms | TargetPlan") -> dict[str, str]:
    """The fractions of the terms in per cent, by name, as the form shows them."""
    return {field.name: _percent(getattr(terms, field.name)) for field in fields(PlanTerms) if isinstance(field.default, Decimal)}


def _percent(fraction: Decimal) -> str:
    return f"{(fraction * PERCENT).normalize():f}"


def targets_parse(text: str) -> dict[str, Decimal]:
    """Fractions by symbol, of lines like "AAPL 25" or "AAPL 25 %" (per cent of the equity). Raises InvalidInput which names the line."""
    found: dict[str, Decimal] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.replace("%", " ").replace(",", " ").replace("=", " ").split()
        if not words:
            continue
        if len(words) != 2:
            raise InvalidInput(f"line {number} of the targets is no symbol and percentage: {line.strip()!r}", field="weights")
        symbol = words[0].upper()
        if symbol in found:
            raise InvalidInput(f"line {number} of the targets has {symbol} again", field="weights")
        found[symbol] = plain_number(words[1], field="weights") / PERCENT
    return found


def plain_number(text: str, *, field: str) -> Decimal:
    """A finite number. Raises InvalidInput."""
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise InvalidInput(f"{text!r} is no number", field=field) from error
    if not number.is_finite():
        raise InvalidInput(f"{text!r} is not a finite number", field=field)
    return number


def whole_number(text: str, *, field: str) -> int:
    """Raises InvalidInput."""
    try:
        return int(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no whole number", field=field) from error


def form_date(text: str, *, field: str = "effective_on") -> date | None:
    """A date as browsers send it; None for an empty field. Raises InvalidInput."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no date", field=field) from error


def terms_of(given: Mapping[str, str]) -> PlanTerms:
    """The terms that a form names, fractions in per cent; what it leaves out has its default. Raises InvalidInput."""
    wanted: dict[str, Decimal | str] = {}
    for field in fields(PlanTerms):
        if text := given.get(field.name, "").strip():
            wanted[field.name] = plain_number(text, field=field.name) / PERCENT if isinstance(field.default, Decimal) else text
    return PlanTerms(**wanted)  # type: ignore[arg-type] # each as its default is


def booking_terms(form: Mapping[str, str]) -> BookingTerms:
    """The fields that are filled in; portfolios by their names, days as their beginning in UTC. Raises InvalidInput, NotFound (portfolio)."""
    given = {name: value.strip() for name, value in form.items() if value.strip()}
    numbers: dict[str, Any] = {name: plain_number(given[name], field=name) for name in _NUMBERS if name in given}
    words: dict[str, Any] = {name: given[name].upper() for name in ("currency", "to_currency", "symbol") if name in given}
    books: dict[str, Any] = {name: given[name] for name in ("book", "to_book") if name in given}
    day = form_date(given.get("acquired_on", ""), field="acquired_at")
    return BookingTerms(
        kind=given.get("kind", ""),
        to_portfolio_id=portfolio_by_name(given["to_portfolio"]).pk if "to_portfolio" in given else None,
        acquired_at=datetime.combine(day, time(), UTC) if day else None,
        **numbers,
        **words,
        **books,
    )
