"""The schedule of a parent order, made once and stored with what it was made from."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.core.errors import InsufficientData
from apps.core.trading import OrderIntent
from apps.execution.domain.algos import Algo, Slice, Terms, holdings_slices, twap_slices, vwap_slices
from apps.execution.domain.impact import optimal_schedule
from apps.marketdata.domain import calendars
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.selectors.bars import bar_series
from apps.marketdata.selectors.quotes import latest_quotes
from apps.marketdata.selectors.volumes import volume_curve

if TYPE_CHECKING:
    from apps.execution.models import AlgoOrder
    from apps.marketdata.models import Instrument

#: Days of bars from which volatility and daily volume are estimated, and how few are too few.
DAYS = 20
FEWEST_DAYS = 10
#: Half a spread where no feed quotes one, as a share of the price (1 basis point).
HALF_SPREAD = 0.0001
#: Almgren and Chriss (2000): trading 1 % of the daily volume costs a spread, 10 % moves the price by one for good.
TEMPORARY_SHARE = 0.01
PERMANENT_SHARE = 0.1


def plan_make(
    *, intent: OrderIntent, instrument: "Instrument", algo: Algo, parameters: dict[str, Any], start: datetime, end: datetime
) -> dict[str, Any]:
    """{"slices": [[seconds, shares], ...], ...}: empty for algorithms without a schedule. `basis` says what it was made from."""
    common: dict[str, Any] = {"quantity": intent.quantity, "lot": instrument.lot_size, "horizon": end - start}
    if algo is Algo.TWAP:
        slices = twap_slices(**common, count=parameters["slices"], jitter=Decimal(parameters["jitter"]), seed=intent.client_order_id)
        return _stored(slices, "equal slices" if not Decimal(parameters["jitter"]) else f"equal slices, jitter {parameters['jitter']}")
    if algo is Algo.VWAP:
        curve, basis = _curve(instrument, parameters, start, end)
        return {**_stored(vwap_slices(**common, curve=curve), basis), "curve": [str(share) for share in curve]}
    if algo is Algo.SHORTFALL:
        return _shortfall(intent, parameters, common, instrument.calendar, calendars.session_at(instrument.calendar, start))
    return {"slices": [], "basis": ""}


def terms_of(parent: "AlgoOrder", *, lot: Decimal) -> Terms:
    """The parent's terms as the planner takes them."""
    parameters = parent.parameters
    return Terms(
        algo=Algo(parent.algo),
        quantity=parent.quantity,
        lot=lot,
        horizon=parent.end_at - parent.start_at,
        slices=tuple(Slice(start=timedelta(seconds=at), quantity=Decimal(shares)) for at, shares in parent.plan["slices"]),
        rate=Decimal(parameters["rate"]) if parameters.get("rate") else None,
        display=Decimal(parameters["display"]) if parameters.get("display") else None,
        cap=parent.participation_cap,
    )


def _stored(slices: tuple[Slice, ...], basis: str) -> dict[str, Any]:
    return {"slices": [[item.start.total_seconds(), format(item.quantity.normalize(), "f")] for item in slices], "basis": basis}


def _curve(instrument: "Instrument", parameters: dict[str, Any], start: datetime, end: datetime) -> tuple[list[Decimal], str]:
    """The given curve, else the mean of the last sessions', else a flat one: which of them is said."""
    if parameters["curve"]:
        return [Decimal(share) for share in parameters["curve"]], "the given volume curve"
    day = calendars.session_at(instrument.calendar, start)
    opened, _ = calendars.session_hours(instrument.calendar, day)
    count = parameters["slices"]
    curve, sessions = volume_curve(instrument, day=day, start=start - opened, length=end - start, buckets=count)
    if sessions:
        return list(curve), f"the mean volume curve of {sessions} sessions"
    return [Decimal(1)] * count, "a flat curve: there are no intraday bars of the last 20 sessions"


def _shortfall(intent: OrderIntent, parameters: dict[str, Any], common: dict[str, Any], calendar: str, day: date) -> dict[str, Any]:
    """Almgren and Chriss over the horizon, with impact from the spread and the daily volume as in their paper.

    The bars are those before the `day` of the order, in its shares: a split is no volatility.
    """
    before = calendars.previous_session(calendar, day)
    bars = bar_series(symbol=intent.symbol, timeframe=Timeframe.DAY, end=before, last=DAYS + 1, adjustment=Adjustment.SPLIT, adjusted_to=day)
    if len(bars.ts) <= FEWEST_DAYS or not np.nanmean(bars.volume) > 0:
        text = f"implementation shortfall needs {FEWEST_DAYS} days of bars of {intent.symbol} for volatility and volume, there are {len(bars.ts)}"
        raise InsufficientData(text, field="symbol")
    price, volume = float(bars.close[-1]), float(np.nanmean(bars.volume[-DAYS:]))
    volatility = float(np.std(np.diff(bars.close[-DAYS - 1 :]), ddof=1))
    quote = latest_quotes([intent.symbol]).get(intent.symbol)
    half = float(quote.ask - quote.bid) / 2 if quote and quote.bid and quote.ask and quote.ask > quote.bid else price * HALF_SPREAD
    session = timedelta(hours=6, minutes=30)
    inputs = {
        "volatility": volatility,
        "gamma": 2 * half / (PERMANENT_SHARE * volume),
        "eta": 2 * half / (TEMPORARY_SHARE * volume),
        "epsilon": half,
        "risk_aversion": float(parameters["risk_aversion"]),
    }
    found = optimal_schedule(quantity=float(intent.quantity), horizon=common["horizon"] / session, slices=parameters["slices"], **inputs)
    basis = (
        f"Almgren-Chriss on {len(bars.ts) - 1} days: volatility {volatility:.4f} a share and day, volume {volume:,.0f} a day, half spread {half:.5f}"
    )
    stored = _stored(holdings_slices(**common, holdings=found.holdings), basis)
    return {**stored, "kappa": found.kappa, "expected_cost": found.expected_cost, "variance": found.variance, "inputs": inputs}
