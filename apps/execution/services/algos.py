"""Parent orders: made and judged for their whole quantity, cancelled with their children."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import transaction

from apps.core.errors import Conflict, InvalidInput
from apps.core.trading import OrderIntent, OrderType, check_as_dict
from apps.execution.brokers.paper import PAPER
from apps.execution.domain.algo_terms import parameters_check, share_check
from apps.execution.domain.algos import Algo, AlgoStatus
from apps.execution.models import AlgoDecision, AlgoOrder
from apps.execution.selectors.algos import RELATED, algo_get
from apps.execution.services.accounts import account_of
from apps.execution.services.algo_children import algo_event, algo_lock, algo_move, children_withdraw
from apps.execution.services.algo_plans import plan_make
from apps.execution.services.gate import Gate, gate_check
from apps.execution.services.intents import intent_build, portfolio_check
from apps.execution.services.routing import broker_build
from apps.marketdata.domain import calendars
from apps.marketdata.selectors.instruments import instrument_get
from apps.marketdata.selectors.market import market_clock
from apps.portfolios.services.portfolios import portfolio_lock

if TYPE_CHECKING:
    from apps.core.models import User
    from apps.marketdata.models import Instrument


def algo_submit(
    *,
    user: "User",
    algo: str,
    at: datetime,
    parameters: dict[str, Any] | None = None,
    participation_cap: Decimal | str | None = None,
    start_at: datetime | None = None,
    end_at: datetime | None = None,
    note: str = "",
    **fields: Any,
) -> AlgoOrder:
    """Judge and store a parent; the engine works it from its start on. `fields` are those of `intent_build`, with a limit price or none.

    Times are market times inside one session; without them it works from now (or the next open) to the close. A refusal is no error:
    the parent comes back DENIED with its decisions stored. The same client order id again returns the first one. Raises as
    `intent_build` does, InvalidInput for parameters, InsufficientData for a schedule that nothing says, and Conflict.
    """
    kind = _algo(algo)
    limit_price = fields.get("limit_price")
    order_type = OrderType.MARKET if limit_price is None else OrderType.LIMIT
    intent = intent_build(user=user, **{**fields, "order_type": order_type})
    instrument = instrument_get(intent.symbol)
    checked = parameters_check(kind, parameters or {}, quantity=intent.quantity, lot=instrument.lot_size, limit_price=intent.limit_price)
    if kind is Algo.SMART and participation_cap is not None:
        raise InvalidInput("a smart order takes what is displayed at once: it has no participation cap", field="participation_cap")
    cap = None if participation_cap is None else Decimal(share_check(participation_cap, "participation_cap"))
    now = market_clock(at).market_time
    with transaction.atomic():
        portfolio_lock(intent.portfolio_id)
        account = account_of(intent.portfolio_id)
        broker_build(account)
        if kind is Algo.SMART and account.broker != PAPER:
            raise InvalidInput(f"account {account.number} is not on paper: the venues are simulated, its broker routes by itself", field="algo")
        if (earlier := _earlier(intent, kind)) is not None:
            return earlier
        start, end, latest = _times(instrument, now, start_at, end_at)
        plan = plan_make(intent=intent, instrument=instrument, algo=kind, parameters=checked, start=start, end=end)
        gate = gate_check(intent=intent, user_id=user.pk, at=at, account=account)
        parent = AlgoOrder.objects.create(
            **{name: getattr(intent, name) for name in ("client_order_id", "portfolio_id", "book_id", "instrument_id", "quantity")},
            side=intent.side.value,
            limit_price=intent.limit_price,
            strategy=intent.strategy,
            algo=kind.value,
            parameters=checked,
            plan=plan,
            participation_cap=cap,
            start_at=start,
            end_at=end,
            latest_end_at=latest,
            paused_for=timedelta(0),
            intent_digest=intent.digest,
            reference_price=gate.reference_price,
            note=note,
            created_by=user,
            market_time=now,
            created_at=at,
            updated_at=at,
        )
        _decide(parent, gate, at, now)
    return algo_get(user=user, algo_id=parent.pk)


def algo_cancel(*, algo_id: int, user: "User", at: datetime, reason: str = "") -> AlgoOrder:
    """End a parent and cancel its children; what they have traded stays. Raises NotFound, NotPermitted and Conflict (it has ended)."""
    parent = algo_get(user=user, algo_id=algo_id)
    portfolio_check(user=user, portfolio_id=parent.portfolio_id)
    algo_withdraw(portfolio_id=parent.portfolio_id, algo_id=algo_id, reason=reason or f"cancelled by {user.get_username()}", at=at)
    return algo_get(user=user, algo_id=algo_id)


def algo_withdraw(*, portfolio_id: int, algo_id: int, reason: str, at: datetime) -> None:
    """End a parent of the desk's own accord, and cancel its children. Raises Conflict when it has ended."""
    with transaction.atomic():
        locked = algo_lock(portfolio_id=portfolio_id, algo_id=algo_id)
        if AlgoStatus(locked.status).is_terminal:
            raise Conflict(f"parent {algo_id} is {locked.status} already", field="algo_id", status=str(locked.status))
        algo_move(locked, AlgoStatus.CANCELLED, reason=reason, market_time=market_clock(at).market_time, at=at)
    children_withdraw(locked, reason=f"its parent was cancelled: {reason}", at=at)


