"""Each measure against a second computation; the published cases are certified by apps/core/tests/test_shipped_vectors.py."""

import math

import numpy as np
import pytest

from apps.core.errors import InvalidInput
from apps.risk.domain.drawdown import maximum_drawdown
from apps.risk.domain.sizing import atr_based, kelly, risk_based
from apps.risk.domain.stops import vix_stop
from apps.risk.domain.value_at_risk import es_historical, es_normal, tail_historical, tail_normal, var_historical, var_normal

RETURNS = np.random.default_rng(7).standard_t(4, 750) / 100


def test_historical_var_is_an_order_statistic_counted_by_hand() -> None:
    ordered = sorted(RETURNS)
    assert var_historical(RETURNS, 0.99, "inverted_cdf") == -ordered[math.ceil(750 * 0.01) - 1]


def test_acerbi_weighs_the_last_observation_by_what_is_left_of_the_tail() -> None:
    ordered = sorted(RETURNS)
    by_hand = -(sum(ordered[:7]) + 0.5 * ordered[7]) / 7.5
    assert es_historical(RETURNS, 0.99, "acerbi") == pytest.approx(by_hand, rel=1e-12)


def test_normal_es_is_the_mean_of_the_vars_beyond() -> None:
    levels = 0.95 + 0.05 * (np.arange(4000) + 0.5) / 4000
    assert es_normal(RETURNS, 0.95) == pytest.approx(np.mean([var_normal(RETURNS, float(level)) for level in levels]), rel=2e-4)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.975, 0.99])
def test_both_numbers_of_a_tail_at_once_are_the_same_numbers(confidence) -> None:
    tied = np.round(RETURNS, 2)
    for returns in (RETURNS, tied, RETURNS[:3]):
        assert tail_historical(returns, confidence) == (var_historical(returns, confidence), es_historical(returns, confidence))
        assert tail_normal(returns, confidence) == (var_normal(returns, confidence), es_normal(returns, confidence))


def test_drawdown_compares_every_pair_of_days() -> None:
    wealth = np.concatenate([[1.0], np.cumprod(1 + RETURNS[:120])])
    worst = min(wealth[j] / wealth[i] - 1 for i in range(len(wealth)) for j in range(i, len(wealth)))
    assert maximum_drawdown(RETURNS[:120]) == pytest.approx(worst, abs=1e-15)


@pytest.mark.parametrize("variant", ["mean_below", "acerbi"])
def test_es_is_at_least_var(variant) -> None:
    for confidence in (0.5, 0.9, 0.95, 0.975, 0.99, 0.999):
        assert es_historical(RETURNS, confidence, variant) >= var_historical(RETURNS, confidence, "inverted_cdf") - 1e-15


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: var_normal([0.1], 1.0), "confidence"),
        (lambda: var_historical([0.1], 0.9, "guess"), "quantile"),
        (lambda: es_historical([0.1], 0.9, "guess"), "variant"),
        (lambda: var_historical([math.inf], 0.9), "returns"),
        (lambda: kelly(1.2, 1), "win_probability"),
        (lambda: risk_based("100", "0.01", "0"), "stop_distance"),
        (lambda: risk_based("x", "0.01", "1"), "equity"),
        (lambda: vix_stop(-1, 0), "vix"),
        (lambda: vix_stop(None, 0, "Calm"), "last_regime"),
    ],
)
def test_bad_input_is_named(call, field) -> None:
    with pytest.raises(InvalidInput) as caught:
        call()
    assert caught.value.field == field


def test_sizes_are_whole_lots_and_never_rounded_up() -> None:
    assert risk_based("100000", "0.01", "3", lot_size=100) == 300
    assert atr_based(0.3, 1, 0.1, 1) == 3  # 0.3 / 0.1 is 2.9999999999999996 in binary
    assert risk_based("-5", "0.01", "3") == 0
