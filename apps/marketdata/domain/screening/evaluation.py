"""A query against many symbols at once: every value is an array over the symbols, every condition a mask. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from apps.marketdata.domain.bars import FIELDS, BarSeries
from apps.marketdata.domain.indicators import compute, indicator_get
from apps.marketdata.domain.screening.kinds import (
    CROSSINGS,
    Arithmetic,
    Column,
    Comparison,
    Condition,
    Fact,
    Group,
    Leaf,
    Not,
    Number,
    Query,
    Term,
    Value,
)

Numbers = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Screened:
    """`matches` and `scored` [N]; `values` of each leaf of the query by its text, float64 [N], NaN where it is not known.

    A symbol is scored when everything that the query names is known of it; only then can it match.
    """

    matches: Mask
    scored: Mask
    values: Mapping[str, Numbers]


def evaluate(query: Query, series: Sequence[BarSeries], facts: Mapping[str, Numbers] | None = None) -> Screened:
    """The query at each series' last bar. `facts` are arrays [N] by the text of a fact ("factor.momentum"); one that is missing is NaN."""
    known = facts or {}
    shifts = (0, 1) if _crosses(query.condition) else (0,)
    table = {(str(leaf), shift): _leaf(leaf, series, known, shift) for leaf in query.leaves for shift in shifts}
    values = {str(leaf): table[str(leaf), 0] for leaf in query.leaves}
    scored = np.ones(len(series), bool)
    for numbers in table.values():
        scored &= np.isfinite(numbers)
    with np.errstate(all="ignore"):
        scored &= _finite(query.condition, table, len(series))
        matches = _holds(query.condition, table, len(series)) & scored
    return Screened(matches=matches, scored=scored, values=values)


def _leaf(leaf: Leaf, series: Sequence[BarSeries], facts: Mapping[str, Numbers], shift: int) -> Numbers:
    if isinstance(leaf, Fact):
        return facts.get(str(leaf), np.full(len(series), np.nan))
    if isinstance(leaf, Number):
        return np.full(len(series), leaf.value)
    return np.array([_last(_line(leaf, bars), leaf.lag + shift) for bars in series], np.float64)


def _line(leaf: Column | Term, bars: BarSeries) -> Numbers:
    if isinstance(leaf, Column):
        column: Numbers = getattr(bars, leaf.name)
        return column
    entry = indicator_get(leaf.indicator)
    names = (leaf.column,) if entry.on_any_column else tuple(name for name in entry.columns if name in FIELDS)
    columns: dict[str, NDArray] = {name: getattr(bars, name) for name in names}
    if "session" in entry.columns:
        columns["session"] = bars.ts.astype("datetime64[D]").astype(np.int64)
    return compute(leaf.indicator, columns, leaf.parameters, column=leaf.column)[leaf.line]


def _last(line: Numbers, lag: int) -> float:
    return float(line[-1 - lag]) if len(line) > lag else float("nan")


Table = Mapping[tuple[str, int], Numbers]


def _number(node: Value, table: Table, length: int, shift: int = 0) -> Numbers:
    if isinstance(node, Number):
        return np.full(length, node.value)
    if not isinstance(node, Arithmetic):
        return table[str(node), shift]
    left, right = (_number(part, table, length, shift) for part in (node.left, node.right))
    if node.operator == "+":
        return left + right
    if node.operator == "-":
        return left - right
    return left * right if node.operator == "*" else left / right


COMPARE = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "=": np.equal, "!=": np.not_equal}


def _holds(node: Condition, table: Table, length: int) -> Mask:
    if isinstance(node, Group):
        parts = [_holds(part, table, length) for part in node.parts]
        return reduce(np.logical_and if node.operator == "and" else np.logical_or, parts)
    if isinstance(node, Not):
        return ~_holds(node.part, table, length)
    if isinstance(node, Comparison):
        left, right = _number(node.left, table, length), _number(node.right, table, length)
        if node.operator not in CROSSINGS:
            return np.asarray(COMPARE[node.operator](left, right))
        before = _number(node.left, table, length, 1) - _number(node.right, table, length, 1)
        above = node.operator == "crosses above"
        return (left > right) & (before <= 0) if above else (left < right) & (before >= 0)
    assert_never(node)


def _finite(node: Condition, table: Table, length: int) -> Mask:
    """Where every computed side of every comparison is a number: a division by zero leaves a symbol unscored."""
    if isinstance(node, Group):
        return reduce(np.logical_and, [_finite(part, table, length) for part in node.parts])
    if isinstance(node, Not):
        return _finite(node.part, table, length)
    shifts = (0, 1) if node.operator in CROSSINGS else (0,)
    sides = [_number(side, table, length, shift) for side in (node.left, node.right) for shift in shifts]
    return np.asarray(np.isfinite(sides).all(axis=0))


def _crosses(node: Condition) -> bool:
    if isinstance(node, Group):
        return any(_crosses(part) for part in node.parts)
    return _crosses(node.part) if isinstance(node, Not) else node.operator in CROSSINGS
