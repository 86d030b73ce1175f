"""Pages of orders: the ticket, the blotter, one order with its whole life."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from numpy.typing import NDArray

from apps.core.charts import Chart, Palette, chart_answer, csv_answer
from apps.core.clock import now
from apps.core.errors import DeskError, NotPermitted
from apps.core.pages import RequestOfUser, chosen_portfolio, page, way_back
from apps.core.trading import OrderType, Side, TimeInForce
from apps.execution.domain.algos import Algo
from apps.execution.domain.states import CHANGEABLE_STATUSES, TERMINAL_STATUSES, OrderStatus
from apps.execution.models import Order
from apps.execution.selectors.algos import ACTIVE, algo_course, algo_detail, algo_get, algo_progress, algo_rows, algos_visible
from apps.execution.selectors.orders import account_modes, order_counts, order_detail, orders_visible
from apps.execution.selectors.rows import order_row
from apps.marketdata.selectors.instruments import tradable_instruments
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quotes import latest_quotes
from apps.portfolios.selectors.portfolios import portfolios_tradable, portfolios_visible

PAGE = 50
EXPORTED = 10_000
REFUSED = (OrderStatus.DENIED, OrderStatus.REJECTED)

ORDER_TYPES = (
    (OrderType.MARKET, "Market"),
    (OrderType.LIMIT, "Limit"),
    (OrderType.STOP, "Stop"),
    (OrderType.STOP_LIMIT, "Stop limit"),
    (OrderType.TRAILING_STOP, "Trailing stop"),
    (OrderType.MARKET_ON_CLOSE, "Market on close"),
)
TIMES_IN_FORCE = (
    (TimeInForce.DAY, "Day"),
    (TimeInForce.GTC, "Good till cancelled"),
    (TimeInForce.IOC, "Immediate or cancel"),
    (TimeInForce.FOK, "Fill or kill"),
    (TimeInForce.GTD, "Good till date"),
)
ALGOS = (
    (Algo.TWAP, "TWAP"),
    (Algo.VWAP, "VWAP"),
    (Algo.POV, "Share of volume (POV)"),
    (Algo.ICEBERG, "Iceberg"),
    (Algo.SHORTFALL, "Implementation shortfall"),
    (Algo.SMART, "Smart routing"),
)
#: What of a working order a person may change on its page, as the form names it.
CHANGES = ("quantity", "limit_price", "stop_price", "trail_offset")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """A part of the blotter, by the statuses that it shows."""

    key: str
    name: str
    statuses: tuple[OrderStatus, ...]
    count: int = 0


TABS = (
    ("working", "Working", tuple(status for status in OrderStatus if status not in TERMINAL_STATUSES)),
    ("filled", "Filled", (OrderStatus.FILLED,)),
    ("refused", "Denied & rejected", REFUSED),
    ("all", "All", tuple(OrderStatus)),
)


@require_GET
@page
def ticket(request: RequestOfUser) -> HttpResponse:
    """The order ticket. Its checks and its submission go through the REST API, with the session and its CSRF token."""
    if not request.user.has_perm("execution.add_order"):
        raise NotPermitted("Your role does not place orders.")
    portfolios = list(portfolios_tradable(request.user))
    wanted = str(chosen_portfolio(request))
    context = {
        "portfolios": portfolios,
        "portfolio": next((one for one in portfolios if str(one.pk) == wanted), portfolios[0] if portfolios else None),
        "modes": account_modes([one.pk for one in portfolios]),
        "instruments": tradable_instruments(),
        "quotes": latest_quotes(),
        "symbol": request.GET.get("symbol", "").upper()[:20],
        "side": request.GET.get("side") if request.GET.get("side") in set(Side) else Side.BUY,
        "quantity": request.GET.get("quantity", ""),
        "order_types": ORDER_TYPES,
        "algos": ALGOS,
        "times_in_force": TIMES_IN_FORCE,
    }
    return render(request, "execution/ticket.html", context)


@require_GET
@page
def blotter(request: RequestOfUser) -> HttpResponse:
    """Orders of one portfolio, or of all that the user sees, by where they stand."""
    portfolios = list(portfolios_visible(request.user))
    chosen = _chosen(request, portfolios)
    counts = order_counts([one.pk for one in chosen])
    tabs = [Tab(key=key, name=name, statuses=statuses, count=sum(counts[status] for status in statuses)) for key, name, statuses in TABS]
    tab = next((one for one in tabs if one.key == request.GET.get("tab")), tabs[-1] if request.GET.get("order") else tabs[0])
    orders = orders_visible(request.user).filter(portfolio__in=chosen, status__in=tab.statuses).order_by("-id")
    if symbol := request.GET.get("symbol", "").strip().upper():
        orders = orders.filter(instrument__symbol=symbol)
    if request.GET.get("format") == "csv":
        return _csv(orders)
    shown = Paginator(orders, PAGE).get_page(request.GET.get("page"))
    context: dict[str, Any] = {
        "tabs": tabs,
        "tab": tab,
        "page": shown,
        "orders": [order_row(one) for one in shown],
        "symbol": symbol,
        "chosen": chosen[0] if len(chosen) == 1 else None,
        "everything": len(chosen) != 1,
        "terminal": [str(status) for status in TERMINAL_STATUSES],
    }
    context["parents"] = algo_progress(row["algo_id"] for row in context["orders"] if row["algo_id"])
    if request.GET.get("order", "").isdecimal():
        context["opened"] = order_detail(user=request.user, order_id=int(request.GET["order"]))
    return render(request, "execution/blotter.html", context)


@require_GET
@page
def order(request: RequestOfUser, order_id: int) -> HttpResponse:
    """One order: events, decisions with every check, fills. Only the inner part with `part=1`, for a row that is opened."""
    detail = order_detail(user=request.user, order_id=order_id)
    template = "execution/order_life.html" if request.GET.get("part") else "execution/order.html"
    context = {
        "detail": detail,
        "terminal": [str(status) for status in TERMINAL_STATUSES],
        "changeable": detail.order["status"] in CHANGEABLE_STATUSES,
        "replacement_id": uuid4(),
    }
    return render(request, template, context)


@require_POST
@page
def cancel(request: RequestOfUser, order_id: int) -> HttpResponse:
    """Cancel what has not traded yet, then go back."""
    from apps.execution.services.orders import order_cancel

    try:
        cancelled = order_cancel(order_id=order_id, user=request.user, at=now())
    except DeskError as error:
        messages.error(request, f"Order {order_id} was not cancelled: {error.detail}")
    else:
        messages.info(request, f"Order {order_id} is {str(cancelled.status).replace('_', ' ')}.")
    return redirect(way_back(request, reverse("blotter")))


@require_POST
@page
def replace(request: RequestOfUser, order_id: int) -> HttpResponse:
    """Change what works, then go back. The form's own id makes a second press the same change."""
    from apps.execution.services.replacements import order_replace

    try:
        changes = {name: Decimal(text) for name in CHANGES if (text := request.POST.get(name, "").replace(",", "").strip())}
        replacement_id = UUID(request.POST.get("replacement_id", ""))
        changed = order_replace(order_id=order_id, user=request.user, replacement_id=replacement_id, changes=changes, at=now())
    except (ArithmeticError, ValueError):
        messages.error(request, f"Order {order_id} was not changed: a number is not a number.")
    except DeskError as error:
        messages.error(request, f"Order {order_id} was not changed, it works on as it was: {error.detail}")
    else:
        messages.info(request, f"Order {order_id} is {str(changed.status).replace('_', ' ')}, for {changed.quantity.normalize():f}.")
    return redirect(way_back(request, reverse("blotter")))


