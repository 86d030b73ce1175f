"""Limits of value at risk, shortfall and stress: success and refusal differ by the number that matters, and bad data opens nothing."""

from dataclasses import replace
from decimal import Decimal

import pytest

from apps.core.trading import Outcome, Side
from apps.risk.domain.limits import LimitKind
from apps.risk.domain.pretrade import Case
from apps.risk.domain.pretrade_risk import RiskChange, RiskImpact
from apps.risk.domain.risk_numbers import RiskState
from apps.risk.domain.tail_limits import TAIL_KINDS
from apps.risk.tests.domain.test_pretrade import blocking, check_of, limits, make_case, make_intent

CODES = {"var": "VAR_LIMIT", "expected_shortfall": "ES_LIMIT", "stress_loss": "STRESS_LIMIT"}


def change(name: str, before: float | None, after: float | None, state=RiskState.OK, note="") -> RiskChange:
    return RiskChange(name=name, title=name, state=state, before=before, after=after, n=500, note=note)


def impact(before: float | None = 1000.0, after: float | None = 2000.0, *, equity=100_000.0, **more) -> RiskImpact:
    numbers = {name: change(name, before, after, **more) for name in ("var", "es", "normal_var", "normal_es", "stress")}
    return RiskImpact(**numbers, scenarios=(), equity=equity, fingerprint="f")


def with_limit(kind: str, hard: str, found: RiskImpact | None, **changes) -> Case:
    return make_case(limits=limits(**{kind: hard}), impact=found, **changes)


LEAVING = make_intent(side=Side.SELL, quantity="40")


@pytest.mark.parametrize(("kind", "code"), CODES.items())
def test_each_number_is_held_to_its_limit_before_and_after(kind, code) -> None:
    assert blocking(with_limit(kind, "0.02", impact())) == []
    refused = with_limit(kind, "0.019999", impact())
    assert blocking(refused) == [code]
    check = check_of(refused, code)
    assert (check.limit, check.before, check.after, check.unit) == (Decimal("0.019999"), Decimal("0.01"), Decimal("0.02"), "fraction")
    assert (blocking(replace(refused, intent=LEAVING, impact=None)), check_of(replace(refused, intent=LEAVING), code).outcome) == ([], Outcome.PASS)


@pytest.mark.parametrize(("kind", "code"), CODES.items())
@pytest.mark.parametrize("state", [RiskState.INSUFFICIENT_DATA, RiskState.PRICE_MISSING, RiskState.NO_HISTORY])
def test_a_number_that_is_not_known_opens_nothing_and_closes(kind, code, state) -> None:
    case = with_limit(kind, "0.5", impact(None, None, state=state, note="MSFT"))
    assert blocking(case) == [code]
    assert f"{state.name} (MSFT)" in check_of(case, code).message
    assert blocking(replace(case, intent=LEAVING)) == []
    assert blocking(replace(case, limits=limits())) == []


@pytest.mark.parametrize("found", [None, impact(equity=0.0), impact(equity=-1.0)])
def test_without_an_answer_or_an_equity_nothing_is_opened(found) -> None:
    assert blocking(with_limit("var", "0.5", found)) == ["VAR_LIMIT"]


def test_an_order_that_lowers_what_is_above_its_limit_passes_with_a_warning() -> None:
    hedge = with_limit("stress_loss", "0.02", impact(4000.0, 3000.0))
    assert (blocking(hedge), check_of(hedge, "STRESS_LIMIT").outcome) == ([], Outcome.WARN)
    assert blocking(replace(hedge, impact=impact(3000.0, 3000.0))) == ["STRESS_LIMIT"]


def test_the_soft_level_warns() -> None:
    case = with_limit("var", "0.03", impact())
    warned = replace(case, limits={**case.limits, LimitKind.VAR: replace(case.limits[LimitKind.VAR], soft=Decimal("0.015"))})
    assert check_of(warned, "VAR_LIMIT").outcome is Outcome.WARN


def test_its_kinds_are_those_that_have_a_code() -> None:
    assert {kind.value for kind in TAIL_KINDS} == set(CODES)
