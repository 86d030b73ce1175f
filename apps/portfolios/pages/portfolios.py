"""The list of portfolios, and one portfolio with all its parts."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from apps.core.charts import csv_answer
from apps.core.clock import now
from apps.core.errors import DeskError, InvalidInput, NotPermitted
from apps.core.pages import RequestOfUser, page, way_back
from apps.marketdata.domain.weights import Optimizer
from apps.marketdata.selectors.market import HOME_CALENDAR, market_clock
from apps.marketdata.selectors.quotes import last_prices
from apps.portfolios.domain.closing import LotMethod
from apps.portfolios.domain.rebalancing import Every, RebalanceStatus, StopAction
from apps.portfolios.domain.settlement import local_date
from apps.portfolios.forms import booking_terms, form_date, plain_number, targets_parse, targets_text, terms_of, terms_percents, whole_number
from apps.portfolios.models import BookingKind, BookingState, Portfolio
from apps.portfolios.selectors.accounts import paper_trading
from apps.portfolios.selectors.bookings import bookings_of
from apps.portfolios.selectors.borrow import short_rates
from apps.portfolios.selectors.cash import action_entries, cash_flows, cash_lines
from apps.portfolios.selectors.drift import portfolio_drift, portfolio_drifts
from apps.portfolios.selectors.overviews import ledger_entries, open_lots, portfolio_overview, portfolio_overviews
from apps.portfolios.selectors.portfolios import portfolio_get, portfolio_manages, portfolios_managed, portfolios_visible
from apps.portfolios.selectors.position_lines import position_lines
from apps.portfolios.selectors.rebalances import proposal_view, proposals, rebalance_events
from apps.portfolios.selectors.round_trips import closures, round_trips
from apps.portfolios.selectors.targets import plan_weights, target_history
from apps.portfolios.services.bookings import APPROVE, REQUEST, booking_decide, booking_request, booking_withdraw
from apps.portfolios.services.portfolios import MOST_POSITIONS, portfolio_close, portfolio_open
from apps.portfolios.services.targets import TERMS, targets_set

if TYPE_CHECKING:
    from apps.core.models import User

PAGE = 50
TABS = (
    ("positions", "Positions"),
    ("lots", "Tax lots"),
    ("trips", "Round trips"),
    ("cash", "Cash flows"),
    ("actions", "Corporate actions"),
    ("rebalance", "Targets & rebalancing"),
    ("ledger", "Ledger"),
)
#: What a sale does, by lot method.
METHODS = {
    LotMethod.FIFO: "the oldest lots first (FIFO)",
    LotMethod.LIFO: "the newest lots first (LIFO)",
    LotMethod.HIFO: "the dearest lots first (HIFO)",
    LotMethod.AVERAGE: "a part of every lot, at the average cost",
    LotMethod.SPECIFIC: "the lots that are named, and the oldest first where none are",
}


@require_GET
@page
def portfolio_list(request: RequestOfUser) -> HttpResponse:
    """All portfolios that the user sees, valued now."""
    return _list(request)


def _list(request: RequestOfUser, refused: DeskError | None = None) -> HttpResponse:
    """The list, and above it what was typed into the form and why it was refused."""
    market, portfolios = market_clock(now()), list(portfolios_visible(request.user))
    paper = paper_trading([portfolio.pk for portfolio in portfolios])
    drifts = portfolio_drifts(portfolios, market=market)
    overviews = portfolio_overviews(portfolios, market=market)
    context = {
        "rows": [(one, drifts.get(one.portfolio.pk), paper.get(one.portfolio.pk)) for one in overviews],
        "managed": portfolios_managed(request.user),
        "optimizers": list(Optimizer),
        "given": request.POST if refused else {"num_positions": 20},
        "refused": refused,
        "most_positions": MOST_POSITIONS,
    }
    return render(request, "portfolios/list.html", context, status=refused.status if refused else 200)


@require_POST
@page
def portfolio_new(request: RequestOfUser) -> HttpResponse:
    """Open a portfolio on paper, of which the user becomes the manager, and go to it; what is refused stays in the form."""
    if not request.user.has_perm("portfolios.add_portfolio"):
        raise NotPermitted("Your role does not open portfolios.")
    given, at = request.POST, now()
    try:
        portfolio = portfolio_open(
            name=given.get("name", ""),
            owner=request.user,
            initial_capital=plain_number(given.get("initial_capital", ""), field="initial_capital"),
            benchmark_symbol=given.get("benchmark_symbol", "").strip().upper(),
            optimizer_type=given.get("optimizer_type", ""),
            num_positions=whole_number(given.get("num_positions", ""), field="num_positions"),
            effective_at=market_clock(at).market_time,
            recorded_at=at,
        )
    except DeskError as error:
        return _list(request, error)
    messages.info(request, f"{portfolio.name} is open, on paper.")
    return redirect("portfolio-detail", portfolio.pk)


@require_POST
@page
def portfolio_end(request: RequestOfUser, portfolio_id: int) -> HttpResponse:
    """Close a portfolio for trading, with a reason, then go back to the list."""
    try:
        if not (reason := request.POST.get("reason", "").strip()):
            raise InvalidInput("a portfolio is closed with a reason", field="reason")
        portfolio = portfolio_close(user=request.user, portfolio_id=portfolio_id, reason=reason)
    except DeskError as error:
        messages.error(request, f"The portfolio stays open: {error.detail}")
    else:
        messages.info(request, f"{portfolio.name} is closed. Its numbers stay.")
    return redirect("portfolios")


@require_GET
@page
def portfolio_detail(request: RequestOfUser, portfolio_id: int) -> HttpResponse:
    """One portfolio: cards and charts, and below them one part: positions, or what the ledger says."""
    portfolio = portfolio_get(user=request.user, portfolio_id=portfolio_id)
    tab = request.GET.get("tab", "positions")
    market = market_clock(now())
    overview = portfolio_overview(portfolio, market=market)
    context: dict[str, Any] = {"overview": overview, "tabs": TABS, "tab": tab if tab in dict(TABS) else "positions"}
    if context["tab"] == "positions":
        context["details"] = position_lines(overview, market=market)
    context |= _tab(tab, request.user, portfolio, overview.market_time, request.GET)
    return render(request, "portfolios/detail.html", context)


def _tab(tab: str, user: "User", portfolio: Portfolio, market_time: datetime, asked: Mapping[str, str]) -> dict[str, Any]:
    """What a tab shows besides the overview."""
    page_number = asked.get("page")
    if tab == "lots":
        rows = open_lots(portfolio.pk)
        if symbol := asked.get("symbol"):
            rows = rows.filter(instrument__symbol=symbol)
        lots = Paginator(rows, PAGE).get_page(page_number)
        prices = last_prices({lot.instrument.symbol for lot in lots}, market_time=market_time)
        return {"lots": lots, "prices": prices, "symbol": symbol, "method": METHODS[LotMethod(portfolio.lot_method)]}
    if tab == "trips":
        closed = Paginator(closures(portfolio.pk), PAGE).get_page(page_number)
        return {"closures": closed, "trips": round_trips(list(closed))}
    if tab == "cash":
        flows = Paginator(cash_flows(portfolio.pk), PAGE).get_page(page_number)
        cash = cash_lines(portfolio.pk, local_date(HOME_CALENDAR, market_time))
        shorts = short_rates(portfolio.pk, local_date(HOME_CALENDAR, market_time))
        return {"entries": flows, "cash": cash, "shorts": shorts, **bookings_context(user, portfolio)}
    if tab == "rebalance":
        return rebalance_context(user, portfolio, page_number)
    if tab in ("actions", "ledger"):
        entries = action_entries(portfolio.pk) if tab == "actions" else ledger_entries(portfolio.pk)
        return {"entries": Paginator(entries, PAGE).get_page(page_number)}
    return {}


def bookings_context(user: "User", portfolio: Portfolio) -> dict[str, Any]:
    """What the tab Cash flows shows of bookings by hand."""
    found = list(bookings_of(portfolio.pk)[:PAGE])
    return {
        "bookings": found,
        "booking_kinds": BookingKind.choices,
        "pending": BookingState.PENDING,
        "may_ask": user.has_perm(REQUEST) and portfolio_manages(user=user, portfolio_id=portfolio.pk),
        "may_decide": user.has_perm(APPROVE),
    }


def rebalance_context(user: "User", portfolio: Portfolio, page_number: str | None) -> dict[str, Any]:
    """What the panel of targets and rebalances shows: drift, the newest proposal, every step, and the history of targets."""
    at = now()
    view = portfolio_drift(portfolio, market=market_clock(at))
    newest = proposals(portfolio.pk).first()
    proposal = None if newest is None else proposal_view(portfolio_id=portfolio.pk, proposal_id=newest.pk)
    pending = proposal is not None and proposal.status is RebalanceStatus.PENDING
    return {
        "drift": view,
        "proposal": proposal,
        "open": pending and proposal is not None and at <= proposal.proposal.expires_at,
        "going_on": proposal is not None and proposal.status is RebalanceStatus.EXECUTING,
        "events": Paginator(rebalance_events(portfolio.pk), PAGE).get_page(page_number),
        "plans": target_history(portfolio.pk)[:PAGE],
        "plan_text": targets_text(plan_weights(view.plan)),
        "terms": view.plan or TERMS,
        "percents": terms_percents(view.plan or TERMS),
        "manages": portfolio_manages(user=user, portfolio_id=portfolio.pk),
        "every": list(Every),
        "stop_actions": list(StopAction),
        "today": view.market.session,
    }


@require_POST
@page
def targets_save(request: RequestOfUser, portfolio_id: int) -> HttpResponse:
    """Set the targets as the form has them, a line for each instrument, then go back."""
    back = way_back(request, reverse("portfolio-detail", args=[portfolio_id]))
    at = now()
    today = market_clock(at).session
    try:
        plan = targets_set(
            user=request.user,
            portfolio_id=portfolio_id,
            weights=targets_parse(request.POST.get("weights", "")),
            reason=request.POST.get("reason", ""),
            effective_on=form_date(request.POST.get("effective_on", "")) or today,
            today=today,
            recorded_at=at,
            terms=terms_of(request.POST.dict()),
        )
    except DeskError as error:
        messages.error(request, f"The targets stay as they were: {error.detail}")
    else:
        messages.info(request, f"The targets hold from {plan.effective_on}.")
    return redirect(back)


@require_POST
@page
def booking_ask(request: RequestOfUser, portfolio_id: int) -> HttpResponse:
    """Ask for a booking as the form has it, then go back."""
    at = now()
    try:
        booking = booking_request(
            portfolio_id=portfolio_id,
            terms=booking_terms(request.POST.dict()),
            reason=request.POST.get("reason", ""),
            user=request.user,
            at=at,
            market_time=market_clock(at).market_time,
        )
    except DeskError as error:
        messages.error(request, f"Nothing is asked for: {error.detail}")
    else:
        messages.info(request, f"Booking {booking.pk} waits for a second person until {booking.expires_at:%Y-%m-%d %H:%M} UTC.")
    return redirect(way_back(request, f"{reverse('portfolio-detail', args=[portfolio_id])}?tab=cash"))


@require_POST
@page
def booking_answer(request: RequestOfUser, portfolio_id: int, booking_id: int) -> HttpResponse:
    """Approve, reject or take back a booking, then go back."""
    at, act = now(), request.POST.get("act", "")
    portfolio_get(user=request.user, portfolio_id=portfolio_id)
    try:
        if act == "withdraw":
            booking = booking_withdraw(booking_id=booking_id, user=request.user, at=at)
        elif act in ("approve", "reject"):
            note = request.POST.get("note", "")
            booking = booking_decide(
                booking_id=booking_id, user=request.user, approve=act == "approve", note=note, at=at, market_time=market_clock(at).market_time
            )
        else:
            raise InvalidInput(f"{act!r} is none of approve, reject, withdraw", field="act")
    except DeskError as error:
        messages.error(request, f"The booking stays as it was: {error.detail}")
    else:
        messages.info(request, f"Booking {booking.pk} is {booking.state}.")
    return redirect(way_back(request, f"{reverse('portfolio-detail', args=[portfolio_id])}?tab=cash"))


@require_GET
@page
def ledger_csv(request: RequestOfUser, portfolio_id: int) -> HttpResponse:
    """The whole ledger as a file."""
    portfolio_get(user=request.user, portfolio_id=portfolio_id)
    columns = (
        "id",
        "effective_at",
        "recorded_at",
        "kind",
        "symbol",
        "book",
        "quantity",
        "price",
        "amount",
        "fee",
        "currency",
        "fx_rate",
        "base_amount",
        "ratio",
        "cost",
        "market_value",
        "lot_method",
        "settles_on",
        "source",
        "source_ref",
    )
    rows = [
        (
            e.pk,
            e.effective_at,
            e.recorded_at,
            e.kind,
            e.instrument.symbol if e.instrument else "",
            e.book.name,
            e.quantity,
            e.price,
            e.amount,
            e.fee,
            e.currency,
            e.fx_rate,
            e.base_amount,
            e.ratio,
            e.cost,
            e.market_value,
            e.lot_method,
            e.settles_on,
            e.source,
            e.source_ref,
        )
        for e in ledger_entries(portfolio_id)
    ]
    return csv_answer(f"ledger-{portfolio_id}", columns, rows)
