"""Latest prices, and the messages by which feeds announce them."""

import json
import re
import time as wall
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import filterfalse
from typing import Any

from django.db import connection

from apps.core.money import price_from_float
from apps.core.trading import ReferencePrice
from apps.marketdata.domain import calendars
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Instrument
from apps.marketdata.selectors.instruments import instruments_known
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.marketdata.selectors.store import CHANNELS, GONE, LATEST, redis_client, redis_errors

#: How long `listen` waits before it says that nothing came.
SILENCE_SECONDS = 1.0
#: Live prices that come within this time are one message to a process that matches orders or runs strategies.
PACE_SECONDS = 0.1
#: How old a price that values other positions may be for an order: screens get a new one as often.
RECENT_SECONDS = 0.25
_PRICE = re.compile(r'"price": ?"([0-9.]+)"').search
SIDES = ("bid", "ask", "bid_size", "ask_size")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A last price. `market_time` is the time in the market shown, `received_at` is wall time; both are the price's.

    The price is the last trade's, else the middle of bid and ask. A live feed also says the best bid and offer with their sizes (None:
    not known, or an empty side) and their market time; `basis` is what the price is ("trade" or "mid"), `count` the number of ticks of the
    symbol that its feed has accepted so far.
    """

    symbol: str
    instrument_id: int
    price: Decimal
    market_time: datetime
    received_at: datetime
    feed: str
    bid: Decimal | None = None
    ask: Decimal | None = None
    bid_size: Decimal | None = None
    ask_size: Decimal | None = None
    quote_time: datetime | None = None
    count: int | None = None
    basis: str = "trade"

    @property
    def reference(self) -> ReferencePrice:
        """The price that an instrument is judged by."""
        return ReferencePrice(
            price=self.price, market_time=self.market_time, received_at=self.received_at, source=self.feed, bid=self.bid, ask=self.ask
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedMessage:
    """What a feed announced.

    kind "quotes": `prices` are the new last prices. kind "bars": `session` is complete, `symbols` are those that have a daily
    bar of it, stored and readable. kind "intraday": `symbols` have a new bar of `timeframe`, stored and readable. The step of a replay
    is "open", "low", "high" or "close", else "". After a feed was killed the last message may come a second time, never not at all:
    whoever acts on "bars" remembers the session.
    """

    kind: str
    feed: str
    session: date
    market_time: datetime
    received_at: datetime
    symbols: tuple[str, ...]
    prices: Mapping[str, Decimal]
    step: str = ""
    timeframe: Timeframe = Timeframe.DAY

    @property
    def is_live(self) -> bool:
        """Whether it says new last prices of which only the newest count; the steps of a replay are matched one by one."""
        return self.kind == "quotes" and not self.step

    def may_take_in(self, later: "FeedMessage") -> bool:
        """Whether a later message says more of the same session."""
        return self.is_live and later.is_live and (later.feed, later.session) == (self.feed, self.session)

    def with_later(self, later: "FeedMessage") -> "FeedMessage":
        """Both as one message, with the later price of each symbol."""
        prices = {**self.prices, **later.prices}
        return replace(later, prices=prices, symbols=tuple(prices), market_time=max(self.market_time, later.market_time))


def quote_from_json(symbol: str, text: str) -> Quote:
    """The quote that a feed stored in Redis."""
    data = json.loads(text)
    return Quote(
        symbol=symbol,
        instrument_id=data["instrument_id"],
        price=Decimal(data["price"]),
        market_time=datetime.fromisoformat(data["market_time"]),
        received_at=datetime.fromisoformat(data["received_at"]),
        feed=data["feed"],
        **({} if "count" not in data else _live_part(data)),
    )


def _live_part(data: Mapping[str, Any]) -> dict[str, Any]:
    sides = {name: None if data[name] is None else Decimal(data[name]) for name in SIDES}
    quoted = data["quote_time"]
    return {**sides, "quote_time": quoted and datetime.fromisoformat(quoted), "count": data["count"], "basis": data["basis"]}


def latest_quotes(symbols: Iterable[str] | None = None) -> dict[str, Quote]:
    """Latest quotes by symbol, of all symbols when none are named; a symbol without quote is left out.

    One call to Redis. Raises Unavailable when it does not answer.
    """
    if symbols is not None:
        return {symbol: quote_from_json(symbol, text) for symbol, text in _stored(symbols).items()}
    client: Any = redis_client()
    with redis_errors():
        stored: dict[str, str] = client.hgetall(LATEST)
    return {symbol: quote_from_json(symbol, text) for symbol, text in sorted(stored.items())}


def _stored(symbols: Iterable[str]) -> dict[str, str]:
    """The quotes of these symbols as their feeds stored them, in their order; one call to Redis, and none for no symbols."""
    wanted = list(dict.fromkeys(symbols))
    client: Any = redis_client()
    with redis_errors():
        texts = client.hmget(LATEST, wanted) if wanted else []
    return {symbol: text for symbol, text in zip(wanted, texts, strict=True) if text}


class QuotesSince:
    """What has changed of the latest quotes since the last look, for somebody who hears them come and must not miss one: only those are
    read that are other than before."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def look(self, symbols: Iterable[str]) -> dict[str, Quote]:
        """Quotes by symbol. Raises Unavailable when Redis does not answer."""
        changed = {symbol: text for symbol, text in _stored(symbols).items() if text != self._texts.get(symbol)}
        self._texts |= changed
        return {symbol: quote_from_json(symbol, text) for symbol, text in changed.items()}


