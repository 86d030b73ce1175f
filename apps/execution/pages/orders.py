"""Pages of orders: the blotter, one order with its whole life."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.core.charts import csv_answer
from apps.core.clock import now
from apps.core.errors import DeskError
from apps.core.pages import RequestOfUser, page, way_back
from apps.core.trading import Side
from apps.execution.domain.states import CHANGEABLE_STATUSES, TERMINAL_STATUSES, OrderStatus
from apps.execution.models import Order, ReconciliationTrigger
from apps.execution.pages.columns import COLUMNS, columns_shown
from apps.execution.pages.scope import Period, period_asked, portfolios_chosen
from apps.execution.selectors.algos import algo_progress, algo_rows, algos_active
from apps.execution.selectors.orders import order_counts, order_detail, orders_visible
from apps.execution.selectors.rows import order_row
from apps.portfolios.selectors.portfolios import portfolios_tradable

PAGE = 50
EXPORTED = 10_000
#: As many orders are cancelled by one press.
MANY = 200
REFUSED = (OrderStatus.DENIED, OrderStatus.REJECTED)

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
def blotter(request: RequestOfUser) -> HttpResponse:
    """Orders of one portfolio, or of all that the user sees, by where they stand."""
    chosen = portfolios_chosen(request)
    counts = order_counts([one.pk for one in chosen])
    tabs = [Tab(key=key, name=name, statuses=statuses, count=sum(counts[status] for status in statuses)) for key, name, statuses in TABS]
    tab = next((one for one in tabs if one.key == request.GET.get("tab")), tabs[-1] if request.GET.get("order") else tabs[0])
    orders = orders_visible(request.user).filter(portfolio__in=chosen, status__in=tab.statuses).order_by("-id")
    wanted, period = _filters(request), period_asked(request)
    orders = _filtered(orders, wanted, period)
    if request.GET.get("format") == "csv":
        return _csv(orders)
    shown = Paginator(orders, PAGE).get_page(request.GET.get("page"))
    context: dict[str, Any] = {
        "tabs": tabs,
        "tab": tab,
        "page": shown,
        "orders": [order_row(one) for one in shown],
        **wanted,
        "period": period,
        "sides": tuple(Side),
        "channels": " ".join(f"orders:{one.pk}" for one in chosen),
        "algos": algo_rows(algos_active().filter(portfolio__in=chosen)) if tab.key == "working" else (),
        "chosen": chosen[0] if len(chosen) == 1 else None,
        "everything": len(chosen) != 1,
        "columns": columns_shown(request),
        "all_columns": COLUMNS,
        "terminal": [str(status) for status in TERMINAL_STATUSES],
    }
    context["parents"] = algo_progress(row["algo_id"] for row in context["orders"] if row["algo_id"])
    if request.GET.get("order", "").isdecimal():
        context["opened"] = order_detail(user=request.user, order_id=int(request.GET["order"]))
    return render(request, "execution/blotter.html", context)


@require_http_methods(["GET", "POST"])
@page
def cancel_many(request: RequestOfUser) -> HttpResponse:
    """Cancel what works, by filter: first the list with a tick at each order, then those that are still ticked."""
    if request.method == "POST":
        return _cancel_ticked(request)
    chosen, wanted, period = portfolios_chosen(request), _filters(request), period_asked(request)
    tradable = [one.pk for one in portfolios_tradable(request.user).filter(pk__in=[one.pk for one in chosen])]
    working = orders_visible(request.user).filter(portfolio__in=tradable, status__in=TABS[0][2]).order_by("-id")
    found = _filtered(working, wanted, period)
    orders = [order_row(one) for one in found[:MANY]]
    context = {
        **wanted,
        "orders": orders,
        "more": max(0, found.count() - len(orders)),
        "buys": sum(row["side"] == Side.BUY for row in orders),
        "sells": sum(row["side"] == Side.SELL for row in orders),
        "chosen": chosen[0] if len(chosen) == 1 else None,
        "back": f"{reverse('blotter')}?{request.GET.urlencode()}",
    }
    return render(request, "execution/cancel.html", context)


def _cancel_ticked(request: RequestOfUser) -> HttpResponse:
    from apps.execution.services.orders import order_cancel

    done, left = 0, []
    for order_id in [int(text) for text in request.POST.getlist("order")[:MANY] if text.isdecimal()]:
        try:
            order_cancel(order_id=order_id, user=request.user, at=now())
        except DeskError as error:
            left.append(f"{order_id}: {error.detail}")
        else:
            done += 1
    if done:
        messages.info(request, f"{done} order{'' if done == 1 else 's'} cancelled, or being cancelled at the broker.")
    if left:
        messages.error(request, f"{len(left)} left as they are: {'; '.join(left[:5])}{' and others' if len(left) > 5 else ''}")
    if not done and not left:
        messages.info(request, "No order was ticked: nothing was cancelled.")
    return redirect(way_back(request, reverse("blotter")))


def _filters(request: RequestOfUser) -> dict[str, str]:
    side = request.GET.get("side", "")
    return {
        "symbol": request.GET.get("symbol", "").strip().upper()[:20],
        "side": side if side in set(Side) else "",
        "strategy": request.GET.get("strategy", "").strip()[:100],
    }


def _filtered(orders: QuerySet[Order], wanted: dict[str, str], period: Period) -> QuerySet[Order]:
    columns = {"symbol": "instrument__symbol", "side": "side", "strategy": "strategy"}
    dates = {"created_at__gte": period.since, "created_at__lt": period.until}
    return orders.filter(**{columns[name]: value for name, value in wanted.items() if value}, **{name: day for name, day in dates.items() if day})


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
        "waiting": detail.order["status"] == OrderStatus.PENDING_NEW and detail.order["created_by"] != request.user.get_username(),
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
def reconcile(request: RequestOfUser, order_id: int) -> HttpResponse:
    """Compare the order's account with its broker's books, or ask the process that talks to that broker to, then go back."""
    from apps.execution.services.intents import portfolio_check
    from apps.execution.services.reconciliation_watch import reconcile_ask

    found = get_object_or_404(orders_visible(request.user), pk=order_id)
    portfolio_check(user=request.user, portfolio_id=found.portfolio_id)
    run = reconcile_ask(account=found.account, trigger=ReconciliationTrigger.REQUEST, at=now())
    if run is None:
        messages.info(request, f"The process that talks to {found.account.broker} was asked. What it finds appears here.")
    else:
        messages.info(request, f"Account {found.account.number} was compared with its broker: {run.get_state_display().lower()}.")
    return redirect(way_back(request, reverse("order-detail", args=[order_id])))


@require_POST
@page
def approve(request: RequestOfUser, order_id: int) -> HttpResponse:
    """The second person's yes or no, then back."""
    from apps.execution.services.approvals import order_approve

    wanted = request.POST.get("approve") == "yes"
    try:
        decided = order_approve(order_id=order_id, user=request.user, approve=wanted, reason=request.POST.get("reason", ""), at=now())
    except DeskError as error:
        messages.error(request, f"Order {order_id} was not decided: {error.detail}")
    else:
        messages.info(request, f"Order {order_id} is {str(decided.status).replace('_', ' ')}.")
    return redirect(way_back(request, reverse("order-detail", args=[order_id])))


