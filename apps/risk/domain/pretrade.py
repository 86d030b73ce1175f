"""The pre-trade checks of risk: pure, fail closed, every one answered with its numbers whether it passes or not.

The order of the checks is that of domain.md A5: kill switch, price and its data, limits in force, short sale, rates, collar, capital, sizes.
A check that needs a price which is missing is left out, because PRICE_MISSING blocks in its place.
Numbers "before" count the working orders already there, numbers "after" add this one, as if everything fills that may.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Final

from apps.core.trading import Check, OrderIntent, OrderType, Outcome, ReferencePrice, Side, TradingState, WorkingOrder
from apps.risk.domain.exposure import WorkingQuantities, gross_exposure, largest_size, working_quantities
from apps.risk.domain.limits import EXPOSURE_KINDS, RATE_AND_PRICE_KINDS, Limit, LimitKind

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
BASIS_POINT: Final = Decimal("0.0001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the checks assume. The cost margins are twice what the paper broker charges by default (5 bps, 1 per order)."""

    price_warn_after: timedelta = timedelta(seconds=10)
    price_block_after: timedelta = timedelta(seconds=30)
    slippage_bps: Decimal = Decimal(10)
    commission: Decimal = Decimal(2)


@dataclass(frozen=True, kw_only=True)
class Case:
    """All that is known of one order when it is judged. (No slots: what several checks ask for is computed once and kept.)

    `held` is the signed quantity by instrument id over all books of the portfolio, `book_held` that of the order's own book
    and instrument. `prices` values every instrument held or working; those without a price stand in `unpriced`. `quarantines` says
    for each open quarantine of the instrument's data whose days include the market's which data it is and why.
    """

    intent: OrderIntent
    working_orders: tuple[WorkingOrder, ...]
    reference: ReferencePrice | None
    orders_last_minute: int
    symbol_orders_last_minute: int
    as_of: datetime
    state: TradingState
    state_reason: str
    limits: Mapping[LimitKind, Limit]
    cash: Decimal
    held: Mapping[int, Decimal]
    book_held: Decimal
    prices: Mapping[int, Decimal]
    unpriced: tuple[str, ...]
    quarantines: tuple[str, ...] = ()
    settings: Settings = Settings()

    @cached_property
    def working(self) -> WorkingQuantities:
        return working_quantities(self.working_orders)

    @cached_property
    def quantity_held(self) -> Decimal:
        return self.held.get(self.intent.instrument_id, ZERO)

    @cached_property
    def closable(self) -> Decimal:
        """Shares that an order of this side may still close without opening the other way (>= 0).

        The order's own book counts by itself, and so does the portfolio: neither may be turned around.
        """
        intent = self.intent
        sign = -intent.side.sign
        same_side = [w for w in self.working_orders if w.instrument_id == intent.instrument_id and w.side is intent.side]
        in_portfolio = self.quantity_held * sign - sum((w.leaves for w in same_side), ZERO)
        in_book = self.book_held * sign - sum((w.leaves for w in same_side if w.book_id in (None, intent.book_id)), ZERO)
        return max(ZERO, min(in_portfolio, in_book))

    @cached_property
    def size_before(self) -> Decimal:
        """Largest size [shares] that the instrument can reach without this order."""
        return largest_size(self.quantity_held, self.intent.instrument_id, self.working)

    @cached_property
    def size_after(self) -> Decimal:
        """Largest size [shares] that the instrument can reach with this order."""
        intent = self.intent
        return largest_size(self.quantity_held, intent.instrument_id, self.working.with_order(intent.instrument_id, intent.side, intent.quantity))

    @cached_property
    def reduces(self) -> bool:
        """True when the order can only bring the position nearer to zero, working orders counted."""
        return self.intent.quantity <= self.closable


def order_checks(case: Case) -> tuple[Check, ...]:
    """Every check that applies to the order, in order."""
    checks = [_halted(case), _reducing(case), *_price(case), _quarantined(case), *_limits_set(case), _short_sale(case), *_rates(case)]
    if _price_known(case):
        checks += [*_collar(case), _capital(case), *_position(case), *_exposure(case)]
    return tuple(checks)


def _price_known(case: Case) -> bool:
    return case.reference is not None and case.reference.price.is_finite() and case.reference.price > 0


def _halted(case: Case) -> Check:
    if case.state is TradingState.HALTED:
        return Check(code="TRADING_HALTED", outcome=Outcome.BLOCK, message=f"Trading is halted: {case.state_reason}")
    return Check(code="TRADING_HALTED", outcome=Outcome.PASS, message="Trading is not halted")


def _reducing(case: Case) -> Check:
    before, after = case.quantity_held, case.quantity_held + case.intent.signed_quantity
    blocked = case.state is TradingState.REDUCING and not case.reduces
    if blocked:
        message = f"Only reductions may trade ({case.state_reason}), and this order can close {_n(case.closable)} shares at most"
    elif case.state is TradingState.REDUCING:
        message = "Only reductions may trade, and this order is one"
    else:
        message = "New positions may be opened"
    return Check(
        code="REDUCING_ONLY",
        outcome=Outcome.BLOCK if blocked else Outcome.PASS,
        message=message,
        unit="shares",
        limit=case.closable if case.state is TradingState.REDUCING else None,
        before=before,
        after=after,
    )


