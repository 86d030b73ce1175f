"""What a fetch asks a vendor for, what it stores, and who is asked next: with real requests to a server on loopback."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest

from apps.core.errors import InvalidInput, NotFound, RuleRefused, Unavailable
from apps.core.jobs import NullProgress
from apps.core.locks import lease
from apps.marketdata.domain import calendars
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.pacing import RetryRule
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Bar, BarCoverage, BarSource, CorporateAction, Vendor, VendorIncident
from apps.marketdata.providers.protocol import MissingKey
from apps.marketdata.selectors import store
from apps.marketdata.selectors.bars import bar_series
from apps.marketdata.services import fetching
from apps.marketdata.services.fetching import FetchReport, bars_fetch
from apps.marketdata.services.vendors import VendorGuard
from apps.marketdata.tests.factories import InstrumentFactory
from apps.marketdata.tests.services.loopback import LoopbackProvider, LoopbackVendor, loopback_vendor

pytestmark = pytest.mark.django_db
START = date(2026, 1, 5)
#: Friday evening in New York, an hour after the close.
NOW = datetime(2026, 2, 6, 22, tzinfo=UTC)


@pytest.fixture(scope="module")
def servers() -> Iterator[list[LoopbackVendor]]:
    with loopback_vendor() as first, loopback_vendor() as second:
        yield [first, second]


@pytest.fixture
def desk(servers: list[LoopbackVendor]) -> SimpleNamespace:
    """Two vendors, first and second, in that order; the instrument AAA, of which both have a bar for every session."""
    Vendor.objects.all().delete()
    days = calendars.sessions("XNYS", START, date(2026, 3, 31))
    for n, vendor in enumerate(servers):
        Vendor.objects.create(name=("first", "second")[n], rate=1000, burst=1000, priority=n)
        vendor.closes, vendor.faults, vendor.requests = {"AAA": {day: 100.0 + k for k, day in enumerate(days)}}, [], []
        vendor.actions, vendor.action_faults, vendor.action_requests = [], [], []
    InstrumentFactory(symbol="AAA")
    return SimpleNamespace(first=servers[0], second=servers[1], before_page=lambda: None, days=days)


def fetch(desk: SimpleNamespace, *symbols: str, provider: str = "first", start=START, end=None, now: datetime = NOW, **options) -> FetchReport:
    def make(vendor: Vendor, guard: VendorGuard) -> LoopbackProvider:
        guard._retry = RetryRule(attempts=2, first_seconds=0, most_seconds=0)
        return LoopbackProvider(vendor.name, getattr(desk, vendor.name), guard, before_page=lambda: desk.before_page())

    return bars_fetch(
        provider=provider,
        symbols=symbols or ("AAA",),
        start=start,
        end=end,
        clock=lambda: now,
        **{"make": make, "timeframe": Timeframe.DAY, **options},
    )


def counts(report: FetchReport) -> tuple[int, int, int]:
    return report.inserted, report.revised, report.unchanged


class TestCoverage:
    def test_bars_are_stored_with_the_vendor_as_source_and_the_time_of_the_fetch(self, desk) -> None:
        report = fetch(desk)
        (symbol,) = report.symbols
        assert (symbol.vendor, symbol.complete, symbol.pages) == ("first", True, 4)
        assert counts(report) == (24, 0, 0)
        bar = Bar.objects.order_by("-ts").first()
        assert (bar.ts.date(), bar.recorded_at, BarSource.objects.get(pk=bar.source_id).name) == (date(2026, 2, 6), NOW, "first")

    def test_the_same_range_is_not_fetched_twice(self, desk) -> None:
        fetch(desk)
        asked = len(desk.first.requests)
        report = fetch(desk)
        assert len(desk.first.requests) == asked
        assert (counts(report), report.symbols[0].complete, report.symbols[0].vendor) == ((0, 0, 0), True, "")

    def test_only_what_is_missing_is_asked_for(self, desk) -> None:
        fetch(desk, start=date(2026, 1, 20), end=date(2026, 1, 23))
        desk.first.requests.clear()
        fetch(desk, start=date(2026, 1, 14), end=date(2026, 1, 27))
        assert desk.first.requests == [("AAA", "2026-01-14", "2026-01-20"), ("AAA", "2026-01-24", "2026-01-28")]

    def test_a_weekend_needs_no_request(self, desk) -> None:
        fetch(desk)
        desk.first.requests.clear()
        fetch(desk, now=datetime(2026, 2, 9, 14, tzinfo=UTC))  # Monday before the open
        assert desk.first.requests == []

    def test_a_session_that_is_not_over_is_not_stored_and_comes_with_the_next_fetch(self, desk) -> None:
        fetch(desk, now=datetime(2026, 2, 6, 20, tzinfo=UTC))
        assert bar_series(symbol="AAA", timeframe=Timeframe.DAY).ts[-1].astype(str)[:10] == "2026-02-05"
        desk.first.requests.clear()
        assert counts(fetch(desk)) == (1, 0, 0)
        assert desk.first.requests == [("AAA", "2026-02-06", "2026-02-07")]

    def test_a_bar_that_may_still_change_is_asked_for_again_and_becomes_a_revision(self, desk) -> None:
        fetch(desk, now=datetime(2026, 2, 6, 21, 10, tzinfo=UTC))
        desk.first.closes["AAA"][date(2026, 2, 6)] = 500.0
        assert counts(fetch(desk)) == (0, 1, 0)
        assert bar_series(symbol="AAA", timeframe=Timeframe.DAY).close[-1] == 500.0

    def test_a_vendor_that_is_late_is_asked_again(self, desk) -> None:
        late = desk.first.closes["AAA"].pop(date(2026, 2, 6))
        assert counts(fetch(desk)) == (23, 0, 0)
        desk.first.closes["AAA"][date(2026, 2, 6)] = late
        assert counts(fetch(desk)) == (1, 0, 0)

    def test_refresh_asks_for_everything_and_keeps_what_was_known(self, desk) -> None:
        fetch(desk)
        desk.first.closes["AAA"][START] = 55.0
        assert counts(fetch(desk)) == (0, 0, 0)
        assert counts(fetch(desk, refresh=True)) == (0, 1, 23)
        assert list(Bar.objects.filter(ts__date=START).order_by("revision").values_list("close", flat=True)) == [100.0, 55.0]

    def test_each_vendor_has_its_own_cover_but_auto_counts_all(self, desk) -> None:
        fetch(desk)
        fetch(desk, provider="auto")
        assert desk.second.requests == []
        assert counts(fetch(desk, provider="second")) == (0, 0, 24)


class Killed(BaseException):
    """Stands for a process that ends between two lines."""


class TestResuming:
    @pytest.mark.parametrize("pages", [0, 1, 2, 3])
    def test_goes_on_at_the_page_where_it_was_killed(self, desk, pages: int) -> None:
        left = [pages]

        def die() -> None:
            if not left[0]:
                raise Killed
            left[0] -= 1

        desk.before_page = die
        with pytest.raises(Killed):
            fetch(desk)
        stored = Bar.objects.count()
        assert BarCoverage.objects.count() == pages
        desk.before_page = lambda: None
        desk.first.requests.clear()
        assert counts(fetch(desk)) == (24 - stored, 0, 0)
        assert len(desk.first.requests) == 4 - pages

    def test_a_page_and_its_cover_are_stored_together_or_not_at_all(self, desk, monkeypatch) -> None:
        def die(**_) -> None:
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(fetching.BarCoverage.objects, "create", die)
            with pytest.raises(Killed):
                fetch(desk)
        assert (Bar.objects.count(), BarCoverage.objects.count()) == (0, 0)
        assert counts(fetch(desk)) == (24, 0, 0)

    def test_stops_between_two_pages_when_asked(self, desk) -> None:
        class Impatient(NullProgress):
            def cancelled(self) -> bool:
                return Bar.objects.exists()

        InstrumentFactory(symbol="BBB")
        report = fetch(desk, "AAA", "BBB", progress=Impatient())
        assert (report.stopped, [item.symbol for item in report.symbols], report.symbols[0].pages) == (True, ["AAA"], 1)
        assert counts(fetch(desk)) == (24 - report.inserted, 0, 0)

    def test_bars_that_another_process_is_fetching_are_left_to_it(self, desk) -> None:
        instrument = InstrumentFactory(symbol="AAA")
        with lease(f"marketdata.fetch:{instrument.pk}:1d"):
            (symbol,) = fetch(desk).symbols
        assert ([note.code for note in symbol.notes], symbol.complete, desk.first.requests) == (["CONFLICT"], False, [])


def notes(report: FetchReport) -> list[tuple[str, str, str]]:
    return [(item.symbol, note.vendor, note.code) for item in report.symbols for note in item.notes]


class TestFallback:
    def test_the_first_that_delivers_counts(self, desk) -> None:
        report = fetch(desk, provider="auto")
        assert (report.symbols[0].vendor, desk.second.requests, notes(report)) == ("first", [], [])

    def test_a_vendor_that_is_away_is_followed_by_the_next_and_left_alone_for_the_rest(self, desk) -> None:
        InstrumentFactory(symbol="BBB")
        desk.second.closes["BBB"] = desk.second.closes["AAA"]
        desk.first.faults = [(500, "")] * 9
        report = fetch(desk, "AAA", "BBB", provider="auto")
        assert [item.vendor for item in report.symbols] == ["second", "second"]
        assert notes(report) == [("AAA", "first", "VENDOR_UNAVAILABLE"), ("BBB", "first", "VENDOR_UNAVAILABLE")]
        assert len(desk.first.requests) == 2

    def test_the_next_one_is_asked_only_for_the_rest(self, desk) -> None:
        desk.before_page = lambda: desk.first.faults.extend([(503, "")] * 2)
        report = fetch(desk, provider="auto")
        assert (report.symbols[0].vendor, counts(report)) == ("second", (24, 0, 0))
        assert desk.second.requests[0] == ("AAA", "2026-01-15", "2026-01-25")

    def test_a_symbol_that_one_does_not_know_comes_from_the_next(self, desk) -> None:
        del desk.first.closes["AAA"]
        report = fetch(desk, provider="auto")
        assert (report.symbols[0].vendor, notes(report)) == ("second", [("AAA", "first", "UNKNOWN_VENDOR_SYMBOL")])

    def test_a_missing_key_is_said(self, desk) -> None:
        def make(vendor: Vendor, guard: VendorGuard) -> LoopbackProvider:
            if vendor.name == "first":
                raise MissingKey("the environment variable FIRST_KEY is not set", field="FIRST_KEY")
            return LoopbackProvider(vendor.name, desk.second, guard)

        (symbol,) = fetch(desk, provider="auto", make=make).symbols
        assert (symbol.vendor, symbol.notes[0].code) == ("second", "MISSING_KEY")
        assert "FIRST_KEY" in symbol.notes[0].detail

    def test_a_time_frame_that_is_not_offered_goes_to_the_next(self, desk) -> None:
        report = bars_fetch(
            provider="auto",
            symbols=["AAA"],
            timeframe=Timeframe.HOUR,
            start=START,
            clock=lambda: NOW,
            make=lambda v, g: LoopbackProvider(v.name, desk.first, g),
        )
        assert notes(report) == [("AAA", "first", "NOT_OFFERED"), ("AAA", "second", "NOT_OFFERED")]
        assert not report.symbols[0].complete

    def test_an_open_breaker_is_passed_by_without_a_request(self, desk) -> None:
        desk.first.faults = [(500, "")] * 6
        for _ in range(3):
            fetch(desk)
        desk.first.faults, asked = [], len(desk.first.requests)
        report = fetch(desk, provider="auto")
        assert (report.symbols[0].vendor, notes(report)) == ("second", [("AAA", "first", "BREAKER_OPEN")])
        assert len(desk.first.requests) == asked

    def test_nobody_delivers(self, desk) -> None:
        desk.first.faults = desk.second.faults = [(500, "")] * 9
        report = fetch(desk, provider="auto")
        assert len(report.failed) == 1
        assert [vendor for _, vendor, _ in notes(report)] == ["first", "second"]


class TestNonsense:
    @pytest.mark.parametrize(
        "body",
        [
            '[["2026-01-05", 1, 2,',
            '[["2026-01-05", 100, 90, 110, 100, 1]]',
            '[["2026-01-05", 0, 1, 0, 1, 1]]',
            '[["2026-01-10", 1, 1, 1, 1, 1]]',
            '[["2025-01-06", 1, 1, 1, 1, 1]]',
            '[["2026-01-07", 1, 1, 1, 1, 1], ["2026-01-06", 1, 1, 1, 1, 1]]',
            '[["2026-01-07", 1, 1, 1, 1, 1], ["2026-01-07", 2, 2, 2, 2, 1]]',
        ],
        ids=["truncated", "low above high", "price zero", "on a Saturday", "a year before", "in no order", "twice"],
    )
    def test_changes_nothing_and_is_recorded(self, desk, body: str) -> None:
        desk.first.faults = [(200, body)]
        report = fetch(desk)
        assert notes(report) == [("AAA", "first", "VENDOR_NONSENSE")]
        assert (Bar.objects.count(), BarCoverage.objects.count()) == (0, 0)
        incident = VendorIncident.objects.get()
        assert (incident.vendor, incident.kind, incident.symbol) == ("first", "nonsense", "AAA")

    def test_often_enough_it_opens_the_breaker(self, desk) -> None:
        desk.first.faults = [(200, '[["2026-01-05", 0, 1, 0, 1, 1]]')] * 5
        for _ in range(5):
            fetch(desk)
        assert notes(fetch(desk)) == [("AAA", "first", "BREAKER_OPEN")]

    def test_another_symbol_goes_on(self, desk) -> None:
        InstrumentFactory(symbol="BBB")
        desk.first.closes["BBB"] = desk.first.closes["AAA"]
        desk.first.faults = [(200, "{")]
        report = fetch(desk, "AAA", "BBB")
        assert [item.complete for item in report.symbols] == [False, True]


class TestActions:
    def test_splits_and_dividends_come_with_the_bars(self, desk) -> None:
        desk.first.actions = [("dividend", "2026-01-20", "0.25")]
        (symbol,) = fetch(desk).symbols
        assert symbol.actions == 1
        action = CorporateAction.objects.order_by("-revision").first()
        assert action.status == "applied"  # doubted while there were no bars, and judged again with each page
        assert (action.ex_date, action.value, BarSource.objects.get(pk=action.source_id).name) == (date(2026, 1, 20), Decimal("0.25"), "first")
        assert desk.first.action_requests == [("AAA", "2025-12-06", "2026-02-06")]

    def test_a_split_that_the_vendor_publishes_late_comes_with_a_later_fetch(self, desk) -> None:
        for n, day in enumerate(desk.days):
            desk.first.closes["AAA"][day] = 100.0 + n if day < date(2026, 2, 6) else 60.0
        assert (fetch(desk).symbols[0].actions, CorporateAction.objects.exists()) == (0, False)
        desk.first.actions = [("split", "2026-02-06", "2")]
        (symbol,) = fetch(desk, now=datetime(2026, 2, 9, 22, tzinfo=UTC)).symbols
        assert (symbol.inserted, symbol.actions, desk.first.requests[-1]) == (1, 1, ("AAA", "2026-02-07", "2026-02-10"))
        assert bar_series(symbol="AAA", timeframe=Timeframe.DAY, adjustment=Adjustment.SPLIT).close[0] == 50.0

    def test_they_are_asked_once_although_no_bars_are_missing(self, desk) -> None:
        fetch(desk)
        desk.first.requests.clear()
        desk.first.action_requests.clear()
        desk.first.actions = [("dividend", "2026-01-20", "0.25")]
        (symbol,) = fetch(desk).symbols
        assert (symbol.complete, symbol.vendor, symbol.actions, desk.first.requests) == (True, "", 1, [])
        assert desk.first.action_requests == [("AAA", "2026-01-08", "2026-02-06")]
        assert fetch(desk).symbols[0].actions == 0  # known by now

    def test_one_question_holds_all_that_is_missing(self, desk) -> None:
        fetch(desk, start=date(2026, 1, 20), end=date(2026, 1, 23))
        desk.first.action_requests.clear()
        fetch(desk)
        assert desk.first.action_requests == [("AAA", "2025-12-06", "2026-02-06")]

    def test_long_gone_bars_that_are_there_need_no_question(self, desk) -> None:
        late = datetime(2026, 3, 13, 22, tzinfo=UTC)
        fetch(desk, end=date(2026, 2, 6), now=late)
        desk.first.action_requests.clear()
        assert fetch(desk, end=date(2026, 2, 6), now=late).symbols[0].complete
        assert desk.first.action_requests == []

    def test_nothing_is_complete_while_nobody_says_what_became_of_it(self, desk) -> None:
        fetch(desk, provider="auto")
        desk.first.action_faults = desk.second.action_faults = [(500, "")] * 4
        (symbol,) = fetch(desk, provider="auto").symbols
        assert (symbol.complete, [note.vendor for note in symbol.notes]) == (False, ["first", "second"])
        assert fetch(desk, provider="auto").symbols[0].complete

    def test_no_bars_without_them(self, desk) -> None:
        desk.first.action_faults = [(500, "")] * 2
        desk.first.actions = [("dividend", "2026-01-20", "0.25")]
        assert not fetch(desk).symbols[0].complete
        assert (Bar.objects.count(), desk.first.requests) == (0, [])
        assert (counts(fetch(desk)), CorporateAction.objects.exists()) == ((24, 0, 0), True)

    def test_one_that_cannot_be_is_nonsense(self, desk) -> None:
        desk.first.actions = [("split", "2026-01-20", "-2")]
        assert notes(fetch(desk)) == [("AAA", "first", "VENDOR_NONSENSE")]
        assert not CorporateAction.objects.exists()
        assert VendorIncident.objects.get().kind == "nonsense"


class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({"provider": "acme"}, NotFound),
            ({"symbols": ("ZZZ",)}, NotFound),
            ({"start": date(2026, 1, 7), "end": date(2026, 1, 5)}, InvalidInput),
            ({"start": date(2027, 1, 1)}, InvalidInput),
            ({"start": datetime(2026, 1, 5)}, InvalidInput),  # noqa: DTZ001 (that is the point)
        ],
        ids=str,
    )
    def test_before_anything_is_asked(self, desk, options: dict, error: type[Exception]) -> None:
        with pytest.raises(error):
            fetch(desk, *options.pop("symbols", ()), **options)
        assert desk.first.requests == []

    def test_a_vendor_that_is_not_enabled(self, desk) -> None:
        Vendor.objects.filter(name="first").update(enabled=False)
        with pytest.raises(RuleRefused, match="first is not enabled"):
            fetch(desk)
        Vendor.objects.update(enabled=False)
        with pytest.raises(RuleRefused, match="no vendor is enabled"):
            fetch(desk, provider="auto")

    def test_without_redis_nobody_is_asked(self, desk, settings, tmp_path) -> None:
        settings.REDIS_URL = f"unix://{tmp_path}/none.sock"
        store.redis_client.cache_clear()
        try:
            with pytest.raises(Unavailable, match="Redis"):
                fetch(desk)
        finally:
            store.redis_client.cache_clear()
        assert desk.first.requests == []
