"""Risk's part of the gate. It reads what it needs afresh for each order, and whatever goes wrong here denies."""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from django.conf import settings

from apps.core.kept import Remembered
from apps.core.money import ZERO
from apps.core.postgres.rows import looking
from apps.core.trading import Check, Outcome, PreTradeSnapshot, ReferencePrice, Verdict, WorkingOrder
from apps.marketdata.selectors.instruments import sectors_of
from apps.marketdata.selectors.quotes import last_prices, reference_prices
from apps.portfolios.domain.holdings import pair
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.selectors.quantities import quantities_of
from apps.risk.domain.case import Case, Settings, quantities_working
from apps.risk.domain.exposure import HeldValue, WorkingValue, held_value, working_quantities, working_value
from apps.risk.domain.limits import LimitKind
from apps.risk.domain.pretrade import order_checks
from apps.risk.domain.pretrade_risk import RiskImpact
from apps.risk.domain.tail_limits import TAIL_KINDS
from apps.risk.selectors.gate import at_gate
from apps.risk.services.pretrade_risk import order_risk

logger = logging.getLogger(__name__)

AUTHORITY = "risk"
ONE = Decimal(1)


def order_check(*, snapshot: PreTradeSnapshot, savepoint: bool = True) -> Verdict:
    """The verdict of `order_judged` alone."""
    return order_judged(snapshot=snapshot, savepoint=savepoint).verdict


