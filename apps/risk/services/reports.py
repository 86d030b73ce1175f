"""The daily risk report of each portfolio: one HTML document and a PDF of it, kept with their fingerprints."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.db import transaction
from django.template.loader import render_to_string

from apps.alerts.services.alerts import alert_raise
from apps.core.errors import DeskError
from apps.core.jobs import NullProgress, Progress
from apps.core.pdf import pdf_of
from apps.marketdata.domain import calendars
from apps.marketdata.selectors.market import HOME_CALENDAR, market_time_at
from apps.portfolios.selectors.portfolios import portfolio_names
from apps.portfolios.selectors.track import active_portfolio_ids
from apps.risk.domain.pnl_explain import ExplainState
from apps.risk.models import RiskReport
from apps.risk.selectors.board import RiskBoard
from apps.risk.selectors.people import everybody_concerned
from apps.risk.selectors.pnl_explain import ExplainedSession
from apps.risk.selectors.tables.registry import TABLES, risk_table

#: Every table of the risk page, without those that are too wide for paper or tell of other days.
SECTIONS = tuple(name for name in TABLES if name not in {"correlation", "halts", "stressed-positions"})
#: How long a report waits for the value of the close, which needs every price.
PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportsMade:
    """`made` are portfolios whose report was made now, `printed` those that got their PDF; `failed` says why one got none."""

    session: date
    made: tuple[int, ...] = ()
    printed: tuple[int, ...] = ()
    failed: Mapping[int, str] = field(default_factory=dict)


def reports_make(*, now: datetime, progress: Progress | None = None) -> ReportsMade:
    """Make what is missing of the last session's reports, after its close and before the next session opens.

    A portfolio's report is made once its value of the close is recorded, or half an hour after the close without it. A PDF that could not be
    made is tried again by the next call, from the stored HTML.
    """
    market_time = market_time_at(now)
    session = calendars.session_at(HOME_CALENDAR, market_time)
    _, close = calendars.session_hours(HOME_CALENDAR, session)
    if market_time < close:
        return ReportsMade(session=session)
    there = set(RiskReport.objects.filter(session=session).values_list("portfolio_id", "form"))
    made: list[int] = []
    printed: list[int] = []
    failed: dict[int, str] = {}
    for portfolio_id in active_portfolio_ids():
        (progress or NullProgress()).say(f"report of portfolio {portfolio_id}")
        try:
            if (portfolio_id, "html") not in there:
                if not _make(portfolio_id, session, now=now, patient=market_time < close + PATIENCE):
                    continue
                made.append(portfolio_id)
            if (portfolio_id, "pdf") not in there:
                _print(portfolio_id, session, now=now)
                printed.append(portfolio_id)
        except DeskError as error:
            failed[portfolio_id] = error.detail
    return ReportsMade(session=session, made=tuple(made), printed=tuple(printed), failed=failed)


def report_html(board: RiskBoard, *, name: str, session: date) -> str:
    """The document: everything in itself, light, for paper. Raises Unavailable when prices cannot be read."""
    tables = [risk_table(board, section) for section in SECTIONS]
    summary = board.view.summary
    context = {"name": name, "session": session, "board": board, "summary": summary, "tables": tables}
    return render_to_string("risk/daily_report.html", context)


def _make(portfolio_id: int, session: date, *, now: datetime, patient: bool) -> bool:
    """Store the HTML, unless the value of the close is still waited for; tell people of a residual beyond its bound."""
    board = RiskBoard(portfolio_id=portfolio_id, now=now)
    if patient and board.explained.state is ExplainState.NOT_RECORDED:
        return False
    html = report_html(board, name=portfolio_names([portfolio_id])[portfolio_id], session=session)
    with transaction.atomic():
        _store(portfolio_id, session, "html", html.encode(), market_time=board.view.summary.market_time, now=now)
        if board.explained.state is ExplainState.RESIDUAL:
            _tell(board.explained, now=now)
    return True


def _print(portfolio_id: int, session: date, *, now: datetime) -> None:
    source = RiskReport.objects.get(portfolio_id=portfolio_id, session=session, form="html")
    _store(portfolio_id, session, "pdf", pdf_of(bytes(source.content).decode()), market_time=source.market_time, now=now)


def _store(portfolio_id: int, session: date, form: str, content: bytes, *, market_time: datetime, now: datetime) -> None:
    RiskReport.objects.create(
        portfolio_id=portfolio_id,
        session=session,
        form=form,
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        market_time=market_time,
        recorded_at=now,
    )


def _tell(found: ExplainedSession, *, now: datetime) -> None:
    if found.explain is None or found.closed_at is None:
        return
    alert_raise(
        code="PNL_RESIDUAL",
        severity="warning",
        title=f"{found.explain.residual:,.2f} {found.currency} of the result of {found.session} are not explained",
        detail=f"At most {found.explain.bound} {found.currency} may be left. A price was revised after this value or the one before was recorded.",
        subject=f"portfolio:{found.portfolio_id}",
        data={"session": found.session, "result": found.explain.result, "residual": found.explain.residual, "bound": found.explain.bound},
        recipients=everybody_concerned(found.portfolio_id),
        occurred_at=found.closed_at,
        recorded_at=now,
    )
