"""Watchlists: their order, who sees them, who changes them, and what stays of them."""

from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, transaction

from apps.core.errors import Conflict, DeskError, InvalidInput, NotFound, NotPermitted
from apps.core.models import JournalEntry, User
from apps.marketdata.models import Watchlist, WatchlistItem
from apps.marketdata.selectors.watchlists import watched_instruments, watchlist_get, watchlists_visible
from apps.marketdata.services.watchlists import (
    watchlist_add,
    watchlist_change,
    watchlist_create,
    watchlist_delete,
    watchlist_move,
    watchlist_remove,
)
from apps.marketdata.tests.factories import InstrumentFactory

pytestmark = pytest.mark.django_db
AT = datetime(2026, 3, 2, 15, tzinfo=UTC)


@pytest.fixture
def ann() -> User:
    for symbol in ("AAA", "BBB", "CCC"):
        InstrumentFactory(symbol=symbol)
    return User.objects.create_user("ann")


@pytest.fixture
def bob() -> User:
    return User.objects.create_user("bob")


def symbols(watchlist: Watchlist) -> list[str]:
    return [item.symbol for item in watched_instruments(watchlist)]


class TestOrder:
    def test_a_list_keeps_the_order_given_and_takes_another(self, ann: User) -> None:
        made = watchlist_create(owner=ann, name=" mine ", symbols=["CCC", "AAA"], at=AT)
        assert (made.name, symbols(made)) == ("mine", ["CCC", "AAA"])
        assert symbols(watchlist_change(user=ann, watchlist_id=made.pk, symbols=["AAA", "BBB", "CCC"])) == ["AAA", "BBB", "CCC"]
        assert symbols(watchlist_change(user=ann, watchlist_id=made.pk, name="other")) == ["AAA", "BBB", "CCC"]

    def test_add_remove_and_move(self, ann: User) -> None:
        made = watchlist_create(owner=ann, name="mine", symbols=["AAA", "BBB"], at=AT)
        assert symbols(watchlist_add(user=ann, watchlist_id=made.pk, symbol="CCC")) == ["AAA", "BBB", "CCC"]
        assert symbols(watchlist_add(user=ann, watchlist_id=made.pk, symbol="AAA")) == ["AAA", "BBB", "CCC"]
        assert symbols(watchlist_move(user=ann, watchlist_id=made.pk, symbol="CCC", by=-1)) == ["AAA", "CCC", "BBB"]
        assert symbols(watchlist_move(user=ann, watchlist_id=made.pk, symbol="AAA", by=-1)) == ["AAA", "CCC", "BBB"]
        assert symbols(watchlist_remove(user=ann, watchlist_id=made.pk, symbol="CCC")) == ["AAA", "BBB"]

    def test_the_database_refuses_an_instrument_or_a_position_twice(self, ann: User) -> None:
        made = watchlist_create(owner=ann, name="mine", symbols=["AAA", "BBB"], at=AT)
        first = made.items.get(position=0)
        with pytest.raises(IntegrityError), transaction.atomic():
            WatchlistItem.objects.create(watchlist=made, instrument=first.instrument, position=7)


class TestPeople:
    def test_others_see_a_shared_list_only_and_nobody_else_changes_it(self, ann: User, bob: User) -> None:
        own = watchlist_create(owner=ann, name="own", symbols=["AAA"], at=AT)
        shared = watchlist_create(owner=ann, name="shared", symbols=["AAA"], shared=True, at=AT)
        assert [one.name for one in watchlists_visible(ann)] == ["own", "shared"]
        assert [one.name for one in watchlists_visible(bob)] == ["shared"]
        with pytest.raises(NotFound):
            watchlist_get(user=bob, watchlist_id=own.pk)
        with pytest.raises(NotFound):
            watchlist_add(user=bob, watchlist_id=own.pk, symbol="BBB")
        with pytest.raises(NotPermitted):
            watchlist_add(user=bob, watchlist_id=shared.pk, symbol="BBB")
        with pytest.raises(NotPermitted):
            watchlist_delete(user=bob, watchlist_id=shared.pk)

    def test_own_lists_come_first(self, ann: User, bob: User) -> None:
        watchlist_create(owner=ann, name="a", shared=True, at=AT)
        watchlist_create(owner=bob, name="z", at=AT)
        assert [one.name for one in watchlists_visible(bob)] == ["z", "a"]

    def test_history_and_journal_say_who_deleted_what(self, ann: User) -> None:
        made = watchlist_create(owner=ann, name="mine", symbols=["AAA"], at=AT)
        key = made.pk
        watchlist_delete(user=ann, watchlist_id=key)
        assert list(Watchlist.history.filter(id=key).values_list("history_type", "history_user")) == [("-", ann.pk), ("+", ann.pk)]
        assert JournalEntry.objects.filter(table_name="marketdata_watchlistitem").count() == 2


class TestRefusals:
    @pytest.mark.parametrize(
        ("change", "error", "field"),
        [
            ({"name": "  "}, InvalidInput, "name"),
            ({"name": "x" * 61}, InvalidInput, "name"),
            ({"name": "taken"}, Conflict, "name"),
            ({"symbols": ["AAA", "AAA"]}, InvalidInput, "symbols"),
            ({"symbols": ["AAA", "ZZZ"]}, NotFound, "symbols"),
            ({"symbols": [f"S{n}" for n in range(201)]}, InvalidInput, "symbols"),
        ],
    )
    def test_nothing_is_half_done(self, ann: User, change: dict, error: type[DeskError], field: str) -> None:
        watchlist_create(owner=ann, name="taken", at=AT)
        made = watchlist_create(owner=ann, name="mine", symbols=["BBB"], at=AT)
        with pytest.raises(error) as refusal:
            watchlist_change(user=ann, watchlist_id=made.pk, **change)
        assert refusal.value.field == field
        with pytest.raises(error):
            watchlist_create(owner=ann, **{"name": "third", "at": AT, **change})
        assert [one.name for one in watchlists_visible(ann)] == ["mine", "taken"]
        assert symbols(watchlist_get(user=ann, watchlist_id=made.pk)) == ["BBB"]