def order_judged(*, snapshot: PreTradeSnapshot, savepoint: bool = True) -> "Judged":
    """Every check of risk for the order, with its numbers. Nothing raised inside becomes a pass: it becomes CHECK_FAILED, which blocks.

    Reads what stands at the gate (state, limits, the monitor's heartbeat) and quantities by one query each, sectors where a limit needs them,
    returns and scenarios where one does and the process has not read them, and prices (one call to Redis). The caller holds the portfolio's
    lock, so that two orders cannot both use the same room.
    """
    try:
        # A savepoint, unless the caller holds one: when a query fails, its transaction still lives, and the denied order can be stored.
        with looking(savepoint=savepoint):
            valued = _valued(snapshot)
            case = _case(snapshot, valued)
        return Judged(verdict=Verdict(authority=AUTHORITY, checks=order_checks(case)), valued=valued, impact=case.impact)
    except Exception as error:
        logger.exception("the risk check of order %s failed: it is denied", snapshot.intent.client_order_id)
        text = f"Risk could not be checked ({type(error).__name__}): the order is denied"
        return Judged(verdict=Verdict(authority=AUTHORITY, checks=(Check(code="CHECK_FAILED", outcome=Outcome.BLOCK, message=text),)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Valued:
    """What the portfolio holds and what it is worth, in its own currency, as `Case` wants it.

    `symbols` are those of everything held, working or ordered; `pairs` names the currency pair of the foreign ones, `owed` is cash in other
    currencies [money] under its pair; `value` is that of what is held, `beside` that of the working orders; None where they are not known beforehand.
    """

    cash: Decimal
    symbols: Mapping[int, str]
    held: Mapping[int, Decimal]
    book_held: Decimal
    of_book: Mapping[int, Decimal]
    prices: Mapping[int, Decimal]
    unpriced: Collection[str]
    pair: str = ""
    fx: ReferencePrice | None = None
    rates: Mapping[int, Decimal] = field(default_factory=dict)
    pairs: Mapping[str, str] = field(default_factory=dict)
    owed: Mapping[str, float] = field(default_factory=dict)
    value: HeldValue | None = None
    beside: WorkingValue | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The verdict and what it was made of: `valued` is None where that could not be read, `impact` where no limit needed it."""

    verdict: Verdict
    valued: _Valued | None = None
    impact: RiskImpact | None = None


def order_impact(*, snapshot: PreTradeSnapshot, judged: Judged | None = None) -> RiskImpact | None:
    """What the order does to the risk of its portfolio, whether it is limited or not; None where its own instrument has no price.

    For people who look before they order: the gate itself computes it where a limit needs it. What it read of the same snapshot (`judged`) is
    not read again. Raises what reading raises.
    """
    if judged is not None and judged.impact is not None:
        return judged.impact
    with looking(savepoint=True):
        valued = judged.valued if judged is not None and judged.valued is not None else _valued(snapshot)
        return _impact(snapshot, valued) if snapshot.intent.instrument_id in valued.prices else None


def _impact(snapshot: PreTradeSnapshot, valued: _Valued) -> RiskImpact:
    return order_risk(
        snapshot=snapshot,
        held=valued.held,
        cash=valued.cash,
        prices=valued.prices,
        symbols=valued.symbols,
        unpriced=sorted(valued.unpriced),
        pairs=valued.pairs,
        owed=valued.owed,
    )


def _case(snapshot: PreTradeSnapshot, valued: _Valued) -> Case:
    intent = snapshot.intent
    gate = at_gate(intent, snapshot.as_of)
    met = gate.met
    case = Case(
        intent=intent,
        working_orders=snapshot.working_orders,
        reference=snapshot.reference,
        orders_last_minute=snapshot.orders_last_minute,
        symbol_orders_last_minute=snapshot.symbol_orders_last_minute,
        as_of=snapshot.as_of,
        state=gate.state,
        state_reason=gate.reason,
        limits=met.limits,
        book_limits=met.book,
        broken=met.broken,
        book_quantities=valued.of_book,
        sectors=_sectors(snapshot, valued) if LimitKind.SECTOR_SHARE in met.limits else {},
        cash=valued.cash,
        held=valued.held,
        book_held=valued.book_held,
        prices=valued.prices,
        value=valued.value,
        beside=valued.beside,
        unpriced=tuple(sorted(valued.unpriced)),
        quarantines=snapshot.market.quarantines if snapshot.market else (),
        tier=snapshot.market.tier if snapshot.market else 2,
        average_volume=snapshot.market.average_volume if snapshot.market else None,
        strategy_orders_last_minute=snapshot.strategy_orders_last_minute,
        desk_messages_last_minute=snapshot.desk_messages_last_minute,
        desk_rate=met.desk_rate,
        identical_age=snapshot.identical_age,
        located=snapshot.located,
        pair=valued.pair,
        fx=valued.fx,
        rates=valued.rates,
        account_hold=snapshot.account_hold,
        monitored=gate.monitored,
        risk_computed_at=gate.risk_computed_at,
        settings=Settings(monitor_required=settings.RISK_MONITOR_REQUIRED),
    )
    limited = any(kind in met.limits for kind in TAIL_KINDS)
    return replace(case, impact=_impact(snapshot, valued)) if limited and not case.reduces and intent.instrument_id in valued.prices else case


def _sectors(snapshot: PreTradeSnapshot, valued: _Valued) -> Mapping[int, str]:
    """Sectors by instrument id, asked only where a limit needs them."""
    return sectors_of({snapshot.intent.instrument_id, *valued.held, *(order.instrument_id for order in snapshot.working_orders)})


def _valued(snapshot: PreTradeSnapshot) -> _Valued:
    """With one currency, which is the rule, one row and one look at Redis do for any number of positions."""
    intent = snapshot.intent
    found = quantities_of(intent.portfolio_id, book_id=intent.book_id, instrument_id=intent.instrument_id)
    abroad = any(order.currency not in ("", found.currency) for order in snapshot.working_orders)
    if found.foreign or abroad or (snapshot.market is not None and snapshot.market.currency != found.currency):
        return _valued_abroad(snapshot)
    named = _named(found.symbols, snapshot.working_orders)
    last = last_prices(named.values(), market_time=_market_time(snapshot)) if named else {}
    priced = _priced(found.held, named, last, snapshot.working_orders)
    named, prices = dict(named), dict(priced.prices)
    own = prices.pop(intent.instrument_id, None)
    named[intent.instrument_id] = intent.symbol
    unpriced = () if len(prices) == len(named) - 1 else {symbol for symbol in named.values() if symbol not in last} - {intent.symbol}
    value = beside = None
    if snapshot.reference is not None:
        prices[intent.instrument_id] = to = snapshot.reference.price
        quantity = found.held.get(intent.instrument_id, ZERO)
        if not unpriced:
            value = priced.value.moved(quantity, price=own, to=to)
            beside = priced.beside.moved(intent.instrument_id, quantity, quantities_working(snapshot.working_orders), price=own, to=to)
    return _Valued(
        value=value,
        beside=beside,
        cash=found.cash,
        symbols=named,
        held=found.held,
        book_held=found.book_held,
        of_book=found.of_book,
        prices=prices,
        unpriced=unpriced,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Priced:
    """What is held and ordered at some prices, which other orders of the same moment need too. What has no price is not in it."""

    prices: Mapping[int, Decimal]
    value: HeldValue
    beside: WorkingValue


def _price(held: Mapping[int, Decimal], named: Mapping[int, str], last: Mapping[str, Decimal], working: tuple[WorkingOrder, ...]) -> _Priced:
    prices = {key: last[symbol] for key, symbol in named.items() if symbol in last}
    if len(prices) == len(named):
        may = quantities_working(working)
    else:
        held = {key: quantity for key, quantity in held.items() if key in prices}
        may = working_quantities(order for order in working if order.instrument_id in prices)
    return _Priced(prices=prices, value=held_value(held, prices), beside=working_value(held, may, prices))


#: Symbols by instrument id of what is held (its symbols) and of working orders; what both are worth at some prices.
_named: Final = Remembered(lambda symbols, working: {**symbols, **{order.instrument_id: order.symbol for order in working}})
_priced: Final = Remembered(_price, most=16)


def _valued_abroad(snapshot: PreTradeSnapshot) -> _Valued:
    """The same with rates: something held, owed, working or ordered is in another currency."""
    intent, held = snapshot.intent, holdings(snapshot.intent.portfolio_id)
    named = {p.instrument_id: p.symbol for p in held.positions if p.quantity}
    named |= {w.instrument_id: w.symbol for w in snapshot.working_orders}
    symbols = {key: symbol for key, symbol in named.items() if key != intent.instrument_id}
    foreign = {w.instrument_id: pair(w.currency, held.currency) for w in snapshot.working_orders if w.currency not in ("", held.currency)}
    own, fx = _own_rate(snapshot, held.currency)
    wanted = [*symbols.values(), *held.pairs, *foreign.values()]
    raw = last_prices(wanted, market_time=_market_time(snapshot)) if wanted else {}
    found = held.in_base(raw, {w.symbol: w.currency for w in snapshot.working_orders if w.instrument_id in foreign})
    prices = {key: found[symbol] for key, symbol in symbols.items() if symbol in found}
    if snapshot.reference is not None and (fx is not None or not own):
        prices[intent.instrument_id] = snapshot.reference.price * (ONE if fx is None else fx.price)
    owed = {pair(currency, held.currency): amount for currency, amount in held.foreign_cash}
    quantities: dict[int, Decimal] = defaultdict(Decimal)
    for position in held.positions:
        quantities[position.instrument_id] += position.quantity
    of_book = {p.instrument_id: p.quantity for p in held.positions if p.book_id == intent.book_id and p.quantity}
    return _Valued(
        cash=held.cash + sum((amount * raw[name] for name, amount in owed.items() if name in raw), ZERO),
        symbols=named | {intent.instrument_id: intent.symbol},
        held=dict(quantities),
        book_held=of_book.get(intent.instrument_id, ZERO),
        of_book=of_book,
        prices=prices,
        unpriced={symbol for symbol in symbols.values() if symbol not in found} | {name for name in owed if name not in raw},
        pair=own,
        fx=fx,
        rates={key: raw[name] for key, name in foreign.items() if name in raw} | ({} if fx is None else {intent.instrument_id: fx.price}),
        pairs={p.symbol: pair(p.currency, held.currency) for p in held.positions if p.currency}
        | {named[key]: name for key, name in foreign.items()}
        | ({intent.symbol: own} if own else {}),
        owed={name: float(amount * raw[name]) for name, amount in owed.items() if name in raw},
    )


def _market_time(snapshot: PreTradeSnapshot) -> datetime | None:
    return snapshot.reference.market_time if snapshot.reference else None


def _own_rate(snapshot: PreTradeSnapshot, base: str) -> tuple[str, ReferencePrice | None]:
    """Currency pair of the order's instrument and its price; "" and None for one in the portfolio's currency, which asks nobody."""
    if snapshot.market is None or snapshot.market.currency == base:
        return "", None
    name = pair(snapshot.market.currency, base)
    found = reference_prices([name]).get(name)
    return name, found if found is not None and found.price.is_finite() and found.price > 0 else None
