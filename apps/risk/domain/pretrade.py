"""The pre-trade checks of risk: pure, fail closed, every one answered with its numbers whether it passes or not.

The order of the checks is that of domain.md A5 (`apps.core.check_codes`): kill switch, price and its data, limits in force, duplicate, rates,
order size, collar, capital, position and exposure, value at risk and stress, short sale. A check that needs a price which is missing is left
out, because PRICE_MISSING blocks in its place. Numbers "before" count the working orders already there, numbers "after" add this one, as if
everything fills that may. A further limit is one more function in `order_checks`.
"""

from decimal import Decimal
from typing import Final

from apps.core.kept import Remembered
from apps.core.trading import Check, OrderIntent, Outcome, Side, TradingState, WorkingOrder
from apps.risk.domain.case import ONE, ZERO, Case, against, amount, number
from apps.risk.domain.controls import approval, collar, collar_kind, duplicate, order_size, rates
from apps.risk.domain.limits import EXPOSURE_KINDS, RATE_AND_PRICE_KINDS, SIZE_KINDS, LimitKind
from apps.risk.domain.relative import book, liquidity, losses, shares
from apps.risk.domain.tail_limits import tail_limits

__all__ = ["Case", "order_checks"]

BASIS_POINT: Final = Decimal("0.0001")


def order_checks(case: Case) -> tuple[Check, ...]:
    """Every check that applies to the order, in order."""
    checks = [
        _halted(case),
        _reducing(case),
        _account_held(case),
        _risk_computed(case),
        *_price(case),
        *_rate(case),
        _quarantined(case),
        *_limits_set(case),
        *duplicate(case),
        *rates(case),
    ]
    if _price_known(case):
        checks += [*order_size(case), *approval(case), *collar(case), _capital(case), *_position(case), *_exposure(case)]
        checks += [*shares(case), *liquidity(case), *book(case)]
    tail = tail_limits(case) if _price_known(case) else []
    return (*checks, *losses(case), *tail, _short_sale(case))


def _price_known(case: Case) -> bool:
    """The order's own price, in the portfolio's currency."""
    return case.reference is not None and case.reference.price.is_finite() and case.reference.price > 0 and not (case.pair and case.fx is None)


def _halted(case: Case) -> Check:
    if case.state is TradingState.HALTED:
        return Check(code="TRADING_HALTED", outcome=Outcome.BLOCK, message=f"Trading is halted: {case.state_reason}")
    return Check(code="TRADING_HALTED", outcome=Outcome.PASS, message="Trading is not halted")


def _reducing(case: Case) -> Check:
    before, after = case.quantity_held, case.quantity_held + case.intent.signed_quantity
    blocked = case.state is TradingState.REDUCING and not case.reduces
    if blocked:
        message = f"Only reductions may trade ({case.state_reason}), and this order can close {number(case.closable)} shares at most"
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


def _account_held(case: Case) -> Check:
    """Something trades in the account that the desk did not send: until somebody has looked, positions are only reduced."""
    before, after = case.quantity_held, case.quantity_held + case.intent.signed_quantity
    blocked = bool(case.account_hold) and not case.reduces
    if blocked:
        message = f"Nothing new is opened: {case.account_hold}. This order can close {number(case.closable)} shares at most"
    elif case.account_hold:
        message = f"It closes what is held, which passes although {case.account_hold}"
    else:
        message = "The account agrees with its broker, or its breaks do not concern orders"
    return Check(
        code="ACCOUNT_ON_HOLD",
        outcome=Outcome.BLOCK if blocked else Outcome.PASS,
        message=message,
        unit="shares",
        limit=case.closable if case.account_hold else None,
        before=before,
        after=after,
    )


