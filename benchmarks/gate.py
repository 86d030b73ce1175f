"""The gate by itself on a large portfolio, and four processes that trade in the same small one."""

import os
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np

from benchmarks.race import Race, faults, run_race
from benchmarks.report import Row

POSITIONS = 1_000
WORKING = 100
WARM_UP, CHECKS = 50, 500
PROCESSES, SECONDS = 4, float(os.environ.get("BENCH_RACE_SECONDS", "60"))
MOST_SHARES = Decimal(300)
SEED = 20261126


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A portfolio with its trader."""

    portfolio_id: int
    user_id: int


def portfolio_make(
    name: str,
    symbols: list[str],
    *,
    shares: int = 100,
    capital: int = 1_000_000_000,
    most_shares: Decimal = Decimal(10**9),
    most_value: Decimal = Decimal(10**9),
    password: str = "",
) -> Bench:
    """A portfolio that holds `shares` of each symbol at 100, with limits, a paper account and a trader of its name."""
    from django.contrib.auth.models import Group

    from apps.core.models import User
    from apps.execution.services.accounts import paper_account_create
    from apps.marketdata.models import Instrument
    from apps.portfolios.models import EntryKind
    from apps.portfolios.services.ledger import entry_post
    from apps.portfolios.services.portfolios import portfolio_create
    from apps.risk.services.limits import limit_set

    at = datetime.now(UTC)
    trader = User.objects.create_user(name, password=password or None)
    trader.groups.add(Group.objects.get(name="trader"))
    officer, _ = User.objects.get_or_create(username="bench-risk")
    second, _ = User.objects.get_or_create(username="bench-risk-2")
    for person in (officer, second):
        person.groups.add(Group.objects.get(name="risk"))
    portfolio = portfolio_create(name=name, owner=trader, initial_capital=Decimal(capital), effective_at=at, recorded_at=at)
    paper_account_create(portfolio_id=portfolio.pk)
    wide = Decimal(10**9)
    limits = {"position_size": most_shares, "price_collar": Decimal("0.5"), "duplicate_window": Decimal("0.001")}
    limits["position_value"] = most_value
    limits |= dict.fromkeys(("total_exposure", "net_exposure", "order_rate", "symbol_order_rate"), wide)
    for kind, hard in limits.items():
        limit_set(portfolio_id=portfolio.pk, kind=kind, hard=hard, reason="bench", user=officer, approver=second, active_from=at)
    book = portfolio.books.get()
    Instrument.objects.bulk_create([Instrument(symbol=symbol, name=symbol, asset_class="stock") for symbol in symbols], ignore_conflicts=True)
    for instrument in Instrument.objects.filter(symbol__in=symbols) if shares else ():
        entry_post(
            portfolio_id=portfolio.pk, book_id=book.pk, kind=EntryKind.TRADE, instrument_id=instrument.pk, quantity=Decimal(shares),
            price=Decimal(100), source="bench", source_ref=f"{name}-{instrument.symbol}", effective_at=at, recorded_at=at,
        )  # fmt: skip
    return Bench(portfolio_id=portfolio.pk, user_id=trader.pk)


def prices_publish(symbols: list[str]) -> None:
    """Fresh prices of 100."""
    from apps.marketdata.models import Instrument
    from apps.marketdata.selectors.quotes import Quote
    from apps.marketdata.services.quotes import quotes_publish

    now = datetime.now(UTC)
    found = Instrument.objects.filter(symbol__in=symbols)
    quotes = [Quote(symbol=i.symbol, instrument_id=i.pk, price=Decimal(100), market_time=now, received_at=now, feed="bench") for i in found]
    quotes_publish(quotes=quotes, feed="bench")


def gate_times() -> np.ndarray:
    """Milliseconds of each check of an order against 1,000 positions and 100 working orders."""
    from apps.core import clock
    from apps.core.models import User
    from apps.execution.services.gate import gate_check
    from apps.execution.services.intents import intent_build
    from apps.execution.services.orders import order_submit

    symbols = [f"GATE{n:04d}" for n in range(POSITIONS)]
    bench = portfolio_make("Bench gate", symbols)
    user = User.objects.get(pk=bench.user_id)
    prices_publish(symbols)

    def intent(n: int, **fields: str):
        return intent_build(user=user, portfolio_id=bench.portfolio_id, symbol=symbols[n % POSITIONS], side="buy", quantity=str(1 + n % 7), **fields)

    for n in range(WORKING):
        order = order_submit(intent=intent(n, order_type="limit", limit_price="95", time_in_force="gtc"), user=user, at=clock.now())
        if order.status != "new":
            raise RuntimeError(f"the order is {order.status}: {order.reason}")
    prices_publish(symbols)
    intents = [intent(n) for n in range(WARM_UP + CHECKS)]
    times = np.empty(len(intents))
    for n, one in enumerate(intents):
        started = time.perf_counter()
        gate = gate_check(intent=one, user_id=user.pk, at=clock.now())
        times[n] = (time.perf_counter() - started) * 1000
        if not gate.allowed:
            raise RuntimeError(f"the gate denies: {gate.codes}")
    return times[WARM_UP:]


def race_row() -> Row:
    """Four processes that buy and sell ten symbols of one portfolio, short of cash and of shares."""
    symbols = [f"RACE{n}" for n in range(10)]
    bench = portfolio_make("Bench race", symbols, shares=0, capital=200_000, most_shares=MOST_SHARES)
    race = Race(portfolio_id=bench.portfolio_id, user_id=bench.user_id, symbols=tuple(symbols), orders=1_000_000, seconds=SECONDS)
    prices_publish(symbols)
    stop, publisher = _publishing(symbols)
    try:
        outcomes = run_race(race, processes=PROCESSES, seed=SEED)
    finally:
        stop.set()
        publisher.join()
    wrong = faults(race, outcomes, most_shares=MOST_SHARES)
    sent = sum(sum(outcome.statuses.values()) for outcome in outcomes)
    filled = sum(outcome.statuses["filled"] for outcome in outcomes)
    return Row(
        work=f"{PROCESSES} processes trade in one portfolio for {SECONDS:.0f} s (seed {SEED})",
        ours=f"{sent / SECONDS:.0f} orders/s, {filled} of {sent} filled",
        peer="no deadlock, no oversell, no limit passed",
        ratio=f"{len(wrong)} faults{': ' + '; '.join(wrong[:3]) if wrong else ''}",
        required="0 faults",
        met=not wrong and filled > 0,
    )


def _publishing(symbols: list[str]) -> tuple[threading.Event, threading.Thread]:
    """A thread that keeps the prices fresh."""
    stop = threading.Event()

    def publish() -> None:
        from django.db import connection

        while not stop.wait(5):
            prices_publish(symbols)
        connection.close()

    thread = threading.Thread(target=publish)
    thread.start()
    return stop, thread


def rows() -> list[Row]:
    times = gate_times()
    result = [
        Row(
            work=f"gate of one order, {POSITIONS:,} positions, {WORKING} working orders: {name}",
            ours=f"{np.percentile(times, percentile):.2f} ms",
            peer=f"bound {limit} ms",
            ratio=f"{np.percentile(times, percentile) / limit:.2f} x the bound",
            required=f"< {limit} ms",
            met=bool(np.percentile(times, percentile) < limit),
        )
        for name, percentile, limit in (("median", 50, 5), ("p99", 99, 20))
    ]
    return [*result, race_row()]
