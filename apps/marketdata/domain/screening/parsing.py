"""The screener's language: comparisons of columns, indicators and facts, joined by and, or, not.

    close > sma(200) and rsi(14) < 30 and volume > 2 * sma(volume, 20)
    macd.macd crosses above macd.signal or close[1] < bbands(20, 2).lower
    drawdown(252) < -0.2 and factor.momentum > 0.5 and close / fundamental.eps < 15

Nothing is executed: the text becomes a tree of known parts. Every refusal names the word and its position, counted from 1.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apps.core.errors import InvalidInput
from apps.marketdata.domain.bars import FIELDS
from apps.marketdata.domain.factors import FACTORS
from apps.marketdata.domain.fundamentals import METRICS
from apps.marketdata.domain.indicators import Indicator, indicators
from apps.marketdata.domain.screening.kinds import Arithmetic, Column, Comparison, Condition, Fact, Group, Leaf, Node, Not, Number, Query, Term, Value

LONGEST = 2_000
DEEPEST = 40
MOST_LEAVES = 40
MOST_LAG = 1_000
#: Facts by their kind.
FACTS = {"factor": (*FACTORS, "composite", "rank"), "fundamental": tuple(sorted(METRICS))}
COMPARISONS = ("<=", ">=", "!=", "==", "<", ">", "=")
WORDS = ("and", "or", "not", "crosses", "above", "below")
TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign><=|>=|!=|==|[<>=+\-*/().,\[\]]))"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A number, word or sign; `at` counts characters from 1. The last one is empty."""

    kind: str
    text: str
    at: int


def query_parse(text: str, field: str = "query") -> Query:
    """The query of a text. Raises InvalidInput with `position` (from 1) and `token` of the first fault."""
    if not text.strip():
        raise InvalidInput("a screen says what to look for, for example: rsi(14) < 30 and close > sma(200)", field=field, position=1, token="")
    parser = _Parser(_tokens(text, field), field)
    condition = parser.condition()
    parser.end()
    return Query(condition=condition)


def term_parse(text: str, field: str = "indicator") -> Term:
    """One indicator as it stands in a query: "sma(volume, 20)". Raises InvalidInput as `query_parse`."""
    parser = _Parser(_tokens(text, field), field)
    at = parser.now
    leaf = parser.value()
    parser.end()
    if not isinstance(leaf, Term):
        raise parser.fault(at, f"{text.strip()} is no indicator")
    return leaf


def _tokens(text: str, field: str) -> list[Token]:
    if len(text) > LONGEST:
        raise InvalidInput(f"a query has at most {LONGEST} characters, not {len(text)}", field=field, position=LONGEST + 1, token="")
    found, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise InvalidInput(f"position {at + 1}: {text[at]!r} means nothing here", field=field, position=at + 1, token=text[at])
        kind = str(match.lastgroup)
        found.append(Token(kind, match[kind], match.start(kind) + 1))
        at = match.end()
    return [*found, Token("end", "", end + 1)]


