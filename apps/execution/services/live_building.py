"""From a description to a live engine that is ready to step: checked, stored, taken over."""

from datetime import datetime
from typing import TYPE_CHECKING

from apps.core.errors import NotFound, NotPermitted
from apps.core.trading import TradingMode
from apps.execution.domain.engine_config import engine_config_load
from apps.execution.models import TradingEngine
from apps.execution.services.accounts import account_of
from apps.execution.services.engine_strategy import strategy_made, strategy_or_silence
from apps.execution.services.engines import engine_register, engine_take, engine_want
from apps.execution.services.live import LiveEngine
from apps.execution.services.live_config import LiveConfig
from apps.execution.services.routing import broker_build
from apps.marketdata.selectors.instruments import instruments_get
from apps.portfolios.selectors.portfolios import portfolio_may_trade, portfolio_members

if TYPE_CHECKING:
    from apps.core.models import User


def live_engine_build(*, config: LiveConfig, user: "User", mode: TradingMode, at: datetime, holder: str = "this process") -> LiveEngine:
    """The portfolio's engine as it is described, taken over and ready to step. Whoever ran it before is fenced off.

    Raises InvalidInput (strategy, parameters), NotFound (symbols, portfolio), NotPermitted (the user does not trade there; live without
    approval), Conflict (no account) and ModeMismatch (the account's mode is another).
    """
    engine = live_engine_describe(config=config, user=user, mode=mode, at=at)
    return live_engine_open(engine, holder=holder, at=at)


def live_engine_describe(*, config: LiveConfig, user: "User", mode: TradingMode, at: datetime) -> TradingEngine:
    """The same without taking it: the row that says what runs. Everything is checked before anything is made."""
    strategy = strategy_made(config.strategy, config.parameters)
    instruments_get(config.symbols)
    return engine_register(
        portfolio_id=config.portfolio_id,
        strategy=strategy.name,
        symbols=config.symbols,
        parameters=config.parameters,
        configuration=config.document(),
        mode=mode,
        user=user,
        at=at,
    )


def live_engine_begin(*, config: LiveConfig, user: "User", mode: TradingMode, standby: bool, at: datetime) -> TradingEngine:
    """The engine that a process is to run. Who starts the process decides that it runs, and as what; one that stands by decides nothing:
    an engine that is there goes on as people have left it, stopped or configured anew. Raises as `live_engine_describe` does.
    """
    name = strategy_made(config.strategy, config.parameters).name
    there = TradingEngine.objects.filter(portfolio_id=config.portfolio_id, strategy=name).first()
    if standby and there is not None:
        return there
    engine = live_engine_describe(config=config, user=user, mode=mode, at=at)
    return engine_want(engine, user=user, at=at)


def live_engine_open(engine: TradingEngine, *, holder: str, at: datetime) -> LiveEngine:
    """Take an engine over, as its row describes it. The caller holds its lease. Raises as `live_engine_build` does."""
    settings = engine_config_load(engine.configuration)
    config = LiveConfig(
        strategy=engine.configuration.get("strategy", engine.strategy),
        symbols=tuple(engine.symbols),
        portfolio_id=engine.portfolio_id,
        parameters=engine.parameters,
        sizer=settings.position_sizer,
        stop_loss=settings.stop_loss,
        risk=settings.risk,
        enable_trading=settings.enable_trading,
        timeframe=settings.timeframe,
    )
    account = account_of(engine.portfolio_id)
    broker_build(account, mode=TradingMode(engine.mode))
    if not portfolio_may_trade(user=engine.runs_as, portfolio_id=engine.portfolio_id):
        raise NotPermitted(f"{engine.runs_as} may not place orders in portfolio {engine.portfolio_id}", field="user")
    strategy, instruments = strategy_or_silence(config.strategy, config.parameters), dict(instruments_get(config.symbols))
    token = engine_take(engine, holder=holder, at=at)
    return LiveEngine(config=config, user=engine.runs_as, strategy=strategy, instruments=instruments, account=account, engine=engine, token=token)


def engine_user(*, portfolio_id: int, username: str | None) -> "User":
    """Whose name an engine's orders carry: the named user, else the portfolio's first member who may trade in it.

    Raises NotFound (no such user), NotPermitted (nobody may trade there).
    """
    from apps.core.models import User

    if username is not None:
        named = User.objects.filter(username=username, is_active=True).first()
        if named is None:
            raise NotFound(f"there is no active user {username!r}", field="user")
        return named
    for user in User.objects.filter(pk__in=portfolio_members(portfolio_id), is_active=True).order_by("id"):
        if portfolio_may_trade(user=user, portfolio_id=portfolio_id):
            return user
    raise NotPermitted(f"no member of portfolio {portfolio_id} may place orders in it", field="user")
