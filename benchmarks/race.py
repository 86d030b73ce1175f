"""Several processes that trade in the same portfolio: what each sends, and what must hold when they have ended."""

import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

#: How long a race may last beyond its own time before it counts as a deadlock [seconds].
PATIENCE = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """Who trades what: each process sends orders until `orders` are sent or `seconds` are over."""

    portfolio_id: int
    user_id: int
    symbols: tuple[str, ...]
    orders: int
    seconds: float = 60.0


@dataclass(slots=True)
class Outcome:
    """What one process saw: orders by status, blocking codes, and errors that should not have come."""

    statuses: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0


def run_race(race: Race, *, processes: int, seed: int) -> list[Outcome]:
    """Let the processes trade and wait for them. Raises TimeoutError when one does not come back: that is a deadlock."""
    from django.db import connections

    for line in connections.all():  # a child must not speak over its parent's line
        line.close()
        line.close_pool()
    context = multiprocessing.get_context("fork")
    with context.Pool(processes) as pool:
        waiting = [pool.apply_async(trade, (race, seed + n)) for n in range(processes)]
        try:
            return [result.get(race.seconds + PATIENCE) for result in waiting]
        except multiprocessing.TimeoutError as error:
            raise TimeoutError("a process did not come back: a deadlock") from error


def trade(race: Race, seed: int) -> Outcome:
    """Send seeded buys and sales of the symbols, more of both than cash, limits and holdings allow."""
    from django.db import connections

    from apps.core.models import User

    chance, outcome, user = random.Random(seed), Outcome(), User.objects.get(pk=race.user_id)
    started = time.monotonic()
    try:
        for _ in range(race.orders):
            if time.monotonic() - started > race.seconds:
                break
            _order(race, user, chance, outcome)
    finally:
        outcome.seconds = time.monotonic() - started
        connections.close_all()
    return outcome


def _order(race: Race, user: Any, chance: random.Random, outcome: Outcome) -> None:
    from apps.core import clock
    from apps.execution.services.intents import intent_build
    from apps.execution.services.orders import order_submit

    try:
        intent = intent_build(
            user=user, portfolio_id=race.portfolio_id, symbol=chance.choice(race.symbols), side=chance.choice(("buy", "sell")),
            quantity=str(chance.randint(1, 60)),
        )  # fmt: skip
        order = order_submit(intent=intent, user=user, at=clock.now())
    except Exception as error:  # noqa: BLE001 - whatever it is, the race has lost
        outcome.errors.append(f"{type(error).__name__}: {error}")
    else:
        outcome.statuses[str(order.status)] += 1
        outcome.codes.update(order.reason.split(", ") if order.reason else [])


def faults(race: Race, outcomes: Sequence[Outcome], *, most_shares: Decimal) -> list[str]:
    """What is wrong after the race: errors, shares sold that were not there, cash spent that was not, a limit that was passed."""
    from apps.execution.models import Order
    from apps.portfolios.selectors.holdings import holdings

    found = [error for outcome in outcomes for error in outcome.errors]
    held = holdings(race.portfolio_id)
    found += [f"{p.symbol}: {p.quantity} shares" for p in held.positions if not 0 <= p.quantity <= most_shares]
    if held.cash < 0:
        found.append(f"cash: {held.cash}")
    traded: Counter[str] = Counter()
    orders = Order.objects.filter(portfolio_id=race.portfolio_id)
    for symbol, side, quantity in orders.values_list("instrument__symbol", "side", "cumulative_quantity"):
        traded[symbol] += quantity if side == "buy" else -quantity
    booked = {p.symbol: p.quantity for p in held.positions}
    for symbol in race.symbols:
        if traded[symbol] != booked.get(symbol, 0):
            found.append(f"{symbol}: {traded[symbol]} traded, {booked.get(symbol, 0)} booked")
    return found
