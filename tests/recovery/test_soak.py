"""A desk that trades while its processes are killed at random: `make soak`, with SOAK_SECONDS and SOAK_SEED."""

import os
import random
import signal
import time
from collections.abc import Iterator
from functools import partial
from http.client import HTTPException

import pytest

from tests.recovery.desk import RunningDesk, eventually
from tests.recovery.test_kill import RECOVERY_SECONDS, portfolio_of, told

pytestmark = pytest.mark.soak

SECONDS = float(os.environ.get("SOAK_SECONDS", "300"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
ORDERS_BETWEEN_KILLS = 5
SYMBOLS = ("AAPL", "GOOG", "IBM", "MSFT")


@pytest.fixture
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDesk]:
    running = RunningDesk(tmp_path_factory.mktemp("soak"))
    try:
        running.start()
        yield running
    finally:
        running.abandon()


def kill_one(desk: RunningDesk, chance: random.Random) -> None:
    victims = [*desk.children(), desk.servers.postgres.pid(), desk.servers.redis.pid()]
    victim = chance.choice([pid for pid in victims if pid])
    try:
        os.kill(victim, signal.SIGKILL)
    except ProcessLookupError:
        return  # it had just ended for another reason, and is being started again


def test_books_and_journal_stay_whole(desk: RunningDesk) -> None:
    chance = random.Random(SEED)
    acknowledged: dict[int, str] = {}
    kills = 0
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        eventually(desk.answers, seconds=RECOVERY_SECONDS, what=f"ready after {kills} kills")
        try:
            token = desk.token("trader")
            portfolio = portfolio_of(desk, token)
            eventually(partial(desk.trades, token, portfolio), seconds=RECOVERY_SECONDS, what=f"a fresh price after {kills} kills")
            for _ in range(ORDERS_BETWEEN_KILLS):
                order = desk.order(token, portfolio, chance.choice(SYMBOLS), str(chance.randint(1, 999)))
                acknowledged[order["id"]] = order["client_order_id"]
        except (OSError, HTTPException):
            continue  # not acknowledged, so nothing is promised
        kill_one(desk, chance)
        kills += 1
    eventually(desk.answers, seconds=RECOVERY_SECONDS, what="ready at the end")
    token = desk.token("trader")
    assert {order_id: told(desk, token, order_id)["client_order_id"] for order_id in acknowledged} == acknowledged
    for command in (("rebuild_positions", "--check"), ("audit_verify",)):
        done = desk.command(*command)
        assert done.returncode == 0, f"{command} after {kills} kills and {len(acknowledged)} orders: {done.stdout}{done.stderr}"
