"""How much to trade: Kelly fractions (raw, before caps) and quantities from the risk that a trade may cost (domain.md B7)."""

from decimal import ROUND_FLOOR, Decimal

from apps.core.errors import InvalidInput
from apps.core.measures import measure
from apps.core.money import finite

Number = float | Decimal | str


@measure(
    "risk.sizing.kelly",
    units="fraction of equity",
    convention="(p b - (1 - p)) / b, raw: negative means no bet; caps and halving are the caller's",
    source="Kelly (1956), A new interpretation of information rate",
)
def kelly(win_probability: float, win_loss_ratio: float) -> float:
    """Kelly's fraction of a bet that wins `win_loss_ratio` times the stake with `win_probability`, else loses the stake."""
    if not 0 <= win_probability <= 1:
        raise InvalidInput(f"{win_probability} is not a probability", field="win_probability")
    if not win_loss_ratio > 0:
        raise InvalidInput(f"{win_loss_ratio} is not positive", field="win_loss_ratio")
    return (win_probability * win_loss_ratio - (1 - win_probability)) / win_loss_ratio


@measure(
    "risk.sizing.kelly_continuous",
    units="fraction of equity",
    convention="(mean - risk_free) / volatility^2, all of the same period, raw before caps",
    source="Thorp (2006), The Kelly criterion in blackjack, sports betting and the stock market",
)
def kelly_continuous(mean: float, risk_free: float, volatility: float) -> float:
    """Kelly's fraction of an asset with normal returns."""
    if not volatility > 0:
        raise InvalidInput(f"{volatility} is not positive", field="volatility")
    return (mean - risk_free) / volatility**2


@measure(
    "risk.sizing.risk_based",
    units="shares",
    convention="floor(equity x risk_fraction / stop_distance) to whole lots",
    source="domain.md B7",
)
def risk_based(equity: Number, risk_fraction: Number, stop_distance: Number, lot_size: int = 1) -> int:
    """Shares whose loss at a stop `stop_distance` [price] away is `risk_fraction` of equity, rounded down to whole lots."""
    return _lots(equity, risk_fraction, _positive(stop_distance, "stop_distance"), lot_size)


@measure(
    "risk.sizing.atr",
    units="shares",
    convention="floor(equity x risk_fraction / (atr x multiple)) to whole lots",
    source="domain.md B7",
)
def atr_based(equity: Number, risk_fraction: Number, atr: Number, multiple: Number, lot_size: int = 1) -> int:
    """Shares whose loss over `multiple` average true ranges is `risk_fraction` of equity, rounded down to whole lots."""
    return _lots(equity, risk_fraction, _positive(atr, "atr") * _positive(multiple, "multiple"), lot_size)


def _lots(equity: Number, risk_fraction: Number, distance: Decimal, lot_size: int) -> int:
    if lot_size < 1:
        raise InvalidInput(f"{lot_size} is no lot size", field="lot_size")
    fraction = finite(risk_fraction, field="risk_fraction")
    if not 0 <= fraction <= 1:
        raise InvalidInput(f"{risk_fraction} is not a fraction", field="risk_fraction")
    budget = max(Decimal(0), finite(equity, field="equity")) * fraction
    return int((budget / distance / lot_size).to_integral_value(ROUND_FLOOR)) * lot_size


def _positive(value: Number, field: str) -> Decimal:
    number = finite(value, field=field)
    if number <= 0:
        raise InvalidInput(f"{value} is not positive", field=field)
    return number
