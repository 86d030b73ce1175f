"""Stop-loss thresholds by the regime of the volatility index (domain.md B7, seed 001)."""

import math
from dataclasses import dataclass
from typing import Final

from apps.core.errors import InsufficientData, InvalidInput
from apps.core.measures import measure
from apps.marketdata.domain.vix import BANDS, vix_regime


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """A band of the VIX from `floor` (inclusive): its stop threshold [fraction lost] and how much smaller positions are."""

    label: str
    floor: float
    threshold: float
    size_factor: float


#: Only 15-20 with 12 % is the requester's, the other thresholds are the desk's own.
_STOPS: Final = ((0.10, 1.0), (0.12, 1.0), (0.15, 0.75), (0.18, 0.5))
REGIMES: Final = tuple(
    Regime(label=label, floor=floor, threshold=threshold, size_factor=size_factor)
    for (label, floor), (threshold, size_factor) in zip(BANDS, _STOPS, strict=True)
)


def regime_of(vix: float) -> Regime:
    """The band of a VIX level. Raises InvalidInput for a negative or infinite level."""
    return _named(vix_regime(vix))


@measure(
    "risk.stop.vix_regime",
    units="fraction of the entry value",
    convention="breached when drawdown < -threshold (strict); distance = threshold + drawdown; a missing VIX keeps the last regime and warns",
    source="seed 001; bands: adaptive-investments, VIX 1990-2022",
)
def vix_stop(vix: float | None, drawdown: float, last_regime: str | None = None) -> dict[str, object]:
    """The stop that the VIX sets, and where a position with `drawdown` from entry (<= 0) stands to it.

    Returns regime, threshold (> 0), breached, distance (left until the stop, negative beyond it) and warning ("" or why).
    Raises InsufficientData when the VIX is missing and no regime was known before.
    """
    missing = vix is None or math.isnan(vix)
    if missing and last_regime is None:
        raise InsufficientData("the VIX is missing and no regime was known before", field="vix")
    regime = _named(last_regime) if vix is None or missing else regime_of(vix)
    return {
        "regime": regime.label,
        "threshold": regime.threshold,
        "breached": drawdown < -regime.threshold,
        "distance": regime.threshold + drawdown,
        "warning": "The VIX is missing: the last known regime holds" if missing else "",
    }


def _named(label: str | None) -> Regime:
    for regime in REGIMES:
        if regime.label == label:
            return regime
    raise InvalidInput(f"{label!r} is no regime: {', '.join(regime.label for regime in REGIMES)}", field="last_regime")
