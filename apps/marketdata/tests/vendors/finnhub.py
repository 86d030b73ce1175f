"""Finnhub: candles by column, daily ones adjusted for splits; everything about an unknown symbol is empty or zero."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from websockets.sync.server import ServerConnection

from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind, BarTick, Tick, TradeTick
from apps.marketdata.tests.vendors.server import Answer, Request, VendorServer

KEY = "finnhub-key-for-tests"
FRAMES = {"1": Timeframe.MINUTE, "5": Timeframe.MINUTES_5, "15": Timeframe.MINUTES_15, "60": Timeframe.HOUR, "D": Timeframe.DAY}
#: A year's report and a quarter's, as the vendor tells those of the SEC.
REPORTS: dict[str, list[dict[str, Any]]] = {
    "annual": [
        {
            "accessNumber": "0000320193-20-000096",
            "symbol": "AAPL",
            "cik": "320193",
            "year": 2020,
            "quarter": 0,
            "form": "10-K",
            "startDate": "2019-09-29 00:00:00",
            "endDate": "2020-09-26 00:00:00",
            "filedDate": "2020-10-30 00:00:00",
            "acceptedDate": "2020-10-29 18:06:25",
            "report": {
                "bs": [
                    {"concept": "us-gaap_Assets", "unit": "usd", "label": "Total assets", "value": 323888000000},
                    {"concept": "us-gaap_StockholdersEquity", "unit": "usd", "label": "Total equity", "value": 65339000000},
                ],
                "ic": [
                    {"concept": "us-gaap_NetIncomeLoss", "unit": "usd", "label": "Net income", "value": 57411000000},
                    {"concept": "us-gaap_EarningsPerShareDiluted", "unit": "usd/shares", "label": "Diluted", "value": 3.28},
                ],
                "cf": [{"concept": "us-gaap_NetCashProvidedByUsedInOperatingActivities", "unit": "usd", "label": "Cash", "value": 80674000000}],
            },
        }
    ],
    "quarterly": [
        {
            "accessNumber": "0000320193-20-000062",
            "symbol": "AAPL",
            "cik": "320193",
            "year": 2020,
            "quarter": 3,
            "form": "10-Q",
            "startDate": "2019-09-29 00:00:00",
            "endDate": "2020-06-27 00:00:00",
            "filedDate": "2020-07-31 00:00:00",
            "acceptedDate": "2020-07-30 18:06:43",
            "report": {
                "bs": [{"concept": "us-gaap_Assets", "unit": "usd", "label": "Total assets", "value": 317344000000}],
                "ic": [{"concept": "us-gaap_NetIncomeLoss", "unit": "usd", "label": "Net income", "value": 44738000000}],
                "cf": [],
            },
        }
    ],
}


class FinnhubServer(VendorServer):
    name = "finnhub"
    keys = {"FINNHUB_API_KEY": KEY}
    data_variables = ("FINNHUB_DATA_URL",)
    stream_variables = ("FINNHUB_STREAM_URL",)
    data_suffix = "/api/v1"

    def is_data(self, path: str) -> bool:
        return path.endswith("/candle")

    def respond(self, request: Request) -> Answer:
        if request.headers.get("x-finnhub-token") != KEY:
            return Answer(status=401, body={"error": "Invalid API key"})
        answers = {
            "/api/v1/stock/candle": self._candles,
            "/api/v1/stock/split": self._splits,
            "/api/v1/stock/dividend": self._dividends,
            "/api/v1/quote": self._quote,
            "/api/v1/stock/financials-reported": self._reports,
        }
        return Answer(body=answers[request.path](request.query)) if request.path in answers else Answer(status=404, body="Not found")

    def _candles(self, query: dict[str, str]) -> Any:
        symbol, timeframe = query["symbol"], FRAMES[query["resolution"]]
        start, end = (datetime.fromtimestamp(int(query[name]), UTC) for name in ("from", "to"))
        rows = self.rows(symbol, timeframe, lambda row: start <= row.ts <= end)
        if not rows:
            return {"s": "no_data"}
        told: dict[str, Any] = {"s": "ok", "t": [int(row.ts.timestamp()) for row in rows]}
        for letter, name in zip("ohlcv", ("open", "high", "low", "close", "volume"), strict=True):
            told[letter] = [self._adjusted(symbol, timeframe, row.ts, getattr(row, name), volume=name == "volume") for row in rows]
        return told

    def _adjusted(self, symbol: str, timeframe: Timeframe, ts: datetime, value: Any, *, volume: bool) -> Any:
        if timeframe is not Timeframe.DAY or not isinstance(value, int | float):
            return value
        ratio = self.market.ratio_after(symbol, ts.date())
        return value * ratio if volume else value / ratio

    def _splits(self, query: dict[str, str]) -> Any:
        span = (date.fromisoformat(query["from"]), date.fromisoformat(query["to"]))
        found = self.market.of_kind(query["symbol"], ActionKind.SPLIT, *span)
        return [{"symbol": item.symbol, "date": item.ex_date.isoformat(), "fromFactor": 1, "toFactor": int(item.value)} for item in found]

    def _dividends(self, query: dict[str, str]) -> Any:
        span = (date.fromisoformat(query["from"]), date.fromisoformat(query["to"]))
        return [
            {
                "symbol": item.symbol,
                "date": item.ex_date.isoformat(),
                "amount": float(item.value),
                "adjustedAmount": float(item.value) / self.market.ratio_after(item.symbol, item.ex_date),
                "payDate": item.ex_date.isoformat(),
                "recordDate": item.ex_date.isoformat(),
                "declarationDate": item.ex_date.isoformat(),
                "currency": item.currency,
            }
            for item in self.market.of_kind(query["symbol"], ActionKind.DIVIDEND, *span)
        ]

    def _quote(self, query: dict[str, str]) -> Any:
        rows = self.market.rows(query["symbol"], Timeframe.DAY)
        if not rows:
            return {"c": 0, "d": None, "dp": None, "h": 0, "l": 0, "o": 0, "pc": 0, "t": 0}
        last = rows[-1]
        return {"c": last.close, "d": 0.1, "dp": 0.01, "h": last.high, "l": last.low, "o": last.open, "pc": last.close, "t": int(last.ts.timestamp())}

    def _reports(self, query: dict[str, str]) -> Any:
        known = REPORTS[query["freq"]] if query["symbol"] == "AAPL" else []
        return {"cik": "320193", "data": known, "symbol": query["symbol"]}

    def greet(self, connection: ServerConnection) -> bool:
        assert connection.request is not None
        if not connection.request.path.endswith(f"token={KEY}"):
            connection.send(json.dumps({"type": "error", "msg": "Invalid API key"}))
            return False
        asked = json.loads(connection.recv())
        assert asked["type"] == "subscribe"
        connection.send(json.dumps({"type": "ping"}))
        return True

    def frames(self, ticks: Sequence[Tick | BarTick]) -> list[str | bytes]:
        """Several trades may share a message; here each has its own."""
        return [json.dumps({"type": "trade", "data": [_trade(tick)]}) for tick in ticks]


def _trade(tick: Tick | BarTick) -> dict[str, Any]:
    assert isinstance(tick, TradeTick)
    return {"p": tick.price, "s": tick.symbol, "t": round(tick.ts.timestamp() * 1000), "v": tick.size, "c": ["1"]}
