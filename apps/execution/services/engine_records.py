"""How a live engine's cycles are kept, and what its stops remember is read and written. All of it under the engine's fencing token."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Count, Max

from apps.core.documents import plain
from apps.core.errors import Conflict
from apps.execution.domain.cycles import CycleStep, Purpose, StepRecord, Trigger, Wanted, stop_order_id
from apps.execution.domain.decisions import engine_order_id
from apps.execution.domain.protection import Protection
from apps.execution.models import EngineCycle, EngineDecision, EngineState, EngineStep, TradingEngine

if TYPE_CHECKING:
    from apps.marketdata.models import Instrument


class Fenced(Conflict):
    """Another process runs the engine, or a person has stopped it: this one must let go."""

    code = "FENCED"


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleHead:
    """When and by what a cycle was begun, and under which token."""

    engine: TradingEngine
    token: int
    trigger: Trigger
    bar_ts: datetime | None
    market_time: datetime
    at: datetime


def state_lock(engine: TradingEngine, token: int) -> EngineState:
    """The engine's state, locked until the transaction ends. Raises Fenced when the token is no longer the engine's."""
    state = EngineState.objects.select_for_update(no_key=True).filter(engine=engine, token=token).first()
    if state is None:
        raise Fenced(f"engine {engine.pk} is no longer run under token {token}", field="engine")
    return state


def fence_check(engine_id: int, token: int) -> None:
    """Pass, and keep a take-over out until the transaction ends, while the token is the engine's. Raises Fenced."""
    if not EngineState.objects.select_for_update(no_key=True).filter(engine_id=engine_id, token=token).exists():
        raise Fenced(f"engine {engine_id} is no longer run under token {token}", field="engine")


def protection_of(state: EngineState) -> Protection:
    """What the engine's stops remember."""
    marks = {symbol: Decimal(mark) for symbol, mark in state.marks.items()}
    return Protection(marks=marks, peak=state.peak, flows=state.flows, tripped=state.tripped, reason=state.trip_reason)


def protection_store(state: EngineState, kept: Protection, *, at: datetime, bar: datetime | None) -> None:
    """Remember it, and that the engine has looked."""
    if kept.tripped and not state.tripped:
        state.tripped_at = at
    state.marks = plain(kept.marks)
    state.peak, state.flows, state.tripped, state.trip_reason = kept.peak, kept.flows, kept.tripped, kept.reason[:500]
    state.cycles, state.last_cycle_at = state.cycles + 1, at
    if bar is not None:
        state.last_bar = bar
    fields = ("marks", "peak", "flows", "tripped", "trip_reason", "tripped_at", "failure", "waiting", "cycles", "last_cycle_at", "last_bar")
    state.save(update_fields=fields)


def cycle_of_bar(engine: TradingEngine, bar: datetime) -> bool:
    """Whether the engine has acted upon a bar."""
    return EngineCycle.objects.filter(engine=engine, bar_ts=bar).exists()


def cycle_record(
    head: CycleHead, steps: Sequence[StepRecord], wanted: Sequence[Wanted], instruments: Mapping[str, "Instrument"]
) -> tuple[EngineCycle, list[EngineDecision]]:
    """Keep a cycle with the steps before its orders, and what it has decided. The caller holds the state's lock."""
    engine = head.engine
    number = (EngineCycle.objects.filter(engine=engine).aggregate(last=Max("number"))["last"] or 0) + 1
    cycle = EngineCycle.objects.create(
        engine=engine,
        number=number,
        token=head.token,
        trigger=head.trigger.value,
        bar_ts=head.bar_ts,
        market_time=head.market_time,
        recorded_at=head.at,
    )
    steps_record(cycle, steps, token=head.token, at=head.at)
    decisions = EngineDecision.objects.bulk_create(
        EngineDecision(
            cycle=cycle,
            engine=engine,
            instrument=instruments[one.symbol],
            purpose=one.purpose.value,
            side=one.side.value,
            quantity=one.quantity,
            client_order_id=_order_id(engine, one, number),
            bar_ts=one.bar_ts,
            attempt=one.attempt,
            reason=one.reason[:500],
            recorded_at=head.at,
        )
        for one in wanted
    )
    return cycle, decisions


def steps_record(cycle: EngineCycle, steps: Iterable[StepRecord], *, token: int, at: datetime) -> None:
    """Keep steps of a cycle. Raises Fenced when another process has kept them already, or runs the engine."""
    try:
        with transaction.atomic():
            EngineStep.objects.bulk_create(
                EngineStep(cycle=cycle, number=one.step, token=token, outcome=one.outcome[:500], data=plain(dict(one.data)), recorded_at=at)
                for one in steps
            )
    except IntegrityError as error:
        raise Fenced(f"cycle {cycle.number} is in other hands: {str(error).splitlines()[0]}", field="engine") from error


def cycle_unfinished(engine: TradingEngine) -> EngineCycle | None:
    """The engine's last cycle when it was cut short: between what was decided and the last step."""
    last = EngineCycle.objects.filter(engine=engine).order_by("-number").first()
    if last is None or last.steps.filter(number=CycleStep.HEALTH).exists():
        return None
    return last


def stopped_lately(engine: TradingEngine, since: datetime) -> set[str]:
    """Symbols that a stop has tried to close since a moment."""
    tried = EngineDecision.objects.filter(engine=engine, recorded_at__gt=since).exclude(purpose=Purpose.SIGNAL.value)
    return set(tried.values_list("instrument__symbol", flat=True))


def attempts(engine: TradingEngine, symbol: str, bar: datetime) -> tuple[int, datetime | None]:
    """How often the engine has decided upon what was said of a symbol after a bar, and when it last did."""
    found = EngineDecision.objects.filter(engine=engine, instrument__symbol=symbol, bar_ts=bar).aggregate(count=Count("id"), last=Max("recorded_at"))
    return found["count"], found["last"]


def answered(engine: TradingEngine, token: int, symbols: Iterable[str]) -> None:
    """What was said of these symbols waits no longer. Raises Fenced."""
    state = state_lock(engine, token)
    waiting = {symbol: action for symbol, action in state.waiting.items() if symbol not in set(symbols)}
    if waiting != state.waiting:
        state.waiting = waiting
        state.save(update_fields=["waiting"])


def decided_lately(engine: TradingEngine, at: datetime) -> list[str]:
    """Symbols of what the engine has decided within the last minute, one for each decision."""
    since = at - timedelta(minutes=1)
    return list(EngineDecision.objects.filter(engine=engine, recorded_at__gt=since).order_by("id").values_list("instrument__symbol", flat=True))


def _order_id(engine: TradingEngine, wanted: Wanted, cycle: int) -> UUID:
    if wanted.bar_ts is not None:
        return engine_order_id(
            strategy=engine.strategy, book_id=engine.book_id, symbol=wanted.symbol, bar=wanted.bar_ts.isoformat(), attempt=wanted.attempt
        )
    return stop_order_id(strategy=engine.strategy, book_id=engine.book_id, symbol=wanted.symbol, cycle=cycle)
