"""What the live monitor says of a portfolio's risk each second: a few numbers out of the whole."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from apps.risk.domain.risk_numbers import RiskNumber, RiskState
from apps.risk.domain.scenarios import Scenario, ScenarioKind, not_known, partly_known, stressed, worst_outcome

#: Limits are set at this confidence; the other is shown beside it.
CONFIDENCE: Final = 0.95
FAR: Final = 0.99
#: Numbers older than this count for no limit.
OLDEST: Final = timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveNumbers:
    """Historical value at risk and expected shortfall of one session in money, losses positive, None unless the `state` has a value.

    `stress_loss` (money, >= 0) is that of the `worst` scenario ("" for none that says something). `coverage` is the share of gross value that
    the scenario knows which knows least of it, and `not_known` says what it does not know ("" where each knows all).
    `equity` is what fractions are of; `n` observations of the data `fingerprint`.
    """

    computed_at: datetime
    state: RiskState
    var: float | None
    es: float | None
    var_far: float | None
    es_far: float | None
    worst: str
    stress_loss: float | None
    coverage: float | None
    equity: float | None
    n: int
    fingerprint: str
    not_known: str = ""

    def says_the_same(self, other: "LiveNumbers | None") -> bool:
        """Whether only the moment is another one."""
        return other is not None and replace(other, computed_at=self.computed_at) == self

    def fraction(self, amount: float | None, at: datetime) -> Decimal | None:
        """An amount as a fraction of equity; None when it, or equity, is not known, or the numbers are too old at `at`."""
        if amount is None or self.equity is None or self.equity <= 0 or at - self.computed_at > OLDEST:
            return None
        return Decimal(max(0.0, amount) / self.equity).quantize(Decimal("1e-12"))


def live_numbers(
    risk: Mapping[float, tuple[RiskNumber, RiskNumber]],
    *,
    values: Mapping[str, float | None],
    scenarios: Iterable[Scenario],
    equity: float | None,
    at: datetime,
) -> LiveNumbers:
    """The numbers of `portfolio_risk.historical_risk` and of scenarios on the same values.

    Reverse scenarios lose what they were told to and are no stress.
    """
    known = {symbol: value for symbol, value in values.items() if value is not None}
    unpriced = tuple(symbol for symbol, value in values.items() if value is None)
    told = [one for one in scenarios if one.kind is not ScenarioKind.REVERSE]
    outcomes = stressed(known, told, equity=equity, unpriced=unpriced)
    worst, partial = worst_outcome(outcomes), partly_known(outcomes)
    (near, near_es), (far, far_es) = risk[CONFIDENCE], risk[FAR]
    return LiveNumbers(
        computed_at=at,
        state=near.state,
        var=near.value,
        es=near_es.value,
        var_far=far.value,
        es_far=far_es.value,
        worst=worst.title if worst else "",
        stress_loss=worst.loss if worst else None,
        coverage=None if worst is None else partial.coverage if partial else 1.0,
        equity=equity,
        n=near.n,
        fingerprint=near.fingerprint,
        not_known=not_known(partial),
    )
