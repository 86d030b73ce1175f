"""The live engine's process, and its rehearsal over stored bars."""

from typing import Any

from django.core.management.base import CommandParser

from apps.core import clock
from apps.core.commands import CommandResult, DeskCommand
from apps.core.errors import InvalidInput, Unavailable
from apps.core.locks import lease
from apps.core.money import exact
from apps.core.trading import TradingMode
from apps.execution.services.live import LiveConfig, LiveEngine, engine_user, live_engine_build, step_as_dict
from apps.marketdata.selectors.quotes import listen
from apps.portfolios.selectors.portfolios import portfolio_by_name

DRY_RUN, PAPER = "dry-run", "paper"


class Command(DeskCommand):
    """Paper runs until it is told to stop; a dry run ends with the last stored bar."""

    help = (
        "Trade a strategy in its own book of a portfolio: on each completed bar it speaks, is recorded, sized, and its orders pass the gate."
        "\n\nExamples:\n  manage.py trade --strategy sma_cross --symbols AAPL,MSFT --portfolio 1 --mode dry-run --replay-days 250"
        "\n  manage.py trade --strategy momentum --symbols IBM --portfolio 'Demo fund' --mode paper --param lookback=90 --size-percent 5"
    )
    service = True

    def add_options(self, parser: CommandParser) -> None:
        """What runs, where, and as whom."""
        parser.add_argument("--strategy", required=True)
        parser.add_argument("--symbols", required=True, help="comma separated")
        parser.add_argument("--portfolio", required=True, help="name or number")
        parser.add_argument("--mode", required=True, choices=[DRY_RUN, PAPER])
        parser.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
        parser.add_argument("--size-percent", default="10", help="of the portfolio's value for each new position")
        parser.add_argument("--user", help="whose orders they are; else the portfolio's first member who may trade")
        parser.add_argument("--replay-days", type=int, help="dry run: sessions to replay, all when left out")
        parser.add_argument("--cash", default="100000", help="dry run: money at the start")

    def run(self, **options: Any) -> CommandResult:
        """Dry run or paper."""
        config = LiveConfig(
            strategy=options["strategy"],
            symbols=tuple(symbol.strip() for symbol in options["symbols"].split(",") if symbol.strip()),
            portfolio_id=portfolio_by_name(options["portfolio"]).pk,
            parameters=dict(_pair(text) for text in options["param"]),
            size_fraction=float(exact(options["size_percent"], places=4, field="size_percent") / 100),
        )
        if options["mode"] == DRY_RUN:
            return self._dry_run(config, options)
        if options["replay_days"] is not None:
            raise InvalidInput("only a dry run replays", field="replay_days")
        return self._trade(config, options["user"])

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

    def _trade(self, config: LiveConfig, username: str | None) -> CommandResult:
        with lease(f"trade:{config.strategy}:{config.portfolio_id}") as held:
            user = engine_user(portfolio_id=config.portfolio_id, username=username)
            engine = live_engine_build(config=config, user=user, mode=TradingMode.PAPER, at=clock.now())
            self.stderr.write(f"{config.strategy} trades {', '.join(config.symbols)} in portfolio {config.portfolio_id} as {user.get_username()}")
            steps = [step] if (step := self._step(engine)) else []
            for message in listen("bars"):
                if self.progress.cancelled():
                    break
                if message is None:
                    held.check()
                # A bar that could not be acted upon is tried again in silence; one that is recorded costs two queries.
                if (message is None and self._waiting) or (message is not None and set(message.symbols) & set(config.symbols)):
                    steps += [step] if (step := self._step(engine)) else []
        orders = sum(len(step["orders"]) for step in steps)
        return CommandResult(data={"mode": PAPER, "strategy": config.strategy, "steps": steps}, text=f"{len(steps)} bars, {orders} orders")

    _waiting = False

    def _step(self, engine: LiveEngine) -> dict[str, Any] | None:
        try:
            step = engine.step(at=clock.now())
        except Unavailable as error:
            self._waiting = True
            self.stderr.write(f"waiting: {error.detail}")
            return None
        self._waiting = False
        if step is None:
            return None
        shown = step_as_dict(step)
        for order in step.orders:
            self.stderr.write(
                f"{step.bar:%Y-%m-%d} {order.side} {order.quantity.normalize():f} {order.instrument.symbol}: {order.status} {order.reason}"
            )
        return shown


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name:
        raise InvalidInput(f"{text!r} is not NAME=VALUE", field="param")
    return name, value
