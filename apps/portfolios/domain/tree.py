"""The desk's positions as a tree: desk, portfolios, books, instruments. Every node is the sum of those below it, exactly.

Only what a portfolio earned (`realised`) is more than its books say: it counts positions that are flat by now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext

from apps.core.money import ZERO, money
from apps.core.trading import ReferencePrice
from apps.portfolios.domain.holdings import Holding, Holdings, pair
from apps.portfolios.domain.lots import PRECISION


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A part of the desk: `level` is "desk", "portfolio", "book" or "position". Money is in `currency`; None is unknown: a price is missing.

    `total` = `cash` + `market_value`; cash is held by portfolios, so books and positions have none. `quantity` is that of a position.
    A desk whose portfolios count in several currencies has no currency, and no sums.
    """

    level: str
    id: int | None
    name: str
    currency: str
    quantity: Decimal | None
    cash: Decimal | None
    cost: Decimal | None
    market_value: Decimal | None
    unrealised: Decimal | None
    realised: Decimal | None
    total: Decimal | None
    missing: tuple[str, ...]
    children: tuple["Node", ...]


def desk_tree(*, holdings: Iterable[tuple[str, Holdings]], prices: Mapping[str, ReferencePrice]) -> Node:
    """The tree over named portfolios. `prices` by symbol, pairs of foreign currencies among them (`Holdings.symbols`)."""
    with localcontext(prec=PRECISION):
        portfolios = tuple(_portfolio(name, held, prices) for name, held in holdings)
        currencies = {node.currency for node in portfolios}
        if len(currencies) > 1:
            missing = tuple(dict.fromkeys(symbol for node in portfolios for symbol in node.missing))
            return Node(
                level="desk", id=None, name="desk", currency="", quantity=None, cash=None, cost=None, market_value=None, unrealised=None,
                realised=None, total=None, missing=missing, children=portfolios,
            )  # fmt: skip
        return _parent("desk", None, "desk", next(iter(currencies), ""), portfolios, _sum(node.cash for node in portfolios))


def _portfolio(name: str, held: Holdings, prices: Mapping[str, ReferencePrice]) -> Node:
    values = _values(held, prices)
    books: dict[int, list[Node]] = {}
    names = {position.book_id: position.book for position in held.positions}
    for position in held.positions:
        books.setdefault(position.book_id, []).append(_position(position, held, values[position.book_id, position.instrument_id]))
    children = tuple(_parent("book", book_id, names[book_id], held.currency, tuple(nodes), None) for book_id, nodes in books.items())
    rates = {currency: prices.get(pair(currency, held.currency)) for currency, _ in held.foreign_cash}
    foreign = _sum(None if (rate := rates[currency]) is None else money(amount * rate.price) for currency, amount in held.foreign_cash)
    cash = None if foreign is None else held.cash + foreign
    node = _parent("portfolio", held.portfolio_id, name, held.currency, children, cash, [s for s in held.symbols if s not in prices])
    # What positions earned that are flat by now is the portfolio's too.
    return replace(node, realised=held.realised)


def _values(held: Holdings, prices: Mapping[str, ReferencePrice]) -> dict[tuple[int, int], Decimal | None]:
    """Market value of each position, cut where it falls on the instrument's running quantity, so that books add up to the whole."""
    values: dict[tuple[int, int], Decimal | None] = {}
    reached: dict[int, tuple[Decimal, Decimal]] = {}
    for position in held.positions:
        price = _price(position, held, prices)
        if price is None:
            values[position.book_id, position.instrument_id] = None
            continue
        before, value = reached.get(position.instrument_id, (ZERO, ZERO))
        after = before + position.quantity
        reached[position.instrument_id] = after, money(after * price)
        values[position.book_id, position.instrument_id] = reached[position.instrument_id][1] - value
    return values


def _price(position: Holding, held: Holdings, prices: Mapping[str, ReferencePrice]) -> Decimal | None:
    found = prices.get(position.symbol)
    if found is None or not position.currency or position.currency == held.currency:
        return None if found is None else found.price
    rate = prices.get(pair(position.currency, held.currency))
    return None if rate is None else found.price * rate.price


def _position(position: Holding, held: Holdings, value: Decimal | None) -> Node:
    return Node(
        level="position", id=position.instrument_id, name=position.symbol, currency=held.currency, quantity=position.quantity, cash=None,
        cost=position.cost, market_value=value, unrealised=None if value is None else value - position.cost, realised=position.realised,
        total=value, missing=() if value is not None else (position.symbol,), children=(),
    )  # fmt: skip


def _parent(
    level: str, id_: int | None, name: str, currency: str, children: tuple[Node, ...], cash: Decimal | None, missing: Iterable[str] = ()
) -> Node:
    value = _sum(child.market_value for child in children)
    holds_cash = level in ("desk", "portfolio")
    total = value if not holds_cash else None if value is None or cash is None else cash + value
    return Node(
        level=level, id=id_, name=name, currency=currency, quantity=None, cash=cash, cost=_sum(child.cost for child in children),
        market_value=value, unrealised=_sum(child.unrealised for child in children), realised=_sum(child.realised for child in children),
        total=total, missing=tuple(dict.fromkeys([*missing, *(symbol for child in children for symbol in child.missing)])), children=children,
    )  # fmt: skip


def _sum(numbers: Iterable[Decimal | None]) -> Decimal | None:
    """The sum, or None when one of the numbers is unknown."""
    total = ZERO
    for number in numbers:
        if number is None:
            return None
        total += number
    return total
