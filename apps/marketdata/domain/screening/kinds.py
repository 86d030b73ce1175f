"""A screen's query as a tree of frozen parts. Each knows where it stands in the text, and writes itself in one way only."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from apps.marketdata.domain.indicators import indicator_get


def written(value: float) -> str:
    """The number in as few characters as read back to the same."""
    return repr(float(value)).removesuffix(".0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number as written."""

    value: float

    def __str__(self) -> str:
        return written(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of the bars, `lag` bars before the last."""

    name: str
    lag: int = 0

    def __str__(self) -> str:
        return self.name + _lagged(self.lag)

    @property
    def memory(self) -> int:
        """Bars before the last that decide it."""
        return self.lag


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A line of an indicator, `lag` bars before the last."""

    indicator: str
    parameters: Mapping[str, float]
    line: str
    column: str = "close"
    lag: int = 0

    def __str__(self) -> str:
        entry = indicator_get(self.indicator)
        given = [] if self.column == "close" else [self.column]
        given += [written(self.parameters[item.name]) for item in entry.parameters]
        line = "" if self.line == entry.lines[0].name else f".{self.line}"
        arguments = f"({', '.join(given)})" if given else ""
        return f"{self.indicator}{arguments}{line}{_lagged(self.lag)}"

    @property
    def memory(self) -> int | None:
        """Bars before the last that decide it; None for all of history."""
        own = indicator_get(self.indicator).memory(self.parameters)
        return None if own is None else own + self.lag


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A number that is known of an instrument on a day: `kind` "factor" or "fundamental"."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """`operator` is one of + - * /."""

    operator: str
    left: "Value"
    right: "Value"

    def __str__(self) -> str:
        return f"({self.left} {self.operator} {self.right})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`operator` is one of < <= > >= = != or "crosses above", "crosses below": there now, and not one bar before."""

    operator: str
    left: "Value"
    right: "Value"

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All (`operator` "and") or at least one ("or") of its parts."""

    operator: str
    parts: tuple["Condition", ...]

    def __str__(self) -> str:
        return "(" + f" {self.operator} ".join(map(str, self.parts)) + ")"


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    """The opposite."""

    part: "Condition"

    def __str__(self) -> str:
        return f"not ({self.part})"


Leaf = Number | Column | Term | Fact
Value = Leaf | Arithmetic
Condition = Comparison | Group | Not
Node = Value | Condition
CROSSINGS = ("crosses above", "crosses below")


def _lagged(lag: int) -> str:
    return f"[{lag}]" if lag else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A parsed query. `str(query)` parses to the same query."""

    condition: Condition

    def __str__(self) -> str:
        text = str(self.condition)
        return text[1:-1] if isinstance(self.condition, Group) else text

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """Columns, indicators and facts in the order in which they stand, each once; numbers are left out."""
        return tuple({str(leaf): leaf for leaf in _leaves(self.condition) if not isinstance(leaf, Number)}.values())

    @property
    def memory(self) -> int | None:
        """Bars before the last that the query needs, one more for crossings; None for all of history."""
        needed = [leaf.memory for leaf in self.leaves if isinstance(leaf, Column | Term)]
        known = [one for one in needed if one is not None]
        return None if len(known) < len(needed) else max(known, default=0) + 1


def _leaves(node: Node) -> Iterator[Leaf]:
    if isinstance(node, Group):
        for part in node.parts:
            yield from _leaves(part)
    elif isinstance(node, Not):
        yield from _leaves(node.part)
    elif isinstance(node, Comparison | Arithmetic):
        yield from _leaves(node.left)
        yield from _leaves(node.right)
    else:
        yield node
