"""Reconciliation: the desk's book of an account against its broker's, at start, on a new line, after fills, on schedule, when asked.

Executions that the desk has missed are booked like any other report. What the books still differ in afterwards is a break: it stays open
until a later run does not find it, or until a person says why it may stand. Orders and executions at the broker that the desk never sent
are never adopted: they are quarantined, and while one is open the gate lets nothing new be opened in the account's portfolio.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from django.db import connection, transaction

from apps.alerts.services import alert_raise
from apps.core.errors import Conflict, DeskError, InvalidInput, NotFound, NotPermitted
from apps.core.postgres.snapshot import snapshot
from apps.execution.brokers.ib import IB
from apps.execution.brokers.paper import PAPER
from apps.execution.brokers.protocol import BrokerFill, BrokerStatement, BrokerTimeout, BrokerUnreachable, ExecutionReport, KeepsBooks
from apps.execution.domain.reconciliation import Break, BreakSubject, books_compare
from apps.execution.domain.states import OrderEventKind
from apps.execution.models import (
    BreakResolution,
    BrokerageAccount,
    Order,
    ReconciliationBreak,
    ReconciliationRun,
    ReconciliationState,
    ReconciliationTrigger,
)
from apps.execution.selectors.reconciliation import breaks_open, last_run
from apps.execution.services.account_books import broker_book, desk_book, execution_key, orders_of, references_known
from apps.execution.services.report_filter import reports_fresh
from apps.execution.services.reports import order_lock, reports_book
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.portfolios.domain.settlement import local_date
from apps.portfolios.selectors.portfolios import portfolio_members, portfolios_visible
from apps.portfolios.services.portfolios import portfolio_lock

if TYPE_CHECKING:
    from apps.core.models import User

logger = logging.getLogger(__name__)

#: How far back executions are compared. A gateway of Interactive Brokers tells those of its own day only.
WINDOW = timedelta(days=7)
LOOKS_AGAIN = 2
GATEWAY_ZONE = ZoneInfo("America/New_York")
NOT_FOUND_ANY_MORE = "a later run did not find it any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """Both books at one moment, and in what they differ."""

    statement: BrokerStatement
    known: frozenset[str]
    breaks: tuple[Break, ...]


def account_reconcile(
    *, account: BrokerageAccount, broker: KeepsBooks, trigger: ReconciliationTrigger, at: datetime, settle: Callable[[], bool] | None = None
) -> ReconciliationRun | None:
    """Compare, book what was missed, compare again, and keep what is left. A broker that cannot be asked is a run that failed.

    `settle` is called after a look that finds a difference: it books what the broker has said meanwhile, and says whether the books are at
    rest. While they are not, the comparison is put off (None). A difference counts when the last look finds it.
    """
    since = statement_since(account, at)
    booked = 0
    try:
        look = _look(account, broker, since, at)
        for _ in range(LOOKS_AGAIN):
            if not look.breaks:
                break
            if settle is not None and not settle():
                return None
            look = _look(account, broker, since, at)
        if look.breaks and (booked := _book_missing(account, look, at)):
            look = _look(account, broker, since, at)
    except (BrokerTimeout, BrokerUnreachable) as error:
        return _failed(account, trigger, error, at)
    return _keep(account, look, booked, trigger, since, at)


def statement_since(account: BrokerageAccount, at: datetime) -> datetime:
    """From when on both sides know executions."""
    if account.broker == IB:
        return at.astimezone(GATEWAY_ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    return at - WINDOW


def break_resolve(*, break_id: int, user: "User", reason: str, at: datetime) -> ReconciliationBreak:
    """Say why a break may stand. It stays resolved while every later run finds it unchanged.

    Raises NotPermitted, NotFound (also for portfolios that the user does not see), InvalidInput (no reason), Conflict (resolved already).
    """
    if not user.has_perm("execution.add_breakresolution"):
        raise NotPermitted("breaks are resolved by risk and compliance")
    if not reason.strip():
        raise InvalidInput("say why the break may stand", field="reason")
    found = ReconciliationBreak.objects.filter(pk=break_id, portfolio__in=portfolios_visible(user).order_by()).first()
    if found is None:
        raise NotFound(f"there is no break {break_id}", field="break_id")
    with transaction.atomic():
        portfolio_lock(found.portfolio_id)
        if BreakResolution.objects.filter(found=found).exists():
            raise Conflict(f"break {break_id} is resolved already", field="break_id")
        BreakResolution.objects.create(found=found, resolved_by=user, reason=reason.strip()[:500], resolved_at=at)
    return found


def _look(account: BrokerageAccount, broker: KeepsBooks, since: datetime, at: datetime) -> _Look:
    with _one_moment(account):
        statement = broker.statement(since)
        known = references_known(account, statement)
        ours = desk_book(account, statement=statement, since=since, at=at)
    return _Look(statement=statement, known=known, breaks=books_compare(ours=ours, theirs=broker_book(account, statement), known=known))


@contextmanager
def _one_moment(account: BrokerageAccount) -> Iterator[None]:
    """The paper broker's book is in the same database, and both are written in one transaction: read as of one moment they can be compared.

    No lock is held, so that no order waits while a long day is added up. Only where the caller is in a transaction, which has seen other
    moments, the portfolio's lock keeps both still.
    """
    if account.broker != PAPER:
        yield
    elif connection.in_atomic_block:
        portfolio_lock(account.portfolio_id)
        yield
    else:
        with snapshot():
            yield


def _book_missing(account: BrokerageAccount, look: _Look, at: datetime) -> int:
    """Book the executions of the desk's own orders that the desk does not have, through the path of all reports; returns how many."""
    missing = {found.key for found in look.breaks if found.subject is BreakSubject.EXECUTION and not found.ours and not found.halts}
    key = execution_key(account)
    fills = [fill for fill in look.statement.fills if key(fill.execution.execution_id) in missing and fill.reference in look.known]
    orders = orders_of(account, {fill.reference for fill in fills})
    booked = 0
    for fill in fills:
        if fill.reference in orders:
            try:
                booked += _book(account, orders[fill.reference], fill, at)
            except DeskError:
                logger.exception("execution %s of account %s stays a break", fill.execution.execution_id, account.number)
    return booked


