"""The table of processes, and when a fallen one starts again."""

from apps.desk.domain.processes import LONGEST_DELAY, STEADY_SECONDS, LiveFeed, Replay, desk_processes, falls_in_a_row, restart_delay, worth_showing

REPLAY = Replay(
    start="2008-09-12", session_seconds=6, strategy="sma_cross", parameters=("fast=2", "slow=3"), symbols=("AAPL", "IBM"), portfolio="Fund"
)


def table(replay: Replay | None) -> dict[str, tuple[str, ...]]:
    return {process.name: process.argv for process in desk_processes(python="py", manage="m.py", host="::", port=81, replay=replay)}


class TestTable:
    def test_names_are_unique(self) -> None:
        processes = desk_processes(python="py", manage="m.py", host="::", port=81, replay=REPLAY)
        assert len({process.name for process in processes}) == len(processes)

    def test_replay_brings_feed_and_trader(self) -> None:
        assert set(table(REPLAY)) - set(table(None)) == {"feed", "trader"}
        assert table(REPLAY)["trader"][-4:] == ("--param", "fast=2", "--param", "slow=3")

    def test_a_live_feed_takes_the_place_of_the_replay_and_its_trader(self) -> None:
        live = LiveFeed(provider="alpaca", symbols=("AAPL", "IBM"))
        processes = {item.name: item.argv for item in desk_processes(python="py", manage="m.py", host="::", port=81, replay=REPLAY, live=live)}
        assert processes["feed"] == ("py", "m.py", "run_feed", "--provider", "alpaca", "--symbols", "AAPL,IBM")
        assert set(processes) - set(table(None)) == {"feed"}

    def test_each_broker_with_a_line_has_a_process(self) -> None:
        processes = {item.name: item.argv for item in desk_processes(python="py", manage="m.py", host="::", port=81, replay=None, brokers=("ib",))}
        assert processes["broker-ib"] == ("py", "m.py", "run_broker", "--broker", "ib")
        assert set(processes) - set(table(None)) == {"broker-ib"}

    def test_every_queue_has_a_worker(self) -> None:
        queues = [queue for argv in table(None).values() if "--queues" in argv for queue in argv[argv.index("--queues") + 1].split(",")]
        assert sorted(queues) == ["alerts", "compute", "data", "trade"]

    def test_web_listens_where_it_was_told(self) -> None:
        assert table(None)["web"][3:7] == ("--bind", "::", "--port", "81")


class TestRestart:
    def test_delay_doubles_and_is_bounded(self) -> None:
        delays = [restart_delay(falls) for falls in range(1, 30)]
        assert delays[:4] == [0.5, 1, 2, 4]
        assert delays == sorted(delays)
        assert delays[-1] == LONGEST_DELAY

    def test_a_steady_process_begins_anew(self) -> None:
        assert falls_in_a_row(before=5, ran_seconds=STEADY_SECONDS) == 1
        assert falls_in_a_row(before=5, ran_seconds=STEADY_SECONDS - 1) == 6


def test_warnings_and_worse_are_worth_showing() -> None:
    assert worth_showing("2024-01-01 WARNING apps.x: careful")
    assert worth_showing("[2024-01-01 00:00:00,000: ERROR/MainProcess] broken")
    assert not worth_showing("2024-01-01 INFO    apps.x: NO_WARNINGS here")
    assert not worth_showing("    . logfile -> [stderr]@%WARNING")