def _price(case: Case) -> list[Check]:
    """PRICE_MISSING for the order's own price and for any price its exposure is measured by, PRICE_STALE for its own."""
    if not _price_known(case):
        return [Check(code="PRICE_MISSING", outcome=Outcome.BLOCK, message=f"No price of {case.intent.symbol} is known")]
    checks = [Check(code="PRICE_MISSING", outcome=Outcome.PASS, message="All prices that are needed are known")]
    if case.unpriced and not case.reduces:
        text = f"No price of {', '.join(case.unpriced[:5])}{' and others' if len(case.unpriced) > 5 else ''}: the exposure cannot be computed"
        checks = [Check(code="PRICE_MISSING", outcome=Outcome.BLOCK, message=text, limit=ZERO, before=None, after=Decimal(len(case.unpriced)))]
    return [*checks, _staleness(case)]


def _staleness(case: Case) -> Check:
    """By wall time. A price from the future is as doubtful as an old one, so the distance counts without its sign."""
    assert case.reference is not None  # noqa: S101 - the caller has checked it
    age = abs(case.as_of - case.reference.received_at)
    settings = case.settings
    blocks = age > settings.price_block_after and not case.intent.order_type.has_limit
    outcome = Outcome.BLOCK if blocks else Outcome.WARN if age > settings.price_warn_after else Outcome.PASS
    seconds = Decimal(round(age.total_seconds(), 3)).quantize(Decimal("0.001"))
    words = {Outcome.PASS: "fresh", Outcome.WARN: "getting old", Outcome.BLOCK: "too old for an order without a limit price"}
    return Check(
        code="PRICE_STALE",
        outcome=outcome,
        message=f"The price of {case.intent.symbol} ({case.reference.source}) is {words[outcome]}: {seconds:.1f} s",
        unit="seconds",
        limit=Decimal(int(settings.price_block_after.total_seconds())),
        before=seconds,
        after=seconds,
    )


def _quarantined(case: Case) -> Check:
    """Data that is known to be wrong opens no position. A reduction passes: the desk must be able to leave."""
    count = Decimal(len(case.quarantines))
    blocked = bool(case.quarantines) and not case.reduces
    if blocked:
        message = f"Data of {case.intent.symbol} is in quarantine: {'; '.join(case.quarantines)}"
    elif case.quarantines:
        message = f"Data of {case.intent.symbol} is in quarantine, and this order can only reduce the position"
    else:
        message = f"Data of {case.intent.symbol} is not in quarantine"
    outcome = Outcome.BLOCK if blocked else Outcome.PASS
    return Check(code="DATA_QUARANTINED", outcome=outcome, message=message, limit=ZERO, before=count, after=count)


def _limits_set(case: Case) -> list[Check]:
    needed = RATE_AND_PRICE_KINDS if case.reduces else (*RATE_AND_PRICE_KINDS, *EXPOSURE_KINDS)
    missing = [kind for kind in needed if kind not in case.limits]
    if not missing:
        number = Decimal(len(needed))
        return [
            Check(code="LIMIT_MISSING", outcome=Outcome.PASS, message="All limits that are needed are set", limit=number, before=number, after=number)
        ]
    return [Check(code="LIMIT_MISSING", outcome=Outcome.BLOCK, message=f"No limit is set: {kind.label}", unit=kind.unit) for kind in missing]


def _short_sale(case: Case) -> Check:
    if case.intent.side is Side.BUY:
        before, after = case.quantity_held, case.quantity_held + case.intent.quantity
        return Check(
            code="SHORT_SALE", outcome=Outcome.PASS, message="A buy sells nothing short", unit="shares", limit=ZERO, before=before, after=after
        )
    after = case.closable - case.intent.quantity
    blocked = after < 0
    message = (
        f"{_n(case.closable)} shares can be sold (working sells counted), {_n(case.intent.quantity)} are offered"
        if blocked
        else "The shares are there"
    )
    return Check(
        code="SHORT_SALE",
        outcome=Outcome.BLOCK if blocked else Outcome.PASS,
        message=message,
        unit="shares",
        limit=ZERO,
        before=case.closable,
        after=after,
    )


def _rates(case: Case) -> list[Check]:
    rates = (
        ("RATE_LIMIT_GLOBAL", LimitKind.ORDER_RATE, case.orders_last_minute, "orders of the portfolio"),
        ("RATE_LIMIT_SYMBOL", LimitKind.SYMBOL_ORDER_RATE, case.symbol_orders_last_minute, f"orders of {case.intent.symbol}"),
    )
    return [
        _against(limit, code=code, before=Decimal(count), after=Decimal(count + 1), what=f"{what} in a minute")
        for code, kind, count, what in rates
        if (limit := case.limits.get(kind))
    ]


