"""What the frame around every page shows: mode, portfolio, exchange, feed, trading state, alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.urls import reverse

from apps.alerts.selectors import open_alert_count
from apps.core.models.access import Theme
from apps.core.trading import TradingMode, TradingState
from apps.marketdata.selectors.market import MarketClock, market_clock
from apps.portfolios.selectors.portfolios import portfolios_visible
from apps.risk.domain.state import StateView
from apps.risk.selectors.state import release_requests_open, trading_state

if TYPE_CHECKING:
    from apps.core.models import User
    from apps.portfolios.models import Portfolio

EXCHANGE = "NYSE"
DESK_SCOPE = "desk"

#: Name, route, icon, path prefix that marks the page as current, permission that it needs ("" for everybody).
PAGES = (
    ("Dashboard", "dashboard", "dashboard", ""),
    ("Portfolios", "portfolios", "portfolio", ""),
    ("Trade", "ticket", "trade", "execution.add_order"),
    ("Blotter", "blotter", "blotter", ""),
    ("Instruments", "instruments", "instruments", ""),
    ("Watchlists", "watchlists", "watchlists", ""),
    ("Screener", "screener", "screener", ""),
    ("Strategy lab", "lab", "lab", "strategies.view_backtestrun"),
    ("Engines", "engines", "engines", "execution.view_tradingengine"),
    ("Factors", "factors", "factors", ""),
    ("Risk", "risk", "risk", ""),
    ("Data", "data-quality", "data", "marketdata.view_qualityfinding"),
    ("Alerts", "alerts", "alerts", ""),
)
LAST_PAGES = (
    ("Compliance", "admin:index", "compliance"),
    ("API", "docs", "api"),
    ("Settings", "settings", "settings"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NavigationEntry:
    """One link of the navigation. `gap` puts it to the lower end."""

    name: str
    url: str
    icon: str
    current: bool
    gap: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """`mode` is "replay", "paper" or "live"; `portfolio` is the chosen one, None when the user sees none.

    `trading_word` is the state as the Halt button shows it. `release` is the request that waits for a second person's approval, None
    when trading is not halted or nobody asked.
    """

    mode: str
    badge: str
    mode_title: str
    exchange: str
    market: MarketClock
    feed_age: int | None
    feed_text: str
    portfolios: "Sequence[Portfolio]"
    portfolio: "Portfolio | None"
    trading: StateView
    trading_scope: str
    trading_word: str
    release: Any
    open_alerts: int
    pages: tuple[NavigationEntry, ...]
    roles: str
    theme: str
    themes: tuple[tuple[str, str], ...]


def portfolio_chosen(portfolios: "Sequence[Portfolio]", wanted: object) -> "Portfolio | None":
    """The wanted portfolio if it is among those that the user sees, else the first of them."""
    by_id = {str(portfolio.pk): portfolio for portfolio in portfolios}
    return by_id.get(str(wanted)) or next(iter(portfolios), None)


def shell_for(*, user: "User", path: str, wanted_portfolio: object, now: datetime) -> Shell:
    """Read the frame of one page: five small queries, one more while trading is halted."""
    portfolios = list(portfolios_visible(user))
    portfolio = portfolio_chosen(portfolios, wanted_portfolio)
    market = market_clock(now)
    trading = trading_state(portfolio.pk if portfolio else None)
    age = None if market.feed_age_seconds is None else int(market.feed_age_seconds)
    return Shell(
        mode=_mode(market),
        badge=_mode(market).upper(),
        mode_title=_mode_title(market),
        exchange=EXCHANGE,
        market=market,
        feed_age=age,
        feed_text="no data" if age is None else "ended" if market.ended else f"{age} s",
        portfolios=portfolios,
        portfolio=portfolio,
        trading=trading,
        trading_scope=DESK_SCOPE if portfolio is None or trading.desk else str(portfolio.pk),
        trading_word="flattening" if trading.flatten else str(trading.state),
        release=_open_release(trading, portfolio, now),
        open_alerts=open_alert_count(user.pk),
        pages=_navigation(user, path),
        roles=", ".join(group.name for group in user.groups.all()),
        theme=user.theme,
        themes=tuple(Theme.choices),
    )


def _open_release(trading: StateView, portfolio: "Portfolio | None", now: datetime) -> Any:
    if trading.state is TradingState.ACTIVE:
        return None
    scope = None if trading.desk or portfolio is None else portfolio.pk
    return release_requests_open(scope).filter(expires_at__gt=now).first()


def _mode(market: MarketClock) -> str:
    return "replay" if market.mode == "replay" else TradingMode.PAPER.value


def _mode_title(market: MarketClock) -> str:
    if market.mode == "replay":
        return "Stored market history is replayed as a live market. Orders are filled on paper."
    return "Orders are filled on paper; none reaches a market."


def _navigation(user: "User", path: str) -> tuple[NavigationEntry, ...]:
    entries = []
    for name, route, icon, permission in PAGES:
        url = reverse(route)
        if not permission or user.has_perm(permission):
            current = path == url or (url != "/" and path.startswith(f"{url}/"))
            entries.append(NavigationEntry(name=name, url=url, icon=icon, current=current))
    for position, (name, route, icon) in enumerate(LAST_PAGES):
        if route != "admin:index" or user.is_staff:
            url = reverse(route)
            entries.append(NavigationEntry(name=name, url=url, icon=icon, current=path == url, gap=position == 0 or entries[-1].icon == "alerts"))
    return tuple(entries)
