"""The order ticket."""

from dataclasses import dataclass

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
from apps.portfolios.selectors.portfolios import MAIN_BOOK, books_many, portfolios_tradable

#: What an address may fill in.
GIVEN = ("symbol", "quantity", "order_type", "time_in_force", "limit_price", "stop_price", "trail_offset", "strategy", "note", "book")
#: What of it asks for another order than the draft that the browser kept.
ASKED = ("symbol", "side", "close")

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
SIZERS = (
    ("risk_based", "Risk of the trade to a stop"),
    ("percent", "Share of equity"),
    ("kelly", "Kelly, in part and capped"),
    ("volatility", "Average true range (ATR)"),
    ("target_volatility", "Target volatility"),
    ("fixed", "Fixed quantity"),
)


@dataclass(frozen=True, slots=True)
class SizerField:
    """A number of one or more sizers, with what it begins with. `percent`: the ticket asks in percent, the server in fractions."""

    name: str
    label: str
    sizers: str
    value: str
    percent: bool = False


SIZER_FIELDS = (
    SizerField("risk_pct", "Risk [% of equity]", "risk_based volatility", "1", percent=True),
    SizerField("stop_pct", "Stop distance [% of price]", "risk_based", "5", percent=True),
    SizerField("pct", "Share [% of equity]", "percent", "10", percent=True),
    SizerField("win_rate", "Probability to win [%]", "kelly", "55", percent=True),
    SizerField("win_loss_ratio", "Gain to loss [ratio]", "kelly", "1.5"),
    SizerField("share", "Part of Kelly [%]", "kelly", "50", percent=True),
    SizerField("multiplier", "Stop at [× ATR]", "volatility", "2"),
    SizerField("period", "ATR over [bars]", "volatility", "14"),
    SizerField("target", "Target [% a year]", "target_volatility", "10", percent=True),
    SizerField("window", "Volatility over [days]", "target_volatility", "60"),
    SizerField("cap", "At most [% of equity]", "kelly target_volatility", "20", percent=True),
    SizerField("fixed_qty", "Quantity [shares]", "fixed", "100"),
)


@require_GET
@page
def ticket(request: RequestOfUser) -> HttpResponse:
    """The order ticket; its inner part with `part=1`, for the panel beside another page. Checks and submission go through the REST API."""
    if not request.user.has_perm("execution.add_order"):
        raise NotPermitted("Your role does not place orders.")
    portfolios = list(portfolios_tradable(request.user))
    wanted = str(chosen_portfolio(request))
    portfolio = next((one for one in portfolios if str(one.pk) == wanted), None)
    if portfolio is None and "portfolio" in request.GET:
        raise NotPermitted("You do not trade in this portfolio: neither its trader nor its manager is you.")
    portfolio = portfolio or (portfolios[0] if portfolios else None)
    given = {name: request.GET.get(name, "")[:100] for name in GIVEN} | {"symbol": request.GET.get("symbol", "").upper()[:20]}
    side = request.GET.get("side", "")
    if portfolio is not None and (symbol := request.GET.get("close", "").upper()[:20]):
        side, quantity, book = _closing(portfolio.pk, symbol)
        given |= {"symbol": symbol, "quantity": quantity, "book": book}
    context = {
        "portfolios": portfolios,
        "portfolio": portfolio,
        "books": books_many([one.pk for one in portfolios]),
        "modes": account_modes([one.pk for one in portfolios]),
        "instruments": tradable_instruments(),
        "quotes": latest_quotes(),
        "side": side if side in set(Side) else Side.BUY,
        "given": given,
        "asked": any(name in request.GET for name in ASKED),
        "order_types": ORDER_TYPES,
        "algos": ALGOS,
        "times_in_force": TIMES_IN_FORCE,
        "sizers": SIZERS,
        "sizer_fields": SIZER_FIELDS,
    }
    return render(request, "execution/ticket_part.html" if request.GET.get("part") else "execution/ticket.html", context)


def _closing(portfolio_id: int, symbol: str) -> tuple[str, str, str]:
    """Side, shares and book of the order that closes what is held: in the main book, or where that holds nothing, in the one that holds most."""
    held = {one.book: one.quantity for one in holdings(portfolio_id).positions if one.symbol == symbol and one.quantity}
    book = max(held, key=lambda name: (name == MAIN_BOOK, abs(held[name]), name), default=MAIN_BOOK)
    quantity = held.get(book, ZERO)
    return (Side.SELL if quantity > 0 else Side.BUY), (trimmed(abs(quantity)) or "" if quantity else ""), book
