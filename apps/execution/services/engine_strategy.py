"""The border to a desk's own strategies: whatever they raise or answer, it concerns their own engine's signals alone."""

import math
from collections.abc import Mapping
from typing import NoReturn

from django.db import transaction

from apps.core.errors import DeskError, InvalidInput, Unavailable
from apps.strategies.domain.registry import strategy_build, strategy_class
from apps.strategies.domain.strategy import MarketSnapshot, Strategy, StrategySignal


class StrategyFailed(DeskError):
    """A strategy raised what the desk does not foresee, or said what is no signal."""

    code = "STRATEGY_FAILED"


def strategy_made(name: str, parameters: Mapping[str, object]) -> Strategy:
    """A strategy with its parameters checked. Raises InvalidInput naming the strategy or the parameter, also when its own code raises."""
    try:
        return _ready(name, parameters)
    except StrategyFailed as error:
        raise InvalidInput(f"{name} cannot be made: {error.detail}", field="strategy") from error


def strategy_or_silence(name: str, parameters: Mapping[str, object]) -> Strategy:
    """The same for an engine that people want to run: one that cannot be made fails when it shall speak, and its stops are held.

    Raises InvalidInput where this host does not know the strategy or its parameters: another one may.
    """
    try:
        return _ready(name, parameters)
    except StrategyFailed as error:
        return _Silent(error)


def strategy_signals(strategy: Strategy, snapshot: MarketSnapshot) -> list[StrategySignal]:
    """What the strategy says at this moment. Raises StrategyFailed, and Unavailable when the strategy does."""
    try:
        with transaction.atomic():  # a query of its own that fails spoils nothing else
            said = list(strategy.generate_signals(snapshot))
            for signal in said:
                _check(signal, snapshot)
    except (StrategyFailed, Unavailable):
        raise
    except Exception as error:  # noqa: BLE001 - of code that the desk does not know
        _fail(error)
    return said


class _Silent(Strategy):
    """Stands for a strategy that could not be made."""

    def __init__(self, error: StrategyFailed) -> None:
        self._error = error

    def generate_signals(self, snapshot: MarketSnapshot) -> list[StrategySignal]:
        raise self._error


def _ready(name: str, parameters: Mapping[str, object]) -> Strategy:
    strategy_class(name)
    try:
        strategy = strategy_build(name, parameters)
        strategy.history_needed  # noqa: B018 - its own code as well
    except InvalidInput:
        raise
    except Exception as error:  # noqa: BLE001 - of code that the desk does not know
        _fail(error)
    return strategy


def _check(signal: StrategySignal, snapshot: MarketSnapshot) -> None:
    if not isinstance(signal, StrategySignal):
        raise TypeError(f"{signal!r} is no signal")
    if signal.timestamp != snapshot.timestamp or signal.symbol not in snapshot.prices:
        raise ValueError(f"{signal.symbol} has no bar of {signal.timestamp} in what it was shown")
    if not 0 < signal.price < math.inf:
        raise ValueError(f"{signal.price} is no price of {signal.symbol}")


def _fail(error: Exception) -> NoReturn:
    raise StrategyFailed(f"{type(error).__name__}: {error}"[:500]) from error