def _collar(case: Case) -> list[Check]:
    """Distance of the limit price from the reference price, on either side.

    A stop-limit order is judged by its stop price: that is where the market stands when its limit begins to count.
    """
    limit, intent = case.limits.get(LimitKind.PRICE_COLLAR), case.intent
    if limit is None or case.reference is None:
        return []
    if intent.limit_price is None:
        message = "An order without a limit price trades at the market"
        return [Check(code="PRICE_COLLAR", outcome=Outcome.PASS, message=message, unit=limit.kind.unit, limit=limit.hard, before=ZERO, after=ZERO)]
    anchor = intent.stop_price if intent.order_type is OrderType.STOP_LIMIT and intent.stop_price else case.reference.price
    distance = abs(intent.limit_price / anchor - ONE).quantize(Decimal("0.000001"))
    return [_against(limit, code="PRICE_COLLAR", before=ZERO, after=distance, what=f"distance of {_n(intent.limit_price)} from {_n(anchor)}")]


def _capital(case: Case) -> Check:
    """Cash less what working buys may take; `after` is less this order's cost with a margin for slippage and commission."""
    before = case.cash - sum((_cost(w, case) for w in case.working_orders if w.side is Side.BUY), ZERO)
    intent = case.intent
    if intent.side is Side.SELL:
        after = before + intent.quantity * _worst_price(intent, case) - case.settings.commission
    else:
        after = before - intent.quantity * _worst_price(intent, case) - case.settings.commission
    blocked = after < 0 and intent.side is Side.BUY and not case.reduces
    if blocked:
        message = f"{_money(before)} is free (working buys counted), the order may cost {_money(before - after)}"
    else:
        message = "A sale brings cash" if intent.side is Side.SELL else "The cash is there" if after >= 0 else "Reduces a short position"
    return Check(
        code="INSUFFICIENT_CAPITAL",
        outcome=Outcome.BLOCK if blocked else Outcome.PASS,
        message=message,
        unit="USD",
        limit=ZERO,
        before=before,
        after=after,
    )


def _cost(order: WorkingOrder, case: Case) -> Decimal:
    return order.leaves * _worst_price(order, case) + case.settings.commission


def _worst_price(order: OrderIntent | WorkingOrder, case: Case) -> Decimal:
    """The price to expect at worst: the limit price, or the market (a stop's trigger, when that is worse) with slippage.

    A working order whose instrument has no price now is taken at its stop price; without one PRICE_MISSING has blocked already.
    """
    if order.limit_price is not None:
        return order.limit_price
    market = case.prices.get(order.instrument_id)
    candidates = [price for price in (market, order.stop_price) if price is not None] or [ZERO]
    buying = order.side is Side.BUY
    price = max(candidates) if buying else min(candidates)
    slip = case.settings.slippage_bps * BASIS_POINT
    return price * (ONE + slip if buying else ONE - slip)


def _position(case: Case) -> list[Check]:
    """Size and value of the instrument over all books, at the reference price."""
    intent, reference = case.intent, case.reference
    assert reference is not None  # noqa: S101 - the caller has checked it
    kinds = (
        ("POSITION_SIZE_LIMIT", LimitKind.POSITION_SIZE, ONE, f"shares of {intent.symbol}"),
        ("POSITION_VALUE_LIMIT", LimitKind.POSITION_VALUE, reference.price, f"value of {intent.symbol}"),
    )
    return [
        _against(limit, code=code, before=case.size_before * price, after=case.size_after * price, what=what, waived=case.reduces)
        for code, kind, price, what in kinds
        if (limit := case.limits.get(kind))
    ]


def _exposure(case: Case) -> list[Check]:
    limit, intent = case.limits.get(LimitKind.TOTAL_EXPOSURE), case.intent
    if limit is None or case.unpriced:
        return []
    before = gross_exposure(case.held, case.working, case.prices)
    after = before + (case.size_after - case.size_before) * case.prices[intent.instrument_id]
    return [_against(limit, code="TOTAL_EXPOSURE_LIMIT", before=before, after=after, what="gross exposure", waived=case.reduces)]


def _against(limit: Limit, *, code: str, before: Decimal, after: Decimal, what: str, waived: bool = False) -> Check:
    """Compares `after` with the limit: above hard blocks, above soft warns, a reduction is waived through."""
    if waived:
        outcome, message = Outcome.PASS, f"Reduces the position: {what} is not limited"
    elif after > limit.hard:
        outcome, message = Outcome.BLOCK, f"{what[0].upper()}{what[1:]}: {_n(after)} is above the limit {_n(limit.hard)}"
    elif limit.soft is not None and after > limit.soft:
        outcome, message = Outcome.WARN, f"{what[0].upper()}{what[1:]}: {_n(after)} is above the soft limit {_n(limit.soft)}"
    else:
        outcome, message = Outcome.PASS, f"{what[0].upper()}{what[1:]}: {_n(after)} of {_n(limit.hard)}"
    return Check(code=code, outcome=outcome, message=message, unit=limit.kind.unit, limit=limit.hard, before=before, after=after)


def _n(value: Decimal) -> str:
    """For messages: six places at most, no trailing zeros."""
    text = f"{value:,.6f}".rstrip("0")
    return text.rstrip(".")


def _money(value: Decimal) -> str:
    return f"{value:,.2f}"
