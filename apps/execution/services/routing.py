"""From an account's row to the adapter that reaches its broker. The only place that builds adapters."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import ClassVar
from uuid import UUID

from apps.core.errors import RuleRefused
from apps.core.trading import OrderType, Side, TimeInForce, TradingMode
from apps.execution.brokers.alpaca import ALPACA
from apps.execution.brokers.alpaca_words import mode_of_number as alpaca_mode
from apps.execution.brokers.ib import IB
from apps.execution.brokers.ib_words import mode_of_number
from apps.execution.brokers.paper import PAPER, PaperBroker, PaperCosts, PaperFaults
from apps.execution.brokers.protocol import Broker, BrokerOrder, DisplayedPrice, MarketPrice
from apps.execution.models import BrokerageAccount, Order
from apps.execution.selectors.venues import venues_display
from apps.execution.services.outbox import Outbox
from apps.execution.services.paper_book import paper_statement
from apps.marketdata.selectors.quotes import Quote, latest_quotes

#: Bid and ask that are older than the last price by more than this are no longer those of the market in which it traded.
BOOK_COUNTS_FOR = timedelta(seconds=30)


class ModeMismatch(RuleRefused):
    """The account's broker does not trade in the account's mode, or not in the mode that was asked for."""

    code: ClassVar[str] = "MODE_MISMATCH"


def broker_build(account: BrokerageAccount, *, mode: TradingMode | None = None) -> Broker:
    """The adapter for an account, in the mode of the account's row.

    `mode` is what the caller believes it to be. Raises ModeMismatch when the row says otherwise, or when no adapter of its broker
    trades in that mode: nobody can talk a paper account into the market.
    """
    own = TradingMode(account.mode)
    if mode is not None and mode is not own:
        raise ModeMismatch(f"account {account.number} trades in {own}, not in {mode}", account=account.number)
    build = _ADAPTERS.get((account.broker, own))
    if build is None:
        raise ModeMismatch(f"no adapter of broker {account.broker!r} trades in mode {own}", account=account.number)
    return build(account)


def broker_reference(order: Order) -> str:
    """How a broker knows the order for ever."""
    return reference_of(order.account, order_id=order.pk, client_order_id=order.client_order_id)


def reference_of(account: BrokerageAccount, *, order_id: int, client_order_id: UUID) -> str:
    """The client order id, which no second database of this desk has given to another order. The paper broker's executions are named after the
    order's own number."""
    return str(order_id if account.broker == PAPER else client_order_id)


def broker_order(order: Order, *, symbol: str | None = None) -> BrokerOrder:
    """The order as brokers are told of it. Needs the instrument at hand, or its symbol."""
    return BrokerOrder(
        reference=broker_reference(order),
        symbol=symbol or order.instrument.symbol,
        side=Side(order.side),
        quantity=order.quantity,
        cumulative=order.cumulative_quantity,
        order_type=OrderType(order.order_type),
        time_in_force=TimeInForce(order.time_in_force),
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        trail_offset=order.trail_offset,
        working_stop=order.working_stop,
        expire_at=order.expire_at,
        stop_triggered=order.stop_triggered,
        venue=order.venue,
        client_order_id=str(order.client_order_id),
    )


def market_price(quote: Quote) -> MarketPrice:
    """A quote as the paper broker matches it. A last price says nothing of volume."""
    counts = quote.quote_time is not None and quote.quote_time >= quote.market_time - BOOK_COUNTS_FOR
    return MarketPrice(
        symbol=quote.symbol,
        price=quote.price,
        market_time=quote.market_time,
        source=quote.feed,
        bid=quote.bid if counts else None,
        ask=quote.ask if counts else None,
        bid_size=quote.bid_size or None,  # a size of zero beside a price is one that the feed does not know
        ask_size=quote.ask_size or None,
        quote_time=quote.quote_time,
    )


def paper_broker(account: BrokerageAccount) -> PaperBroker:
    """The paper broker with the account's costs, and with its faults."""
    costs = PaperCosts(slippage_bps=account.slippage_bps, commission=account.commission)
    return PaperBroker(
        market=latest_price,
        costs=costs,
        displayed=_displayed,
        displayed_share=account.displayed_share,
        faults=PaperFaults(latency=latency_of(account), reject_share=account.reject_share, seed=account.reject_seed),
        book=partial(paper_statement, account),
    )


def latency_of(account: BrokerageAccount) -> timedelta:
    """How long a paper order waits before it can trade."""
    return timedelta(milliseconds=account.latency_ms)


def latest_price(symbol: str) -> MarketPrice | None:
    """The last price of a symbol as the paper broker matches it."""
    quote = latest_quotes([symbol]).get(symbol)
    return market_price(quote) if quote else None


def ib_outbox(account: BrokerageAccount) -> Outbox:
    """Orders for Interactive Brokers go to the process that holds the line. Raises ModeMismatch when number and mode do not agree."""
    if mode_of_number(account.number) is not TradingMode(account.mode):
        raise ModeMismatch(f"account {account.number} does not trade in {account.mode}: its number says so", account=account.number)
    return Outbox(IB)


def _displayed(order: BrokerOrder) -> DisplayedPrice | None:
    for shown in venues_display(order.symbol, order.side).quotes:
        if shown.quote.venue == order.venue:
            price, size = shown.quote.price, Decimal(shown.quote.size)
            market = MarketPrice(symbol=order.symbol, price=price, market_time=shown.market_time, source=shown.source, volume=size)
            return DisplayedPrice(market=market, fee=shown.quote.fee)
    return None


def alpaca_outbox(account: BrokerageAccount) -> Outbox:
    """Orders for Alpaca go to its process. Raises ModeMismatch when number and mode do not agree."""
    if alpaca_mode(account.number) is not TradingMode(account.mode):
        raise ModeMismatch(f"account {account.number} does not trade in {account.mode}: its number says so", account=account.number)
    return Outbox(ALPACA)


_ADAPTERS: dict[tuple[str, TradingMode], Callable[[BrokerageAccount], Broker]] = {
    (PAPER, TradingMode.PAPER): paper_broker,
    (IB, TradingMode.PAPER): ib_outbox,
    (IB, TradingMode.LIVE): ib_outbox,
    (ALPACA, TradingMode.PAPER): alpaca_outbox,
    (ALPACA, TradingMode.LIVE): alpaca_outbox,
}
