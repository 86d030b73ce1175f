"""Limits change by two people, keep what was in force before, and the database knows no other way."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError, IntegrityError, connection, transaction

from apps.alerts.models import Alert
from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from apps.core.models import JournalEntry
from apps.core.roles import Role
from apps.portfolios.models import Book, PortfolioRole
from apps.portfolios.tests.factories import InstrumentFactory, PortfolioFactory, PortfolioMembershipFactory, UserFactory
from apps.risk.domain.limits import LimitKind
from apps.risk.models import DeskLimit, LimitChange, RiskLimit
from apps.risk.selectors.limits import limits_in_force, order_limits
from apps.risk.services.limits import limit_change_decide, limit_change_request, limit_change_withdraw, limit_set
from apps.risk.tests.factories import NOW, change_by_two, person

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def given():
    return {
        "portfolio_id": PortfolioFactory().pk,
        "kind": "position_value",
        "hard": Decimal(50_000),
        "soft": Decimal(40_000),
        "reason": "Opening",
        "user": person(Role.RISK),
        "approver": person(Role.RISK),
        "active_from": NOW,
    }


def asked(given, **changes) -> LimitChange:
    """The request alone."""
    fields = {name: value for name, value in given.items() if name not in ("approver", "active_from")}
    return limit_change_request(**(fields | {"at": NOW} | changes))


def levels(portfolio_id: int, hours: int) -> tuple[Decimal, Decimal | None] | None:
    limit = limits_in_force(portfolio_id, NOW + hours * HOUR).get(LimitKind.POSITION_VALUE)
    return None if limit is None else (limit.hard, limit.soft)


def test_a_new_limit_replaces_the_old_one_from_its_moment_on(given) -> None:
    limit_set(**given)
    change = limit_set(**(given | {"hard": "30000", "soft": None, "reason": "Less risk", "active_from": NOW + HOUR}))
    assert (levels(given["portfolio_id"], 0), levels(given["portfolio_id"], 1)) == ((50_000, 40_000), (30_000, None))
    old, new = RiskLimit.objects.filter(portfolio_id=given["portfolio_id"]).order_by("id")
    assert (old.ended_by, new.change, change.decided_by) == (change, change, given["approver"])
    assert old.history.first().history_change_reason == "Replaced: Less risk"
    assert (new.history.get().history_change_reason, new.history.get().history_user) == ("Less risk", given["approver"])
    assert JournalEntry.objects.filter(table_name="risk_risklimit", row_id=str(new.pk), operation="insert").exists()


def test_a_request_changes_nothing_until_a_second_person_approves(given) -> None:
    change = asked(given)
    assert levels(given["portfolio_id"], 0) is None
    limit_change_decide(change_id=change.pk, user=given["approver"], approve=True, at=NOW + HOUR)
    assert (levels(given["portfolio_id"], 0), levels(given["portfolio_id"], 1)) == (None, (50_000, 40_000))
    codes = Alert.objects.filter(subject=f"portfolio:{given['portfolio_id']}").order_by("id").values_list("code", flat=True)
    assert list(codes) == ["LIMIT_CHANGE_REQUESTED", "LIMIT_CHANGED"]


def test_a_limit_can_begin_later_end_by_itself_and_be_ended(given) -> None:
    later = asked(given, active_from=NOW + 2 * HOUR, active_to=NOW + 4 * HOUR)
    limit_change_decide(change_id=later.pk, user=given["approver"], approve=True, at=NOW + HOUR)
    assert [levels(given["portfolio_id"], hours) is not None for hours in range(1, 5)] == [False, True, True, False]
    limit_set(**(given | {"hard": None, "soft": None, "active_from": NOW + 3 * HOUR}))
    assert [levels(given["portfolio_id"], hours) is not None for hours in range(1, 5)] == [False, True, False, False]
    with pytest.raises(Conflict):
        limit_set(**(given | {"hard": None, "soft": None, "active_from": NOW + 4 * HOUR}))


@pytest.mark.parametrize(
    ("changes", "error", "field"),
    [
        ({"kind": "luck"}, InvalidInput, "kind"),
        ({"hard": "0"}, InvalidInput, "hard"),
        ({"hard": "NaN"}, InvalidInput, "hard"),
        ({"hard": "1.0000001"}, InvalidInput, "hard"),
        ({"hard": "1e14"}, InvalidInput, "hard"),
        ({"hard": None}, InvalidInput, "hard"),
        ({"soft": "50000.01"}, InvalidInput, "soft"),
        ({"reason": " "}, InvalidInput, "reason"),
        ({"portfolio_id": 0}, NotFound, ""),
        ({"sector": "energy"}, InvalidInput, "kind"),
        ({"sector": "luck", "kind": "sector_share", "hard": "0.3", "soft": None}, InvalidInput, "sector"),
        ({"book_id": 0}, InvalidInput, "book"),
        ({"book_id": 1, "instrument_id": 1}, InvalidInput, "instrument"),
        ({"active_to": NOW}, InvalidInput, "active_to"),
    ],
)
def test_bad_input_asks_for_nothing(given, changes, error, field) -> None:
    with pytest.raises(error) as caught:
        asked(given, **changes)
    assert caught.value.field == field
    assert not LimitChange.objects.filter(portfolio_id=given["portfolio_id"]).exists()


def test_only_risk_asks_for_limits(given) -> None:
    for role in (Role.TRADER, Role.COMPLIANCE, Role.AUDITOR):
        with pytest.raises(NotPermitted):
            asked(given, user=person(role))


def test_v_a7_1_who_may_not_decide_and_when(given) -> None:
    change = asked(given)
    root = UserFactory(is_superuser=True)
    trader = person(Role.RISK)
    trader.groups.add(Group.objects.get(name=Role.TRADER.value))
    PortfolioMembershipFactory(portfolio_id=given["portfolio_id"], user=trader, role=PortfolioRole.TRADER)
    for user in (given["user"], person(Role.TRADER), trader):
        with pytest.raises(NotPermitted):
            limit_change_decide(change_id=change.pk, user=user, approve=True, at=NOW)
    own = asked(given, user=root)
    with pytest.raises(NotPermitted):
        limit_change_decide(change_id=own.pk, user=root, approve=True, at=NOW)
    assert Alert.objects.filter(code="LIMIT_CHANGE_REFUSED").count() == 4
    with pytest.raises(Conflict):
        limit_change_decide(change_id=change.pk, user=given["approver"], approve=True, at=NOW + timedelta(hours=24))
    with pytest.raises(InvalidInput):
        limit_change_decide(change_id=change.pk, user=given["approver"], approve=False, at=NOW)
    limit_change_decide(change_id=change.pk, user=person(Role.COMPLIANCE), approve=False, note="Too wide", at=NOW)
    with pytest.raises(Conflict):
        limit_change_decide(change_id=change.pk, user=given["approver"], approve=True, at=NOW)
    assert levels(given["portfolio_id"], 1) is None


def test_a_request_is_taken_back_by_who_made_it(given) -> None:
    change = asked(given)
    with pytest.raises(NotPermitted):
        limit_change_withdraw(change_id=change.pk, user=given["approver"], at=NOW)
    assert limit_change_withdraw(change_id=change.pk, user=given["user"], at=NOW).state == "withdrawn"
    with pytest.raises(Conflict):
        limit_change_decide(change_id=change.pk, user=given["approver"], approve=True, at=NOW)
    with pytest.raises(NotFound):
        limit_change_withdraw(change_id=0, user=given["user"], at=NOW)


def test_a_change_before_a_later_one_is_refused(given) -> None:
    limit_set(**given)
    with pytest.raises(Conflict):
        limit_set(**given)


def test_limits_of_parts_reach_the_orders_they_concern(given) -> None:
    portfolio_id = given["portfolio_id"]
    apple, other = InstrumentFactory(sector="information_technology"), InstrumentFactory()
    main, second = (
        Book.objects.get(portfolio_id=portfolio_id, name="main"),
        Book.objects.create(portfolio_id=portfolio_id, name="second", created_at=NOW),
    )
    rest = {"soft": None, "reason": "parts", "user": given["user"], "approver": given["approver"], "active_from": NOW}
    limit_set(portfolio_id=portfolio_id, kind="position_value", hard=1, **rest)
    limit_set(portfolio_id=portfolio_id, kind="position_value", hard=2, instrument_id=apple.pk, **rest)
    limit_set(portfolio_id=portfolio_id, kind="position_value", hard=3, book_id=main.pk, **rest)
    limit_set(portfolio_id=None, kind="sector_share", hard=4, **rest)
    limit_set(portfolio_id=None, kind="sector_share", hard=5, sector="information_technology", **rest)

    def met(book, instrument):
        found = order_limits(portfolio_id, NOW, book_id=book.pk, instrument_id=instrument.pk)
        return found.limits[LimitKind.POSITION_VALUE].hard, found.limits[LimitKind.SECTOR_SHARE].hard, [one.hard for one in found.book.values()]

    assert (met(main, apple), met(main, other), met(second, apple)) == ((2, 5, [3]), (1, 4, [3]), (2, 5, []))


CONTENT = {"kind": "drawdown", "hard": Decimal("0.1"), "active_from": NOW, "reason": "x"}


def test_the_database_holds_the_rules_of_a_limit(given) -> None:
    row = CONTENT | {"portfolio_id": given["portfolio_id"]}
    book = Book.objects.get(portfolio_id=given["portfolio_id"])
    wrongs = ({"hard": Decimal(0)}, {"soft": Decimal("0.2")}, {"reason": ""}, {"kind": "luck"}, {"active_to": NOW}, {"book_id": book.pk})
    for wrong in wrongs:
        with pytest.raises(IntegrityError), transaction.atomic():
            RiskLimit.objects.create(**(row | wrong), change=change_by_two(**(row | wrong)))
    RiskLimit.objects.create(**row, change=change_by_two(**row))
    with pytest.raises(IntegrityError), transaction.atomic():
        RiskLimit.objects.create(**row, change=change_by_two(**row))  # two that are open
    for statement in ("update risk_historicalrisklimit set hard = 1", "delete from risk_historicalrisklimit", "truncate risk_risklimit"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_the_database_refuses_what_one_person_does_alone(given) -> None:
    row = CONTENT | {"portfolio_id": given["portfolio_id"]}
    change = change_by_two(**row)
    limit = RiskLimit.objects.create(**row, change=change)
    one = {"requested_by": given["user"], "requested_at": NOW, "expires_at": NOW + HOUR}
    for wrong in (
        {},
        {"change": LimitChange.objects.create(**(row | one))},
        {"change": change, "hard": Decimal("0.2")},
        {"change": change, "kind": "var"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            RiskLimit.objects.create(**(row | {"active_from": NOW + HOUR} | wrong))
        with pytest.raises(IntegrityError), transaction.atomic():
            DeskLimit.objects.create(**(CONTENT | wrong))
    other = change_by_two(**(row | {"kind": "var"}))
    for edit in ({"hard": Decimal("0.2")}, {"active_to": NOW + HOUR}, {"active_to": NOW + HOUR, "ended_by": other}, {"reason": "y"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            RiskLimit.objects.filter(pk=limit.pk).update(**edit)
    with pytest.raises(IntegrityError), transaction.atomic():
        RiskLimit.objects.filter(pk=limit.pk).delete()
    with pytest.raises(IntegrityError), transaction.atomic():
        DeskLimit.objects.filter(kind="order_size").update(hard=1)


def test_the_database_decides_a_request_once_and_as_it_was_asked_for(given) -> None:
    change = asked(given)
    pending = LimitChange.objects.filter(pk=change.pk)
    decided = {"state": "approved", "decided_by": given["approver"], "decided_at": NOW}
    late = {"decided_at": NOW + timedelta(days=2)}
    for edit in (decided | {"decided_by": given["user"]}, decided | late, decided | {"hard": 60_000}, {"hard": 60_000}, {"state": "approved"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            pending.update(**edit)
    pending.update(**decided)
    for edit in ({"note": "and more"}, {"hard": 60_000}, {"state": "pending", "decided_by": None, "decided_at": None}):
        with pytest.raises(IntegrityError), transaction.atomic():
            pending.update(**edit)
    with pytest.raises(IntegrityError), transaction.atomic():
        pending.delete()
