"""Strategies by name. A dotted path to a class works where a name does, so that a desk's own strategies need no change here."""

import difflib
import importlib
from collections.abc import Mapping

from apps.core.errors import InvalidInput
from apps.strategies.domain.library import STRATEGIES
from apps.strategies.domain.strategy import Strategy, parameters_build


def class_of(path: str, *, field: str = "strategy") -> type:
    """The class at a dotted path. Raises InvalidInput when there is none."""
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidInput(f"there is no class {path!r}: {error}", field=field) from error
    if not isinstance(found, type):
        raise InvalidInput(f"{path!r} is no class", field=field)
    return found


def strategy_class(name: str) -> type[Strategy]:
    """The strategy of this name or dotted path. Raises InvalidInput, with the nearest known name."""
    if name in STRATEGIES:
        return STRATEGIES[name]
    if "." not in name:
        near = difflib.get_close_matches(name, STRATEGIES, 1)
        raise InvalidInput(f"unknown strategy {name!r}: {f'did you mean {near[0]}?' if near else ', '.join(STRATEGIES)}", field="strategy")
    found = class_of(name)
    if not issubclass(found, Strategy):
        raise InvalidInput(f"{name!r} is no strategy of the desk", field="strategy")
    return found


def strategy_build(name: str, parameters: Mapping[str, object] | None = None) -> Strategy:
    """A strategy with its parameters checked. Raises InvalidInput naming the strategy or the parameter."""
    kind = strategy_class(name)
    return kind(parameters_build(kind.Parameters, parameters or {}))