def _book(account: BrokerageAccount, order: Order, fill: BrokerFill, at: datetime) -> int:
    report = ExecutionReport(kind=OrderEventKind.TRADE, reason="", execution=fill.execution)
    with transaction.atomic():
        locked = order_lock(portfolio_id=order.portfolio_id, order_id=order.pk)
        fresh = reports_fresh(locked, [report], same=execution_key(account))
        if fresh:
            reports_book(order=locked, reports=fresh, source=account.broker, at=at)
    return len(fresh)


def _failed(account: BrokerageAccount, trigger: ReconciliationTrigger, error: DeskError, at: datetime) -> ReconciliationRun:
    before = last_run(account.pk)
    run = ReconciliationRun.objects.create(
        account=account,
        trigger=trigger,
        state=ReconciliationState.FAILED,
        detail=(error.detail or str(error))[:500],
        open_breaks=len(breaks_open(account.pk)),
        started_at=at,
        recorded_at=at,
    )
    if before is None or before.state != ReconciliationState.FAILED:
        title = f"Account {account.number} could not be reconciled"
        _tell(account, code="RECONCILIATION_FAILED", severity="warning", title=title, detail=run.detail, at=at)
    return run


def _keep(account: BrokerageAccount, look: _Look, booked: int, trigger: ReconciliationTrigger, since: datetime, at: datetime) -> ReconciliationRun:
    """Store the run with what is new, close what is gone, and tell people."""
    found = {one.identity: one for one in look.breaks}
    with transaction.atomic():
        portfolio_lock(account.portfolio_id)
        before = last_run(account.pk, compared=True)
        standing = {identity_of(row): row for row in breaks_open(account.pk)}
        accepted = {identity_of(row): row.pk for row in _accepted(account, before)} if before else {}
        gone = [row for key, row in standing.items() if key not in found and _may_go(row, since)]
        fresh = [one for key, one in found.items() if key not in standing and key not in accepted]
        left = len(standing) - len(gone) + len(fresh)
        run = ReconciliationRun.objects.create(
            account=account,
            trigger=trigger,
            state=ReconciliationState.BREAKS if left else ReconciliationState.CLEAN,
            compared=_compared(look.statement),
            booked_fills=booked,
            open_breaks=left,
            accepted=sorted(pk for key, pk in accepted.items() if key in found),
            started_at=at,
            recorded_at=at,
        )
        made = ReconciliationBreak.objects.bulk_create(_row(run, account, one, at) for one in fresh)
        BreakResolution.objects.bulk_create(BreakResolution(found=row, run=run, reason=NOT_FOUND_ANY_MORE, resolved_at=at) for row in gone)
        if made:
            _tell_of_breaks(account, made, at)
        _tell_of_age(account, [row for row in standing.values() if row not in gone], before, at)
    return run


