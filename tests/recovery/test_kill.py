"""kill -9 of any process of a running desk, the database included: what was acknowledged stays, and the desk goes on."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.core.servers.processes import alive
from tests.recovery.desk import RunningDesk, eventually

pytestmark = pytest.mark.slow

#: Until a killed server answers again. A killed PostgreSQL replays its log, and pools find out that their connections are gone.
RECOVERY_SECONDS = 300
CTRL_C_SECONDS = 60  # ten are promised; a test machine is busy


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, loaded_desk: RunningDesk) -> Iterator[RunningDesk]:
    running = loaded_desk.copied(tmp_path_factory.mktemp("killed"))
    try:
        running.start()
        yield running
    finally:
        running.abandon()


def portfolio_of(desk: RunningDesk, token: str) -> int:
    return int(desk.call("GET", "portfolios/", token=token)["results"][0]["id"])


def told(desk: RunningDesk, token: str, order_id: int) -> dict[str, Any]:
    """What an acknowledgement said and must go on saying."""
    order = desk.call("GET", f"orders/{order_id}/", token=token)
    return {name: order[name] for name in ("client_order_id", "symbol", "quantity", "status", "cumulative_quantity", "average_price")}


class TestKill:
    """One desk, killed in several ways one after the other."""

    def test_a_killed_child_is_started_again(self, desk: RunningDesk) -> None:
        victim = desk.children()[1]
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: victim not in desk.children() and len(desk.children()) > 1, seconds=RECOVERY_SECONDS, what="restart")
        eventually(lambda: "ended (signal SIGKILL), starts again" in desk.printed, seconds=RECOVERY_SECONDS, what="the reason")

    @pytest.mark.parametrize("server", ["postgres", "redis"])
    def test_a_killed_server_is_started_again_under_the_running_desk(self, desk: RunningDesk, server: str) -> None:
        """By the supervisor, or by the first command that is started again without it."""
        victim = getattr(desk.servers, server).pid()
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: getattr(desk.servers, server).pid() not in (None, victim), seconds=RECOVERY_SECONDS, what=f"{server} again")
        eventually(desk.answers, seconds=RECOVERY_SECONDS, what="ready again")

    def test_no_acknowledged_order_is_lost_when_everything_is_killed(self, desk: RunningDesk) -> None:
        eventually(desk.answers, seconds=RECOVERY_SECONDS, what="ready")
        token = desk.token("trader")
        portfolio = portfolio_of(desk, token)
        eventually(lambda: desk.trades(token, portfolio), seconds=RECOVERY_SECONDS, what="a fresh price")
        wanted = [("GOOG", "3"), ("IBM", "3"), ("MSFT", "3"), ("GOOG", "4"), ("IBM", "4")]  # the same order twice would be a duplicate
        orders = [desk.order(token, portfolio, symbol, quantity) for symbol, quantity in wanted]
        # What meets the replay after its close rests until the next session opens.
        eventually(lambda: all(told(desk, token, order["id"])["status"] == "filled" for order in orders), seconds=RECOVERY_SECONDS, what="fills")
        before = {order["id"]: told(desk, token, order["id"]) for order in orders}

        desk.kill_everything()
        desk.start()

        token = desk.token("trader")
        assert {order_id: told(desk, token, order_id) for order_id in before} == before
        checked = desk.command("rebuild_positions", "--check")
        assert checked.returncode == 0, checked.stdout + checked.stderr
        verified = desk.command("audit_verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr

    def test_a_second_desk_in_the_same_folder_is_refused(self, desk: RunningDesk) -> None:
        refused = desk.command("desk", "--port", str(desk.port))
        assert refused.returncode == 4
        assert "runs here already" in refused.stderr
        token = desk.token("trader")
        eventually(lambda: desk.trades(token, portfolio_of(desk, token)), seconds=RECOVERY_SECONDS, what="trading")

    def test_ctrl_c_leaves_nothing_behind(self, desk: RunningDesk) -> None:
        pids = [*desk.children(), desk.servers.postgres.pid(), desk.servers.redis.pid()]
        assert all(alive(pid) for pid in pids)
        assert desk.stop() < CTRL_C_SECONDS
        assert desk.process.returncode == 0
        assert not any(alive(pid) for pid in pids)
        assert not Path(desk.var / "desk.processes").exists()
