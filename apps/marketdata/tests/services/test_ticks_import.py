"""Files of quotes, trades and depth into the desk."""

import gzip
import json
import re
import struct
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from apps.core.errors import InvalidInput, NotFound
from apps.marketdata.domain.book.events import BookState
from apps.marketdata.domain.book.levels import CompiledLevelBook, LevelFaults
from apps.marketdata.models import DepthUpdate, OrderEvent, Quote, Trade
from apps.marketdata.providers.itch import ItchFile
from apps.marketdata.selectors import ticks as stored
from apps.marketdata.selectors.books import book_at
from apps.marketdata.services.tick_imports import TickImportReport, ticks_import
from apps.marketdata.tests.factories import RECORDED_AT, InstrumentFactory
from apps.marketdata.tests.test_commands import run
from tests.plugin import SHARED_DATA

pytestmark = pytest.mark.django_db

DAY = date(2019, 12, 30)
RANGE = {"start": datetime(2019, 12, 30, tzinfo=UTC), "end": datetime(2019, 12, 31, tzinfo=UTC)}
FACTS = {"recorded_at": RECORDED_AT, "source": "test"}


@pytest.fixture(autouse=True)
def instruments() -> None:
    for symbol in ("AAA", "BBB"):
        InstrumentFactory(symbol=symbol)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def load(path: Path, kind: str, **options) -> TickImportReport:
    return ticks_import(files=[path], kind=kind, **FACTS, **options)


class TestTables:
    def test_quotes_with_times_of_each_kind(self, tmp_path) -> None:
        for column, cell in (("recv_ts_ns", "1577716200000000789"), ("ts", "2019-12-30T14:30:00.000000Z"), ("event_ms", "1577716200000")):
            path = write(tmp_path, "AAA.csv.gz", f"{column},bid,bid_qty,ask,ask_qty\n{cell},10,1,10.1,2\n")
            assert load(path, "quotes").rejected == ()
        found = stored.quotes(symbol="AAA", **RANGE)
        assert (found.ts.tolist(), found.ask_size.tolist()) == ([datetime(2019, 12, 30, 14, 30)], [2.0])  # noqa: DTZ001 - NumPy's times have no zone

    def test_bad_rows_are_named_by_line_and_the_others_stored(self, tmp_path) -> None:
        path = write(
            tmp_path,
            "trades.csv",
            "symbol,ts,trade_id,price,size,side\n"
            "AAA,2019-12-30T14:30:00Z,1,10,5,BUY\n"
            "AAA,2019-12-30T14:30:00,2,10,5,BUY\n"
            "AAA,2019-12-30T14:30:00Z,x,10,5,S\n"
            "AAA,2019-12-30T14:30:00Z,4,-1,5,S\n"
            "AAA,2019-12-30T14:30:00Z,5,10,5,LONG\n"
            "ZZZ,2019-12-30T14:30:00Z,6,10,5,S\n"
            "AAA,2019-12-30T14:30:00Z\n"
            "BBB,2019-12-30T14:30:00Z,8,10,5,\n",
        )
        report = load(path, "trades")
        assert [(item.line, item.column, item.code) for item in report.rejected] == [
            (3, "date", "NO_TIME_ZONE"),
            (4, "sequence", "NOT_A_NUMBER"),
            (5, "price", "IMPOSSIBLE_TICK"),
            (6, "aggressor", "NOT_A_CODE"),
            (7, "symbol", "UNKNOWN_SYMBOL"),
            (8, "", "MALFORMED_LINE"),
        ]
        assert (report.inserted, report.files[0].symbols, report.files[0].rows) == (2, ("AAA", "BBB"), 8)
        assert sorted(Trade.objects.values_list("sequence", "aggressor")) == [(1, 1), (8, 0)]
        assert (load(path, "trades").inserted, load(path, "trades").duplicates) == (0, 2)

    def test_parquet(self, tmp_path) -> None:
        table = pa.table({
            "ts": pa.array([datetime(2019, 12, 30, 14, 30, tzinfo=UTC)] * 2, pa.timestamp("us", "UTC")),
            "sequence": [7, 8],
            "price": [10.0, 10.5],
            "qty": [1, 2],
        })  # fmt: skip
        pq.write_table(table, tmp_path / "AAA.parquet")
        assert load(tmp_path / "AAA.parquet", "trades").inserted == 2

    def test_a_snapshot_and_its_updates_make_a_book(self, tmp_path) -> None:
        write(tmp_path, "s.csv", "recv_ts_ns,last_update_id,side,price,qty\n1577716200000000000,10,B,9.9,5\n1577716200000000000,10,A,10.1,4\n")
        rows = ["11,12,B,9.95,1", "11,12,A,10.1,0", "13,13,S,10.2,7"]
        updates = "".join(f"157771620{n + 1}000000000,,{row}\n" for n, row in zip((0, 0, 1), rows, strict=True))
        write(tmp_path, "u.csv", "recv_ts_ns,event_ms,first_update_id,final_update_id,side,price,qty\n" + updates)
        report = ticks_import(files=[tmp_path / "s.csv", tmp_path / "u.csv"], kind="depth", symbol="AAA", **FACTS)
        assert (report.inserted, report.rejected) == (5, ())
        book = book_at("AAA", datetime(2019, 12, 30, 14, 30, 1, tzinfo=UTC))
        assert (book.bids, book.asks, book.state, book.kind) == (((9.95, 1.0), (9.9, 5.0)), (), BookState.OK, "levels")
        assert book_at("AAA", RANGE["end"], 1).asks == ((10.2, 7.0),)

    @pytest.mark.parametrize(
        ("name", "kind", "header", "fault"),
        [
            ("AAA.csv", "quotes", "ts,bid,ask", "bid_size, ask_size"),
            ("AAA.csv", "depth", "ts,side,price", "sequence, size"),
            ("AAA.zip", "trades", "ts,price,size", "its name must end"),
            ("AAA.csv", "bars", "ts,price,size", "none of quotes, trades, depth"),
        ],
    )
    def test_a_file_that_is_none_of_the_kind_is_refused_before_anything_is_stored(self, tmp_path, name, kind, header, fault) -> None:
        good = write(tmp_path, "good.csv", "ts,bid,bid_size,ask,ask_size,sequence,side,price,size\n2019-12-30T14:30:00Z,10,1,11,1,1,B,10,1\n")
        with pytest.raises(InvalidInput, match=fault):
            ticks_import(files=[good, write(tmp_path, name, f"{header}\n")], kind=kind, symbol="AAA", **FACTS)
        assert not any(model.objects.exists() for model in (Quote, Trade, DepthUpdate))

    def test_an_unknown_symbol_that_is_asked_for(self, tmp_path) -> None:
        with pytest.raises(NotFound, match="'ZZZ'"):
            load(write(tmp_path, "a.csv", "ts,price,size\n"), "trades", symbol="ZZZ")


