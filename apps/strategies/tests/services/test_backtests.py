"""Backtests from stored bars to a stored run: what is kept, what is refused, and that it can be repeated."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import numpy as np
import pytest
from django.db import IntegrityError, transaction

from apps.core.errors import InvalidInput, RuleRefused
from apps.core.models import JobRun
from apps.core.models.jobs import JobState
from apps.core.roles import Role
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind, ActionRecord
from apps.marketdata.models import Instrument
from apps.marketdata.services.corporate_actions import actions_store
from apps.marketdata.services.quarantine import quarantine_open, quarantine_release
from apps.marketdata.tests.factories import RECORDED_AT, make_series, store_series
from apps.strategies.domain import performance
from apps.strategies.engines import event
from apps.strategies.models import BacktestRun
from apps.strategies.services.backtests import backtest_request, backtest_run, code_version, prices_text, request_build
from apps.strategies.tasks import backtest_job
from apps.strategies.tests.factories import AT, END, START, closes, make_request, make_run, person, store_bars

pytestmark = pytest.mark.django_db


@pytest.fixture
def bars():
    store_bars("AAPL", "IBM")


class TestStoredRun:
    def test_has_everything_to_run_it_again_and_what_came_out(self, bars):
        user = person(Role.QUANT)
        run = make_run(user=user, parameters={"fast": "5"})
        run.refresh_from_db()
        assert (run.strategy, run.engine, run.symbols, run.timeframe, run.start, run.end) == ("sma_cross", "event", ["AAPL", "IBM"], "1d", START, END)
        assert run.parameters == {"fast": 5, "slow": 30}
        assert run.configuration == {
            "cash": "100000",
            "commission": "1",
            "slippage_bps": "5",
            "fill_at": "close",
            "max_volume_pct": 0.1,
            "size_fraction": None,
            "adjustment": "split",
        }
        assert (run.requested_by, run.created_at, run.initial_capital) == (user, AT, Decimal(100_000))
        assert len(run.dataset_fingerprint) == len(run.code_version) == 64

    def test_has_figures_that_follow_from_its_curve_and_its_trades(self, bars):
        run = make_run()
        times, curve = zip(*run.equity, strict=True)
        assert len(curve) == run.results["bar_count"] == 400
        assert (times[0], list(times)) == ("2012-01-03T00:00:00Z", sorted(times))
        assert run.results["final_value"] == curve[-1] == pytest.approx(float(run.final_value), abs=1e-4)
        assert run.results["total_trades"] == len(run.trades) > 5
        assert run.results["total_return_pct"] == pytest.approx((curve[-1] / 100_000 - 1) * 100)
        assert sum(trip["pnl"] for trip in run.trades) == pytest.approx(curve[-1] - 100_000)
        returns = np.diff(curve) / np.array(curve[:-1])
        assert run.results["sharpe"] == pytest.approx(returns.mean() / returns.std(ddof=1) * 252**0.5)
        assert run.results["max_drawdown"] == pytest.approx((curve / np.maximum.accumulate(curve) - 1).min())

    def test_is_the_same_when_it_is_run_again(self, bars):
        first, second = make_run(), make_run()
        for name in ("dataset_fingerprint", "code_version", "results", "equity", "trades", "final_value"):
            assert getattr(first, name) == getattr(second, name)

    def test_shows_by_its_fingerprint_that_the_bars_were_others(self, bars):
        before = make_run()
        revised = closes(sum(map(ord, "IBM")))
        revised[100] += 0.01
        store_series(make_series("IBM", revised, start=START))
        after = make_run()
        assert after.dataset_fingerprint != before.dataset_fingerprint
        assert make_run(symbols=["AAPL"]).dataset_fingerprint != after.dataset_fingerprint

    def test_shows_by_its_code_version_which_code_it_was(self, bars):
        versions = {code_version(make_request(**changes).prepared) for changes in ({}, {"engine": "backtrader"}, {"strategy": DOTTED})}
        assert len(versions) == 3
        sources = make_request().prepared.sources
        assert any("def match(" in source for source in sources)
        assert any("class SmaCross(" in source for source in sources)
        assert any("def simulate(" in source for source in sources)

    def test_can_be_made_from_its_own_record(self, bars):
        request = make_request(parameters={"slow": 25}, fill_at="open", size_fraction=0.2)
        again = request_build({**request.as_dict(), "request_uuid": "kept beside it"})
        assert again.as_dict() == request.as_dict()
        assert again.costs == request.costs

    def test_cannot_be_changed(self, bars):
        run = make_run()
        for statement in (lambda: BacktestRun.objects.filter(pk=run.pk).update(final_value=1), run.delete):
            with pytest.raises(IntegrityError), transaction.atomic():
                statement()

    def test_is_annualised_by_the_days_on_which_its_symbols_trade(self, bars):
        store_bars("BTC")
        usual = make_run(symbols=["BTC"])
        Instrument.objects.filter(symbol="BTC").update(asset_class="crypto")
        assert make_run(symbols=["BTC"]).results["sharpe"] == pytest.approx(usual.results["sharpe"] * (365 / 252) ** 0.5)
        assert make_request(symbols=["BTC", "IBM"]).periods_per_year == 252

    def test_of_either_engine_is_the_same(self, bars):
        event_run, backtrader_run = make_run(), make_run(engine="backtrader")
        assert event_run.results["total_trades"] == backtrader_run.results["total_trades"]
        assert backtrader_run.results["final_value"] == pytest.approx(event_run.results["final_value"], rel=1e-12)

    def test_of_a_backtrader_class_runs_it_as_it_is(self, bars):
        run = make_run(engine="backtrader", strategy=NATIVE, parameters={"fast": "5"})
        assert run.parameters == {"fast": 5}
        assert run.results["total_trades"] > 5


DOTTED = "apps.strategies.tests.domain.test_strategy.BuyTheDip"
NATIVE = "apps.strategies.tests.engines.test_backtrader.NativeSmaCross"


class TestRefusals:
    """Each differs from a request that runs in one thing, and names it."""

    def test_the_request_itself_runs(self, bars):
        assert make_run().pk

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"symbols": []}, "symbols"),
            ({"symbols": ["AAPL", "AAPL"]}, "symbols"),
            ({"symbols": ["AAPL", "NOPE"]}, "symbols"),
            ({"start": END, "end": START}, "start"),
            ({"strategy": "sma_corss"}, "strategy"),
            ({"strategy": "no.such.Class"}, "strategy"),
            ({"strategy": NATIVE}, "strategy"),  # not on the event engine
            ({"parameters": {"fats": 5}}, "parameters.fats"),
            ({"parameters": {"fast": "5.5"}}, "parameters.fast"),
            ({"parameters": {"fast": 40}}, "parameters.slow"),
            ({"strategy": NATIVE, "engine": "backtrader", "parameters": {"fats": 5}}, "parameters.fats"),
            ({"cash": "0"}, "cash"),
            ({"cash": "1.00001"}, "cash"),
            ({"cash": "nan"}, "cash"),
            ({"cash": "1e30"}, "cash"),
            ({"commission": "-1"}, "commission"),
            ({"slippage_bps": "much"}, "slippage_bps"),
            ({"slippage_bps": "10000"}, "slippage_bps"),
            ({"fill_at": "noon"}, "fill_at"),
            ({"max_volume_pct": 10}, "max_volume_pct"),
            ({"max_volume_pct": float("nan")}, "max_volume_pct"),
            ({"size_fraction": 2}, "size_fraction"),
            ({"engine": "magic"}, "engine"),
            ({"start": date(2013, 7, 1)}, "symbols"),  # bars end before the strategy could speak
            ({"timeframe": Timeframe.HOUR}, "symbols"),
            ({"engine": "backtrader", "fill_at": "vwap"}, "fill_at"),
        ],
    )
    def test_name_what_cannot_be_run(self, bars, changes, field):
        with pytest.raises(InvalidInput) as refused:
            make_run(**changes)
        assert refused.value.field == field
        assert not BacktestRun.objects.exists()


class TestQuarantine:
    """Data that is known to be wrong is used only by those who ask for it."""

    @pytest.fixture
    def held(self, bars):
        days = {"from_date": date(2012, 5, 1), "to_date": date(2012, 5, 2)}
        return quarantine_open(symbol="IBM", timeframe=Timeframe.DAY, reason="bad tick", user=None, at=AT, **days)

    def test_refuses_the_run_and_names_symbol_days_and_reason(self, held):
        with pytest.raises(RuleRefused, match="IBM bars of 1d from 2012-05-01 to 2012-05-02: bad tick") as refused:
            make_run()
        assert (refused.value.field, refused.value.extra["symbols"]) == ("symbols", ["IBM"])
        with pytest.raises(RuleRefused):
            backtest_request(request=make_request(), user=person(Role.QUANT), at=AT)
        assert not BacktestRun.objects.exists()

    def test_lets_other_days_symbols_and_time_frames_be(self, held):
        quarantine_open(symbol="AAPL", timeframe=Timeframe.MINUTE, reason="holes", user=None, at=AT)
        assert make_run(start=date(2012, 5, 3)).configuration.get("quarantined") is None
        assert make_run(symbols=["AAPL"]).pk

    def test_is_kept_by_the_run_that_asked_for_it(self, held):
        run = make_run(allow_quarantined=True)
        assert run.configuration["allow_quarantined"] is True
        assert run.configuration["quarantined"] == ["IBM bars of 1d from 2012-05-01 to 2012-05-02: bad tick"]
        assert request_build(make_request(allow_quarantined=True).as_dict()).allow_quarantined

    def test_released_is_over(self, held):
        quarantine_release(quarantine_id=held.pk, reason="corrected", user=person(Role.OPERATOR), at=AT)
        assert make_run().pk


class TestJob:
    def test_runs_as_asked_and_names_the_run(self, bars, django_capture_on_commit_callbacks, monkeypatch):
        sent = []
        monkeypatch.setattr(backtest_job, "apply_async", lambda **message: sent.append(message))
        user = person(Role.QUANT)
        with django_capture_on_commit_callbacks(execute=True):
            job = backtest_request(request=make_request(), user=user, at=AT)
        assert [(message["queue"], message["kwargs"]) for message in sent] == [("compute", {"job_run_id": job.pk})]
        backtest_job(job_run_id=job.pk)
        job.refresh_from_db()
        run = BacktestRun.objects.get()
        assert (job.state, job.result, job.done, job.total) == (JobState.SUCCEEDED, {"backtest_id": run.pk}, 3, 3)
        assert run.requested_by == user
        backtest_job(job_run_id=job.pk)  # delivered twice
        assert BacktestRun.objects.count() == 1

    def test_fails_with_the_reason_when_the_bars_have_gone(self, bars):
        job = backtest_request(request=make_request(start=date(2013, 7, 1)), user=person(Role.QUANT), at=AT)
        with pytest.raises(InvalidInput):
            backtest_job(job_run_id=job.pk)
        job.refresh_from_db()
        assert job.state == JobState.FAILED
        assert "needs" in job.error

    def test_is_one_for_one_request(self, bars):
        user, uuid = person(Role.QUANT), uuid4()
        first, second = (backtest_request(request=make_request(), user=user, at=AT, request_uuid=uuid) for _ in range(2))
        other = backtest_request(request=make_request(), user=user, at=AT, request_uuid=uuid4())
        assert first == second != other
        assert JobRun.objects.count() == 2


def test_the_clock_is_never_asked(bars, monkeypatch):
    def refuse():
        raise AssertionError("a backtest reads no clock")

    monkeypatch.setattr("apps.core.clock.now", refuse)
    assert backtest_run(request=make_request(), user=None, at=AT).created_at == AT
    assert event.EventEngine.name == "event"


@pytest.mark.parametrize(
    ("timeframe", "every_day", "expected"),
    [
        (Timeframe.DAY, False, 252),
        (Timeframe.DAY, True, 365),
        (Timeframe.WEEK, True, 52),
        (Timeframe.MONTH, False, 12),
        (Timeframe.HOUR, False, 252 * 6.5),
        (Timeframe.MINUTES_5, True, 365 * 288),
    ],
)
def test_bars_of_a_year(timeframe, every_day, expected):
    assert performance.periods_per_year(timeframe, every_day=every_day) == expected


class TestAdjustedPrices:
    """AAPL is MSFT, but for a split of two for one on the 200th session: raw closes halve there and nobody loses anything."""

    SPLIT_ROW = 200

    @pytest.fixture(autouse=True)
    def split(self, db) -> date:
        whole = make_series("AAPL", closes(7), start=START)
        ratio = np.where(np.arange(400) < self.SPLIT_ROW, 2.0, 1.0)
        prices = {name: getattr(whole, name) * ratio for name in ("open", "high", "low", "close")}
        store_series(replace(whole, **prices, volume=whole.volume / ratio), replace(whole, symbol="MSFT"))
        return whole.ts[self.SPLIT_ROW].item().date()

    def record(self, day: date, recorded_at: datetime = RECORDED_AT) -> None:
        record = ActionRecord(symbol="AAPL", kind=ActionKind.SPLIT, ex_date=day, value=Decimal(2))
        assert not actions_store(records=[record], source="test", recorded_at=recorded_at).quarantined

    def run(self, symbol: str = "AAPL", **changes: object) -> BacktestRun:
        return make_run(symbols=[symbol], commission="0", slippage_bps="0", **changes)

    def test_a_split_is_no_loss(self, split) -> None:
        self.record(split)
        adjusted, raw = self.run(), self.run(adjustment="none")
        assert (adjusted.configuration["adjustment"], raw.configuration["adjustment"]) == ("split", "none")
        assert adjusted.dataset_fingerprint != raw.dataset_fingerprint
        assert adjusted.equity == self.run("MSFT").equity != raw.equity
        assert self.run().dataset_fingerprint == adjusted.dataset_fingerprint

    def test_a_run_that_ends_before_sees_nothing_of_it(self, split) -> None:
        before = self.run(end=split - timedelta(days=1))
        self.record(split)
        assert self.run(end=split - timedelta(days=1)).dataset_fingerprint == before.dataset_fingerprint

    def test_a_run_as_of_then_sees_what_was_known_then(self, split) -> None:
        before = self.run()
        self.record(split, RECORDED_AT + timedelta(days=1))
        again = self.run(as_of=RECORDED_AT.isoformat())
        assert again.dataset_fingerprint == before.dataset_fingerprint != self.run().dataset_fingerprint
        assert again.configuration["as_of"] == RECORDED_AT.isoformat()
        assert request_build(make_request(symbols=["AAPL"], as_of=RECORDED_AT).as_dict()).known_at == RECORDED_AT

    def test_weeks_are_made_of_adjusted_days(self, split) -> None:
        self.record(split)
        weekly = self.run(timeframe=Timeframe.WEEK)
        assert len(weekly.equity) < 100
        assert weekly.equity == self.run("MSFT", timeframe=Timeframe.WEEK).equity

    @pytest.mark.parametrize(
        ("changes", "field"), [({"adjustment": "full"}, "adjustment"), ({"as_of": "then"}, "as_of"), ({"as_of": "2026-01-01"}, "as_of")]
    )
    def test_bad_input_is_named(self, changes, field) -> None:
        with pytest.raises(InvalidInput) as caught:
            self.run(**changes)
        assert caught.value.field == field


def test_runs_of_before_say_that_prices_were_as_traded() -> None:
    assert prices_text({}) == "as traded, splits and dividends are not adjusted"
    assert prices_text({"adjustment": "split"}) == "split-adjusted"
