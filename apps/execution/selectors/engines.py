"""Questions about live engines: which there are, how they are, what they did step by step and why."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet

from apps.core.errors import NotFound
from apps.execution.domain.cycles import CycleStep
from apps.execution.models import EngineCycle, EngineDecision, EngineState, LiveApproval, Order, TradingEngine
from apps.execution.selectors.rows import RELATED as ORDER_RELATED
from apps.execution.selectors.rows import order_row
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quotes import reference_prices
from apps.portfolios.domain.valuation import value_holdings
from apps.portfolios.selectors.cash import net_deposits
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.selectors.portfolios import portfolios_visible

if TYPE_CHECKING:
    from apps.core.models import User

RELATED = ("portfolio", "book", "runs_as", "state")
#: An engine that was heard of within this time has a process that runs it.
ALIVE = timedelta(seconds=15)
STATUSES = ("running", "breaker_open", "failing", "waiting", "silent", "stopped")
NAMES = {step.value: step.label for step in CycleStep}


def engine_status(engine: TradingEngine, state: EngineState, at: datetime) -> str:
    """running; breaker_open (it runs, and opens nothing); failing (it runs, its strategy has failed at the last bar); waiting (wanted, and no
    process has it yet); silent (its process is not heard of); stopped."""
    if not state.holder:
        return "waiting" if engine.wanted else "stopped"
    if state.heartbeat_at is None or at - state.heartbeat_at > ALIVE:
        return "silent"
    if state.tripped:
        return "breaker_open"
    return "failing" if state.failure else "running"


def engines_visible(user: "User") -> QuerySet[TradingEngine]:
    """Engines of the portfolios that the user sees."""
    return TradingEngine.objects.filter(portfolio__in=portfolios_visible(user).order_by()).select_related(*RELATED).order_by("id")


def engine_get(*, user: "User", engine_id: int) -> TradingEngine:
    """One engine. Raises NotFound, also for those of portfolios which the user does not see."""
    found = engines_visible(user).filter(pk=engine_id).first()
    if found is None:
        raise NotFound(f"there is no engine {engine_id}", field="engine")
    return found


def engine_row(engine: TradingEngine, at: datetime) -> dict[str, Any]:
    """One engine as screens and REST show it."""
    state = engine.state
    return {
        "id": engine.pk,
        "strategy": engine.strategy,
        "portfolio_id": engine.portfolio_id,
        "portfolio": engine.portfolio.name,
        "book": engine.book.name,
        "symbols": engine.symbols,
        "parameters": engine.parameters,
        "configuration": engine.configuration,
        "config_digest": engine.config_digest,
        "mode": engine.mode,
        "wanted": engine.wanted,
        "status": engine_status(engine, state, at),
        "runs_as": engine.runs_as.get_username(),
        "holder": state.holder,
        "token": state.token,
        "heartbeat_at": state.heartbeat_at,
        "cycles": state.cycles,
        "last_cycle_at": state.last_cycle_at,
        "last_bar": state.last_bar,
        "circuit_breaker": {"active": state.tripped, "reason": state.trip_reason, "since": state.tripped_at},
        "failure": state.failure,
        "peak": state.peak,
        "marks": state.marks,
        "health": state.health,
    }


def engine_rows(engines: Iterable[TradingEngine], at: datetime) -> list[dict[str, Any]]:
    """Several engines."""
    return [engine_row(engine, at) for engine in engines]


def engine_cycles(engine: TradingEngine) -> QuerySet[EngineCycle]:
    """The cycles that did something, newest first."""
    return EngineCycle.objects.filter(engine=engine).prefetch_related("steps", "decisions__instrument").order_by("-number")


def cycle_get(engine: TradingEngine, number: int) -> EngineCycle:
    """One cycle. Raises NotFound."""
    found = engine_cycles(engine).filter(number=number).first()
    if found is None:
        raise NotFound(f"engine {engine.pk} has no cycle {number}", field="number")
    return found


def cycle_row(cycle: EngineCycle) -> dict[str, Any]:
    """A cycle with its steps and what it decided."""
    steps = sorted(cycle.steps.all(), key=lambda step: step.number)
    decisions = sorted(cycle.decisions.all(), key=lambda one: one.pk)
    return {
        "number": cycle.number,
        "trigger": cycle.trigger,
        "bar": cycle.bar_ts,
        "market_time": cycle.market_time,
        "recorded_at": cycle.recorded_at,
        "token": cycle.token,
        "finished": any(step.number == CycleStep.HEALTH for step in steps),
        "steps": [
            {
                "number": step.number,
                "name": NAMES[step.number],
                "outcome": step.outcome,
                "data": step.data,
                "token": step.token,
                "recorded_at": step.recorded_at,
            }
            for step in steps
        ],
        "decisions": [
            {
                "symbol": one.instrument.symbol,
                "purpose": one.purpose,
                "side": one.side,
                "quantity": one.quantity,
                "client_order_id": one.client_order_id,
                "reason": one.reason,
            }
            for one in decisions
        ],
    }


def engine_events(engine: TradingEngine, most: int = 50) -> list[dict[str, Any]]:
    """What people and hosts did with it, newest first."""
    return [
        {
            "kind": event.kind,
            "reason": event.reason,
            "user": event.user.get_username() if event.user else "",
            "token": event.token,
            "data": event.data,
            "recorded_at": event.recorded_at,
        }
        for event in engine.events.select_related("user").order_by("-id")[:most]
    ]


def engine_orders(engine: TradingEngine, most: int | None = 50) -> list[dict[str, Any]]:
    """Its orders, newest first, each with the cycle that explains it."""
    orders = Order.objects.filter(portfolio_id=engine.portfolio_id, book_id=engine.book_id, strategy=engine.strategy)
    found = list(orders.select_related(*ORDER_RELATED).order_by("-id")[:most])
    ids = [order.client_order_id for order in found]
    rows = EngineDecision.objects.filter(client_order_id__in=ids).values_list("client_order_id", "cycle__number", "purpose", "reason")
    why = {key: (number, purpose, reason) for key, number, purpose, reason in rows}
    empty = (None, "", "")
    return [
        {**order_row(order), "cycle": cycle, "purpose": purpose, "because": reason}
        for order in found
        for cycle, purpose, reason in [why.get(order.client_order_id, empty)]
    ]


def approval_open(engine: TradingEngine) -> LiveApproval | None:
    """The request or approval of live trading that holds or waits."""
    return LiveApproval.objects.select_related("requested_by", "approved_by").filter(engine=engine, revoked_at__isnull=True).first()


def portfolio_equity(portfolio_id: int, at: datetime) -> tuple[Decimal | None, Decimal]:
    """The portfolio's value now (None when a price is missing), and the net deposits that are in it."""
    held = holdings(portfolio_id)
    prices = reference_prices(held.symbols, market_time=market_clock(at).market_time)
    return value_holdings(holdings=held, prices=prices).total, net_deposits(portfolio_id)
