"""manage.py backtest: what it prints, what it stores, and how it refuses."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.strategies.models import BacktestRun
from apps.strategies.tests.factories import store_bars

pytestmark = pytest.mark.django_db
ARGUMENTS = ("backtest", "sma_cross", "--symbols", "AAPL,IBM", "--start", "2012-01-03", "--end", "2013-12-31")


@pytest.fixture
def bars():
    store_bars("AAPL", "IBM")


def run(*options):
    out = StringIO()
    call_command(*ARGUMENTS, *options, stdout=out, stderr=StringIO())
    return out.getvalue()


def refused(*arguments):
    with pytest.raises(CommandError) as caught:
        call_command(*arguments, stdout=StringIO(), stderr=StringIO())
    return caught.value.returncode, str(caught.value)


class TestOutput:
    def test_as_json_has_the_agreed_keys_and_nothing_else_on_stdout(self, bars):
        document = json.loads(run("--json", "--param", "fast=5", "--param", "slow=20"))
        agreed = (
            "bar_count",
            "initial_capital",
            "final_value",
            "total_return_pct",
            "total_trades",
            "sharpe",
            "max_drawdown",
            "equity_curve",
            "trades",
        )
        assert set(agreed) <= set(document)
        assert document["bar_count"] == len(document["equity_curve"]) == 400
        assert document["total_trades"] == len(document["trades"]) > 5
        stored = BacktestRun.objects.get()
        assert (stored.pk, stored.parameters) == (document["id"], {"fast": 5, "slow": 20})
        assert stored.dataset_fingerprint == document["dataset_fingerprint"]

    def test_for_people_says_the_figures(self, bars):
        text = run()
        assert "sma_cross on AAPL, IBM" in text
        assert "Sharpe" in text

    def test_follows_the_options(self, bars):
        options = (
            "--cash",
            "50000",
            "--fill-at",
            "open",
            "--slippage-bps",
            "12.5",
            "--commission",
            "2",
            "--max-volume-pct",
            "0.05",
            "--engine",
            "backtrader",
        )
        document = json.loads(run("--json", *options))
        configuration = BacktestRun.objects.get().configuration
        assert (document["initial_capital"], document["engine"]) == (50_000, "backtrader")
        assert configuration == {
            "cash": "50000",
            "commission": "2",
            "slippage_bps": "12.5",
            "fill_at": "open",
            "max_volume_pct": 0.05,
            "size_fraction": None,
            "adjustment": "split",
        }


class TestRefusals:
    @pytest.mark.parametrize(
        ("changed", "text"),
        [
            (("--symbols", "AAPL,NOPE"), "symbols: there is no instrument 'NOPE'"),
            (("--start", "2014-01-01"), "start: the start 2014-01-01 lies after the end"),
            (("--start", "yesterday"), "'yesterday' is no date"),
            (("--param", "fats=3"), "parameters.fats: unknown parameter"),
            (("--param", "fast"), "is not NAME=VALUE"),
            (("--cash", "1.23456"), "cash: 1.23456 has more than 4 decimal places"),
            (("--fill-at", "noon"), "fill_at: 'noon' is not one of"),
            (("--engine", "magic"), "engine: unknown engine"),
            (("--timeframe", "2d"), "timeframe: '2d' is not a time frame"),
            (("--end", "2012-01-20"), "AAPL has 13 bars"),
        ],
    )
    def test_end_with_2_and_name_the_option(self, bars, changed, text):
        code, message = refused(*ARGUMENTS, *changed)
        assert code == 2
        assert text in message
        assert not BacktestRun.objects.exists()
