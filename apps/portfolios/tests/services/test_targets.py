"""Targets: a new plan for each change, and a database that refuses the impossible."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from apps.core.errors import InvalidInput, NotFound, NotPermitted
from apps.portfolios.models import Portfolio, TargetPlan, TargetWeight
from apps.portfolios.selectors.targets import plan_weights, target_plan
from apps.portfolios.services.portfolios import membership_grant
from apps.portfolios.services.targets import PlanTerms, targets_set
from apps.portfolios.tests.factories import InstrumentFactory, PortfolioFactory, UserFactory

pytestmark = pytest.mark.django_db

TODAY = date(2024, 1, 3)
AT = datetime(2024, 1, 3, 15, tzinfo=UTC)


@pytest.fixture
def portfolio(db: None) -> Portfolio:
    for symbol in ("AAPL", "MSFT"):
        InstrumentFactory(symbol=symbol)
    InstrumentFactory(symbol="^IDX", tradable=False)
    return PortfolioFactory()


def put(portfolio: Portfolio, weights: dict[str, str], **fields: Any) -> TargetPlan:
    defaults = {"user": portfolio.memberships.get(role="manager").user, "reason": "test", "effective_on": TODAY, "today": TODAY, "recorded_at": AT}
    numbers = {symbol: Decimal(weight) for symbol, weight in weights.items()}
    return targets_set(portfolio_id=portfolio.pk, weights=numbers, **{**defaults, **fields})


class TestSet:
    def test_a_plan_holds_from_its_day_until_the_next(self, portfolio):
        first = put(portfolio, {"AAPL": "0.6", "MSFT": "0.4"})
        later = put(portfolio, {"AAPL": "1"}, effective_on=TODAY + timedelta(days=10))
        corrected = put(portfolio, {"MSFT": "0.5"}, reason="a mistake")
        held = [target_plan(portfolio.pk, TODAY + timedelta(days=days)) for days in (-1, 0, 9, 10, 400)]
        assert held == [None, corrected, corrected, later, later]
        assert plan_weights(first) == {"AAPL": Decimal("0.6"), "MSFT": Decimal("0.4")}

    def test_the_same_again_makes_no_other(self, portfolio):
        first = put(portfolio, {"AAPL": "0.6"})
        assert put(portfolio, {"AAPL": "0.60"}) == first
        assert put(portfolio, {"AAPL": "0.6"}, reason="looked at again") != first
        assert put(portfolio, {"AAPL": "0.6"}, terms=PlanTerms(band=Decimal("0.01"))) != first

    def test_all_cash_is_a_target_too(self, portfolio):
        assert plan_weights(put(portfolio, {})) == {}

    @pytest.mark.parametrize(
        ("weights", "fields", "field"),
        [
            ({"AAPL": "0.6", "MSFT": "0.5"}, {}, "weights"),
            ({"NOPE": "0.1"}, {}, "weights"),
            ({"^IDX": "0.1"}, {}, "weights"),
            ({}, {"reason": " "}, "reason"),
            ({}, {"effective_on": TODAY - timedelta(days=1)}, "effective_on"),
            ({}, {"terms": PlanTerms(drift_threshold=Decimal(0))}, "drift_threshold"),
            ({}, {"terms": PlanTerms(band=Decimal(1))}, "band"),
            ({}, {"terms": PlanTerms(schedule="hourly")}, "schedule"),
        ],
    )
    def test_what_makes_no_plan_is_refused(self, portfolio, weights, fields, field):
        with pytest.raises(InvalidInput) as refused:
            put(portfolio, weights, **fields)
        assert refused.value.field == field
        assert not TargetPlan.objects.exists()

    def test_managers_alone_set_them(self, portfolio):
        trader = UserFactory()
        with pytest.raises(NotFound):
            put(portfolio, {}, user=trader)
        membership_grant(portfolio_id=portfolio.pk, user_id=trader.pk, role="trader")
        with pytest.raises(NotPermitted):
            put(portfolio, {}, user=trader)


class TestDatabase:
    def test_it_refuses_more_than_everything(self, portfolio):
        plan = put(portfolio, {"AAPL": "0.6"})
        with pytest.raises(DatabaseError, match="more than 1"), transaction.atomic():
            TargetWeight.objects.create(plan=plan, instrument=InstrumentFactory(symbol="MSFT"), weight=Decimal("0.400001"))
        TargetWeight.objects.create(plan=plan, instrument=InstrumentFactory(symbol="MSFT"), weight=Decimal("0.4"))

    def test_it_refuses_changes(self, portfolio):
        plan = put(portfolio, {"AAPL": "0.6"})
        for change in (lambda: TargetPlan.objects.filter(pk=plan.pk).update(reason="x"), lambda: plan.weights.all().delete()):
            with pytest.raises(DatabaseError), transaction.atomic():
                change()
