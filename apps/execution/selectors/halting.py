"""What a halt would meet: working orders and positions of its scope, counted before anybody presses the button."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from apps.core.money import ZERO
from apps.core.trading import TradingMode, TradingState
from apps.execution.models import BrokerageAccount, Order
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quotes import reference_prices
from apps.portfolios.domain.valuation import value_holdings
from apps.portfolios.selectors.holdings import holdings_many
from apps.portfolios.selectors.portfolios import portfolio_get, portfolio_names, portfolios_tradable, portfolios_visible
from apps.risk.selectors.state import trading_state

if TYPE_CHECKING:
    from apps.core.models import User


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltPreview:
    """Counts of the scope as the user sees it; `hidden` is how many portfolios of the desk the user does not see.

    `gross` is the value of the positions without their signs (of several currencies: None), None while `missing` names symbols without
    a price. `live_accounts` are the numbers that a flattening wants typed; `flatten_refused` says why this user cannot flatten, or "".
    """

    state: TradingState
    portfolios: int
    hidden: int
    working_orders: int
    working_buys: int
    positions: int
    gross: Decimal | None
    currency: str
    missing: tuple[str, ...]
    live_accounts: tuple[str, ...]
    flatten_refused: str


def halt_preview(*, user: "User", portfolio_id: int | None, at: datetime) -> HaltPreview:
    """Raises NotFound for a portfolio that the user does not see. With None the whole desk."""
    if portfolio_id is None:
        ids = list(portfolios_visible(user).values_list("pk", flat=True))
        hidden = len(portfolio_names()) - len(ids)
    else:
        ids, hidden = [portfolio_get(user=user, portfolio_id=portfolio_id).pk], 0
    working = list(Order.objects.working().filter(portfolio_id__in=ids).values_list("side", flat=True))
    held = {owner: one for owner, one in holdings_many(ids).items() if one.positions}
    prices = reference_prices({symbol for one in held.values() for symbol in one.symbols}, market_time=market_clock(at).market_time)
    values = [value_holdings(holdings=one, prices=prices) for one in held.values()]
    missing = tuple(sorted({symbol for value in values for symbol in value.missing}))
    currencies = {value.currency for value in values}
    state = trading_state(portfolio_id).state
    return HaltPreview(
        state=state,
        portfolios=len(ids),
        hidden=hidden,
        working_orders=len(working),
        working_buys=working.count("buy"),
        positions=sum(len(one.positions) for one in held.values()),
        gross=None if missing or len(currencies) > 1 else sum((value.gross for value in values), ZERO),
        currency=next(iter(currencies)) if len(currencies) == 1 else "",
        missing=missing,
        live_accounts=live_accounts(ids),
        flatten_refused=_flatten_refused(user, state, held, portfolio_id),
    )


def live_accounts(portfolio_ids: list[int]) -> tuple[str, ...]:
    """Numbers of the accounts of these portfolios whose orders reach a market."""
    found = BrokerageAccount.objects.filter(portfolio_id__in=portfolio_ids, mode=TradingMode.LIVE.value)
    return tuple(found.order_by("number").values_list("number", flat=True))


def scope_ids(portfolio_id: int | None) -> list[int]:
    """The portfolio, or all of the desk, in the order in which they are locked."""
    return [portfolio_id] if portfolio_id is not None else sorted(portfolio_names())


def untradable(user: "User", portfolio_ids: list[int]) -> list[int]:
    """Those of the portfolios that hold something and in which the user may not place orders."""
    may = set(portfolios_tradable(user).values_list("pk", flat=True))
    return [owner for owner, one in sorted(holdings_many(portfolio_ids).items()) if one.positions and owner not in may]


def _flatten_refused(user: "User", state: TradingState, held: dict, portfolio_id: int | None) -> str:
    if state is TradingState.HALTED:
        return "Trading is halted, and a closing order is an order: two people release first."
    if untradable(user, scope_ids(portfolio_id) if portfolio_id is None else list(held)):
        return "Closing positions takes somebody who may place orders in every portfolio of the scope that holds some."
    return ""
