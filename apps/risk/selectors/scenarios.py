"""Scenarios made ready for symbols: what people have written down, with returns from stored closes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.core.errors import NotFound
from apps.core.kept import Kept
from apps.marketdata.domain.points import CloseKind
from apps.marketdata.selectors.bars import visible_end
from apps.marketdata.selectors.closes import ClosePanel, closes_panel
from apps.marketdata.selectors.instruments import instruments_known
from apps.marketdata.selectors.market import market_time_at
from apps.marketdata.selectors.reference import reference_names, reference_revision, reference_series
from apps.marketdata.selectors.vix import VIX
from apps.risk.domain.scenario_moves import (
    Exposure,
    Proxy,
    ScenarioTerms,
    estimated_betas,
    factor_name,
    factor_scenario,
    historic_scenario,
    reverse_scenario,
    window_returns,
)
from apps.risk.domain.scenarios import Scenario, ScenarioKind, ShockFactor
from apps.risk.models import StressExposure, StressScenario, StressShock
from apps.risk.selectors.returns import closes_revision
from apps.risk.selectors.stops import current_stop

Numbers = NDArray[np.float64]

#: What stands for the equity market: the first of these that the desk has recent closes of.
MARKETS = ("^GSPC", "SPX", "SPY", "IVV", "VOO")
#: Yield of ten-year Treasuries in percent, whose daily change is the factor of rates.
RATES = "DGS10"
#: Calendar days of which exposures and covariances are estimated: a year of sessions and a little.
WINDOW = timedelta(days=370)
#: Closes a little before a window, in case its first day was a holiday.
MARGIN = timedelta(days=8)
#: For how long [s] scenarios are kept at most: bars that fill a hole in the middle of a history are seen by nothing else.
LONGEST_SECONDS = 300.0

_kept: Kept[tuple[Any, ...], tuple[tuple[Any, ...], tuple[Scenario, ...]]] = Kept(most=64, seconds=LONGEST_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecentReturns:
    """Daily returns of symbols [T, N] and of the factors that have a series [T, K], NaN where there is none. `market` is "" for none."""

    symbols: tuple[str, ...]
    returns: Numbers
    factors: Mapping[str, Numbers]
    market: str


def scenario_terms(names: Sequence[str] = ()) -> tuple[ScenarioTerms, ...]:
    """The active scenarios in their order, or those named, whether active or not. Raises NotFound which names what there is."""
    rows = StressScenario.objects.filter(name__in=names) if names else StressScenario.objects.filter(active=True)
    found = list(rows.order_by("id"))
    if missing := sorted(set(names) - {row.name for row in found}):
        there = ", ".join(StressScenario.objects.order_by("id").values_list("name", flat=True))
        raise NotFound(f"there is no scenario {', '.join(map(repr, missing))}; there are: {there}", field="scenario")
    shocks: dict[int, dict[str, float]] = {row.pk: {} for row in found}
    told = StressShock.objects.filter(scenario__in=found).order_by("id").values_list("scenario_id", "factor", "key", "size")
    for scenario_id, factor, key, size in told:
        shocks[scenario_id][factor_name(factor, key)] = float(size)
    return tuple(
        ScenarioTerms(
            name=row.name,
            title=row.title,
            kind=ScenarioKind(row.kind),
            start=row.window_start,
            end=row.window_end,
            index_return=None if row.index_return is None else float(row.index_return),
            shocks=shocks[row.pk],
            loss=None if row.loss is None else float(row.loss),
        )
        for row in found
    )


def scenarios_ready(
    *, symbols: Sequence[str], now: datetime, currencies: Mapping[str, str] | None = None, names: Sequence[str] = ()
) -> tuple[Scenario, ...]:
    """The scenarios for these symbols, as of the market's time: bars that it has not seen do not count.

    `currencies` are those of symbols that are not quoted in the portfolio's. Symbols without an instrument are known by nothing.
    This reads years of closes: whoever asks often asks `scenarios_kept`, or keeps the answer and asks `Scenario.move` or `stressed`.
    """
    terms = scenario_terms(names)
    wanted = list(dict.fromkeys(symbols))
    given = _given(wanted)
    proxies = {symbol: Proxy(symbol=key, beta=beta) for symbol, (key, beta) in given.proxies.items()}
    known = instruments_known([*wanted, *MARKETS, VIX, *(proxy.symbol for proxy in proxies.values())])
    recent = _recent([symbol for symbol in wanted if symbol in known], known, now)
    exposures = {symbol: dict(own) for symbol, own in given.exposures.items()}
    for symbol, currency in (currencies or {}).items():
        exposures.setdefault(symbol, {}).setdefault(factor_name(ShockFactor.FX, currency), Exposure(beta=1.0))
    betas = {symbol: found[ShockFactor.EQUITY] for symbol, found in _estimated(recent, [ShockFactor.EQUITY]).items()}
    betas |= {symbol: own[ShockFactor.EQUITY].beta for symbol, own in exposures.items() if ShockFactor.EQUITY in own}
    ready = []
    for one in terms:
        if one.kind is ScenarioKind.HISTORIC:
            panel = [symbol for symbol in dict.fromkeys([*wanted, recent.market, *(p.symbol for p in proxies.values())]) if symbol in known]
            own = _window(panel, one, now)
            ready.append(historic_scenario(one, wanted, own=own, market=recent.market or MARKETS[0], proxies=proxies, betas=betas))
        elif one.kind is ScenarioKind.FACTOR:
            ready.append(_factor(one, wanted, exposures, recent, now))
        else:
            ready.append(reverse_scenario(one, recent.symbols, recent.returns))
    return tuple(ready)


def scenarios_kept(
    *, symbols: Sequence[str], now: datetime, currencies: Mapping[str, str] | None = None, names: Sequence[str] = ()
) -> tuple[Scenario, ...]:
    """The same for those who ask again and again: made anew only when something that they are made of is another."""
    key = (tuple(symbols), tuple(sorted((currencies or {}).items())), tuple(names))
    made_of = _made_of(symbols, names, now)  # read first: what changes in between is seen by the next who asks
    before = _kept.get(key)
    if before is not None and before[0] == made_of:
        return before[1]
    found = scenarios_ready(symbols=symbols, now=now, currencies=currencies, names=names)
    _kept.put(key, (made_of, found))
    return found


def _made_of(symbols: Sequence[str], names: Sequence[str], now: datetime) -> tuple[Any, ...]:
    """What people have written down, which closes and yields are stored, up to which day the market has come, and the VIX where it counts."""
    terms, given = scenario_terms(names), _given(symbols)
    known = instruments_known([*symbols, *MARKETS, VIX, *(symbol for symbol, _ in given.proxies.values())])
    moment, end = market_time_at(now), visible_end(now)
    recent: date = (moment - WINDOW).date()
    first = min([recent, *(one.start - MARGIN for one in terms if one.start is not None)])
    leveled = any(ShockFactor.VOL_LEVEL in one.shocks for one in terms)
    return (
        *(terms, given, end, recent),
        tuple(sorted((symbol, item.pk) for symbol, item in known.items())),
        closes_revision(sorted(item.pk for item in known.values()), first, moment.date()),
        reference_revision(RATES, recent),
        current_stop(moment) if leveled else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    exposures: Mapping[str, Mapping[str, Exposure]]
    proxies: Mapping[str, tuple[str, float]]


def _given(symbols: Sequence[str]) -> _Given:
    exposures: dict[str, dict[str, Exposure]] = {symbol: {factor_name(ShockFactor.INSTRUMENT, symbol): Exposure(beta=1.0)} for symbol in symbols}
    proxies = {}
    for row in StressExposure.objects.filter(symbol__in=symbols).order_by("id"):
        exposures[row.symbol][factor_name(row.factor, row.key)] = Exposure(beta=float(row.beta), gamma=float(row.gamma))
        if row.factor == ShockFactor.INSTRUMENT:
            proxies[row.symbol] = (row.key, float(row.beta))
    return _Given(exposures=exposures, proxies=proxies)


def _factor(
    terms: ScenarioTerms, symbols: Sequence[str], exposures: Mapping[str, Mapping[str, Exposure]], recent: RecentReturns, now: datetime
) -> Scenario:
    """The shocks, with a level of the volatility index told as a change of it."""
    shocks, note = dict(terms.shocks), ""
    level = shocks.pop(ShockFactor.VOL_LEVEL, None)
    if level is not None:
        stop = current_stop(market_time_at(now))
        if stop is None:
            note = "without the volatility index, whose level now is not known"
        else:
            shocks[ShockFactor.VOL] = level / stop.vix - 1
    told = ScenarioTerms(name=terms.name, title=terms.title, kind=terms.kind, shocks=shocks)
    factors = [factor for factor in recent.factors if factor in shocks]
    return factor_scenario(told, symbols, given=exposures, estimated=_estimated(recent, factors), note=note)


def _estimated(recent: RecentReturns, factors: Sequence[str]) -> dict[str, dict[str, float]]:
    """Betas to factors, estimated together: a scenario that shocks two of them counts nothing twice."""
    there = [factor for factor in factors if factor in recent.factors]
    if not there:
        return {}
    moved = np.column_stack([recent.factors[factor] for factor in there])
    found = estimated_betas(recent.symbols, recent.returns, moved)
    return {symbol: dict(zip(there, betas, strict=True)) for symbol, betas in found.items()}


def _recent(symbols: Sequence[str], known: Mapping[str, object], now: datetime) -> RecentReturns:
    """A year of daily returns, and of the factors. The days are those of the market where there is one."""
    end = visible_end(now)
    asked = list(dict.fromkeys([*symbols, *(symbol for symbol in (*MARKETS, VIX) if symbol in known)]))
    panel = closes_panel(symbols=asked, adjustment=CloseKind.TOTAL_RETURN, start=market_time_at(now) - WINDOW, end=end) if asked else None
    if panel is None or len(panel) < 2:
        return RecentReturns(symbols=(), returns=np.empty((0, 0)), factors={}, market="")
    column = {symbol: n for n, symbol in enumerate(panel.symbols)}
    market = next((symbol for symbol in MARKETS if symbol in column and np.isfinite(panel.close[:, column[symbol]]).sum() > 1), "")
    rows = np.isfinite(panel.close[:, column[market]]) if market else np.ones(len(panel), bool)
    closes, days = panel.close[rows], panel.ts[rows]
    returns = closes[1:] / closes[:-1] - 1
    factors: dict[str, Numbers] = {}
    if market:
        factors[ShockFactor.EQUITY] = returns[:, column[market]]
    if VIX in column and np.isfinite(returns[:, column[VIX]]).any():
        factors[ShockFactor.VOL] = returns[:, column[VIX]]
    yields = _yields(days)
    if yields is not None:
        factors[ShockFactor.RATES] = np.diff(yields) / 100
    return RecentReturns(symbols=tuple(symbols), returns=returns[:, [column[symbol] for symbol in symbols]], factors=factors, market=market)


def _yields(days: NDArray[np.datetime64]) -> Numbers | None:
    """The ten-year yield [percent] on these days, NaN where there is none; None when the desk does not have it of any."""
    if RATES not in reference_names():
        return None
    series = reference_series(RATES, start=days[0].astype("datetime64[D]").item(), end=days[-1].astype("datetime64[D]").item())
    there, at, of = np.intersect1d(days.astype("datetime64[D]"), series.ts.astype("datetime64[D]"), return_indices=True)
    if len(there) < 2:
        return None
    found = np.full(len(days), np.nan)
    found[at] = series.value[of]
    return found


def _window(symbols: Sequence[str], terms: ScenarioTerms, now: datetime) -> dict[str, float]:
    """Returns over a historic window, of the symbols that have closes of both its ends; none of a window that the market has not seen."""
    if terms.start is None or terms.end is None or not symbols or not _seen(terms, now):
        return {}
    panel: ClosePanel = closes_panel(symbols=symbols, adjustment=CloseKind.TOTAL_RETURN, start=terms.start - MARGIN, end=terms.end)
    return window_returns(panel.symbols, panel.ts, panel.close, start=terms.start, end=terms.end)


def _seen(terms: ScenarioTerms, now: datetime) -> bool:
    last = visible_end(now)
    return terms.end is not None and terms.end <= (last.date() if isinstance(last, datetime) else last)
