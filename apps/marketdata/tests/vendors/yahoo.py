"""Yahoo: the v8 chart, adjusted for splits and kept as four-byte floats, and the ceremony of cookies and crumbs around it."""

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from websockets.sync.server import ServerConnection

from apps.marketdata.domain import calendars
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind
from apps.marketdata.providers.shaping import Row
from apps.marketdata.tests.vendors.market import local_open
from apps.marketdata.tests.vendors.server import Answer, Request, VendorServer

CHART = "/v8/finance/chart/"
FRAMES = {"1m": Timeframe.MINUTE, "5m": Timeframe.MINUTES_5, "15m": Timeframe.MINUTES_15, "1h": Timeframe.HOUR, "1d": Timeframe.DAY}


class YahooServer(VendorServer):
    name = "yahoo"
    data_variables = ("YAHOO_DATA_URL",)

    def is_data(self, path: str) -> bool:
        return path.startswith(CHART)

    def respond(self, request: Request) -> Answer:
        if request.path == "/v1/test/getcrumb":
            return Answer(body="aBcDeFgHiJk")
        if not self.is_data(request.path):  # fc.yahoo.com answers 404, with the cookie
            return Answer(status=404, body="", headers={"Set-Cookie": "A3=d=AQABBK; Path=/"})
        ticker = request.path.removeprefix(CHART)
        symbol = ticker.replace("-", ".") if ticker.startswith("BRK") else ticker
        if not self.market.knows(symbol):
            return _error(404, "Not Found", "No data found, symbol may be delisted")
        start, end = (datetime.fromtimestamp(int(request.query[name]), UTC) for name in ("period1", "period2"))
        return self._chart(symbol, ticker, request.query["interval"], start, end)

    def _chart(self, symbol: str, ticker: str, interval: str, start: datetime, end: datetime) -> Answer:
        events = self._events(symbol, start, end)
        if interval == "3mo":
            rows = [row for row in self.market.rows(symbol, Timeframe.DAY) if start <= local_open(row.ts) < end][:1]
            timeframe = Timeframe.DAY
        else:
            timeframe = FRAMES[interval]
            rows = self.rows(symbol, timeframe, lambda row: start <= _moment(row, timeframe) < end)
        if not rows and not events:
            return _error(400, "Bad Request", f"Data doesn't exist for startDate = {start.timestamp():.0f}, endDate = {end.timestamp():.0f}")
        result: dict[str, Any] = {"meta": self._meta(ticker, interval, rows), "timestamp": [int(_moment(row, timeframe).timestamp()) for row in rows]}
        if events:
            result["events"] = events
        told = {name: [self._number(symbol, row, name) for row in rows] for name in ("open", "high", "low", "close", "volume")}
        result["indicators"] = {"quote": [told], "adjclose": [{"adjclose": told["close"]}]}
        return Answer(body={"chart": {"result": [result], "error": None}})

    def _events(self, symbol: str, start: datetime, end: datetime) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for item in self.market.actions.get(symbol, ()):
            at = local_open(datetime.combine(item.ex_date, datetime.min.time(), UTC))
            if not start <= at < end:
                continue
            key = int(at.timestamp())
            if item.kind is ActionKind.SPLIT:
                ratio = int(item.value)
                told.setdefault("splits", {})[str(key)] = {"date": key, "numerator": ratio, "denominator": 1, "splitRatio": f"{ratio}:1"}
            else:
                amount = float(item.value) / self.market.ratio_after(symbol, item.ex_date)
                told.setdefault("dividends", {})[str(key)] = {"amount": amount, "date": key}
        return told

    def _number(self, symbol: str, row: Row, name: str) -> Any:
        value = getattr(row, name)
        if not isinstance(value, int | float):
            return value
        ratio = self.market.ratio_after(symbol, row.ts.date())
        return int(value * ratio) if name == "volume" else float(np.float32(value / ratio))

    def _meta(self, ticker: str, interval: str, rows: list[Row]) -> dict[str, Any]:
        meta: dict[str, Any] = {
            "currency": "USD",
            "symbol": ticker,
            "exchangeName": "NMS",
            "fullExchangeName": "NasdaqGS",
            "instrumentType": "EQUITY",
            "firstTradeDate": 345479400,
            "regularMarketTime": 1600200000,
            "hasPrePostMarketData": True,
            "gmtoffset": -14400,
            "timezone": "EDT",
            "exchangeTimezoneName": "America/New_York",
            "regularMarketPrice": 115.54,
            "chartPreviousClose": 108.9,
            "priceHint": 2,
            "dataGranularity": interval,
            "range": "",
            "validRanges": ["1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max"],
        }
        if interval[-1] in "mh":
            meta["tradingPeriods"] = [[_period(day)] for day in sorted({row.ts.date() for row in rows})]
        return meta

    def greet(self, connection: ServerConnection) -> bool:
        return False

    def frames(self, ticks: Any) -> list[str | bytes]:
        raise NotImplementedError(f"{self.name} has no stream here")


def _moment(row: Row, timeframe: Timeframe) -> datetime:
    return local_open(row.ts) if timeframe is Timeframe.DAY else row.ts


def _period(day: date) -> dict[str, Any]:
    opened, closed = calendars.session_hours("XNYS", day)
    return {"timezone": "EDT", "start": int(opened.timestamp()), "end": int(closed.timestamp()), "gmtoffset": -14400}


def _error(status: int, code: str, description: str) -> Answer:
    return Answer(status=status, body={"chart": {"result": None, "error": {"code": code, "description": description}}})