def _accepted(account: BrokerageAccount, before: ReconciliationRun) -> Sequence[ReconciliationBreak]:
    """Breaks that a person has resolved and that every run since has found again: the last run did, or it came before the resolution."""
    resolved = ReconciliationBreak.objects.filter(account=account, resolution__resolved_by__isnull=False)
    return list(resolved.filter(pk__in=before.accepted) | resolved.filter(resolution__resolved_at__gte=before.started_at))


def identity_of(row: ReconciliationBreak) -> tuple[str, str, str, str]:
    """See `Break.identity`."""
    return (row.kind, row.subject, row.key, row.theirs if row.difference is None else f"{row.difference.normalize():f}")


def _may_go(row: ReconciliationBreak, since: datetime) -> bool:
    """A stranger is closed by a person only, and so is an execution of a time of which the broker does not tell any more."""
    return not row.halts and not (row.subject == BreakSubject.EXECUTION and row.found_at < since)


def _compared(statement: BrokerStatement) -> dict[str, int]:
    parts = {"orders": statement.open_orders, "executions": statement.fills, "positions": statement.positions, "cash": statement.cash}
    return {name: len(part) for name, part in parts.items()}


def _row(run: ReconciliationRun, account: BrokerageAccount, one: Break, at: datetime) -> ReconciliationBreak:
    return ReconciliationBreak(
        run=run,
        account=account,
        portfolio_id=account.portfolio_id,
        kind=one.kind.value,
        subject=one.subject.value,
        key=one.key,
        symbol=one.symbol,
        ours=one.ours,
        theirs=one.theirs,
        difference=one.difference,
        halts=one.halts,
        found_at=at,
    )


def _tell_of_breaks(account: BrokerageAccount, rows: Sequence[ReconciliationBreak], at: datetime) -> None:
    halts = any(row.halts for row in rows)
    title = f"Account {account.number} and its broker disagree in {len(rows)} {'point' if len(rows) == 1 else 'points'}"
    text = "; ".join(
        f"{row.get_kind_display()} ({row.get_subject_display().lower()} {row.key}): {row.ours or 'nothing'} here, {row.theirs or 'nothing'} there"
        for row in rows[:10]
    )
    if halts:
        text = f"Nothing new is opened until a person resolves what the desk did not send. {text}"
    _tell(account, code="RECONCILIATION_BREAK", severity="critical" if halts else "warning", title=title, detail=text, at=at)


def _tell_of_age(account: BrokerageAccount, rows: Sequence[ReconciliationBreak], before: ReconciliationRun | None, at: datetime) -> None:
    """Once a day, with the day's first run: breaks that are a day old or older."""
    today = local_date(HOME_CALENDAR, at)
    if before is None or local_date(HOME_CALENDAR, before.started_at) == today:
        return
    old = [row for row in rows if local_date(HOME_CALENDAR, row.found_at) < today]
    if old:
        days = (today - min(local_date(HOME_CALENDAR, row.found_at) for row in old)).days
        title = f"Account {account.number} has {len(old)} open {'break' if len(old) == 1 else 'breaks'}, the oldest T+{days}"
        _tell(account, code="RECONCILIATION_AGED", severity="critical", title=title, detail="Resolve them or find their cause.", at=at)


def _tell(account: BrokerageAccount, *, code: str, severity: str, title: str, detail: str, at: datetime) -> None:
    transaction.on_commit(partial(logger.warning, "%s: %s", title, detail))
    alert_raise(
        code=code,
        severity=severity,
        title=title,
        detail=detail,
        subject=f"portfolio:{account.portfolio_id}",
        data={"account": account.number},
        recipients=portfolio_members(account.portfolio_id),
        occurred_at=at,
        recorded_at=at,
    )