@require_POST
@page
def replace(request: RequestOfUser, order_id: int) -> HttpResponse:
    """Change what works, then go back. The form's own id makes a second press the same change."""
    from apps.execution.services.replacements import order_replace

    try:
        changes = {name: Decimal(text) for name in CHANGES if (text := request.POST.get(name, "").replace(",", "").strip())}
        replacement_id = UUID(request.POST.get("replacement_id", ""))
        seen = int(request.POST["seen"]) if "seen" in request.POST else None
        changed = order_replace(order_id=order_id, user=request.user, replacement_id=replacement_id, changes=changes, at=now(), seen=seen)
    except (ArithmeticError, ValueError):
        messages.error(request, f"Order {order_id} was not changed: a number is not a number.")
    except DeskError as error:
        messages.error(request, f"Order {order_id} was not changed, it works on as it was: {error.detail}")
    else:
        messages.info(request, f"Order {order_id} is {str(changed.status).replace('_', ' ')}, for {changed.quantity.normalize():f}.")
    return redirect(way_back(request, reverse("blotter")))


def _csv(orders: QuerySet[Order]) -> HttpResponse:
    rows = [order_row(one) for one in orders[:EXPORTED]]
    columns = tuple(rows[0]) if rows else ("id",)
    return csv_answer("orders", columns, [tuple(row.values()) for row in rows])
