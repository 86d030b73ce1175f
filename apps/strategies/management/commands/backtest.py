"""Run a strategy over stored bars and store the run.

manage.py backtest sma_cross --symbols AAPL,MSFT --start 2006-01-03 --end 2012-12-31
manage.py backtest momentum --symbols IBM --start 2008-01-02 --end 2010-12-31 --param lookback=90 --fill-at open --json
"""

from datetime import date
from typing import Any

from django.core.management.base import CommandParser

from apps.core.clock import now
from apps.core.commands import CommandResult, DeskCommand
from apps.core.errors import InvalidInput
from apps.marketdata.domain.timeframes import Timeframe
from apps.strategies.models import BacktestRun
from apps.strategies.services.backtests import BacktestRequest, backtest_run, prices_text


def pair(text: str) -> tuple[str, str]:
    """A --param NAME=VALUE."""
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise InvalidInput(f"{text!r} is not NAME=VALUE", field="param")
    return name, value


def day(text: str, field: str) -> date:
    """A --start or --end."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no date like 2012-12-31", field=field) from error


class Command(DeskCommand):
    """Records no job: the stored run is the record, and a job's result is no place for its equity curve."""

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("strategy", help="sma_cross, macd, momentum, or the dotted path of a class")
        parser.add_argument("--symbols", required=True, help="comma separated")
        parser.add_argument("--start", required=True, metavar="DATE")
        parser.add_argument("--end", required=True, metavar="DATE", help="inclusive")
        parser.add_argument("--timeframe", default="1d")
        parser.add_argument("--cash", default="100000")
        parser.add_argument("--param", dest="parameters", action="append", default=[], metavar="NAME=VALUE")
        parser.add_argument("--fill-at", default="close", help="close, open (of the next bar) or vwap (of the next bar)")
        parser.add_argument("--slippage-bps", default="0")
        parser.add_argument("--commission", default="0", help="money per order")
        parser.add_argument("--max-volume-pct", type=float, default=0.1, help="most that one fill takes of a bar's volume, a fraction")
        parser.add_argument("--size-fraction", type=float, help="share of equity for one position (1 / number of symbols)")
        parser.add_argument("--engine", default="event", help="event or backtrader")
        parser.add_argument("--adjustment", default="split", help="none, split (default), total_return or total_return_at_close")
        parser.add_argument("--as-of", metavar="TIME", help="use what the desk knew then, a time with its zone")
        parser.add_argument("--allow-quarantined", action="store_true", help="use data in quarantine, which refuses the run otherwise")

    def run(self, **options: Any) -> CommandResult:
        costs = ("cash", "fill_at", "slippage_bps", "commission", "max_volume_pct", "size_fraction")
        same = ("strategy", *costs, "engine", "allow_quarantined", "adjustment", "as_of")
        request = BacktestRequest(
            symbols=[symbol.strip() for symbol in options["symbols"].split(",") if symbol.strip()],
            timeframe=Timeframe.parse(options["timeframe"]),
            start=day(options["start"], "start"),
            end=day(options["end"], "end"),
            parameters=dict(map(pair, options["parameters"])),
            **{name: options[name] for name in same},
        )
        run = backtest_run(request=request, user=None, at=now(), progress=self.progress)
        return CommandResult(data=_document(run), text=_text(run))


def _document(run: BacktestRun) -> dict[str, Any]:
    about = {"id": run.pk, "strategy": run.strategy, "symbols": run.symbols, "engine": run.engine}
    proof = {"dataset_fingerprint": run.dataset_fingerprint, "code_version": run.code_version, "seconds": run.seconds}
    return {**about, **run.results, **proof, "equity_curve": run.equity, "trades": run.trades}


def _text(run: BacktestRun) -> str:
    r = run.results
    sharpe = "n/a" if r["sharpe"] is None else f"{r['sharpe']:.2f}"
    lines = [
        f"run {run.pk}: {run.strategy} on {', '.join(run.symbols)}, {run.start} to {run.end}, {run.engine} engine, {run.seconds:.3f} s",
        f"bars {r['bar_count']}   trades {r['total_trades']}   from {r['initial_capital']:,.2f} to {r['final_value']:,.2f}",
        f"return {r['total_return_pct']:+.2f} %   Sharpe {sharpe}   largest drawdown {r['max_drawdown']:.2%}",
        f"prices {prices_text(run.configuration)}",
        f"data {run.dataset_fingerprint[:16]}   code {run.code_version[:16]}",
    ]
    return "\n".join(lines)
