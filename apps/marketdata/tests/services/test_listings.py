"""Symbols, listings and universes by day."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from django.db import IntegrityError, transaction

from apps.core.errors import Conflict, InvalidInput, NotFound
from apps.core.models import JournalEntry
from apps.marketdata.models import Instrument, InstrumentSymbol
from apps.marketdata.selectors.market import is_delisted
from apps.marketdata.selectors.universes import instrument_at, universe_members
from apps.marketdata.services.listings import instrument_delist, symbol_change
from apps.marketdata.services.universes import universe_import
from apps.marketdata.tests.factories import InstrumentFactory
from apps.marketdata.tests.test_commands import run

pytestmark = pytest.mark.django_db

CHANGED = date(2022, 6, 9)


def on(name: str, day: date) -> list[str]:
    return [member.symbol for member in universe_members(name, on=day)]


class TestSymbols:
    @pytest.fixture
    def meta(self) -> Instrument:
        InstrumentFactory(symbol="FB", listed_on=date(2012, 5, 18))
        return symbol_change(symbol="FB", to="META", on=CHANGED)

    def test_an_instrument_is_found_under_the_symbol_of_the_day(self, meta) -> None:
        assert meta.symbol == "META"
        assert instrument_at("FB", date(2022, 6, 8)) == instrument_at("META", CHANGED) == meta
        for symbol, day in (("FB", CHANGED), ("META", date(2022, 6, 8)), ("FB", date(2012, 5, 17))):
            with pytest.raises(NotFound, match=f"'{symbol}' on {day}"):
                instrument_at(symbol, day)
        assert on("stock", date(2022, 6, 8)) == ["FB"]
        assert on("stock", CHANGED) == ["META"]

    def test_a_symbol_that_became_free_may_be_another_ones(self, meta) -> None:
        other = InstrumentFactory(symbol="FB", listed_on=date(2023, 1, 3))
        assert instrument_at("FB", date(2023, 1, 3)) == other
        assert instrument_at("FB", date(2020, 1, 2)) == meta

    def test_the_database_lets_nobody_own_a_symbol_twice(self, meta) -> None:
        with pytest.raises(IntegrityError, match="instrument_symbol_alone"), transaction.atomic():
            InstrumentFactory(symbol="FB", listed_on=date(2022, 6, 8))
        with pytest.raises(IntegrityError, match="instrument_symbol_alone"), transaction.atomic():
            InstrumentSymbol.objects.filter(symbol="FB").update(symbol="META", valid_to=date(2022, 6, 10))
        with pytest.raises(IntegrityError, match="instrument_symbol_one_open"), transaction.atomic():
            InstrumentSymbol.objects.create(instrument=meta, symbol="MVRS", valid_from=date(2024, 1, 2))

    @pytest.mark.parametrize(
        ("changes", "error", "field"),
        [
            ({"symbol": "ZZZ"}, NotFound, "symbol"),
            ({"to": "META"}, InvalidInput, "to"),
            ({"to": " X"}, InvalidInput, "to"),
            ({"to": "IBM"}, Conflict, "to"),
            ({"on": CHANGED}, InvalidInput, "on"),
        ],
        ids=str,
    )
    def test_what_cannot_be_is_refused(self, meta, changes, error, field) -> None:
        InstrumentFactory(symbol="IBM")
        with pytest.raises(error) as caught:
            symbol_change(**{"symbol": "META", "to": "MVRS", "on": date(2024, 1, 2), **changes})
        assert caught.value.field == field
        assert [row.symbol for row in meta.symbols.order_by("valid_from")] == ["FB", "META"]

    def test_changes_are_in_the_history_and_in_the_journal(self, meta) -> None:
        assert meta.history.first().history_change_reason == "FB until 2022-06-09"
        assert JournalEntry.objects.filter(table_name="marketdata_instrumentsymbol").count() == 3


class TestDelisting:
    def test_from_its_day_on_it_is_in_no_universe(self) -> None:
        InstrumentFactory(symbol="LEH", listed_on=date(1994, 5, 31))
        instrument_delist(symbol="LEH", on=date(2008, 9, 17))
        days = (date(1994, 5, 30), date(1994, 5, 31), date(2008, 9, 16), date(2008, 9, 17))
        assert [on("stock", day) for day in days] == [[], ["LEH"], ["LEH"], []]

    def test_is_told_by_the_exchanges_date(self) -> None:
        item = InstrumentFactory(symbol="LEH", delisted_on=date(2008, 9, 17))
        assert not is_delisted(item, datetime(2008, 9, 17, 3, 59, tzinfo=UTC))  # still the 16th in New York
        assert is_delisted(item, datetime(2008, 9, 17, 4, 0, tzinfo=UTC))
        assert not is_delisted(InstrumentFactory(symbol="IBM"), datetime(2008, 9, 17, 4, 0, tzinfo=UTC))

    def test_not_before_its_listing(self) -> None:
        InstrumentFactory(symbol="LEH", listed_on=date(1994, 5, 31))
        with pytest.raises(InvalidInput, match="1994-05-31"):
            instrument_delist(symbol="LEH", on=date(1994, 5, 31))


class TestUniverses:
    @pytest.fixture
    def file(self, tmp_path: Path):
        for symbol in ("AAA", "BBB", "CCC"):
            InstrumentFactory(symbol=symbol)

        def write(content: str) -> Path:
            (tmp_path / "members.csv").write_text(content)
            return tmp_path / "members.csv"

        return write

    CONTENT = "symbol,name,date_added,date_removed\nAAA,A,2010-01-04,\nBBB,B,2010-01-04,2012-01-03\nBBB,B,2014-01-02,\nCCC,C,,\nZZZ,Z,2010-01-04,\n"

    def test_members_of_a_day(self, file) -> None:
        report = universe_import(name="index", file=file(self.CONTENT))
        assert (report.added, report.changed, report.unchanged, report.unknown) == (4, 0, 0, ("ZZZ",))
        assert on("index", date(2009, 1, 2)) == ["CCC"]
        assert on("index", date(2012, 1, 2)) == ["AAA", "BBB", "CCC"]
        assert on("index", date(2012, 1, 3)) == ["AAA", "CCC"]
        assert on("index", date(2014, 1, 2)) == ["AAA", "BBB", "CCC"]

    def test_again_changes_nothing_and_a_removal_is_taken_over(self, file) -> None:
        universe_import(name="index", file=file(self.CONTENT))
        assert universe_import(name="index", file=file(self.CONTENT)).unchanged == 4
        report = universe_import(name="index", file=file("symbol,date_added,date_removed\nAAA,2010-01-04,2015-01-02\n"))
        assert (report.changed, on("index", date(2015, 1, 2))) == (1, ["BBB", "CCC"])

    @pytest.mark.parametrize(
        ("content", "fault"),
        [
            ("symbol,added\nAAA,2010-01-04\n", "no column date_added"),
            ("symbol,date_added\nAAA,04.01.2010\n", "members.csv:2: date_added '04.01.2010'"),
            ("symbol,date_added\n,2010-01-04\n", "members.csv:2: there is no symbol"),
            ("symbol,date_added,date_removed\nAAA,2010-01-04,2010-01-04\n", "members.csv:2: AAA is removed on"),
        ],
    )
    def test_bad_files_are_refused_with_the_line(self, file, content, fault) -> None:
        with pytest.raises(InvalidInput, match=fault):
            universe_import(name="index", file=file(content))

    def test_unknown_ones_are_named(self) -> None:
        with pytest.raises(NotFound, match="'nasdaq': use one of stock, etf"):
            universe_members("nasdaq", on=date(2012, 1, 3))


class TestCommands:
    def test_change_delist_and_import(self, capsys, tmp_path) -> None:
        InstrumentFactory(symbol="FB")
        (tmp_path / "members.csv").write_text("symbol,date_added\nMETA,2012-05-18\n")
        assert run(capsys, "symbol_change", "FB", "--to", "META", "--on", "2022-06-09")[:2] == (0, "FB is META from 2022-06-09 on\n")
        assert run(capsys, "import_universe", "index", tmp_path / "members.csv")[0] == 0
        assert run(capsys, "symbol_change", "META", "--delist", "--on", "2030-01-02")[0] == 0
        assert (on("index", date(2020, 1, 2)), on("index", date(2030, 1, 2))) == (["FB"], [])
        assert run(capsys, "symbol_change", "META", "--on", "2030-01-02")[0] == 2
        assert run(capsys, "symbol_change", "META", "--to", "X", "--on", "soon")[0] == 2
