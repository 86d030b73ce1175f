"""Engines by name, and the choice that a run makes: a strategy of the desk on either engine, a Backtrader class on Backtrader."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType

from apps.core.errors import InvalidInput
from apps.marketdata.domain.bars import BarPanel
from apps.strategies.domain import matching
from apps.strategies.domain.library import STRATEGIES
from apps.strategies.domain.registry import class_of, strategy_build
from apps.strategies.domain.strategy import Strategy
from apps.strategies.engines.protocol import Costs, EngineResult

ENGINES = ("event", "backtrader")

#: Packages whose classes a strategy may build on without being another strategy when they change: their version is in the lock file.
LIBRARIES = frozenset({"builtins", "abc", "backtrader"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run that has been checked: how to start it, all its parameters, the sources it depends on, and the bars that it needs at least."""

    run: Callable[[BarPanel, Costs], EngineResult]
    parameters: Mapping[str, object]
    sources: tuple[str, ...]
    bars_needed: int


def prepare(*, strategy: str, parameters: Mapping[str, object], engine: str) -> Prepared:
    """Check strategy, parameters and engine together. Raises InvalidInput naming what does not fit."""
    if engine not in ENGINES:
        raise InvalidInput(f"unknown engine {engine!r}: {', '.join(ENGINES)}", field="engine")
    if engine == "backtrader" and strategy not in STRATEGIES and "." in strategy:
        kind = class_of(strategy)
        if not issubclass(kind, Strategy):
            return _backtrader_class(kind, parameters)
    return _own(strategy_build(strategy, parameters), engine)


def _own(strategy: Strategy, engine: str) -> Prepared:
    modules: tuple[ModuleType, ...]
    run: Callable[..., EngineResult]
    if engine == "event":
        from apps.strategies.engines import event, simulation

        modules, run = (event, simulation, matching), event.EventEngine().run
    else:
        from apps.strategies.engines import backtrader

        modules, run = (backtrader, matching), backtrader.BacktraderEngine().run

    def start(panel: BarPanel, costs: Costs) -> EngineResult:
        return run(strategy=strategy, panel=panel, costs=costs)

    return Prepared(
        run=start,
        parameters=dataclasses.asdict(strategy.parameters),
        sources=_sources(type(strategy), *modules),
        bars_needed=strategy.warmup + 2,
    )


def _backtrader_class(kind: type, given: Mapping[str, object]) -> Prepared:
    from apps.strategies.engines import backtrader

    parameters = backtrader.class_parameters(kind, given)

    def start(panel: BarPanel, costs: Costs) -> EngineResult:
        return backtrader.BacktraderEngine().run_class(kind=kind, parameters=parameters, panel=panel, costs=costs)

    return Prepared(run=start, parameters=parameters, sources=_sources(kind, backtrader), bars_needed=2)


def _sources(kind: type, *modules: ModuleType) -> tuple[str, ...]:
    """Source texts of the strategy's modules, those of its bases included, then of the engine's. Raises InvalidInput where one is not there."""
    own = [inspect.getmodule(each) for each in kind.__mro__ if each.__module__.partition(".")[0] not in LIBRARIES]
    try:
        return tuple(inspect.getsource(module) for module in dict.fromkeys((*own, *modules)) if module is not None)
    except (OSError, TypeError) as error:
        raise InvalidInput(f"the source of {kind.__name__} cannot be found: {error}", field="strategy") from error