def _risk_computed(case: Case) -> Check:
    """Nobody opens a position while nobody watches: the live monitor's last computation is too old, or there was none. Reductions pass."""
    limit, at = case.settings.risk_block_after, case.risk_computed_at
    age = None if at is None else abs(case.as_of - at)
    seconds = None if age is None else Decimal(round(age.total_seconds(), 3)).quantize(Decimal("0.001"))
    current = age is not None and age <= limit
    needed = case.monitored or case.settings.monitor_required
    blocked = needed and not current and not case.reduces
    if current:
        message = f"Risk was computed {seconds:.1f} s ago"
    elif not needed:
        message = "No risk monitor has ever run on this desk, and none is required"
    else:
        since = "yet" if at is None else f"since {at:%Y-%m-%d %H:%M:%S} UTC"
        message = f"Risk not computed {since}: " + ("nothing new is opened" if blocked else "this order can only reduce the position")
    return Check(
        code="RISK_NOT_COMPUTED",
        outcome=Outcome.BLOCK if blocked else Outcome.PASS,
        message=message,
        unit="seconds",
        limit=Decimal(int(limit.total_seconds())) if needed else None,
        before=seconds,
        after=seconds,
    )


def _price(case: Case) -> list[Check]:
    """PRICE_MISSING for the order's own price and for any price its exposure is measured by, PRICE_STALE for its own."""
    if case.reference is None or not (case.reference.price.is_finite() and case.reference.price > 0):
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


def _rate(case: Case) -> list[Check]:
    """The price of the instrument's currency, for one that is not the portfolio's. Without a fresh one no amount of the order is known."""
    if not case.pair:
        return []
    if case.fx is None or not (case.fx.price.is_finite() and case.fx.price > 0):
        return [Check(code="FX_RATE_MISSING", outcome=Outcome.BLOCK, message=f"No rate {case.pair} is known", unit=case.pair)]
    limit = case.settings.price_block_after
    age = abs(case.as_of - case.fx.received_at)
    seconds = Decimal(round(age.total_seconds(), 3)).quantize(Decimal("0.001"))
    text = f"The rate {case.pair} ({case.fx.source}) is {number(case.fx.price)}"
    known = Check(code="FX_RATE_MISSING", outcome=Outcome.PASS, message=text, unit=case.pair, before=case.fx.price, after=case.fx.price)
    fresh = Check(
        code="FX_RATE_STALE",
        outcome=Outcome.BLOCK if age > limit else Outcome.PASS,
        message=f"The rate {case.pair} is {seconds:.1f} s old",
        unit="seconds",
        limit=Decimal(int(limit.total_seconds())),
        before=seconds,
        after=seconds,
    )
    return [known, fresh]


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
    needed = [*RATE_AND_PRICE_KINDS]
    if case.reference is not None and _price_known(case):
        needed.append(collar_kind(case.tier, case.reference.mid))
    if case.intent.strategy:
        needed.append(LimitKind.STRATEGY_ORDER_RATE)
    if not case.reduces:
        needed += [*SIZE_KINDS, *EXPOSURE_KINDS]
    missing = [kind for kind in needed if kind not in case.limits]
    if not missing:
        count = Decimal(len(needed))
        text = "All limits that are needed are set"
        return [Check(code="LIMIT_MISSING", outcome=Outcome.PASS, message=text, limit=count, before=count, after=count)]
    return [Check(code="LIMIT_MISSING", outcome=Outcome.BLOCK, message=f"No limit is set: {kind.label}", unit=kind.unit) for kind in missing]


def _short_sale(case: Case) -> Check:
    if case.intent.side is Side.BUY:
        before, after = case.quantity_held, case.quantity_held + case.intent.quantity
        return Check(
            code="SHORT_SALE", outcome=Outcome.PASS, message="A buy sells nothing short", unit="shares", limit=ZERO, before=before, after=after
        )
    short = max(ZERO, case.intent.quantity - case.closable)
    after = case.closable + case.located - case.intent.quantity
    blocked = short > case.located
    if blocked:
        held = f"{number(case.closable)} shares can be sold (working sells counted)"
        message = f"{held}, {number(case.located)} are located to be sold short, {number(case.intent.quantity)} are offered"
    else:
        message = f"{number(short)} shares are sold short, {number(case.located)} are located" if short else "The shares are there"
    return Check(
        code="SHORT_SALE",
        outcome=Outcome.BLOCK if blocked else Outcome.PASS,
        message=message,
        unit="shares",
        limit=ZERO,
        before=case.closable,
        after=after,
    )