class TestOrderEventTables:
    TEXT = (
        "ts,sequence,type,ref,new_ref,side,shares,price,printable\n"
        "2019-12-30T14:30:00Z,1,A,1,,B,100,10.00,\n"
        "2019-12-30T14:30:00Z,2,A,2,,B,200,9.99,\n"
        "2019-12-30T14:30:00Z,3,A,3,,S,150,10.02,\n"
        "2019-12-30T14:30:01Z,4,E,1,,,40,,\n"
        "2019-12-30T14:30:01Z,5,X,2,,,50,,\n"
        "2019-12-30T14:30:01Z,6,U,3,4,,100,10.03,\n"
        "2019-12-30T14:30:01Z,7,D,1,,,,,\n"
        "2019-12-30T14:30:02Z,8,C,4,,,30,10.01,N\n"
    )

    def test_v_e1_1_through_the_database(self, tmp_path) -> None:
        report = load(write(tmp_path, "AAA.csv", self.TEXT), "depth")
        assert (report.inserted, report.rejected) == (8, ())
        book = book_at("AAA", datetime(2019, 12, 30, 14, 30, 1, tzinfo=UTC))
        assert (book.bids, book.asks, book.state, book.kind, book.source) == (((9.99, 150.0),), ((10.03, 100.0),), BookState.OK, "orders", "test")
        assert book_at("AAA", RANGE["end"]).asks == ((10.03, 70.0),)
        with pytest.raises(NotFound, match="no order event"):
            book_at("AAA", datetime(2019, 12, 30, 14, 29, tzinfo=UTC))

    def test_bad_events_are_named(self, tmp_path) -> None:
        rows = ["Z,1,,B,100,10,", "A,2,,,100,10,", "A,3,,B,0,10,", "A,4,,B,1,10.00001,", "A,5,,B,1,10,maybe"]
        text = "ts,type,ref,new_ref,side,shares,price,printable\n" + "".join(f"2019-12-30T14:30:00Z,{row}\n" for row in rows)
        report = load(write(tmp_path, "AAA.csv", text), "depth")
        assert [(item.line, item.column) for item in report.rejected] == [(2, "letter"), (3, "side"), (4, "shares"), (5, "price"), (6, "printable")]


