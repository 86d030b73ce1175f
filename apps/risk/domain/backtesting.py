"""Was value at risk right? Tests of its exceptions: how many there were, and whether they came in clusters (domain.md B6).

An exception is a loss strictly above the value at risk that was forecast for the period. 0 x ln 0 is 0.
"""

import math
from itertools import pairwise

from apps.core.errors import InvalidInput
from apps.core.measures import measure

#: Basel Committee (1996): added to the multiplier 3, by number of exceptions in 250 days at 99 %.
MULTIPLIER_ADD = {5: 0.40, 6: 0.50, 7: 0.65, 8: 0.75, 9: 0.85}
RED_ADD = 1.00
#: The zones begin where so many exceptions or fewer would be seen with this probability if the model were right.
YELLOW_FROM = 0.95
RED_FROM = 0.9999
REFERENCE_DAYS = 250
#: Basel Framework MAR99.32: the whole multiplier of the market risk standard in force since 2023.
FRTB = {5: 1.70, 6: 1.76, 7: 1.83, 8: 1.88, 9: 1.92}
FRTB_GREEN, FRTB_RED = 1.50, 2.00


@measure(
    "risk.backtest.kupiec",
    units="likelihood ratio; probability",
    convention="LR_uc over all observations, chi-squared with 1 degree of freedom",
    source="Kupiec (1995), Techniques for verifying the accuracy of risk measurement models",
)
def kupiec(observations: int, exceptions: int, probability: float) -> dict[str, float]:
    """Proportion of failures: whether `exceptions` of `observations` fit `probability` (1 - confidence). {statistic, p_value}."""
    _counts(observations, exceptions, probability)
    rate = exceptions / observations
    statistic = -2 * (_log_likelihood(observations, exceptions, probability) - _log_likelihood(observations, exceptions, rate))
    statistic = max(0.0, statistic)
    return {"statistic": statistic, "p_value": _chi_squared_1(statistic)}


@measure(
    "risk.backtest.christoffersen",
    units="likelihood ratio; probability",
    convention="LR_ind over the transitions, chi-squared with 1 degree of freedom; 0 when no exception follows anything",
    source="Christoffersen (1998), Evaluating interval forecasts",
)
def christoffersen(n00: int, n01: int, n10: int, n11: int) -> dict[str, float]:
    """Independence: whether an exception is as likely after an exception as after none. n_ij counts days in j after days in i (1: exception)."""
    for name, count in {"n00": n00, "n01": n01, "n10": n10, "n11": n11}.items():
        if count < 0 or count != int(count):
            raise InvalidInput(f"{count} is no number of transitions", field=name)
    total = n00 + n01 + n10 + n11
    if not total or not n01 + n11:
        return {"statistic": 0.0, "p_value": 1.0}
    same = _log_likelihood(total, n01 + n11, (n01 + n11) / total)
    after_none = _log_likelihood(n00 + n01, n01, n01 / (n00 + n01)) if n00 + n01 else 0.0
    after_one = _log_likelihood(n10 + n11, n11, n11 / (n10 + n11)) if n10 + n11 else 0.0
    statistic = max(0.0, -2 * (same - after_none - after_one))
    return {"statistic": statistic, "p_value": _chi_squared_1(statistic)}


@measure(
    "risk.backtest.conditional_coverage",
    units="likelihood ratio; probability",
    convention="LR_cc = LR_uc (all observations) + LR_ind (transitions), chi-squared with 2 degrees of freedom",
    source="Christoffersen (1998); MATLAB Risk Management Toolbox varbacktest.cc",
)
def conditional_coverage(observations: int, exceptions: int, probability: float, n00: int, n01: int, n10: int, n11: int) -> dict[str, float]:
    """Number and independence of the exceptions together. {statistic, p_value}."""
    statistic = kupiec(observations, exceptions, probability)["statistic"] + christoffersen(n00, n01, n10, n11)["statistic"]
    return {"statistic": statistic, "p_value": math.exp(-statistic / 2)}


@measure(
    "risk.backtest.basel_zone",
    units="zone; added to the multiplier 3; probability",
    convention="green below 95 % cumulative binomial probability, red from 99.99 %; for 250 days at 99 %: 0-4, 5-9, 10 and more. "
    "For other samples the addition is that of the 250-day count with the next higher probability",
    source="Basel Committee, Supervisory framework for the use of backtesting (1996)",
)
def basel_zone(exceptions: int, observations: int = REFERENCE_DAYS, confidence: float = 0.99) -> dict[str, object]:
    """The traffic light: {zone, multiplier_add, cumulative_probability}, the last the probability of so many exceptions or fewer."""
    probability = 1 - confidence
    _counts(observations, exceptions, probability)
    cumulative = binomial_cdf(exceptions, observations, probability)
    zone = "green" if cumulative < YELLOW_FROM else "yellow" if cumulative < RED_FROM else "red"
    if zone == "yellow":
        alike = (count for count in MULTIPLIER_ADD if binomial_cdf(count, REFERENCE_DAYS, 0.01) >= cumulative - 1e-12)
        addition = MULTIPLIER_ADD[next(alike, max(MULTIPLIER_ADD))]
    else:
        addition = 0.0 if zone == "green" else RED_ADD
    return {"zone": zone, "multiplier_add": addition, "cumulative_probability": cumulative}


@measure(
    "risk.backtest.frtb_multiplier",
    units="factor",
    convention="by number of exceptions in 250 days at 99 %",
    source="Basel Framework MAR99.32",
)
def frtb_multiplier(exceptions: int) -> float:
    """Capital multiplier of the internal models approach."""
    if exceptions < 0 or exceptions != int(exceptions):
        raise InvalidInput(f"{exceptions} is no number of exceptions", field="exceptions")
    return FRTB_GREEN if exceptions < min(FRTB) else FRTB.get(int(exceptions), FRTB_RED)


def transitions(hits: list[bool]) -> tuple[int, int, int, int]:
    """n00, n01, n10, n11 of a series of exceptions."""
    counts = [0, 0, 0, 0]
    for before, after in pairwise(hits):
        counts[2 * before + after] += 1
    return counts[0], counts[1], counts[2], counts[3]


def binomial_cdf(successes: int, trials: int, probability: float) -> float:
    """P(X <= successes), summed from the exact terms in logarithms."""
    if successes >= trials:
        return 1.0
    log_p, log_q = math.log(probability), math.log1p(-probability)
    terms = (
        math.exp(math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * log_p + (trials - k) * log_q)
        for k in range(successes + 1)
    )
    return min(1.0, math.fsum(terms))


def _log_likelihood(trials: int, successes: int, probability: float) -> float:
    return _times_log(trials - successes, 1 - probability) + _times_log(successes, probability)


def _times_log(count: int, value: float) -> float:
    return count * math.log(value) if count else 0.0


def _chi_squared_1(statistic: float) -> float:
    return math.erfc(math.sqrt(statistic / 2))


def _counts(observations: int, exceptions: int, probability: float) -> None:
    if observations < 1 or observations != int(observations):
        raise InvalidInput(f"{observations} is no number of observations", field="observations")
    if not 0 <= exceptions <= observations or exceptions != int(exceptions):
        raise InvalidInput(f"{exceptions} exceptions in {observations} observations cannot be", field="exceptions")
    if not 0 < probability < 1:
        raise InvalidInput(f"probability {probability} is not between 0 and 1", field="probability")