@require_GET
@page
def algo_list(request: RequestOfUser) -> HttpResponse:
    """Parent orders of one portfolio, or of all that the user sees, newest first, with their progress."""
    portfolios = list(portfolios_visible(request.user))
    chosen = _chosen(request, portfolios)
    parents = algos_visible(request.user).filter(portfolio__in=chosen).order_by("-id")
    shown = Paginator(parents, PAGE).get_page(request.GET.get("page"))
    context = {"page": shown, "algos": algo_rows(shown), "chosen": chosen[0] if len(chosen) == 1 else None, "everything": len(chosen) != 1}
    return render(request, "execution/algos.html", context)


@require_GET
@page
def algo(request: RequestOfUser, algo_id: int) -> HttpResponse:
    """One parent: its progress against the schedule, children, routing, events and decisions."""
    detail = algo_detail(user=request.user, algo_id=algo_id)
    context = {"detail": detail, "a": detail.algo, "active": detail.algo["status"] in ACTIVE, "live": bool(detail.children)}
    return render(request, "execution/algo.html", context)


@require_POST
@page
def algo_stop(request: RequestOfUser, algo_id: int) -> HttpResponse:
    """End a parent and cancel its children, then go back."""
    from apps.execution.services.algos import algo_cancel

    try:
        algo_cancel(algo_id=algo_id, user=request.user, at=now())
    except DeskError as error:
        messages.error(request, f"Parent order {algo_id} was not cancelled: {error.detail}")
    else:
        messages.info(request, f"Parent order {algo_id} is cancelled, and its children with it.")
    return redirect(way_back(request, reverse("algo-detail", args=[algo_id])))


@require_GET
@page
def algo_chart(request: RequestOfUser, algo_id: int) -> HttpResponse:
    """What a parent's schedule had due and what has traded, over market time."""
    parent = algo_get(user=request.user, algo_id=algo_id)
    course = algo_course(parent, market_clock(now()).market_time)
    traded, quantity = course.done[-1][1], parent.quantity
    due = [shares for at, shares in course.planned if at <= course.until]
    summary = f"{traded.normalize():f} of {quantity.normalize():f} shares have traded"
    summary += f"; by then the schedule had {due[-1].normalize():f} due." if due else "; this algorithm has no schedule."
    rows = sorted([(at, "due", float(shares)) for at, shares in course.planned] + [(at, "traded", float(shares)) for at, shares in course.done])

    def draw(palette: Palette) -> Any:
        from apps.execution.charts import progress_figure

        planned, done = (_points(points) for points in (course.planned, course.done))
        return progress_figure(palette, planned_ts=planned[0], planned=planned[1], done_ts=done[0], done=done[1], quantity=float(quantity))

    chart = Chart(name=f"parent-{algo_id}", draw=draw, summary=summary, columns=("Market time (UTC)", "What", "Shares in all"), rows=rows)
    return chart_answer(request, chart)


def _points(points: Sequence[tuple[datetime, Decimal]]) -> tuple[NDArray[np.datetime64], NDArray[np.float64]]:
    ts = np.array([at.replace(tzinfo=None) for at, _ in points], dtype="datetime64[us]")
    return ts, np.array([float(shares) for _, shares in points])


def _chosen(request: RequestOfUser, portfolios: list[Any]) -> list[Any]:
    """The one portfolio that is wanted, or all for "all" and for one that the user does not see."""
    wanted = str(chosen_portfolio(request) or (portfolios[0].pk if portfolios else "all"))
    return [one for one in portfolios if str(one.pk) == wanted] or portfolios


def _csv(orders: QuerySet[Order]) -> HttpResponse:
    rows = [order_row(one) for one in orders[:EXPORTED]]
    columns = tuple(rows[0]) if rows else ("id",)
    return csv_answer("orders", columns, [tuple(row.values()) for row in rows])