def message(letter: str, locate: int, nanos: int, body: bytes = b"") -> bytes:
    """One message as the specification lays it out, its length before it."""
    payload = struct.pack(">cHH", letter.encode(), locate, 0) + nanos.to_bytes(6, "big") + body
    return struct.pack(">H", len(payload)) + payload


def stock(symbol: str) -> bytes:
    return symbol.ljust(8).encode()


NOON = 12 * 3600 * 10**9
ITCH = [
    message("S", 0, 1, b"O"),
    message("R", 1, 2, stock("AAA") + b"QN" + struct.pack(">I", 100) + b"NCZ NN1N" + struct.pack(">I", 0) + b"NN"),
    message("R", 2, 3, stock("OTHER") + bytes(20)),
    message("A", 1, NOON, struct.pack(">QcI8sI", 1, b"B", 100, stock("AAA"), 100_0000)),
    message("H", 1, NOON, stock("AAA") + b"T XXXX"),
    message("F", 1, NOON + 1_999, struct.pack(">QcI8sI4s", 2, b"S", 150, stock("AAA"), 100_2500, b"MPID")),
    message("A", 2, NOON, struct.pack(">QcI8sI", 9, b"B", 1, stock("OTHER"), 5_0000)),
    message("E", 1, NOON + 2_000, struct.pack(">QIQ", 1, 40, 777)),
    message("C", 1, NOON + 3_000, struct.pack(">QIQcI", 2, 30, 778, b"N", 100_0000)),
    message("X", 1, NOON + 4_000, struct.pack(">QI", 1, 10)),
    message("U", 1, NOON + 5_000, struct.pack(">QQII", 2, 3, 80, 100_3001)),
    message("P", 1, NOON + 6_000, struct.pack(">QcI8sIQ", 0, b"B", 500, stock("AAA"), 100_1000, 779)),
    message("Q", 1, NOON + 7_000, struct.pack(">Q8sIQc", 9_000, stock("AAA"), 100_1000, 780, b"C")),
    message("B", 1, NOON + 8_000, struct.pack(">Q", 779)),
    message("D", 1, NOON + 9_000, struct.pack(">Q", 1)),
]


class TestItch:
    def test_every_message_type_arrives_as_the_specification_says(self, tmp_path) -> None:
        path = tmp_path / "day.itch"
        path.write_bytes(b"".join(ITCH))
        report = load(path, "depth", day=DAY)
        assert (report.inserted, report.files[0].symbols, report.files[0].rows, report.errors) == (10, ("AAA",), len(ITCH), ())
        assert report.files[0].notes == (
            "1 messages of other types were skipped",
            "1 stocks that are not asked for, or no instruments of the desk, were skipped",
        )
        rows = stored.order_events(symbol="AAA", **RANGE)
        assert "".join(map(chr, rows.letter)) == "AFECXUPQBD"
        assert rows.sequence.tolist() == [4, 6, 8, 9, 10, 11, 12, 13, 14, 15]
        assert rows.ts[:2].tolist() == [datetime(2019, 12, 30, 17), datetime(2019, 12, 30, 17, 0, 0, 1)]  # noqa: DTZ001 - noon in New York
        assert rows.ref.tolist() == [1, 2, 1, 2, 1, 2, 779, 780, 779, 1]
        assert rows.shares.tolist() == [100, 150, 40, 30, 10, 80, 500, 9000, 0, 0]
        assert rows.price.tolist() == [100.0, 100.25, 0, 100.0, 0, 100.3001, 100.1, 100.1, 0, 0]
        assert rows.side.tolist()[:2] == [1, -1]
        assert rows.new_ref[5] == 3
        assert rows.printable.tolist() == [True, True, True, False] + [True] * 6
        book = book_at("AAA", RANGE["end"])
        assert (book.bids, book.asks, book.state) == ((), ((100.3001, 80.0),), BookState.OK)

    @pytest.mark.parametrize("size", [3, 64, 1 << 20])
    def test_pieces_of_any_size_give_the_same_events(self, tmp_path, size) -> None:
        path = tmp_path / "day.itch.gz"
        path.write_bytes(gzip.compress(b"".join(ITCH)))
        series = [one for piece in ItchFile(path, DAY).pieces(size) for one in piece if one.symbol == "AAA"]
        assert np.concatenate([one.sequence for one in series]).tolist() == [4, 6, 8, 9, 10, 11, 12, 13, 14, 15]

    @pytest.mark.parametrize(
        ("content", "fault"),
        [
            (b"".join(ITCH)[:-1], "breaks off inside a message at byte"),
            (b"".join(ITCH) + message("D", 1, NOON, b"\x00"), "a message D of 12 bytes at byte .*, not 19"),
            (b"".join(ITCH) + message("D", 7, NOON, bytes(8)), "stock 7, which the directory has not named"),
            (b"".join(ITCH) + b"\x00\x00\x00", "breaks off"),
        ],
    )
    def test_a_broken_file_stores_nothing(self, tmp_path, content, fault) -> None:
        path = tmp_path / "day.itch"
        path.write_bytes(content)
        report = load(path, "depth", day=DAY)
        assert len(report.errors) == 1
        assert re.search(fault, report.errors[0])
        assert not OrderEvent.objects.exists()

    def test_it_needs_a_day_and_is_depth(self, tmp_path) -> None:
        path = tmp_path / "day.itch"
        path.write_bytes(b"")
        with pytest.raises(InvalidInput, match="time of day only"):
            load(path, "depth")
        with pytest.raises(InvalidInput, match="hold depth"):
            load(path, "trades", day=DAY)
        with pytest.raises(InvalidInput, match="no such file"):
            load(tmp_path / "gone.itch", "depth", day=DAY)


