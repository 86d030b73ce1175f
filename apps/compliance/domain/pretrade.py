"""The pre-trade checks of compliance: pure, fail closed. Restricted instruments block, watched ones warn."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from apps.compliance.domain.account_checks import AccountFacts, account_checks
from apps.compliance.domain.market_rules import luld_band, short_sale_allowed, short_sale_triggered
from apps.core.trading import Check, MarketFacts, OrderIntent, Outcome, Side, WorkingOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class RestrictionFacts:
    """An entry of the restricted or watch list in force for the order. `restricted` False means watched."""

    restricted: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortSaleFacts:
    """A sale of more than is held: `quantity` shares of it are short. Prices are None where they are not known.

    `restricted_since` is the session whose fall restricts short sales now, None where no such fall is recorded.
    """

    quantity: Decimal
    restricted_since: date | None
    previous_close: Decimal | None
    last: Decimal | None
    best_bid: Decimal | None


def order_checks(
    *,
    intent: OrderIntent,
    market: MarketFacts | None,
    portfolio_currency: str | None,
    restrictions: Sequence[RestrictionFacts],
    short_sale: ShortSaleFacts | None,
    account: AccountFacts | None,
    working_orders: Sequence[WorkingOrder],
) -> tuple[Check, ...]:
    """Every check of compliance, in the order of domain.md A5.

    `portfolio_currency` is None when the user may not trade in the portfolio, `short_sale` when nothing is sold short,
    `account` when it could not be read, which denies. `working_orders` are those that may trade beside the order.
    """
    return (
        *_market(intent, market),
        _tradable(intent, market),
        _restricted(intent, [item.reason for item in restrictions if item.restricted]),
        _watched(intent, [item.reason for item in restrictions if not item.restricted]),
        _permitted(portfolio_currency),
        *_account(intent, account, working_orders, portfolio_currency),
        _short_price(intent, short_sale),
    )


def _market(intent: OrderIntent, market: MarketFacts | None) -> list[Check]:
    """Whether the instrument trades, and whether the order's limit lies within the price band."""
    if market is None:
        text = f"Nothing is known of the market of {intent.symbol}"
        return [Check(code="MARKET_STATE_UNKNOWN", outcome=Outcome.BLOCK, message=text)]
    halted = Check(
        code="MARKET_HALTED",
        outcome=Outcome.BLOCK if market.halted else Outcome.PASS,
        message=f"{intent.symbol} is {market.halted}" if market.halted else f"{intent.symbol} is neither halted nor paused",
    )
    return [halted, _band(intent, market)]


def _band(intent: OrderIntent, market: MarketFacts) -> Check:
    """A buy above the upper band or a sale below the lower one cannot trade there. The published band, else one of the last five minutes."""
    band, source = market.band, "published"
    if band is None and market.recent_mean is not None:
        low, high = luld_band(market.recent_mean, market.tier, market.wide)
        band, source = (low, high), "computed from the last five minutes"
    if band is None:
        text = "No price band is published, and no price of the last five minutes is stored to compute one"
        return Check(code="PRICE_BAND", outcome=Outcome.PASS, message=text, unit=market.currency)
    buying = intent.side is Side.BUY
    edge, price = band[1] if buying else band[0], intent.limit_price
    beyond = price is not None and (price > edge if buying else price < edge)
    where = f"{band[0].normalize():f} to {band[1].normalize():f}, {source}"
    return Check(
        code="PRICE_BAND",
        outcome=Outcome.BLOCK if beyond else Outcome.PASS,
        message=f"The limit {price.normalize():f} lies beyond the price band ({where})" if beyond and price else f"Within the price band ({where})",
        unit=market.currency,
        limit=edge,
        before=market.recent_mean,
        after=price,
    )


def _short_price(intent: OrderIntent, sale: ShortSaleFacts | None) -> Check:
    """Rule 201: after a fall of a tenth a short sale is only priced above the best bid, that day and the next."""
    if sale is None:
        return Check(code="SHORT_SALE_PRICE", outcome=Outcome.PASS, message="Nothing is sold short")
    falling = bool(sale.previous_close and sale.last) and short_sale_triggered(sale.previous_close or 0, sale.last or 0)
    if sale.restricted_since is None and not falling:
        text = f"{sale.quantity.normalize():f} shares are sold short, and no fall of a tenth restricts it"
        return Check(code="SHORT_SALE_PRICE", outcome=Outcome.PASS, message=text, limit=None, before=sale.previous_close, after=sale.last)
    why = f"it fell by a tenth on {sale.restricted_since}" if sale.restricted_since else "it has fallen by a tenth since the last close"
    allowed = short_sale_allowed(limit_price=intent.limit_price, best_bid=sale.best_bid)
    bid = "no bid is known" if sale.best_bid is None else f"the best bid is {sale.best_bid.normalize():f}"
    return Check(
        code="SHORT_SALE_PRICE",
        outcome=Outcome.PASS if allowed else Outcome.BLOCK,
        message=f"{intent.symbol} is sold short only above the best bid ({why}); {bid}",
        limit=sale.best_bid,
        before=sale.last,
        after=intent.limit_price,
    )


def _account(intent: OrderIntent, account: AccountFacts | None, working: Sequence[WorkingOrder], currency: str | None) -> list[Check]:
    if account is None:
        text = "The account's day-trading rules could not be checked: the order is denied"
        return [Check(code="CHECK_FAILED", outcome=Outcome.BLOCK, message=text)]
    return account_checks(intent=intent, working=working, account=account, currency=currency)


def _permitted(portfolio_currency: str | None) -> Check:
    permitted = portfolio_currency is not None
    return Check(
        code="USER_NOT_PERMITTED",
        outcome=Outcome.PASS if permitted else Outcome.BLOCK,
        message="The user may trade in this portfolio" if permitted else "The user may not trade in this portfolio",
    )


def _tradable(intent: OrderIntent, instrument: MarketFacts | None) -> Check:
    if instrument is None or instrument.instrument_id != intent.instrument_id:
        why = f"{intent.symbol} is not the instrument of this order"
    elif not instrument.tradable:
        why = f"{intent.symbol} is not open for trading on this desk"
    elif instrument.delisted_on is not None:
        why = f"{intent.symbol} does not trade since {instrument.delisted_on}: it was delisted"
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