def quote_row(quote: Quote) -> dict[str, Any]:
    """A quote as screens get it, beside its symbol. Bid, ask and the count of ticks come from live feeds only."""
    row = {"price": quote.price, "market_time": quote.market_time, "received_at": quote.received_at, "feed": quote.feed}
    if quote.count is None:
        return row
    sides = {name: getattr(quote, name) for name in SIDES}
    return row | sides | {"quote_time": quote.quote_time, "count": quote.count, "basis": quote.basis}


def reference_prices(symbols: Iterable[str], *, market_time: datetime | None = None) -> dict[str, ReferencePrice]:
    """The price that each symbol is judged by: its quote (source is the feed's name), else its last stored close not after the
    market's time (source "close"). A symbol without either is left out: nobody invents a price.

    `market_time` defaults to the newest time among the quotes. Raises Unavailable when Redis does not answer, so gates close.
    """
    wanted = list(dict.fromkeys(symbols))
    quotes = latest_quotes(wanted)
    prices = {item.symbol: item.reference for item in quotes.values()}
    if without := [symbol for symbol in wanted if symbol not in prices]:
        newest = market_time or max((item.market_time for item in quotes.values()), default=None)
        prices |= _last_closes(instruments_known(without), newest)
    return prices


def last_prices(symbols: Iterable[str], *, market_time: datetime | None = None) -> Mapping[str, Decimal]:
    """The same prices without what is known about them: for valuing hundreds of positions while an order waits. Others may be among them.

    A price may be `RECENT_SECONDS` old: in that time a desk's orders share one look at Redis.
    """
    prices = _recent.prices()
    if unknown := list(dict.fromkeys(filterfalse(prices.__contains__, symbols))):
        prices = _recent.with_more(prices, {symbol: _price_of(text) for symbol, text in _stored(unknown).items()})
    if without := [symbol for symbol in unknown if symbol not in prices]:
        closes = {symbol: found.price for symbol, found in reference_prices(without, market_time=market_time).items()}
        return {**prices, **closes}
    return prices


def prices_forget() -> None:
    """Look again for the next order: new prices were published by this very process."""
    _recent.forget()


