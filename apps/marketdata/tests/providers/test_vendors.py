"""What each vendor does in a way of its own."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind, ActionRecord
from apps.marketdata.providers.protocol import NotOffered, Provider, UnknownVendorSymbol, VendorNonsense, VendorSettings, VendorUnavailable
from apps.marketdata.providers.registry import provider_make
from apps.marketdata.providers.shaping import Row
from apps.marketdata.tests.providers.test_contract import END, NOW, START, assert_bars, make
from apps.marketdata.tests.vendors import Market, failing, vendor_server
from apps.marketdata.tests.vendors.server import Answer


def fetch(provider: Provider, symbol: str, timeframe: Timeframe = Timeframe.DAY, start: datetime = START, end: datetime = END) -> list[Any]:
    return list(provider.fetch_bars(symbol, timeframe, start, end))


def instead(server: Any, of: Callable[[str], bool], answer: Answer) -> None:
    """Let a vendor give one answer to everything on some paths."""
    respond = server.respond
    server.respond = lambda request: answer if of(request.path) else respond(request)


class TestYahoo:
    def test_days_without_numbers_are_gaps(self) -> None:
        with vendor_server("yahoo") as server:
            rows = server.market.rows("AAPL", Timeframe.DAY)
            server.distort = lambda found: [found[0], Row(found[1].ts, *[None] * 5), *found[2:]]
            assert_bars(fetch(make(server), "AAPL"), [rows[0], *rows[2:]])

    def test_a_day_with_some_numbers_is_nonsense(self) -> None:
        with vendor_server("yahoo") as server:
            server.distort = lambda found: [found[0]._replace(low=None), *found[1:]]
            with pytest.raises(VendorNonsense):
                fetch(make(server), "AAPL")

    def test_a_class_of_shares_stands_after_a_dash(self) -> None:
        with vendor_server("yahoo") as server:
            assert_bars(fetch(make(server), "BRK.B"), server.market.rows("BRK.B", Timeframe.DAY))
            assert server.requests[-1].path == "/v8/finance/chart/BRK-B"

    def test_splits_after_the_range_are_undone_too(self) -> None:
        """The range ends before the split; the vendor has adjusted its bars all the same."""
        with vendor_server("yahoo") as server:
            rows = server.market.rows("AAPL", Timeframe.DAY)
            end = datetime(2020, 8, 20, tzinfo=UTC)
            assert_bars(fetch(make(server), "AAPL", end=end), [row for row in rows if row.ts < end])

    def test_what_yahoo_no_longer_has_is_not_offered(self) -> None:
        with vendor_server("yahoo") as server:
            reason = (
                "1m data not available for startTime=1 and endTime=2. Only 8 days worth of 1m granularity data are allowed to be fetched per request."
            )
            body = json.dumps({"chart": {"result": None, "error": {"code": "Unprocessable Entity", "description": reason}}})
            instead(server, server.is_data, Answer(status=422, body=body))
            with pytest.raises(NotOffered, match="1m data not available"):
                fetch(make(server), "AAPL", Timeframe.MINUTE, START, START + timedelta(hours=1))

    def test_a_crumb_that_is_refused_costs_nothing(self) -> None:
        with vendor_server("yahoo") as server:
            respond = server.respond
            server.respond = lambda request: (
                type(respond(request))(status=429, body="Too Many Requests") if "crumb" in request.path else respond(request)
            )
            assert_bars(fetch(make(server), "AAPL"), server.market.rows("AAPL", Timeframe.DAY))

    def test_the_answer_after_a_new_cookie_counts(self) -> None:
        with vendor_server("yahoo") as server:
            server.script(failing(401))
            assert_bars(fetch(make(server), "AAPL"), server.market.rows("AAPL", Timeframe.DAY))


class TestPolygon:
    @pytest.mark.parametrize(("symbol", "ticker"), [("BTC-USD", "X:BTCUSD"), ("^VIX", "I:VIX"), ("BRK.B", "BRK.B")])
    def test_symbols(self, symbol: str, ticker: str) -> None:
        with vendor_server("polygon") as server:
            server.market.bars[(ticker if ticker.startswith("I:") else symbol, Timeframe.DAY)] = server.market.rows("BTC-USD", Timeframe.DAY)
            pages = fetch(make(server), symbol)
            assert sum(len(page.series) for page in pages) == 44
            assert pages[0].series.symbol == symbol
            assert f"/ticker/{ticker}/range/" in server.requests[0].path

    async def test_coins_are_not_streamed(self) -> None:
        with vendor_server("polygon") as server, pytest.raises(NotOffered, match="X:BTCUSD"):
            await anext(make(server).stream_quotes(["AAPL", "BTC-USD"]))

    def test_an_answer_with_an_error_inside_is_nonsense(self) -> None:
        with vendor_server("polygon") as server:
            instead(server, server.is_data, Answer(body={"status": "ERROR", "error": "something"}))
            with pytest.raises(VendorNonsense, match="own form"):
                fetch(make(server), "AAPL")


class TestFinnhub:
    def test_reported_figures_are_known_from_their_filing_on(self) -> None:
        with vendor_server("finnhub") as server:
            found = make(server).fundamentals("AAPL")
        told = [(item.metric, item.period, item.period_end, item.value, item.unit) for item in found]
        year, quarter = date(2020, 9, 26), date(2020, 6, 27)
        assert told == [
            ("total_assets", "instant", quarter, 317_344e6, "USD"),  # its income is of nine months: no quarter
            ("eps", "year", year, 3.28, "USD/share"),
            ("net_income", "year", year, 57_411e6, "USD"),
            ("operating_cash_flow", "year", year, 80_674e6, "USD"),
            ("total_assets", "instant", year, 323_888e6, "USD"),
            ("total_equity", "instant", year, 65_339e6, "USD"),
        ]
        assert found[0].published_at == datetime(2020, 7, 30, 22, 6, 43, tzinfo=UTC)
        assert found[1].published_at == datetime(2020, 10, 29, 22, 6, 25, tzinfo=UTC)

    def test_minutes_are_raw_already(self) -> None:
        with vendor_server("finnhub") as server:
            rows = server.market.rows("AAPL", Timeframe.MINUTE)
            assert_bars(fetch(make(server), "AAPL", Timeframe.MINUTE, rows[0].ts, rows[-1].ts), rows[:-1])
            assert [request.path for request in server.requests] == ["/api/v1/stock/candle"]


class TestCoinbase:
    def test_a_long_range_is_asked_for_in_pieces_of_300_candles(self) -> None:
        with vendor_server("coinbase") as server:
            start = datetime(2020, 8, 28, 13, 30, tzinfo=UTC)
            pages = fetch(make(server), "BTC-USD", Timeframe.MINUTE, start, start + timedelta(minutes=601))
            assert [page.complete_to for page in pages] == [start + timedelta(minutes=minutes) for minutes in (300, 600, 601)]
            assert [request.query["end"][11:16] for request in server.requests] == ["18:29", "23:29", "23:30"]


class TestAlpaca:
    def test_a_symbol_without_bars_is_looked_up(self) -> None:
        with vendor_server("alpaca") as server:
            server.market.bars[("NEW", Timeframe.DAY)] = []
            assert [len(page.series) for page in fetch(make(server), "NEW")] == [0]
            assert [request.path for request in server.requests] == ["/v2/stocks/bars", "/v2/assets/NEW"]


class TestTradingView:
    HEADER = "time,open,high,low,close,Volume,RSI\n"

    def make(self, folder: Path) -> Provider:
        return provider_make("tradingview", settings=VendorSettings(values={"TRADINGVIEW_FOLDER": str(folder)}))

    def closes(self, folder: Path, symbol: str = "AAPL") -> list[tuple[str, float]]:
        (page,) = fetch(self.make(folder), symbol)
        return [(str(ts)[:10], close) for ts, close in zip(page.series.ts, page.series.close, strict=True)]

    def test_a_time_with_offset_is_the_date_as_written(self, tmp_path: Path) -> None:
        rows = "2020-08-03T09:30:00-04:00,100,101,99,100.5,7,55\n2020-08-04T09:30:00-04:00,100,101,99,100.25,7,55\n"
        (tmp_path / "NASDAQ_AAPL, 1D_a1b2c.csv").write_text(self.HEADER + rows)
        assert self.closes(tmp_path) == [("2020-08-03", 100.5), ("2020-08-04", 100.25)]

    def test_seconds_are_read_on_the_exchanges_clock(self, tmp_path: Path) -> None:
        """In Tokyo it is the next day already."""
        seconds = int(datetime(2020, 8, 3, 23, 30, tzinfo=UTC).timestamp())
        (tmp_path / "TSE_7203, 1D.csv").write_text(self.HEADER + f"{seconds},100,101,99,100.5,7,55\n")
        assert self.closes(tmp_path, "7203") == [("2020-08-04", 100.5)]

    def test_a_zone_is_not_guessed(self, tmp_path: Path) -> None:
        (tmp_path / "MOEX_SBER, 1D.csv").write_text(self.HEADER + "1596499200,100,101,99,100.5,7,55\n")
        with pytest.raises(VendorNonsense, match="zone of MOEX"):
            fetch(self.make(tmp_path), "SBER")

    def test_two_exports_of_one_chart_are_refused_by_name(self, tmp_path: Path) -> None:
        for name in ("NASDAQ_AAPL, 1D.csv", "BATS_AAPL, 1D.csv"):
            (tmp_path / name).write_text(self.HEADER + "2020-08-03,100,101,99,100.5,7,55\n")
        with pytest.raises(VendorNonsense, match=r"BATS_AAPL.*NASDAQ_AAPL"):
            fetch(self.make(tmp_path), "AAPL")


class TestFiles:
    def test_parquet_and_a_folder_that_is_away(self, tmp_path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        (tmp_path / "AAPL").mkdir()
        columns = {"date": [date(2020, 8, 3)], **{name: [100.0] for name in ("open", "high", "low", "close")}, "volume": [5]}
        pq.write_table(pa.table(columns), tmp_path / "AAPL" / "1d.parquet")
        provider = provider_make("files", settings=VendorSettings(values={"FILES_FOLDER": str(tmp_path)}))
        (page,) = fetch(provider, "AAPL")
        assert page.series.close.tolist() == [100.0]
        with pytest.raises(UnknownVendorSymbol, match="no file with bars of 1m"):
            fetch(provider, "AAPL", Timeframe.MINUTE)
        away = provider_make("files", settings=VendorSettings(values={"FILES_FOLDER": str(tmp_path / "away")}))
        with pytest.raises(VendorUnavailable, match="away"):
            fetch(away, "AAPL")

    def test_a_line_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "AAPL").mkdir()
        (tmp_path / "AAPL" / "1d.csv").write_text("date,open,high,low,close,volume\n2020-08-03,1,1,1,1,1\n2020-08-04,1,1\n")
        (tmp_path / "AAPL" / "actions.csv").write_text("symbol,date,action,value\nAAPL,2020-08-31,split,nothing\n")
        provider = provider_make("files", settings=VendorSettings(values={"FILES_FOLDER": str(tmp_path)}))
        with pytest.raises(VendorNonsense, match="line 3"):
            fetch(provider, "AAPL")
        with pytest.raises(VendorNonsense, match="line 2: 'nothing' is no number"):
            provider.corporate_actions("AAPL", START.date(), END.date())


@pytest.mark.parametrize("name", ["yahoo", "finnhub"])
def test_several_splits_are_undone_together(name: str) -> None:
    """Seven for one and four for one after it, the ratios of AAPL: what was traded comes back to the cent."""
    splits = [(date(2020, 8, 10), 7), (date(2020, 8, 31), 4)]
    actions = [ActionRecord(symbol="AAPL", kind=ActionKind.SPLIT, ex_date=day, value=Decimal(ratio)) for day, ratio in splits]
    prices = [(3, 645.57), (7, 647.35), (10, 92.44), (28, 99.47), (31, 25.12)]
    rows = [Row(datetime(2020, 8, day, tzinfo=UTC), price, price + 0.01, price - 0.02, price, 2_800.0) for day, price in prices]
    rows = [Row(row.ts, *(round(value, 2) for value in row[1:])) for row in rows]
    with vendor_server(name, Market(bars={("AAPL", Timeframe.DAY): rows}, actions={"AAPL": actions})) as server:
        provider = provider_make(name, settings=server.settings, clock=lambda: NOW)
        assert_bars(fetch(provider, "AAPL"), rows)
