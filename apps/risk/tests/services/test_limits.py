"""Setting limits keeps what was in force before, with who and why."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from apps.core.models import JournalEntry
from apps.core.roles import Role
from apps.portfolios.tests.factories import PortfolioFactory
from apps.risk.domain.limits import LimitKind
from apps.risk.models import RiskLimit
from apps.risk.selectors.limits import limits_in_force
from apps.risk.services.limits import limit_set
from apps.risk.tests.factories import NOW, person

pytestmark = pytest.mark.django_db


@pytest.fixture
def given():
    return {
        "portfolio_id": PortfolioFactory().pk,
        "kind": "position_value",
        "hard": Decimal(50_000),
        "soft": Decimal(40_000),
        "reason": "Opening",
        "user": person(Role.RISK),
        "active_from": NOW,
    }


def test_a_new_limit_replaces_the_old_one_from_its_moment_on(given) -> None:
    old = limit_set(**given)
    new = limit_set(**(given | {"hard": "30000", "soft": None, "reason": "Less risk", "active_from": NOW + timedelta(hours=1)}))
    before, after = (limits_in_force(given["portfolio_id"], NOW + timedelta(hours=h))[LimitKind.POSITION_VALUE] for h in (0, 1))
    assert (before.hard, before.soft, after.hard, after.soft) == (50_000, 40_000, 30_000, None)
    assert old.history.first().history_change_reason == "Replaced: Less risk"
    assert (new.history.get().history_change_reason, new.history.get().history_user) == ("Less risk", given["user"])
    assert JournalEntry.objects.filter(table_name="risk_risklimit", row_id=str(new.pk), operation="insert").exists()


@pytest.mark.parametrize(
    ("changes", "error", "field"),
    [
        ({"kind": "luck"}, InvalidInput, "kind"),
        ({"hard": "0"}, InvalidInput, "hard"),
        ({"hard": "NaN"}, InvalidInput, "hard"),
        ({"hard": "1.0000001"}, InvalidInput, "hard"),
        ({"hard": "1e14"}, InvalidInput, "hard"),
        ({"soft": "50000.01"}, InvalidInput, "soft"),
        ({"reason": " "}, InvalidInput, "reason"),
        ({"portfolio_id": 0}, NotFound, ""),
    ],
)
def test_bad_input_changes_nothing(given, changes, error, field) -> None:
    limit_set(**given)
    with pytest.raises(error) as caught:
        limit_set(**(given | {"active_from": NOW + timedelta(hours=1)} | changes))
    assert caught.value.field == field
    assert RiskLimit.objects.get(portfolio_id=given["portfolio_id"]).active_to is None


def test_only_risk_sets_limits(given) -> None:
    with pytest.raises(NotPermitted):
        limit_set(**(given | {"user": person(Role.TRADER)}))


def test_a_change_before_a_later_one_is_refused(given) -> None:
    limit_set(**given)
    with pytest.raises(Conflict):
        limit_set(**given)


def test_the_database_holds_the_rules_too(given) -> None:
    limit_set(**given)
    row = {"portfolio_id": given["portfolio_id"], "kind": "drawdown", "hard": Decimal("0.1"), "active_from": NOW, "reason": "x"}
    for wrong in ({"hard": Decimal(0)}, {"soft": Decimal("0.2")}, {"reason": ""}, {"kind": "luck"}, {"active_to": NOW}, {"kind": "position_value"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            RiskLimit.objects.create(**(row | wrong))
    RiskLimit.objects.create(**row)
    for statement in ("update risk_historicalrisklimit set hard = 1", "delete from risk_historicalrisklimit", "truncate risk_risklimit"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
