"""Alpaca: bars by symbol with page tokens, daily ones at midnight in New York; a stream of MessagePack."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgpack
from websockets.sync.server import ServerConnection

from apps.marketdata.domain import calendars
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind, BarTick, QuoteTick, Tick, TradeTick
from apps.marketdata.providers.shaping import Row
from apps.marketdata.tests.vendors.market import NEW_YORK, local_midnight
from apps.marketdata.tests.vendors.server import Answer, Request, VendorServer

FRAMES = {"1Min": Timeframe.MINUTE, "5Min": Timeframe.MINUTES_5, "15Min": Timeframe.MINUTES_15, "1Hour": Timeframe.HOUR, "1Day": Timeframe.DAY}


class AlpacaServer(VendorServer):
    name = "alpaca"
    keys = {"ALPACA_API_KEY": "alpaca-key-for-tests", "ALPACA_SECRET_KEY": "alpaca-secret-for-tests"}
    data_variables = ("ALPACA_DATA_URL", "ALPACA_TRADING_URL")
    stream_variables = ("ALPACA_STREAM_URL",)

    #: The last page links to the first one.
    circular = False

    def is_data(self, path: str) -> bool:
        return path == "/v2/stocks/bars"

    def respond(self, request: Request) -> Answer:
        given = (request.headers.get("apca-api-key-id"), request.headers.get("apca-api-secret-key"))
        if given != tuple(self.keys.values()):
            return Answer(status=403, body={"message": "forbidden."})
        if request.path == "/v2/stocks/bars":
            return self._bars(request.query)
        if request.path == "/v1/corporate-actions":
            return self._actions(request.query)
        if request.path == "/v2/calendar":
            return self._calendar(request.query)
        if request.path.startswith("/v2/assets/"):
            return self._asset(request.path.rpartition("/")[2])
        return Answer(status=404, body={"message": "endpoint not found."})

    def _bars(self, query: dict[str, str]) -> Answer:
        assert (query["adjustment"], query["feed"]) == ("raw", "iex")
        symbol, timeframe = query["symbols"], FRAMES[query["timeframe"]]
        start, end = (datetime.fromisoformat(query[name]) for name in ("start", "end"))
        rows = self.rows(symbol, timeframe, lambda row: start <= _moment(row, timeframe) <= end)
        first = int(query.get("page_token", 0))
        page = rows[first : first + self.page_size]
        token = str(first + self.page_size) if first + self.page_size < len(rows) else None
        if self.circular and page:
            token = "0"
        told = [{"t": _iso(_moment(row, timeframe)), **dict(zip("ohlcv", row[1:], strict=True)), "n": 100, "vw": row.close} for row in page]
        return Answer(body={"bars": {symbol: told} if told else {}, "next_page_token": token})

    def _actions(self, query: dict[str, str]) -> Answer:
        symbol, span = query["symbols"], (date.fromisoformat(query["start"]), date.fromisoformat(query["end"]))
        common = {"symbol": symbol, "cusip": "037833100", "id": "9b1a7e2c-0000-4000-8000-000000000000"}
        splits = [
            {**common, "new_rate": float(item.value), "old_rate": 1, "ex_date": item.ex_date.isoformat(), "process_date": item.ex_date.isoformat()}
            for item in self.market.of_kind(symbol, ActionKind.SPLIT, *span)
        ]
        dividends = [
            {
                **common,
                "rate": float(item.value),
                "special": False,
                "foreign": False,
                "ex_date": item.ex_date.isoformat(),
                "process_date": "2020-08-13",
            }
            for item in self.market.of_kind(symbol, ActionKind.DIVIDEND, *span)
        ]
        told = {name: found for name, found in (("forward_splits", splits), ("cash_dividends", dividends)) if found}
        return Answer(body={"corporate_actions": told, "next_page_token": None})

    def _calendar(self, query: dict[str, str]) -> Answer:
        days = calendars.sessions("XNYS", date.fromisoformat(query["start"]), date.fromisoformat(query["end"]))
        told = []
        for day in days:
            opened, closed = calendars.session_hours("XNYS", day)
            hours = {name: moment.astimezone(NEW_YORK).strftime("%H:%M") for name, moment in (("open", opened), ("close", closed))}
            told.append({"date": day.isoformat(), **hours, "session_open": "0400", "session_close": "2000", "settlement_date": day.isoformat()})
        return Answer(body=told)

    def _asset(self, symbol: str) -> Answer:
        if not self.market.knows(symbol):
            return Answer(status=404, body={"code": 40410000, "message": f"asset not found for {symbol}"})
        flags = dict.fromkeys(("tradable", "marginable", "shortable", "easy_to_borrow", "fractionable"), True)
        told = {"id": "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415", "class": "us_equity", "exchange": "NASDAQ", "symbol": symbol, "name": symbol}
        return Answer(body={**told, "status": "active", **flags})

    def greet(self, connection: ServerConnection) -> bool:
        assert connection.request is not None
        assert connection.request.path == "/v2/iex"
        connection.send(msgpack.packb([{"T": "success", "msg": "connected"}]))
        asked = msgpack.unpackb(connection.recv())
        if (asked["action"], asked["key"], asked["secret"]) != ("auth", *self.keys.values()):
            connection.send(msgpack.packb([{"T": "error", "code": 402, "msg": "auth failed"}]))
            return False
        connection.send(msgpack.packb([{"T": "success", "msg": "authenticated"}]))
        asked = msgpack.unpackb(connection.recv())
        assert asked.pop("action") == "subscribe"
        connection.send(msgpack.packb([{"T": "subscription", "trades": [], "quotes": [], "bars": [], **asked}]))
        return True

    def frames(self, ticks: Sequence[Tick | BarTick]) -> list[str | bytes]:
        """All in one message, as the vendor does with what comes at once."""
        return [msgpack.packb([_message(tick) for tick in ticks], datetime=True)]


def _moment(row: Row, timeframe: Timeframe) -> datetime:
    return local_midnight(row.ts) if timeframe is Timeframe.DAY else row.ts


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _message(tick: Tick | BarTick) -> dict[str, Any]:
    common: dict[str, Any] = {"S": tick.symbol, "t": tick.ts}
    if isinstance(tick, QuoteTick):
        return {
            "T": "q",
            **common,
            "bx": "V",
            "bp": tick.bid,
            "bs": tick.bid_size,
            "ax": "V",
            "ap": tick.ask,
            "as": tick.ask_size,
            "c": ["R"],
            "z": "C",
        }
    if isinstance(tick, TradeTick):
        exchange, _, number = tick.trade_id.partition("-")
        return {"T": "t", **common, "i": int(number), "x": exchange, "p": tick.price, "s": tick.size, "c": ["@"], "z": "C"}
    return {"T": "b", **common, "o": tick.open, "h": tick.high, "l": tick.low, "c": tick.close, "v": tick.volume, "n": 7, "vw": tick.close}
