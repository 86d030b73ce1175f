"""The actor reaches the journal through the connection, whatever happens to the transaction or the connection."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from apps.core.context import acting, current_context, set_actor
from apps.core.models import JournalEntry, User


def last_actor(username: str) -> tuple[str, str]:
    row = JournalEntry.objects.filter(table_name="core_user", new__username=username).order_by("-id").first()
    assert row is not None
    return row.actor, row.request_id


def in_thread(work: Callable[[], None]) -> None:
    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(timeout=60)
    assert not thread.is_alive()


class TestContext:
    def test_it_nests_and_comes_back(self) -> None:
        with acting(actor="job:a", request_id="r"):
            with acting(actor="job:b"):
                assert (current_context().actor, current_context().request_id) == ("job:b", "r")
            assert current_context().actor == "job:a"
        assert current_context().actor == ""

    def test_set_actor_keeps_the_request(self) -> None:
        with acting(actor="anonymous", request_id="r"):
            set_actor("user:zoe")
            assert (current_context().actor, current_context().request_id) == ("user:zoe", "r")
        assert current_context().actor == ""


@pytest.mark.django_db(transaction=True)
class TestConnection:
    def test_the_actor_may_change_between_statements(self) -> None:
        with acting(actor="user:a", request_id="1"):
            User.objects.create(username="a")
        with acting(actor="user:b", request_id="2"):
            User.objects.create(username="b")
        assert (last_actor("a"), last_actor("b")) == (("user:a", "1"), ("user:b", "2"))

    def test_it_survives_a_rollback(self) -> None:
        with acting(actor="user:a"):
            with transaction.atomic():
                User.objects.create(username="gone")
                transaction.set_rollback(True)
            User.objects.create(username="kept")
        assert last_actor("kept")[0] == "user:a"

    def test_it_survives_a_savepoint_rolled_back_after_it_was_set_inside(self) -> None:
        with transaction.atomic(), acting(actor="user:inner"):
            with transaction.atomic():
                User.objects.create(username="gone")
                transaction.set_rollback(True)
            User.objects.create(username="kept")
        assert last_actor("kept")[0] == "user:inner"

    def test_it_is_set_anew_on_a_connection_from_the_pool(self) -> None:
        with acting(actor="user:a"):
            User.objects.create(username="a")
            connection.close()
            User.objects.create(username="again")
        connection.close()
        User.objects.create(username="nobody")
        assert last_actor("again")[0] == "user:a"
        assert last_actor("nobody")[0].startswith("database:")

    def test_a_thread_does_not_inherit_it_and_does_not_change_it(self) -> None:
        def work() -> None:
            User.objects.create(username="bare")
            with acting(actor="job:thread"):
                User.objects.create(username="named")

        with acting(actor="user:a"):
            in_thread(work)
            User.objects.create(username="main")
        assert last_actor("bare")[0].startswith("database:")
        assert (last_actor("named")[0], last_actor("main")[0]) == ("job:thread", "user:a")