class _Recent:
    """Prices that this process has read a moment ago. What was given out is never changed: others remember what follows from it."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self._since, self._prices = 0.0, dict[str, Decimal]()

    def prices(self) -> dict[str, Decimal]:
        now = wall.monotonic()
        if now - self._since > RECENT_SECONDS:
            self._since, self._prices = now, {}
        return self._prices

    def with_more(self, prices: dict[str, Decimal], found: dict[str, Decimal]) -> dict[str, Decimal]:
        """What was given out and what was read since; it is given out from now on, unless another thread has begun anew."""
        more = {**prices, **found} if found else prices
        if self._prices is prices:
            self._prices = more
        return more


_recent = _Recent()


def _price_of(text: str) -> Decimal:
    """The price of a stored quote without reading the rest of it: a thousand times for one order."""
    found = _PRICE(text)
    return Decimal(found[1] if found else json.loads(text)["price"])


def previous_closes(symbols: Iterable[str], market_time: datetime) -> dict[str, Decimal]:
    """Close of the last daily bar before the session that `market_time` belongs to; a symbol without one is left out."""
    before = calendars.session_at(HOME_CALENDAR, market_time) - timedelta(days=1)
    rows = _last_daily(symbols, before)
    return {symbol: price_from_float(close) for symbol, _, close, _ in rows}


def listen(*kinds: str, silence: float = SILENCE_SECONDS, pace: float = PACE_SECONDS) -> Iterator[FeedMessage | None]:
    """Messages of feeds as they come, None after each `silence` [seconds], so that a loop can stop or look at other work.

    Live feeds announce every few hundredths of a second. What they say within `pace` [seconds] of the last message comes as one, with the
    last price of each symbol; the first after a pause comes at once, and so does every step of a replay.

    Yields None also while Redis is away, and goes on when it is back; what was announced meanwhile is lost, so listeners read
    `latest_quotes` after a None if they must not miss a price. Raises KeyError for an unknown kind.
    """
    channels = [CHANNELS[kind] for kind in kinds or tuple(CHANNELS)]
    while True:
        subscription = redis_client().pubsub(ignore_subscribe_messages=True)
        try:
            subscription.subscribe(*channels)
            yield from _heard(subscription, silence, pace)
        except GONE:
            yield from _silence()
        finally:
            subscription.close()


def _heard(subscription: Any, silence: float, pace: float) -> Iterator[FeedMessage | None]:
    at = 0.0
    while True:
        message = _next(subscription, silence)
        if message is None or not message.is_live:
            yield message
            continue
        wall.sleep(max(0.0, at + pace - wall.monotonic()))  # what comes meanwhile waits in the socket
        after = _next(subscription, 0.0)
        while after is not None and message.may_take_in(after):
            message, after = message.with_later(after), _next(subscription, 0.0)
        at = wall.monotonic()
        yield message
        if after is not None:
            yield after


def _next(subscription: Any, patience: float) -> FeedMessage | None:
    """The next message; None when none comes in so many seconds, or a word about the subscription itself."""
    raw = subscription.get_message(timeout=patience)
    return message_from_json(raw["data"]) if raw and raw["type"] == "message" else None


def _silence() -> Iterator[None]:
    wall.sleep(SILENCE_SECONDS)
    yield None


def message_from_json(text: str) -> FeedMessage:
    """The message that a feed published."""
    data: dict[str, Any] = json.loads(text)
    prices = {symbol: Decimal(price) for symbol, price in data.get("prices", {}).items()}
    return FeedMessage(
        kind=data["kind"],
        feed=data["feed"],
        session=date.fromisoformat(data["session"]),
        market_time=datetime.fromisoformat(data["market_time"]),
        received_at=datetime.fromisoformat(data["received_at"]),
        symbols=tuple(data.get("symbols", prices)),
        prices=prices,
        step=data.get("step", ""),
        timeframe=Timeframe.parse(data.get("timeframe", Timeframe.DAY.code)),
    )


def _last_closes(instruments: Mapping[str, Instrument], market_time: datetime | None) -> dict[str, ReferencePrice]:
    """Last closes whose session had ended by the market's time."""
    result = {}
    by_calendar: dict[str, dict[str, Instrument]] = {}
    for symbol, item in instruments.items():
        by_calendar.setdefault(item.calendar, {})[symbol] = item
    for calendar, group in by_calendar.items():
        day = date.max if market_time is None else calendars.last_completed_session(calendar, market_time)
        for symbol, ts, close, recorded_at in _last_daily(group, day):
            _, closed_at = calendars.session_hours(calendar, ts.date())
            result[symbol] = ReferencePrice(price=price_from_float(close), market_time=closed_at, received_at=recorded_at, source="close")
    return result


def _last_daily(symbols: Iterable[str], day: date) -> list[tuple[str, datetime, float, datetime]]:
    """Symbol, time, close and recording time of each instrument's last daily bar up to a day."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select i.symbol, b.ts, b.close, b.recorded_at from marketdata_instrument i, lateral ("
            "  select ts, close, recorded_at from marketdata_bar"
            "  where instrument_id = i.id and timeframe = %(timeframe)s and ts <= %(upto)s order by ts desc, revision desc limit 1) b"
            " where i.symbol = any(%(symbols)s)",
            {"symbols": list(symbols), "timeframe": int(Timeframe.DAY), "upto": datetime.combine(day, time(), UTC)},
        )
        return cursor.fetchall()
