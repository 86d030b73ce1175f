"""Splits and dividends into the desk: what is applied, what waits, and who decides."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from apps.core.models import JournalEntry, User
from apps.core.roles import Role
from apps.core.tests.factories import UserFactory
from apps.marketdata.domain.adjustment import Adjustment
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind, ActionRecord
from apps.marketdata.models import CorporateAction
from apps.marketdata.selectors.bars import bar_series
from apps.marketdata.selectors.corporate_actions import actions_of
from apps.marketdata.services.corporate_actions import ActionsReport, action_release, action_withdraw, actions_store
from apps.marketdata.tests.factories import RECORDED_AT, InstrumentFactory, make_series, store_series

pytestmark = pytest.mark.django_db

SPLIT_DAY = date(2012, 1, 5)
CLOSES = [100.0, 102.0, 51.5, 52.0]  # halves on the third session, 2012-01-05
LATER = RECORDED_AT + timedelta(days=1)


def split(value: str = "2", *, day: date = SPLIT_DAY, symbol: str = "AAA") -> ActionRecord:
    return ActionRecord(symbol=symbol, kind=ActionKind.SPLIT, ex_date=day, value=Decimal(value))


def dividend(value: str, *, day: date = SPLIT_DAY, currency: str = "USD") -> ActionRecord:
    return ActionRecord(symbol="AAA", kind=ActionKind.DIVIDEND, ex_date=day, value=Decimal(value), currency=currency)


def store(*records: ActionRecord, source: str = "test", recorded_at: datetime = RECORDED_AT) -> ActionsReport:
    return actions_store(records=records, source=source, recorded_at=recorded_at)


def counts(report: ActionsReport) -> tuple[int, int, int, int]:
    return report.inserted, report.revised, report.unchanged, len(report.quarantined)


def closes(adjustment: Adjustment = Adjustment.SPLIT, as_of: datetime | None = None) -> list[float]:
    return bar_series(symbol="AAA", timeframe=Timeframe.DAY, adjustment=adjustment, as_of=as_of).close.tolist()


@pytest.fixture
def bars() -> None:
    store_series(make_series("AAA", CLOSES))


@pytest.fixture
def operator() -> User:
    return UserFactory(role=Role.OPERATOR)


class TestStoring:
    def test_a_split_that_the_bars_show_is_applied(self, bars) -> None:
        assert counts(store(split())) == (1, 0, 0, 0)
        assert closes() == [50.0, 51.0, 51.5, 52.0]
        assert closes(Adjustment.NONE) == CLOSES

    def test_again_changes_nothing_and_another_value_is_a_revision(self, bars) -> None:
        store(split(), dividend("0.5"))
        assert counts(store(split("2.00"), dividend("0.5"), recorded_at=LATER)) == (0, 0, 2, 0)
        assert counts(store(split(), dividend("0.45"), recorded_at=LATER, source="other")) == (0, 1, 1, 0)
        newest = {(item.kind, item.value, item.revision, item.source) for item in actions_of(symbol="AAA")}
        assert newest == {(ActionKind.SPLIT, Decimal(2), 0, "test"), (ActionKind.DIVIDEND, Decimal("0.45"), 1, "other")}
        assert {item.value for item in actions_of(symbol="AAA", as_of=RECORDED_AT)} == {Decimal(2), Decimal("0.5")}

    def test_dividends_of_a_day_add_up_and_repetitions_do_not(self, bars) -> None:
        assert counts(store(dividend("0.5"), dividend("0.25"), dividend("0.5"))) == (1, 0, 0, 0)
        assert [item.value for item in actions_of(symbol="AAA")] == [Decimal("0.75")]

    @pytest.mark.parametrize(
        ("records", "error", "field"),
        [
            ((split("0"),), InvalidInput, "value"),
            ((dividend("-1"),), InvalidInput, "value"),
            ((dividend("NaN"),), InvalidInput, "value"),
            ((dividend("1e14"),), InvalidInput, "value"),
            ((split("2"), split("3")), InvalidInput, "value"),
            ((dividend("1"), dividend("2", currency="EUR")), InvalidInput, "currency"),
            ((dividend("1", currency="Dollar"),), InvalidInput, "currency"),
            ((split(symbol="ZZZ"),), NotFound, "symbols"),
        ],
        ids=str,
    )
    def test_nonsense_stores_nothing(self, bars, records, error, field) -> None:
        with pytest.raises(error) as caught:
            store(split(day=date(2012, 1, 4)), *records)
        assert caught.value.field == field
        assert not CorporateAction.objects.exists()

    def test_a_source_has_a_name(self, bars) -> None:
        with pytest.raises(InvalidInput, match="source"):
            store(split(), source=" ")


class TestQuarantine:
    def test_a_split_that_the_bars_contradict_moves_no_price(self, bars) -> None:
        report = store(split(day=date(2012, 1, 4)))
        assert counts(report) == (1, 0, 0, 1)
        assert (report.quarantined[0].doubt, report.quarantined[0].symbol) == ("NOT_IN_THE_DATA", "AAA")
        assert "x 0.5" in report.quarantined[0].reason
        assert closes() == CLOSES

    def test_a_revision_is_looked_at_again(self, bars) -> None:
        store(split("20"))
        assert counts(store(split("2"), recorded_at=LATER)) == (0, 1, 0, 0)
        assert closes() == [50.0, 51.0, 51.5, 52.0]
        assert closes(as_of=RECORDED_AT) == CLOSES

    def test_without_bars_an_action_waits_for_them(self) -> None:
        InstrumentFactory(symbol="AAA")
        assert [item.doubt for item in store(split(), dividend("0.5")).quarantined] == ["NO_BARS", "NO_BARS"]
        store_series(make_series("AAA", CLOSES), recorded_at=LATER)
        assert {(item.status, item.revision, item.recorded_at) for item in actions_of(symbol="AAA")} == {("applied", 1, LATER)}
        assert closes() == [50.0, 51.0, 51.5, 52.0]

    def test_bars_that_contradict_it_keep_it_in_quarantine(self) -> None:
        InstrumentFactory(symbol="AAA")
        store(split())
        store_series(make_series("AAA", [100.0, 102.0, 101.0]), recorded_at=LATER)
        assert [(item.status, item.doubt) for item in actions_of(symbol="AAA")] == [("quarantined", "NOT_IN_THE_DATA")]
        store_series(make_series("AAA", [100.0, 102.0, 101.0, 103.0]), recorded_at=LATER)
        assert CorporateAction.objects.count() == 2  # nothing new is known: no new revision

    def test_bars_far_away_say_nothing(self) -> None:
        store_series(make_series("AAA", [100.0, 102.0], start=date(2012, 1, 3)))
        assert [item.doubt for item in store(split("2", day=date(2012, 2, 1))).quarantined] == ["NO_BARS"]


class TestDeciding:
    def test_a_person_releases_with_a_reason(self, bars, operator) -> None:
        (waiting,) = store(split(day=date(2012, 1, 4))).quarantined
        released = action_release(action_id=waiting.id, reason="the vendor's open is wrong", user=operator, recorded_at=LATER)
        assert (released.status, released.reason, released.revision) == ("applied", "the vendor's open is wrong", 1)
        assert closes() == [50.0, 102.0, 51.5, 52.0]
        assert closes(as_of=RECORDED_AT) == CLOSES
        row = CorporateAction.objects.get(pk=released.id)
        assert row.decided_by == operator
        assert JournalEntry.objects.filter(table_name="marketdata_corporateaction").count() == 2

    def test_a_withdrawn_one_stays_so_while_the_vendor_repeats_it(self, bars, operator) -> None:
        store(split())
        (item,) = actions_of(symbol="AAA")
        action_withdraw(action_id=item.id, reason="it was a spin-off", user=operator, recorded_at=LATER)
        assert closes() == CLOSES
        assert counts(store(split(), recorded_at=LATER)) == (0, 0, 1, 0)
        assert closes() == CLOSES

    def test_only_with_the_permission_and_a_reason(self, bars, operator) -> None:
        (waiting,) = store(split(day=date(2012, 1, 4))).quarantined
        with pytest.raises(NotPermitted):
            action_release(action_id=waiting.id, reason="because", user=UserFactory(role=Role.TRADER), recorded_at=LATER)
        with pytest.raises(InvalidInput, match="reason"):
            action_release(action_id=waiting.id, reason="  ", user=operator, recorded_at=LATER)
        with pytest.raises(NotFound):
            action_release(action_id=0, reason="because", user=operator, recorded_at=LATER)
        assert closes() == CLOSES

    def test_only_the_newest_revision_and_only_once(self, bars, operator) -> None:
        (waiting,) = store(split(day=date(2012, 1, 4))).quarantined
        action_release(action_id=waiting.id, reason="because", user=operator, recorded_at=LATER)
        with pytest.raises(Conflict, match="not the newest"):
            action_withdraw(action_id=waiting.id, reason="because", user=operator, recorded_at=LATER)
        (newest,) = actions_of(symbol="AAA")
        with pytest.raises(Conflict, match="is applied"):
            action_release(action_id=newest.id, reason="because", user=operator, recorded_at=LATER)


class TestDatabase:
    @pytest.mark.parametrize("verb", ["update marketdata_corporateaction set value = 3", "delete from marketdata_corporateaction"])
    def test_actions_are_only_added(self, bars, verb) -> None:
        store(split())
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(verb)

    @pytest.mark.parametrize(
        ("bad", "name"),
        [
            ({"value": 0}, "action_value"),
            ({"kind": "merger"}, "action_kind"),
            ({"status": "maybe"}, "action_status"),
            ({"status": "quarantined", "reason": "odd"}, "action_doubt"),
            ({"status": "withdrawn", "reason": "odd"}, "action_withdrawn_by"),
            ({"status": "quarantined", "doubt": "NO_BARS", "reason": ""}, "action_reason"),
            ({"revision": 0}, "action_revision"),
        ],
        ids=str,
    )
    def test_impossible_rows_are_refused(self, bars, bad, name) -> None:
        store(split())
        row = CorporateAction.objects.get()
        row.pk, row.revision = None, 1
        for field, value in bad.items():
            setattr(row, field, value)
        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            row.save(force_insert=True)


def test_volumes_go_the_other_way(bars) -> None:
    store(split())
    found = bar_series(symbol="AAA", timeframe=Timeframe.DAY, adjustment=Adjustment.SPLIT)
    np.testing.assert_array_equal(found.volume, [2e6, 2e6, 1e6, 1e6])


def test_times_without_zone_are_refused(bars) -> None:
    with pytest.raises(InvalidInput, match="as_of has no time zone"):
        closes(as_of=datetime(2012, 1, 1))  # noqa: DTZ001
    assert closes(as_of=datetime(2012, 1, 1, tzinfo=UTC)) == []
