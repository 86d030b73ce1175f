"""Questions that are asked in one round trip: their answers, their order, and what happens when one of them fails."""

import pytest
from django.db import ProgrammingError, connection, transaction
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext

from apps.core.models import User
from apps.core.postgres.rows import NotAnswered, asked_together, fetch

USERS = ("select count(*) from core_user where username = %(name)s", {"name": "asked"})
ONE = ("select %s::int", [1])
WRONG = ("select no_such_column from core_user where id = %s", [1])


@pytest.fixture(params=["db", "transactional_db"], ids=["in a transaction", "outside of one"])
def place(request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(request.param)
    connection.ensure_connection()


def test_each_answer_is_at_hand_once(place: None) -> None:
    with asked_together([ONE, USERS]):
        User.objects.create(username="asked")
        assert fetch(*USERS) == [(0,)]  # as it was when the block began
        assert fetch(*ONE) == [(1,)]
        assert fetch(*USERS) == [(1,)]


def test_nothing_is_at_hand_after_the_block(place: None) -> None:
    with asked_together([USERS]):
        User.objects.create(username="asked")
    assert fetch(*USERS) == [(1,)]


def test_other_parameters_are_another_question(place: None) -> None:
    with asked_together([ONE]):
        assert fetch(ONE[0], [2]) == [(2,)]
        assert fetch(*ONE) == [(1,)]


def test_a_block_within_asks_only_what_is_not_at_hand(place: None) -> None:
    with asked_together([USERS]):
        User.objects.create(username="asked")
        with asked_together([USERS, ONE]):
            assert fetch(*ONE) == [(1,)]
            assert fetch(*USERS) == [(0,)]


def test_each_sees_what_those_before_it_did(db: None) -> None:
    tell, ask = ("select set_config('desk.note', %s, true)", ["heard"]), ("select current_setting('desk.note', true)", ())
    with transaction.atomic(), asked_together([tell, ask]):
        assert fetch(*ask) == [("heard",)]


def test_whoever_counts_queries_sees_each(place: None) -> None:
    with CaptureQueriesContext(connection) as seen, asked_together([ONE, USERS]):
        assert fetch(*ONE) == [(1,)]
        assert fetch(*USERS) == [(0,)]
    assert len(seen) == 2


class TestOneFails:
    def test_in_a_transaction_the_caller_takes_it_back(self, db: None) -> None:
        def work() -> None:
            User.objects.create(username="asked")
            with asked_together([ONE, WRONG, USERS]):
                raise AssertionError("the block is not begun")

        with pytest.raises(NotAnswered) as failed:
            transaction.atomic(work)()
        assert isinstance(failed.value.__cause__, ProgrammingError)
        assert "no_such_column" in str(failed.value.__cause__)
        assert fetch(*USERS) == [(0,)]

    def test_a_transaction_that_must_survive_asks_each_by_itself(self, db: None) -> None:
        with transaction.atomic(), asked_together([ONE, WRONG], savepoint=True):
            assert fetch(*ONE) == [(1,)]
            with pytest.raises(ProgrammingError), transaction.atomic():
                fetch(*WRONG)
            assert fetch(*USERS) == [(0,)]

    def test_outside_of_one_each_says_what_is_wrong(self, transactional_db: None) -> None:
        connection.ensure_connection()
        with asked_together([ONE, WRONG]):
            assert fetch(*ONE) == [(1,)]
            with pytest.raises(ProgrammingError, match="no_such_column"):
                fetch(*WRONG)

    def test_in_a_broken_transaction_nothing_is_asked(self, db: None) -> None:
        with transaction.atomic():
            transaction.set_rollback(True)
            with pytest.raises(NotAnswered) as failed, asked_together([ONE]):
                raise AssertionError("the block is not begun")
        assert isinstance(failed.value.__cause__, TransactionManagementError)
