"""The risk monitor: one portfolio's risk in tabs, and every table of it as CSV and JSON."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.alerts.selectors import alerts_about
from apps.core.clock import now
from apps.core.errors import InvalidInput, NotFound
from apps.core.pages import RequestOfUser, chosen_portfolio, page
from apps.core.tables import table_answer
from apps.portfolios.selectors.portfolios import portfolio_get, portfolios_visible
from apps.risk.domain.portfolio_risk import CONFIDENCES, HORIZONS
from apps.risk.pages.asked import asked_board
from apps.risk.selectors.board import RiskBoard
from apps.risk.selectors.state import watch
from apps.risk.selectors.tables.registry import risk_table
from apps.risk.selectors.tables.tails import why_unknown

ALERTS = 50
#: Key, label, and the tables that the tab shows.
TABS = (
    ("overview", "Overview", ("limits", "stops")),
    ("var", "Value at risk", ("var", "components", "backtests", "exceptions", "volatility")),
    ("positions", "Exposures", ("exposures", "concentration", "liquidity", "correlation")),
    ("stress", "Stress", ("stress", "stressed-positions")),
    ("what-if", "What if", ("what-if", "what-if-stress")),
    ("explain", "P&L explained", ("pnl-explain",)),
    ("history", "History", ("drawdowns", "crossings", "halts")),
)


@require_GET
@page
def risk(request: RequestOfUser) -> HttpResponse:
    """Limits and how far they are used, what has been breached, and each part of the portfolio's risk by tab."""
    portfolios = list(portfolios_visible(request.user))
    wanted = str(chosen_portfolio(request))
    portfolio = next((one for one in portfolios if str(one.pk) == wanted), portfolios[0] if portfolios else None)
    context: dict[str, Any] = {"portfolio": portfolio}
    if portfolio is not None:
        board, refused = _board(request, portfolio.pk)
        tab, _, names = next((tab for tab in TABS if tab[0] == request.GET.get("tab")), TABS[0])
        context |= {
            "view": board.view,
            "watch": watch(board.now),
            "board": board,
            "confidences": [(f"{one:g}", f"{one:.0%}", one == board.confidence) for one in CONFIDENCES],
            "horizons": [(one, f"{one} d", one == board.horizon) for one in HORIZONS],
            "unknown": _unknown(board, tab),
            "channel": f"portfolio:{portfolio.pk}",
            "alerts": alerts_about(request.user, f"portfolio:{portfolio.pk}", limit=ALERTS),
            "tab": tab,
            "refused": refused,
            "tabs": [(key, label) for key, label, _ in TABS],
            "tables": {name: risk_table(board, name) for name in names},
        }
    return render(request, "risk/risk.html", context)


def _unknown(board: RiskBoard, tab: str) -> str:
    """Why the tab's numbers are not known; "" when they are."""
    if tab == "what-if" and board.what_if is not None:
        return why_unknown(board.what_if.risk, board.confidence)
    return why_unknown(board.risk, board.confidence) if tab in ("var", "positions") else ""


def _board(request: RequestOfUser, portfolio_id: int) -> tuple[RiskBoard, str]:
    """What the address asks for; a trade that cannot be judged is left out, and why is said beside its form."""
    try:
        return asked_board(request, portfolio_id), ""
    except (InvalidInput, NotFound) as error:
        if "symbol" not in request.GET or error.field not in ("symbol", "side", "quantity"):
            raise
        return RiskBoard(portfolio_id=portfolio_id, now=now()), error.detail


@require_GET
@page
def part(request: RequestOfUser, portfolio_id: int, name: str) -> HttpResponse:
    """One table of the page as JSON, or CSV with `format=csv`; `confidence` and `horizon` as on the page."""
    portfolio_get(user=request.user, portfolio_id=portfolio_id)
    return table_answer(request, risk_table(asked_board(request, portfolio_id), name))
