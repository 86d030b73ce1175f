"""The live engine's process, and its rehearsal over stored bars."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.core.errors import Conflict, InvalidInput
from apps.core.locks import LeaseSet
from apps.core.money import exact
from apps.core.trading import TradingMode
from apps.execution.domain.engine_config import LiveEngineConfig
from apps.execution.services.engine_host import EngineHost, lease_name
from apps.execution.services.engine_strategy import strategy_made
from apps.execution.services.live_building import engine_user, live_engine_begin
from apps.execution.services.live_config import LiveConfig
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.quotes import listen
from apps.portfolios.selectors.portfolios import portfolio_by_name
from apps.strategies.domain.sizers import PercentSizer

DRY_RUN = "dry-run"
MODES = [DRY_RUN, *(mode.value for mode in TradingMode)]
#: How often a process that stands by looks whether the lease is free.
STANDBY_SECONDS = 0.5


class Command(DeskCommand):
    """Paper and live run until they are told to stop; a dry run ends with the last stored bar."""

    help = (
        "Trade a strategy in its own book of a portfolio: on each completed bar it speaks, is recorded, sized, and its orders pass the gate; on each"
        " look at the prices its stops are held.\n\nWhat is not an option comes from the file (--config), else from the environment: ALPACA_*,"
        " TRADING_*, RISK_* and STOPLOSS_* (docs/live-trading.md).\n\n"
        "Examples:\n  manage.py trade --strategy sma_cross --symbols AAPL,MSFT --portfolio 1 --mode dry-run --replay-days 250"
        "\n  manage.py trade --strategy momentum --symbols IBM --portfolio 'Demo fund' --mode paper --param lookback=90 --size-percent 5"
        "\n  manage.py trade --config live_trading.yaml --standby"
    )
    service = True

    def add_options(self, parser: CommandParser) -> None:
        """What runs, where, and as whom."""
        parser.add_argument("--config", metavar="FILE", help="YAML; options here take precedence")
        parser.add_argument("--strategy")
        parser.add_argument("--symbols", help="comma separated")
        parser.add_argument("--portfolio", help="name or number")
        parser.add_argument("--mode", choices=MODES, help="else what the configuration says, which is paper when it says nothing")
        parser.add_argument("--timeframe", help="of the bars that it trades on: 1m, 5m, 15m or 1d (1d unless the configuration says otherwise)")
        parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
        parser.add_argument("--size-percent", help="of the portfolio's value for each new position (10 unless the configuration says otherwise)")
        parser.add_argument("--user", help="whose orders they are; else the portfolio's first member who may trade")
        parser.add_argument(
            "--standby", action="store_true", help="wait while another process runs it, then go on with the engine as people have left it"
        )
        parser.add_argument("--replay-days", type=int, help="dry run: sessions to replay, all when left out")
        parser.add_argument("--cash", default="100000", help="dry run: money at the start")

    def run(self, **options: Any) -> CommandResult:
        """Dry run, paper or live."""
        given = LiveEngineConfig.from_yaml(Path(options["config"])) if options["config"] else LiveEngineConfig.from_env()
        config = _config(given, options)
        mode = options["mode"] or _mode(given)
        if mode == DRY_RUN:
            return self._dry_run(config, options)
        if options["replay_days"] is not None:
            raise InvalidInput("only a dry run replays", field="replay_days")
        return self._trade(config, TradingMode(mode), options)

    def _dry_run(self, config: LiveConfig, options: dict[str, Any]) -> CommandResult:
        from apps.execution.services.dry_runs import dry_run

        cash = exact(options["cash"], places=4, field="cash")
        if cash <= 0:
            raise InvalidInput("the cash must be above zero", field="cash")
        data = dry_run(config=config, cash=float(cash), replay_days=options["replay_days"], at=clock.now(), progress=self.progress)
        text = (
            f"{config.strategy} on {', '.join(config.symbols)}: {data['bar_count']} bars, {data['total_trades']} trades, "
            f"{data['initial_capital']:.2f} became {data['final_value']:.2f} ({data['total_return_pct']:+.2f} %)"
        )
        return CommandResult(data=data, text=text)

    def _trade(self, config: LiveConfig, mode: TradingMode, options: dict[str, Any]) -> CommandResult:
        user = engine_user(portfolio_id=config.portfolio_id, username=options["user"])
        leases = LeaseSet(application="desk engines")
        host = EngineHost(tell=self._say, leases=leases)
        try:
            name = lease_name(strategy=strategy_made(config.strategy, config.parameters).name, portfolio_id=config.portfolio_id)
            if not self._lease(leases, name, standby=options["standby"]):
                return CommandResult(data={"mode": mode.value, "strategy": config.strategy, "steps": []}, text="stopped while standing by")
            engine = live_engine_begin(config=config, user=user, mode=mode, standby=options["standby"], at=clock.now())
            if options["standby"]:
                self._say(f"{engine} goes on as people have left it{'' if engine.wanted else ': stopped, so it waits for Start on the page Engines'}")
            host.only = engine.pk
            host.hear(None, at=clock.now())
            for message in listen("quotes", "bars", "intraday"):
                if self.progress.cancelled():
                    break
                host.hear(message, at=clock.now())
        finally:
            host.close(at=clock.now(), reason="its process has ended")
        orders = sum(len(step["orders"]) for step in host.steps)
        data = {"mode": mode.value, "strategy": config.strategy, "engine": engine.pk, "steps": host.steps}
        return CommandResult(data=data, text=f"{len(host.steps)} cycles kept, {orders} orders")

    def _lease(self, leases: LeaseSet, name: str, *, standby: bool) -> bool:
        """Take the lease, standing by for it when that was asked for. False when told to stop meanwhile."""
        if leases.take(name):
            return True
        if not standby:
            raise Conflict(f"{name} is already running elsewhere", lease=name)
        self._say(f"{name} runs elsewhere: standing by")
        while not self.progress.cancelled():
            if leases.take(name):
                return True
            time.sleep(STANDBY_SECONDS)
        return False

    _said = ""

    def _say(self, line: str) -> None:
        """What is said again and again is said once."""
        if line != self._said:
            self.stderr.write(line)
        self._said = line


def _config(given: LiveEngineConfig, options: dict[str, Any]) -> LiveConfig:
    """The configuration with the options over it. Raises InvalidInput and NotFound naming the option that is missing or wrong."""
    named = replace(given, **{name: options[name] for name in ("strategy", "portfolio") if options[name]})
    symbols = tuple(symbol.strip() for symbol in (options["symbols"] or "").split(",") if symbol.strip()) or given.symbols
    for name, value in (("strategy", named.strategy), ("symbols", symbols), ("portfolio", named.portfolio)):
        if not value:
            raise InvalidInput(f"say which {name}: by an option or in the configuration", field=name)
    size = options["size_percent"]
    sizer = given.position_sizer
    fraction = sizer.pct if isinstance(sizer, PercentSizer) else 0.1
    if size is not None:
        fraction = float(exact(size, places=4, field="size_percent") / 100)
    return LiveConfig(
        strategy=named.strategy,
        symbols=symbols,
        portfolio_id=portfolio_by_name(named.portfolio).pk,
        parameters={**given.parameters, **dict(_pair(text) for text in options["param"])},
        size_fraction=fraction,
        sizer=None if size is not None else sizer,
        stop_loss=given.stop_loss,
        risk=given.risk,
        enable_trading=given.enable_trading,
        timeframe=Timeframe.parse(options["timeframe"]) if options["timeframe"] else given.timeframe,
    )


def _mode(given: LiveEngineConfig) -> str:
    if given.trading.dry_run:
        return DRY_RUN
    return TradingMode.PAPER.value if given.trading.paper_mode else TradingMode.LIVE.value


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise InvalidInput(f"{text!r} is not NAME=VALUE", field="param")
    return name, value
