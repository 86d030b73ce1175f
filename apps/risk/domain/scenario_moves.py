"""What symbols would move in a scenario: from their own closes over a window, from shocked factors, or through a proxy.

Nothing is taken for zero because it is unknown: a symbol without history, exposure and proxy is left out, and the result says so.
A move is at least -1: what is held long cannot lose more than all of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from apps.risk.domain.covariance import ledoit_wolf
from apps.risk.domain.scenarios import JointMoves, Scenario, ScenarioKind, ShockFactor
from apps.risk.domain.stress import hypothetical

Numbers = NDArray[np.float64]
Days = NDArray[np.datetime64]

#: A close counts for a day when it is at most so much older: a long holiday, not a gap in the data.
STALE = timedelta(days=7)
#: Daily returns below which no exposure and no covariance is estimated.
FEWEST = 60
#: Factors whose exposures are estimated where nobody has given one, each from a series of its own.
ESTIMATED = (ShockFactor.EQUITY, ShockFactor.RATES, ShockFactor.VOL)
#: Factors that move everything: of a symbol without exposure to any of those shocked, nothing is known.
MARKET_WIDE = (*ESTIMATED, ShockFactor.CREDIT)
SECTORS = f"{ShockFactor.SECTOR}:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What a factor's move of 1 does to a symbol's value: `beta`, and `gamma` for the half of the square."""

    beta: float
    gamma: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A symbol that stands for another one: its move times `beta`."""

    symbol: str
    beta: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioTerms:
    """A scenario as somebody wrote it down. `start` and `end` are closes, `index_return` what the equity market did between them where the
    desk's data does not reach back; `shocks` by "factor" or "factor:key"; `loss` a fraction of equity."""

    name: str
    title: str
    kind: ScenarioKind
    start: date | None = None
    end: date | None = None
    index_return: float | None = None
    shocks: Mapping[str, float] = field(default_factory=dict)
    loss: float | None = None


def factor_name(factor: str, key: str = "") -> str:
    """ "equity", or "sector:Energy"."""
    return f"{factor}:{key}" if key else str(factor)


def window_returns(symbols: Sequence[str], ts: Days, closes: Numbers, *, start: date, end: date) -> dict[str, float]:
    """Buy-and-hold return of each symbol from the close of one day to that of another: closes [T, N] at ts [T], NaN where there is none.

    A symbol is left out unless it has a close of each day, or one at most a week older.
    """
    found: dict[str, float] = {}
    if not len(ts):
        return found
    first, last = (np.datetime64(day, "us") + np.timedelta64(1, "D") for day in (start, end))
    for column, symbol in enumerate(symbols):
        there = ~np.isnan(closes[:, column])
        days, values = ts[there], closes[there, column]
        ends = [int(np.searchsorted(days, before)) - 1 for before in (first, last)]
        if min(ends) < 0 or any(day - days[at] > np.timedelta64(STALE + timedelta(days=1)) for at, day in zip(ends, (first, last), strict=True)):
            continue
        found[symbol] = float(values[ends[1]] / values[ends[0]] - 1)
    return found


def estimated_betas(symbols: Sequence[str], returns: Numbers, factors: Numbers, *, fewest: int = FEWEST) -> dict[str, tuple[float, ...]]:
    """Exposures of each symbol to factors which move together: least squares with a constant, returns [T, N] on factors [T, K].

    Days without the symbol's return or a factor's are left out; a symbol with fewer than `fewest` days has no estimate.
    """
    found = {}
    usable = np.isfinite(factors).all(axis=1)
    for column, symbol in enumerate(symbols):
        rows = usable & np.isfinite(returns[:, column])
        if rows.sum() < fewest:
            continue
        design = np.column_stack([np.ones(int(rows.sum())), factors[rows]])
        solution, _, rank, _ = np.linalg.lstsq(design, returns[rows, column], rcond=None)
        if rank == design.shape[1]:
            found[symbol] = tuple(float(beta) for beta in solution[1:])
    return found


def historic_scenario(
    terms: ScenarioTerms,
    symbols: Sequence[str],
    *,
    own: Mapping[str, float],
    market: str,
    proxies: Mapping[str, Proxy],
    betas: Mapping[str, float],
) -> Scenario:
    """A window on today's symbols: `own` returns over it; else the proxy that somebody has named, else the market's return times beta.

    The market's return is its own, else the published one of the window.
    """
    known = dict(own)
    if market not in known and terms.index_return is not None:
        known[market] = terms.index_return
    moves: dict[str, float] = {}
    proxied: dict[str, float] = {}
    for symbol in symbols:
        if symbol in own:
            moves[symbol] = own[symbol]
            continue
        proxy = proxies.get(symbol) or (Proxy(symbol=market, beta=1.0 if symbol == market else betas[symbol]) if symbol in {market, *betas} else None)
        if proxy is not None and proxy.symbol in known:
            proxied[symbol] = _floored(proxy.beta * known[proxy.symbol])
    return Scenario(name=terms.name, title=terms.title, kind=terms.kind, moves=moves, proxied=proxied)


def factor_scenario(
    terms: ScenarioTerms,
    symbols: Sequence[str],
    *,
    given: Mapping[str, Mapping[str, Exposure]],
    estimated: Mapping[str, Mapping[str, float]],
    note: str = "",
) -> Scenario:
    """Shocked factors on symbols: exposures that people have `given`, else `estimated` ones, which count as proxied.

    A symbol belongs to the scenario when an exposure of it to a shocked factor is known. A scenario that shocks nothing which moves
    everything leaves the others where they are, except that of a symbol in no known sector nothing is known when a sector is shocked.
    """
    narrow = not any(factor in MARKET_WIDE for factor in terms.shocks)
    by_sector = any(factor.startswith(SECTORS) for factor in terms.shocks)
    moves: dict[str, float] = {}
    proxied: dict[str, float] = {}
    for symbol in symbols:
        own = given.get(symbol, {})
        guessed = {factor: beta for factor, beta in estimated.get(symbol, {}).items() if factor not in own and factor in terms.shocks}
        betas = {factor: exposure.beta for factor, exposure in own.items() if factor in terms.shocks} | guessed
        if not betas and (not narrow or (by_sector and not any(factor.startswith(SECTORS) for factor in own))):
            continue
        gammas = {factor: exposure.gamma for factor, exposure in own.items() if factor in terms.shocks}
        move = _floored(hypothetical([1.0], [betas], terms.shocks, [gammas])["pnl"])
        (proxied if guessed else moves)[symbol] = move
    return Scenario(name=terms.name, title=terms.title, kind=terms.kind, moves=moves, proxied=proxied, note=note)


def reverse_scenario(terms: ScenarioTerms, symbols: Sequence[str], returns: Numbers, *, fewest: int = FEWEST) -> Scenario:
    """The likeliest joint move, from the shrunk covariance of daily returns [T, N]. Symbols with too few returns are left out."""
    kept = [column for column in range(len(symbols)) if np.isfinite(returns[:, column]).sum() >= fewest]
    rows = returns[:, kept][np.isfinite(returns[:, kept]).all(axis=1)] if kept else np.empty((0, 0))
    joint = None
    if len(rows) >= fewest:
        found = ledoit_wolf(list(rows))
        joint = JointMoves(symbols=tuple(symbols[n] for n in kept), covariance=np.asarray(found["covariance"]), n=len(rows))
    return Scenario(name=terms.name, title=terms.title, kind=terms.kind, loss=terms.loss, joint=joint)


def _floored(move: float) -> float:
    return max(move, -1.0)