def _algo(value: str) -> Algo:
    try:
        return Algo(value)
    except ValueError as error:
        raise InvalidInput(f"{value!r} is not one of {', '.join(Algo)}", field="algo") from error


def _earlier(intent: OrderIntent, kind: Algo) -> AlgoOrder | None:
    found = AlgoOrder.objects.select_related(*RELATED).filter(portfolio_id=intent.portfolio_id, client_order_id=intent.client_order_id).first()
    if found is not None and (found.intent_digest != intent.digest or found.algo != kind):
        raise Conflict(f"client order id {intent.client_order_id} belongs to another parent, {found.pk}", field="client_order_id", algo_id=found.pk)
    return found


def _times(instrument: "Instrument", now: datetime, start_at: datetime | None, end_at: datetime | None) -> tuple[datetime, datetime, datetime]:
    """Start, end and the session's close. A parent is of one session: the one that runs at its start, else the next one."""
    for name, moment in (("start_at", start_at), ("end_at", end_at)):
        if moment is not None and moment.tzinfo is None:
            raise InvalidInput("the time has no time zone", field=name)
    begin = max(now, start_at or now)
    day = calendars.session_at(instrument.calendar, begin)
    if begin >= calendars.session_hours(instrument.calendar, day)[1]:
        day = calendars.next_session(instrument.calendar, day)
    opens, closes = calendars.session_hours(instrument.calendar, day)
    start, end = max(begin, opens), end_at or closes
    if not start < end <= closes:
        text = f"the end must lie after the start ({start:%Y-%m-%d %H:%M} UTC) and not after its session's close ({closes:%Y-%m-%d %H:%M} UTC)"
        raise InvalidInput(text, field="end_at")
    return start, end, closes


def _decide(parent: AlgoOrder, gate: Gate, at: datetime, now: datetime) -> None:
    """Keep what both authorities said of the whole, and let it work or not."""
    AlgoDecision.objects.bulk_create(
        AlgoDecision(
            algo=parent,
            authority=verdict.authority,
            intent_digest=parent.intent_digest,
            allowed=verdict.allowed,
            checks=[check_as_dict(check) for check in verdict.checks],
            decided_at=at,
        )
        for verdict in gate.verdicts
    )
    algo_event(parent, "made", market_time=now, at=at, basis=parent.plan["basis"])
    status = AlgoStatus.WORKING if gate.allowed else AlgoStatus.DENIED
    algo_move(parent, status, reason=", ".join(gate.codes), market_time=now, at=at)