class _Parser:
    """Recursive descent over the tokens: or, and, not, comparison, sum, product, sign, leaf."""

    def __init__(self, tokens: Sequence[Token], field: str) -> None:
        self.tokens = tokens
        self.field = field
        self.place = 0
        self.depth = 0
        self.leaves = 0

    @property
    def now(self) -> Token:
        """The token that is next."""
        return self.tokens[self.place]

    def fault(self, token: Token, text: str) -> InvalidInput:
        """A refusal that names a token and its position."""
        return InvalidInput(f"position {token.at}: {text}", field=self.field, position=token.at, token=token.text)

    def take(self, *texts: str) -> Token | None:
        """The next token when it is one of these, else None."""
        token = self.now
        if token.kind == "number" or token.text.lower() not in texts:
            return None
        self.place += 1
        return token

    def expect(self, text: str, why: str) -> None:
        """Take this token. Raises InvalidInput for another one."""
        if self.take(text) is None:
            raise self.fault(
                self.now, f"{text!r} is missing {why}" if self.now.kind == "end" else f"{self.now.text!r} stands where {text!r} {why} should"
            )

    def end(self) -> None:
        """Nothing may be left over."""
        if self.now.kind != "end":
            raise self.fault(self.now, f"{self.now.text!r} is too much: join conditions with and, or")

    def condition(self) -> Condition:
        """A whole condition. Raises InvalidInput for a mere value."""
        token = self.now
        return self.as_condition(self.either(), token)

    def value(self) -> Value:
        """A whole value. Raises InvalidInput for a condition."""
        token = self.now
        return self.as_value(self.sum(), token)

    def as_condition(self, node: Node, token: Token) -> Condition:
        """The node, which must be true or false."""
        if isinstance(node, Comparison | Group | Not):
            return node
        shown = token if self.now.kind == "end" else self.now
        raise self.fault(shown, f"{node} is a value: compare it with something (<, <=, >, >=, =, !=, crosses above, crosses below)")

    def as_value(self, node: Node, token: Token) -> Value:
        """The node, which must be a number."""
        if isinstance(node, Comparison | Group | Not):
            raise self.fault(token, f"{node} is true or false, where a value is needed")
        return node

    def either(self) -> Node:
        return self._joined("or", self.both)

    def both(self) -> Node:
        return self._joined("and", self.negation)

    def _joined(self, word: str, read: Callable[[], Node]) -> Node:
        token = self.now
        first = read()
        parts: list[Condition] = []
        while (joint := self.take(word)) is not None:
            parts = parts or [self.as_condition(first, token)]
            parts.append(self.as_condition(read(), joint))
        return Group(operator=word, parts=tuple(parts)) if parts else first

    def negation(self) -> Node:
        token = self.take("not")
        if token is None:
            return self.comparison()
        return Not(part=self.as_condition(self.deeper(self.negation), token))

    def comparison(self) -> Node:
        token = self.now
        left = self.sum()
        if self.take("crosses") is not None:
            way = self.take("above", "below")
            if way is None:
                raise self.fault(self.now, "crosses above or crosses below")
            return Comparison(operator=f"crosses {way.text.lower()}", left=self.as_value(left, token), right=self.value())
        sign = self.take(*COMPARISONS)
        if sign is None:
            return left
        right = self.value()
        if (again := self.take(*COMPARISONS)) is not None:
            raise self.fault(again, "write two comparisons and join them with and")
        return Comparison(operator="=" if sign.text == "==" else sign.text, left=self.as_value(left, token), right=right)

    def sum(self) -> Node:
        return self._chain(("+", "-"), self.product)

    def product(self) -> Node:
        return self._chain(("*", "/"), self.signed)

    def _chain(self, signs: tuple[str, ...], read: Callable[[], Node]) -> Node:
        token = self.now
        node = read()
        while (sign := self.take(*signs)) is not None:
            following = self.now
            node = Arithmetic(operator=sign.text, left=self.as_value(node, token), right=self.as_value(read(), following))
        return node

    def signed(self) -> Node:
        token = self.take("-")
        if token is None:
            return self.leaf()
        value = self.as_value(self.deeper(self.signed), token)
        return Number(value=-value.value) if isinstance(value, Number) else Arithmetic(operator="-", left=Number(value=0.0), right=value)

    def deeper(self, read: Callable[[], Node]) -> Node:
        """Read one level deeper. Raises InvalidInput when there are too many."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.fault(self.now, f"more than {DEEPEST} levels")
        node = read()
        self.depth -= 1
        return node

    def leaf(self) -> Node:
        token = self.now
        if self.take("(") is not None:
            node = self.deeper(self.either)
            self.expect(")", f"after the ( at {token.at}")
            return node
        self.leaves += 1
        if self.leaves > MOST_LEAVES:
            raise self.fault(token, f"more than {MOST_LEAVES} values")
        if token.kind == "number":
            self.place += 1
            return Number(value=float(token.text))
        if token.kind != "word" or token.text.lower() in WORDS:
            what = "the query ends" if token.kind == "end" else f"{token.text!r} stands"
            raise self.fault(token, f"{what} where a value should: a number, a column, an indicator or a fact")
        self.place += 1
        return self._named(token)

    def _named(self, token: Token) -> Leaf:
        name = token.text.lower()
        if name in FIELDS:
            return Column(name=name, lag=self._lag())
        if name in FACTS:
            self.expect(".", f"and a name after {name}")
            fact = self.now
            if fact.text.lower() not in FACTS[name]:
                raise self.fault(fact, f"{name}. is followed by one of {', '.join(FACTS[name])}")
            self.place += 1
            return Fact(kind=name, name=fact.text.lower())
        entry = indicators().get(name)
        if entry is None:
            raise self.fault(token, f"{token.text!r} is no column ({', '.join(FIELDS)}), no indicator and no fact ({', '.join(FACTS)})")
        return self._indicator(entry, token)

    def _indicator(self, entry: Indicator, token: Token) -> Term:
        if "benchmark" in entry.columns:
            raise self.fault(token, f"{entry.name} needs a benchmark, which a screen has not")
        column, given = self._arguments(entry)
        try:
            parameters = dict(entry.values(given))
        except InvalidInput as error:
            raise self.fault(token, error.detail) from error
        line = entry.lines[0].name
        if self.take(".") is not None:
            named = self.now
            if named.text.lower() not in {one.name for one in entry.lines}:
                raise self.fault(named, f"{entry.name} has no line {named.text!r}: it has {', '.join(one.name for one in entry.lines)}")
            self.place += 1
            line = named.text.lower()
        return Term(indicator=entry.name, parameters=parameters, line=line, column=column, lag=self._lag())

    def _arguments(self, entry: Indicator) -> tuple[str, dict[str, float]]:
        """The column and the parameters between the brackets after an indicator's name."""
        column, given = "close", dict[str, float]()
        opening = self.take("(")
        if opening is None or self.take(")") is not None:
            return column, given
        first = self.now
        if first.text.lower() in FIELDS:
            if not entry.on_any_column:
                raise self.fault(first, f"{entry.name} looks at {', '.join(entry.columns)}, not at one column of choice")
            self.place += 1
            column = first.text.lower()
            if self.take(")") is not None:
                return column, given
            self.expect(",", f"after {column}")
        while True:
            self._argument(entry, given)
            if self.take(",") is None:
                break
        self.expect(")", f"after the ( at {opening.at}")
        return column, given

    def _argument(self, entry: Indicator, given: dict[str, float]) -> None:
        token = self.now
        names = [item.name for item in entry.parameters]
        if token.kind == "word":
            self.place += 1
            name = token.text.lower()
            self.expect("=", f"after {name}")
        elif len(given) < len(names):
            name = names[len(given)]
        else:
            raise self.fault(token, f"{entry.name} has {len(names)} parameters: {', '.join(names) or 'none'}")
        sign = -1.0 if self.take("-") is not None else 1.0
        number = self.now
        if number.kind != "number":
            raise self.fault(number, f"{name} of {entry.name} is a number")
        self.place += 1
        if name in given:
            raise self.fault(token, f"{name} is given twice")
        given[name] = sign * float(number.text)

    def _lag(self) -> int:
        opening = self.take("[")
        if opening is None:
            return 0
        number = self.now
        if number.kind != "number" or not number.text.isdecimal() or int(number.text) > MOST_LAG:
            raise self.fault(number, f"in brackets stands how many bars before, 0 to {MOST_LAG}")
        self.place += 1
        self.expect("]", "after the number of bars")
        return int(number.text)
