"""Polygon: pages linked by next_url, daily bars at midnight in New York, quotes in round lots, events of a stream in lists."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from websockets.sync.server import ServerConnection

from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind, BarTick, QuoteTick, Tick, TradeTick
from apps.marketdata.providers.shaping import Row
from apps.marketdata.tests.vendors.market import local_midnight
from apps.marketdata.tests.vendors.server import Answer, Request, VendorServer

KEY = "polygon-key-for-tests"
FRAMES = {"minute": 1, "hour": 60, "day": Timeframe.DAY}


class PolygonServer(VendorServer):
    name = "polygon"
    keys = {"POLYGON_API_KEY": KEY}
    data_variables = ("POLYGON_DATA_URL",)
    stream_variables = ("POLYGON_STREAM_URL",)

    def is_data(self, path: str) -> bool:
        return path.startswith("/v2/aggs/")

    def respond(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return Answer(status=401, body={"status": "ERROR", "request_id": "r", "error": "Unknown API Key"})
        parts = request.path.split("/")
        if self.is_data(request.path):
            return self._bars(parts[4], parts[6], parts[7], parts[8:10], request)
        if request.path.startswith("/v3/reference/tickers/"):
            symbol = parts[-1]
            if not self.market.knows(symbol):
                return Answer(status=404, body={"status": "NOT_FOUND", "request_id": "r", "message": "Ticker not found."})
            return _ok({"ticker": symbol, "name": symbol, "market": "stocks", "locale": "us", "active": True})
        if request.path in ("/v3/reference/splits", "/v3/reference/dividends"):
            return self._actions(parts[-1], request.query)
        return Answer(status=404, body={"status": "NOT_FOUND"})

    def _bars(self, ticker: str, multiplier: str, span: str, ends: list[str], request: Request) -> Answer:
        symbol = self._symbol(ticker)
        timeframe = Timeframe(int(multiplier) * FRAMES[span])
        start, end = _ends(*ends)
        rows = self.rows(symbol, timeframe, lambda row: start <= _moment(row, timeframe, ticker) <= end)
        first = int(request.query.get("cursor", 0))
        assert first or request.query["adjusted"] == "false"
        page = rows[first : first + self.page_size]
        told = {"ticker": ticker, "queryCount": len(page), "resultsCount": len(page), "adjusted": False, "status": "OK", "request_id": "r"}
        if page:
            told["results"] = [
                {
                    "v": row.volume,
                    "vw": row.close,
                    "o": row.open,
                    "c": row.close,
                    "h": row.high,
                    "l": row.low,
                    "t": _ms(_moment(row, timeframe, ticker)),
                    "n": 9,
                }
                for row in page
            ]
        if first + self.page_size < len(rows):
            told["next_url"] = f"https://api.polygon.io{request.path}?cursor={first + self.page_size}"
        return Answer(body=told)

    def _symbol(self, ticker: str) -> str:
        return f"{ticker[2:-3]}-{ticker[-3:]}" if ticker.startswith("X:") else ticker

    def _actions(self, kind: str, query: dict[str, str]) -> Answer:
        symbol = query["ticker"]
        name = "execution_date" if kind == "splits" else "ex_dividend_date"
        span = (date.fromisoformat(query[f"{name}.gte"]), date.fromisoformat(query[f"{name}.lte"]))
        found = self.market.of_kind(symbol, ActionKind.SPLIT if kind == "splits" else ActionKind.DIVIDEND, *span)
        if kind == "splits":
            return _ok(
                [{"id": "E1", name: item.ex_date.isoformat(), "split_from": 1, "split_to": int(item.value), "ticker": symbol} for item in found]
            )
        dates = {"declaration_date": "2020-07-30", "pay_date": "2020-08-13", "record_date": "2020-08-10"}
        about = {"currency": "USD", "dividend_type": "CD", "frequency": 4, "id": "E2", "ticker": symbol, **dates}
        return _ok([{**about, "cash_amount": float(item.value), name: item.ex_date.isoformat()} for item in found])

    def greet(self, connection: ServerConnection) -> bool:
        assert connection.request is not None
        assert connection.request.path == "/stocks"
        connection.send(json.dumps([{"ev": "status", "status": "connected", "message": "Connected Successfully"}]))
        if json.loads(connection.recv()) != {"action": "auth", "params": KEY}:
            connection.send(json.dumps([{"ev": "status", "status": "auth_failed", "message": "authentication failed"}]))
            return False
        connection.send(json.dumps([{"ev": "status", "status": "auth_success", "message": "authenticated"}]))
        asked = json.loads(connection.recv())
        assert asked["action"] == "subscribe"
        told = [{"ev": "status", "status": "success", "message": f"subscribed to: {item}"} for item in asked["params"].split(",")]
        connection.send(json.dumps(told))
        return True

    def frames(self, ticks: Sequence[Tick | BarTick]) -> list[str | bytes]:
        return [json.dumps([_message(tick) for tick in ticks])]


def _ok(results: Any) -> Answer:
    return Answer(body={"status": "OK", "request_id": "r", "results": results})


def _ends(start: str, end: str) -> tuple[datetime, datetime]:
    """Both included: milliseconds, or dates in New York."""
    if "-" not in start:
        return datetime.fromtimestamp(int(start) / 1000, UTC), datetime.fromtimestamp(int(end) / 1000, UTC)
    first, last = (datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC) for day in (start, end))
    return first, last + timedelta(hours=23, minutes=59)


def _moment(row: Row, timeframe: Timeframe, ticker: str) -> datetime:
    return local_midnight(row.ts) if timeframe is Timeframe.DAY and not ticker.startswith("X:") else row.ts


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _message(tick: Tick | BarTick) -> dict[str, Any]:
    if isinstance(tick, QuoteTick):
        lots = {"bs": int(tick.bid_size / 100), "as": int(tick.ask_size / 100)}
        return {
            "ev": "Q",
            "sym": tick.symbol,
            "bx": 4,
            "bp": tick.bid,
            "ax": 7,
            "ap": tick.ask,
            **lots,
            "c": 0,
            "t": _ms(tick.ts),
            "q": 50385480,
            "z": 3,
        }
    if isinstance(tick, TradeTick):
        exchange, _, number = tick.trade_id.partition("-")
        about = {"x": int(exchange), "i": number, "z": 3, "c": [0, 12], "q": 3681328}
        return {"ev": "T", "sym": tick.symbol, "p": tick.price, "s": tick.size, "t": _ms(tick.ts), **about}
    prices = {"o": tick.open, "h": tick.high, "l": tick.low, "c": tick.close, "v": tick.volume}
    return {
        "ev": "AM",
        "sym": tick.symbol,
        **prices,
        "av": 9470157,
        "op": 0.4372,
        "vw": tick.close,
        "z": 685,
        "s": _ms(tick.ts),
        "e": _ms(tick.ts) + 60_000,
    }
