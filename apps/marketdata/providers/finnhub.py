"""Finnhub: bars, splits, dividends, figures as reported to the SEC, and a stream of trades. Needs FINNHUB_API_KEY.

Daily candles come adjusted for all splits up to today, intraday candles unadjusted. Raw daily bars are recovered with Finnhub's own
list of splits: prices times, volume over the product of the ratios of all splits after the bar. Dividends come as they were
paid (`amount`). Figures carry the moment at which the SEC accepted the filing. The stream has trades only, without ids.
Symbols are the same for stocks; a pair of coins is asked for with its exchange (BINANCE:BTCUSDT).
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind, ActionRecord, FundamentalRecord, Offer, Tick
from apps.marketdata.providers.adapter import Adapter
from apps.marketdata.providers.failures import reading
from apps.marketdata.providers.lines import JsonLine, connected, messages, say
from apps.marketdata.providers.protocol import UnknownVendorSymbol, VendorNonsense, VendorRefused
from apps.marketdata.providers.raw import Splits
from apps.marketdata.providers.shaping import FETCHED, Row, Window
from apps.marketdata.providers.ticks import NEW_YORK, action, exact, from_milliseconds, from_seconds, midnight_of, ordered, trade

DATA_URL = "https://finnhub.io/api/v1"
STREAM_URL = "wss://ws.finnhub.io"
KEY = "FINNHUB_API_KEY"
RESOLUTIONS = {
    Timeframe.MINUTE: "1",
    Timeframe.MINUTES_5: "5",
    Timeframe.MINUTES_15: "15",
    Timeframe.HOUR: "60",
    Timeframe.DAY: "D",
}
#: The desk's figure -> where it stands in a report (balance sheet, income, cash flow), and what it is called there, best name first.
FIGURES: dict[str, tuple[str, tuple[str, ...]]] = {
    "eps": ("ic", ("us-gaap_EarningsPerShareDiluted", "us-gaap_EarningsPerShareBasic")),
    "revenue": ("ic", ("us-gaap_RevenueFromContractWithCustomerExcludingAssessedTax", "us-gaap_Revenues", "us-gaap_SalesRevenueNet")),
    "net_income": ("ic", ("us-gaap_NetIncomeLoss", "us-gaap_ProfitLoss")),
    "gross_profit": ("ic", ("us-gaap_GrossProfit",)),
    "total_assets": ("bs", ("us-gaap_Assets",)),
    "total_equity": ("bs", ("us-gaap_StockholdersEquity",)),
    "operating_cash_flow": ("cf", ("us-gaap_NetCashProvidedByUsedInOperatingActivities",)),
}
#: The SEC's clock.
FILED_AT = "%Y-%m-%d %H:%M:%S"


class Finnhub(Adapter):
    """Stocks (and coins by exchange) from Finnhub."""

    name = "finnhub"
    offer = Offer(timeframes=FETCHED, keys=(KEY,), streams_quotes=True, corporate_actions=True, fundamentals=True)
    longest = {item: timedelta(days=2000 if item is Timeframe.DAY else 28) for item in FETCHED}  # intraday: a month at most

    grid_minutes = {Timeframe.HOUR: 30}  # New York's hours begin at half past

    @cached_property
    def _line(self) -> JsonLine:
        address = self.settings.get("FINNHUB_DATA_URL", DATA_URL)
        headers = {"X-Finnhub-Token": self.settings.key(KEY)}
        return JsonLine(self.name, address, self.guard, timeout_seconds=self.settings.timeout_seconds, headers=headers)

    def bars_of(self, symbol: str, timeframe: Timeframe, start: datetime) -> Callable[[Window], list[Row]]:
        """See `Adapter.bars_of`."""
        path = "/crypto/candle" if ":" in self.plain(symbol) else "/stock/candle"
        daily = timeframe is Timeframe.DAY
        splits = self._splits(symbol, start.date()) if daily and ":" not in symbol else Splits()

        def fetch(window: Window) -> list[Row]:
            span = {"from": int(window.first.timestamp()), "to": int((window.end - timedelta(seconds=1)).timestamp())}
            answer = self._line.get(path, {"symbol": symbol, "resolution": RESOLUTIONS[timeframe], **span})
            with reading(self.name, f"candles of {symbol}"):
                return [splits.undo(row, row.ts.date()) for row in _rows(answer, daily)]

        return fetch

    def confirm(self, symbol: str) -> None:
        """No candles: Finnhub quotes nothing but zeros for a symbol that it does not know."""
        answer = self._line.get("/quote", {"symbol": symbol})
        with reading(self.name, f"the quote of {symbol}"):
            if not answer["t"] and not answer["c"]:
                raise UnknownVendorSymbol(f"{self.name} does not know {symbol}", field="symbol")

    def corporate_actions(self, symbol: str, start: date, end: date) -> tuple[ActionRecord, ...]:
        """See `Provider.corporate_actions`."""
        span = {"symbol": self.plain(symbol), "from": start.isoformat(), "to": end.isoformat()}
        paid = self._line.get("/stock/dividend", span)
        with reading(self.name, f"dividends of {symbol}"):
            dividends = [
                action(symbol, ActionKind.DIVIDEND, date.fromisoformat(item["date"]), exact(item["amount"]), item.get("currency") or "USD")
                for item in paid
            ]
        return ordered([*dividends, *self._split_records(symbol, start, end)], start, end)

    def fundamentals(self, symbol: str) -> tuple[FundamentalRecord, ...]:
        """See `Provider.fundamentals`: what US companies reported for quarters (10-Q, from the beginning of the year for flows) and years (10-K).

        A quarterly report's income and cash flow run from the start of the fiscal year in many filings; only those whose period is at
        most 100 days long are given as "quarter".
        """
        records = []
        for frequency in ("annual", "quarterly"):
            answer = self._line.get("/stock/financials-reported", {"symbol": self.plain(symbol), "freq": frequency})
            with reading(self.name, f"reports of {symbol}"):
                records += [record for filing in answer["data"] for record in _figures(symbol, filing, frequency)]
        return tuple(sorted(records, key=lambda item: (item.published_at, item.period_end, item.metric, item.period)))

    async def stream_quotes(self, symbols: Sequence[str]) -> AsyncIterator[Tick]:
        """See `Provider.stream_quotes`."""
        wanted = [self.plain(symbol) for symbol in symbols]
        address = f"{self.settings.get('FINNHUB_STREAM_URL', STREAM_URL)}?token={self.settings.key(KEY)}"
        connection = await self.opened(lambda: connected(self.name, address, timeout_seconds=self.settings.timeout_seconds))
        await say(connection, *({"type": "subscribe", "symbol": symbol} for symbol in wanted))
        known = frozenset(wanted)
        async with aclosing(messages(self.name, connection, lambda message: _ticks(message, known), self.bad_frames)) as ticks:
            async for tick in ticks:
                yield tick

    def _splits(self, symbol: str, since: date) -> Splits:
        """All splits from a day on: those still to come are announced, and are not in the prices."""
        return Splits.of(self._split_records(symbol, since, self.clock().date()))

    def _split_records(self, symbol: str, start: date, end: date) -> list[ActionRecord]:
        answer = self._line.get("/stock/split", {"symbol": symbol, "from": start.isoformat(), "to": end.isoformat()})
        with reading(self.name, f"splits of {symbol}"):
            return [
                action(symbol, ActionKind.SPLIT, date.fromisoformat(item["date"]), exact(item["toFactor"]) / exact(item["fromFactor"]))
                for item in answer
            ]


def _rows(answer: Any, daily: bool) -> list[Row]:
    if answer["s"] == "no_data":
        return []
    if answer["s"] != "ok":
        raise VendorNonsense(f"finnhub answered with status {answer['s']!r}")
    columns = [answer[name] for name in "tohlcv"]
    rows = [Row(from_seconds(at), *numbers) for at, *numbers in zip(*columns, strict=True)]
    return [row._replace(ts=midnight_of(row.ts.date())) for row in rows] if daily else rows


def _figures(symbol: str, filing: Any, frequency: str) -> list[FundamentalRecord]:
    accepted = datetime.strptime(filing["acceptedDate"], FILED_AT).replace(tzinfo=NEW_YORK).astimezone(UTC)
    begun, ended = (date.fromisoformat(filing[name][:10]) for name in ("startDate", "endDate"))
    short = ended - begun <= timedelta(days=100)
    found = []
    for metric, (part, names) in FIGURES.items():
        stated = {item["concept"]: item for item in filing["report"].get(part) or ()}
        item = next((stated[name] for name in names if name in stated), None)
        if item is None or (part != "bs" and frequency == "quarterly" and not short):
            continue
        period = "instant" if part == "bs" else "quarter" if frequency == "quarterly" else "year"
        unit = {"usd": "USD", "usd/shares": "USD/share"}.get(item["unit"].lower(), item["unit"])
        value = float(exact(item["value"]))
        found.append(FundamentalRecord(symbol=symbol, metric=metric, period=period, period_end=ended, value=value, published_at=accepted, unit=unit))
    return found


def _ticks(message: Any, known: frozenset[str]) -> list[Tick]:
    if message["type"] == "error":
        raise VendorRefused(f"finnhub: {message.get('msg', '')}")
    if message["type"] != "trade":
        return []
    if strangers := {item["s"] for item in message["data"]} - known:
        raise ValueError(f"{', '.join(sorted(strangers))} was not asked for")
    return [trade(item["s"], from_milliseconds(item["t"]), item["p"], item["v"]) for item in message["data"]]
