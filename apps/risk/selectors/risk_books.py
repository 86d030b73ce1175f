"""Returns and scenario moves of what portfolios hold, kept in the process so that an order that waits reads nothing of them.

The first order (or preview) of a portfolio reads its history; the next ones find it. Once in a while what is stored is asked whether it is
still the same, which costs one order some queries; a new session, a symbol that is new, other scenarios are read when they come.
What the positions are worth may be a second old in the vector, how many they are never is.
"""

import time as wall
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from apps.core.kept import Kept
from apps.risk.domain.pretrade_risk import HeldVector, RiskBook, held_vector, risk_book
from apps.risk.domain.returns import in_base_currency
from apps.risk.domain.risk_numbers import ReturnMatrix
from apps.risk.domain.scenario_moves import ScenarioTerms
from apps.risk.selectors.returns import return_matrix
from apps.risk.selectors.scenarios import scenario_terms, scenarios_kept

#: For how long [s] nobody asks whether returns and scenarios are still those that are stored, and for how long moves are kept here: what
#: `scenarios_kept` gives may be as old again, and a bar that fills a hole in the middle of a history is seen after ten minutes at most.
FRESH_SECONDS: Final = 60.0
LONGEST_SECONDS: Final = 300.0
#: How old [s] the prices in a vector may be.
VALUED_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Entry:
    """A portfolio's book with what it was made of, and the vector that was asked for last, of the quantities that `version` stands for."""

    end: date
    pairs: Mapping[str, str]
    matrix: ReturnMatrix
    terms: tuple[ScenarioTerms, ...]
    book: RiskBook
    vector: HeldVector | None
    version: Hashable
    valued_at: float
    read_at: float
    checked_at: float


_kept: Kept[int, _Entry] = Kept(most=32)


def held_risk(
    *,
    portfolio_id: int,
    values: Mapping[str, float],
    version: Hashable,
    others: Collection[str],
    pairs: Mapping[str, str],
    end: date,
    now: datetime,
) -> HeldVector:
    """The vector of positions in money by symbol, on the returns of the sessions up to `end`. Its book has rows for `others` too.

    `version` is another one as soon as a quantity is, or what has a price.
    `pairs` names the currency pair of each symbol that is not quoted in the portfolio's currency.
    """
    wanted = {*values, *others}
    entry = _kept.get(portfolio_id)
    age = wall.monotonic() - entry.checked_at if entry else FRESH_SECONDS
    if entry is None or entry.end != end or age >= FRESH_SECONDS or any(entry.pairs.get(symbol) != pairs.get(symbol) for symbol in wanted):
        entry = _looked_at(entry, wanted, pairs, end, now)
    elif missing := sorted(wanted - entry.book.rows.keys()):
        entry = _joined(entry, missing, pairs, now) if scenario_terms() == entry.terms else _looked_at(entry, wanted, pairs, end, now)
    at = wall.monotonic()
    vector = entry.vector
    if vector is None or entry.version != version or at - entry.valued_at >= VALUED_SECONDS:
        vector = held_vector(entry.book, entry.book.weights(values), vector)
        entry = replace(entry, vector=vector, version=version, valued_at=at)
    _kept.put(portfolio_id, entry)
    return vector


def _looked_at(before: _Entry | None, wanted: set[str], pairs: Mapping[str, str], end: date, now: datetime) -> _Entry:
    """The portfolio's returns and scenarios as they are stored now; the same book where they are the same."""
    symbols = tuple(sorted(wanted))
    matrix, terms, at = _matrix(symbols, pairs, end), scenario_terms(), wall.monotonic()
    same = before is not None and before.matrix is matrix and before.terms == terms and before.end == end and before.pairs == pairs
    if before is not None and same and at - before.read_at < LONGEST_SECONDS and before.book.symbols[: len(symbols)] == symbols:
        return replace(before, checked_at=at)
    scenarios = scenarios_kept(symbols=symbols, now=now, currencies=_currencies(pairs))
    book = risk_book(_columns(matrix, symbols, pairs), scenarios)
    return _Entry(
        end=end,
        pairs=dict(pairs),
        matrix=matrix,
        terms=terms,
        book=book,
        vector=None,
        version=None,
        valued_at=at,
        read_at=at,
        checked_at=at,
    )


def _joined(entry: _Entry, missing: list[str], pairs: Mapping[str, str], now: datetime) -> _Entry:
    """The book with further symbols."""
    symbols = tuple(missing)
    matrix = _columns(_matrix(symbols, pairs, entry.end), symbols, pairs)
    added = risk_book(matrix, scenarios_kept(symbols=symbols, now=now, currencies=_currencies(pairs), names=[one.name for one in entry.terms]))
    return replace(entry, book=entry.book.joined(added), vector=None, pairs={**entry.pairs, **pairs})


def _matrix(symbols: tuple[str, ...], pairs: Mapping[str, str], end: date) -> ReturnMatrix:
    rates = sorted({pairs[symbol] for symbol in symbols if symbol in pairs} - set(symbols))
    return return_matrix((*symbols, *rates), end=end)


def _columns(matrix: ReturnMatrix, symbols: tuple[str, ...], pairs: Mapping[str, str]) -> ReturnMatrix:
    """The returns as the portfolio has them, of the symbols alone."""
    based = in_base_currency(matrix, pairs)
    if based.symbols == symbols:
        return based
    count = len(symbols)
    return ReturnMatrix(symbols=symbols, dates=based.dates, returns=based.returns[:, :count], fingerprint=based.fingerprint)


def _currencies(pairs: Mapping[str, str]) -> dict[str, str]:
    """The currency of each symbol: the first half of its pair."""
    return {symbol: pair[:3] for symbol, pair in pairs.items()}
