"""The order ticket."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from apps.core.errors import NotPermitted
from apps.core.money import ZERO
from apps.core.pages import RequestOfUser, chosen_portfolio, page
from apps.core.trading import OrderType, Side, TimeInForce
from apps.execution.domain.algos import Algo
from apps.execution.domain.amounts import trimmed
from apps.execution.selectors.orders import account_modes
from apps.marketdata.selectors.instruments import tradable_instruments
from apps.marketdata.selectors.quotes import latest_quotes
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.selectors.portfolios import portfolios_tradable

#: The book that a ticket trades in.
MAIN_BOOK = "main"

#: What an address may fill in.
GIVEN = ("symbol", "quantity", "order_type", "time_in_force", "limit_price", "stop_price", "trail_offset", "strategy", "note")

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


@require_GET
@page
def ticket(request: RequestOfUser) -> HttpResponse:
    """The order ticket. Its checks and its submission go through the REST API, with the session and its CSRF token."""
    if not request.user.has_perm("execution.add_order"):
        raise NotPermitted("Your role does not place orders.")
    portfolios = list(portfolios_tradable(request.user))
    wanted = str(chosen_portfolio(request))
    portfolio = next((one for one in portfolios if str(one.pk) == wanted), portfolios[0] if portfolios else None)
    given = {name: request.GET.get(name, "")[:100] for name in GIVEN} | {"symbol": request.GET.get("symbol", "").upper()[:20]}
    side = request.GET.get("side", "")
    if portfolio is not None and (symbol := request.GET.get("close", "").upper()[:20]):
        side, quantity = _closing(portfolio.pk, symbol)
        given |= {"symbol": symbol, "quantity": quantity}
    context = {
        "portfolios": portfolios,
        "portfolio": portfolio,
        "modes": account_modes([one.pk for one in portfolios]),
        "instruments": tradable_instruments(),
        "quotes": latest_quotes(),
        "side": side if side in set(Side) else Side.BUY,
        "given": given,
        "order_types": ORDER_TYPES,
        "algos": ALGOS,
        "times_in_force": TIMES_IN_FORCE,
    }
    return render(request, "execution/ticket.html", context)


def _closing(portfolio_id: int, symbol: str) -> tuple[str, str]:
    """Side and shares that close what the main book holds; what strategies hold in books of their own they close themselves."""
    held = sum((one.quantity for one in holdings(portfolio_id).positions if one.symbol == symbol and one.book == MAIN_BOOK), ZERO)
    return (Side.SELL if held > 0 else Side.BUY), (trimmed(abs(held)) or "" if held else "")