def _capital(case: Case) -> Check:
    """Cash less what working buys may take; `after` is less this order's cost with a margin for slippage and commission."""
    before = case.cash - _working_cost(case)
    intent = case.intent
    if intent.side is Side.SELL:
        after = before + intent.quantity * _worst_price(intent, case) - case.settings.commission
    else:
        after = before - intent.quantity * _worst_price(intent, case) - case.settings.commission
    blocked = after < 0 and intent.side is Side.BUY and not case.reduces
    if blocked:
        message = f"{amount(before)} is free (working buys counted), the order may cost {amount(before - after)}"
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


def _working_cost(case: Case) -> Decimal:
    """What working buys may take. Limits in the portfolio's currency do not move with the market: their sum is that of the order before."""
    if case.rates:
        return sum((_cost(order, case) for order in case.working_orders if order.side is Side.BUY), ZERO)
    limited, count, others = _limited(case.working_orders)
    return limited + count * case.settings.commission + sum((_cost(order, case) for order in others), ZERO)


def _limited_buys(orders: tuple[WorkingOrder, ...]) -> tuple[Decimal, int, tuple[WorkingOrder, ...]]:
    """Value of all working buys with a limit price, how many there are, and the buys without one."""
    costs = [order.leaves * order.limit_price for order in orders if order.side is Side.BUY and order.limit_price is not None]
    others = tuple(order for order in orders if order.side is Side.BUY and order.limit_price is None)
    return sum(costs, ZERO), len(costs), others


_limited: Final = Remembered(_limited_buys)


def _cost(order: WorkingOrder, case: Case) -> Decimal:
    return order.leaves * _worst_price(order, case) + case.settings.commission


def _worst_price(order: OrderIntent | WorkingOrder, case: Case) -> Decimal:
    """The price to expect at worst: the limit price, or the market (a stop's trigger, when that is worse) with slippage.

    A working order whose instrument has no price now is taken at its stop price; without one PRICE_MISSING has blocked already.
    """
    rate = case.rate(order.instrument_id)
    if order.limit_price is not None:
        return order.limit_price * rate
    market, stop = case.prices.get(order.instrument_id), order.stop_price
    candidates = [price for price in (market, None if stop is None else stop * rate) if price is not None] or [ZERO]
    buying = order.side is Side.BUY
    price = max(candidates) if buying else min(candidates)
    slip = case.settings.slippage_bps * BASIS_POINT
    return price * (ONE + slip if buying else ONE - slip)


def _position(case: Case) -> list[Check]:
    """Size and value of the instrument over all books, at the reference price."""
    intent = case.intent
    kinds = (
        ("POSITION_SIZE_LIMIT", LimitKind.POSITION_SIZE, ONE, f"shares of {intent.symbol}"),
        ("POSITION_VALUE_LIMIT", LimitKind.POSITION_VALUE, case.prices[intent.instrument_id], f"value of {intent.symbol}"),
    )
    return [
        against(limit, code=code, before=case.size_before * price, after=case.size_after * price, what=what, waived=case.reduces)
        for code, kind, price, what in kinds
        if (limit := case.limits.get(kind))
    ]


def _exposure(case: Case) -> list[Check]:
    """Gross, and net where it is limited, as if every order filled that makes it larger."""
    if case.unpriced:
        return []
    checks, intent = [], case.intent
    price = case.prices[intent.instrument_id]
    if gross := case.limits.get(LimitKind.TOTAL_EXPOSURE):
        before = case.exposure.gross
        after = before + (case.size_after - case.size_before) * price
        checks.append(against(gross, code="TOTAL_EXPOSURE_LIMIT", before=before, after=after, what="gross exposure", waived=case.reduces))
    if net := case.limits.get(LimitKind.NET_EXPOSURE):
        lowest, highest = case.exposure.lowest, case.exposure.highest
        before = max(highest, -lowest)
        added = intent.signed_quantity * price
        after = max(highest + max(added, ZERO), -lowest - min(added, ZERO))
        checks.append(against(net, code="NET_EXPOSURE_LIMIT", before=before, after=after, what="net exposure", waived=case.reduces))
    return checks