class TestCommand:
    def test_it_says_what_it_did(self, tmp_path, capsys) -> None:
        path = write(tmp_path, "AAA.csv", "ts,price,size\n2019-12-30T14:30:00Z,10,1\n2019-12-30T14:30:00Z,10,0\n")
        code, out, err = run(capsys, "import_ticks", path, "--kind", "trades")
        assert (code, out.strip()) == (3, "1 inserted, 0 known already, 1 rejected")
        assert f"{path}:3: IMPOSSIBLE_TICK size" in err
        code, out, _ = run(capsys, "import_ticks", path, "--kind", "trades", "--json")
        assert (code, json.loads(out)["duplicates"], len(json.loads(out)["files"][0]["rejected"])) == (3, 1, 1)

    def test_a_day_that_is_none(self, tmp_path, capsys) -> None:
        code, out, _ = run(capsys, "import_ticks", tmp_path / "a.itch", "--kind", "depth", "--date", "yesterday")
        assert (code, out) == (2, "")


@pytest.mark.needs_shared_data
def test_binance_books_show_the_exchanges_own_best_prices() -> None:
    """A real recording across midnight: every best bid and ask that the exchange published for an update equals the rebuilt book's."""
    InstrumentFactory(symbol="BTC", asset_class="crypto", calendar="24/7")
    prefix = SHARED_DATA / "l2_binance_btcusdt_spot"
    files = {"quotes": ["bbo_quotes"], "trades": ["trades"], "depth": ["depth_snapshot", "depth_updates"]}
    for kind, names in files.items():
        report = ticks_import(files=[Path(f"{prefix}_{name}.csv.gz") for name in names], kind=kind, symbol="BTC", **FACTS)
        assert (report.rejected, report.errors) == ((), ())
        assert report.inserted + report.duplicates == sum(file.rows for file in report.files)
    span = {"symbol": "BTC", "start": datetime(2024, 8, 8, 23, tzinfo=UTC), "end": datetime(2024, 8, 9, 1, tzinfo=UTC)}
    rows, quotes = stored.depth(**span), stored.quotes(**span)
    book = CompiledLevelBook()
    best = book.best_series(rows)
    ends = np.flatnonzero(np.append(rows.sequence[1:] != rows.sequence[:-1], True) & (best.bid > 0))
    _, at_book, at_quote = np.intersect1d(rows.sequence[ends], quotes.sequence, return_indices=True)
    for name, published in (("bid", quotes.bid), ("bid_size", quotes.bid_size), ("ask", quotes.ask), ("ask_size", quotes.ask_size)):
        np.testing.assert_array_equal(getattr(best, name)[ends][at_book], published[at_quote], err_msg=name)
    assert len(at_book) >= 1_072
    assert (book.state, book.faults.gaps) == (BookState.OK, LevelFaults().gaps)
    assert Quote.objects.count() == len(quotes)
