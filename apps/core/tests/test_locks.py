import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from apps.core.errors import Conflict, Unavailable
from apps.core.locks import lease, lock_key, lock_transaction

pytestmark = pytest.mark.django_db(transaction=True)


def in_thread(work: Callable[[], object]) -> list[object]:
    """What `work` returned or raised on a connection of its own."""
    result: list[object] = []

    def run() -> None:
        try:
            result.append(work())
        except Exception as error:  # noqa: BLE001 (handed to the test)
            result.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    return result


def take(*names: str) -> str:
    with transaction.atomic():
        lock_transaction(*names, timeout_ms=100)
        return "taken"


class TestLockTransaction:
    def test_others_wait_and_give_up_after_the_timeout(self) -> None:
        with transaction.atomic():
            lock_transaction("portfolio:1", "portfolio:2")
            (found,) = in_thread(lambda: take("portfolio:2"))
            assert isinstance(found, Conflict)
            assert "portfolio:2" in found.detail
            assert in_thread(lambda: take("portfolio:3")) == ["taken"]
        assert in_thread(lambda: take("portfolio:2")) == ["taken"]

    def test_a_rollback_frees_them(self) -> None:
        with transaction.atomic():
            lock_transaction("x")
            transaction.set_rollback(True)
        assert in_thread(lambda: take("x")) == ["taken"]

    def test_it_needs_a_transaction(self) -> None:
        with pytest.raises(RuntimeError):
            lock_transaction("x")

    def test_opposite_orders_do_not_deadlock(self) -> None:
        barrier = threading.Barrier(2, timeout=60)
        outcomes: list[object] = []

        def work(*names: str) -> str:
            for _ in range(20):
                barrier.wait()
                with transaction.atomic():
                    lock_transaction(*names)
            return "done"

        threads = [
            threading.Thread(target=lambda names=names: outcomes.extend(in_thread(lambda: work(*names)))) for names in (("a", "b"), ("b", "a"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert outcomes == ["done", "done"]


class TestLease:
    def test_one_holder_at_a_time(self) -> None:
        with lease("beat") as held:
            held.check()
            with pytest.raises(Conflict, match="beat"), lease("beat"):
                pass
            with lease("other"):
                pass
        with lease("beat"):
            pass

    def test_a_lost_connection_is_noticed(self) -> None:
        with lease("beat") as held, connection.cursor() as cursor:
            cursor.execute("select pid from pg_stat_activity where application_name = 'desk lease beat' and datname = current_database()")
            for (pid,) in cursor.fetchall():
                cursor.execute("select pg_terminate_backend(%s, 5000)", [pid])
            with pytest.raises(Unavailable, match="lost"):
                held.check()


def test_keys_are_stable_and_fit_sixty_four_bits() -> None:
    assert lock_key("beat") == lock_key("beat") != lock_key("beats")
    assert all(-(2**63) <= lock_key(str(n)) < 2**63 for n in range(100))
