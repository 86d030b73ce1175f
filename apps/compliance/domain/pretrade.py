"""The pre-trade checks of compliance: pure, fail closed. Restricted instruments block, watched ones warn."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from apps.core.trading import Check, OrderIntent, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentFacts:
    """What the desk knows of the instrument that is named in the order; `delisted_on` only when that day has come."""

    instrument_id: int
    tradable: bool
    currency: str
    delisted_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestrictionFacts:
    """An entry of the restricted or watch list in force for the order. `restricted` False means watched."""

    restricted: bool
    reason: str


def order_checks(
    *,
    intent: OrderIntent,
    instrument: InstrumentFacts | None,
    portfolio_currency: str | None,
    restrictions: Sequence[RestrictionFacts],
) -> tuple[Check, ...]:
    """Every check of compliance. `portfolio_currency` is None when the user may not trade in the portfolio."""
    return (
        _permitted(portfolio_currency),
        _tradable(intent, instrument, portfolio_currency),
        _restricted(intent, [item.reason for item in restrictions if item.restricted]),
        _watched(intent, [item.reason for item in restrictions if not item.restricted]),
    )


def _permitted(portfolio_currency: str | None) -> Check:
    permitted = portfolio_currency is not None
    return Check(
        code="USER_NOT_PERMITTED",
        outcome=Outcome.PASS if permitted else Outcome.BLOCK,
        message="The user may trade in this portfolio" if permitted else "The user may not trade in this portfolio",
    )


def _tradable(intent: OrderIntent, instrument: InstrumentFacts | None, currency: str | None) -> Check:
    if instrument is None or instrument.instrument_id != intent.instrument_id:
        why = f"{intent.symbol} is not the instrument of this order"
    elif not instrument.tradable:
        why = f"{intent.symbol} is not open for trading on this desk"
    elif instrument.delisted_on is not None:
        why = f"{intent.symbol} does not trade since {instrument.delisted_on}: it was delisted"
    elif currency is not None and instrument.currency != currency:
        why = f"{intent.symbol} trades in {instrument.currency}, the portfolio holds {currency}"
    else:
        return Check(code="INSTRUMENT_NOT_TRADABLE", outcome=Outcome.PASS, message=f"{intent.symbol} is open for trading")
    return Check(code="INSTRUMENT_NOT_TRADABLE", outcome=Outcome.BLOCK, message=why)


def _restricted(intent: OrderIntent, reasons: list[str]) -> Check:
    if not reasons:
        return Check(code="RESTRICTED_INSTRUMENT", outcome=Outcome.PASS, message=f"{intent.symbol} is not on the restricted list")
    return Check(code="RESTRICTED_INSTRUMENT", outcome=Outcome.BLOCK, message=f"{intent.symbol} is on the restricted list: {'; '.join(reasons)}")


def _watched(intent: OrderIntent, reasons: list[str]) -> Check:
    if not reasons:
        return Check(code="WATCHED_INSTRUMENT", outcome=Outcome.PASS, message=f"{intent.symbol} is not on the watch list")
    # The reason may be inside information: it stands in the officer's list, not on the trader's screen.
    return Check(code="WATCHED_INSTRUMENT", outcome=Outcome.WARN, message=f"{intent.symbol} is on the watch list: compliance looks at this order")
