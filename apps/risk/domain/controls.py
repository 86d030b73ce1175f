"""Controls of the single order (domain.md A5): is it the same again, one too many, too large, or priced far from the market?"""

from decimal import Decimal
from typing import Final

from apps.core.trading import Check, OrderType, Outcome
from apps.risk.domain.case import ONE, WAIVED, ZERO, Case, against, number
from apps.risk.domain.limits import Limit, LimitKind

#: Up to this price [money a share] the wider collar of low prices holds, whatever the tier.
LOW_PRICE: Final = Decimal(3)


def duplicate(case: Case) -> list[Check]:
    """Blocks an order whose terms the portfolio has sent under another id within the window. Reductions are no exception."""
    window = case.limits.get(LimitKind.DUPLICATE_WINDOW)
    if window is None:
        return []
    age = case.identical_age
    blocked = age is not None and age <= window.hard
    if age is None or not blocked:
        message = f"No order with the same terms was sent within {number(window.hard)} s"
    else:
        message = f"An order with the same terms was sent {number(age)} s ago under another id"
    outcome = Outcome.BLOCK if blocked else Outcome.PASS
    return [Check(code="DUPLICATE", outcome=outcome, message=message, unit=window.kind.unit, limit=window.hard, before=age, after=None)]


def rates(case: Case) -> list[Check]:
    """Orders and changes in a minute, this one counted: of the portfolio, of the symbol, of the strategy; and all messages of the desk, where it
    limits them. A reduction is waived through that one: others' messages, and the cancels of a flattening, must not keep anybody in a position."""
    intent, limits = case.intent, case.limits
    counts = [
        ("RATE_LIMIT_GLOBAL", limits.get(LimitKind.ORDER_RATE), case.orders_last_minute, "orders of the portfolio", False),
        ("RATE_LIMIT_DESK", case.desk_rate, case.desk_messages_last_minute, "messages of the desk", case.reduces),
        ("RATE_LIMIT_SYMBOL", limits.get(LimitKind.SYMBOL_ORDER_RATE), case.symbol_orders_last_minute, f"orders of {intent.symbol}", False),
    ]
    if intent.strategy:
        limit = limits.get(LimitKind.STRATEGY_ORDER_RATE)
        counts.append(("RATE_LIMIT_ALGO", limit, case.strategy_orders_last_minute, f"orders of strategy {intent.strategy}", False))
    return [
        against(limit, code=code, before=Decimal(count), after=Decimal(count + 1), what=f"{what} in a minute", waived=waived)
        for code, limit, count, what, waived in counts
        if limit
    ]


def order_size(case: Case) -> list[Check]:
    """Shares, value and share of the average daily volume of this one order. A reduction is waived through: the desk must be able to leave."""
    intent, waived = case.intent, case.reduces
    price = intent.limit_price or (case.reference.mid if case.reference else ZERO)
    value = intent.quantity * price * case.rate(intent.instrument_id)
    checks = [
        against(limit, code=code, before=ZERO, after=after, what=what, waived=waived)
        for code, kind, after, what in (
            ("ORDER_SIZE_LIMIT", LimitKind.ORDER_SIZE, intent.quantity, "shares in one order"),
            ("ORDER_VALUE_LIMIT", LimitKind.ORDER_VALUE, value, "value of one order"),
        )
        if (limit := case.limits.get(kind))
    ]
    if case.average_volume:
        kind, after = LimitKind.ADV_SHARE, (intent.quantity / case.average_volume).quantize(Decimal("0.000001"))
        what = f"share of the average daily volume {number(case.average_volume)}"
    else:
        kind, after, what = LimitKind.UNKNOWN_ADV_VALUE, value, "value while no daily volume is known"
    limit = case.limits.get(kind)
    return checks if limit is None else [*checks, against(limit, code="ADV_LIMIT", before=ZERO, after=after, what=what, waived=waived)]


def approval(case: Case) -> list[Check]:
    """Warns where a limit is set and the order is worth more: it waits for a second person. The database computes the same again.

    What only reduces the position waits for nobody: leaving in an emergency takes one person (domain.md A7), and a stop-loss has no time to wait.
    """
    limit, intent = case.limits.get(LimitKind.APPROVAL_VALUE), case.intent
    if limit is None or case.reference is None:
        return []
    price = max(price for price in (intent.limit_price, intent.stop_price, case.reference.price) if price is not None)
    value = intent.quantity * price * case.rate(intent.instrument_id)
    if case.reduces:
        outcome, message = Outcome.PASS, f"{WAIVED}needs no second person, worth {number(value)}"
    elif value > limit.hard:
        outcome, message = Outcome.WARN, f"Worth {number(value)}, more than {number(limit.hard)}: a second person must approve it"
    else:
        outcome, message = Outcome.PASS, f"Worth {number(value)}: needs no second person up to {number(limit.hard)}"
    return [Check(code="APPROVAL_REQUIRED", outcome=outcome, message=message, unit=limit.kind.unit, limit=limit.hard, before=ZERO, after=value)]


def collar(case: Case) -> list[Check]:
    """Distance of the limit price from the middle of bid and ask, on either side, against the tighter of the portfolio's collar and the tier's.

    A stop-limit order is judged by its stop price: that is where the market stands when its limit begins to count.
    """
    limit, intent = _collar_limit(case), case.intent
    if limit is None or case.reference is None:
        return []
    if intent.limit_price is None:
        message = "An order without a limit price trades at the market"
        return [Check(code="PRICE_COLLAR", outcome=Outcome.PASS, message=message, unit=limit.kind.unit, limit=limit.hard, before=ZERO, after=ZERO)]
    anchor = intent.stop_price if intent.order_type is OrderType.STOP_LIMIT and intent.stop_price else case.reference.mid
    distance = abs(intent.limit_price / anchor - ONE).quantize(Decimal("0.000001"))
    return [against(limit, code="PRICE_COLLAR", before=ZERO, after=distance, what=f"distance of {number(intent.limit_price)} from {number(anchor)}")]


def collar_kind(tier: int, price: Decimal) -> LimitKind:
    """Which of the three collars holds for a price [money a share] of a tier."""
    if price <= LOW_PRICE:
        return LimitKind.COLLAR_LOW_PRICE
    return LimitKind.COLLAR_TIER_1 if tier == 1 else LimitKind.COLLAR_TIER_2


def _collar_limit(case: Case) -> Limit | None:
    """Level by level the tighter one, so that neither is passed."""
    own = case.limits.get(LimitKind.PRICE_COLLAR)
    tiered = case.limits.get(collar_kind(case.tier, case.reference.mid)) if case.reference else None
    if own is None or tiered is None:
        return own or tiered
    hard = min(own.hard, tiered.hard)
    softs = [limit.soft for limit in (own, tiered) if limit.soft is not None]
    return Limit(kind=own.kind, hard=hard, soft=min([*softs, hard]) if softs else None)
