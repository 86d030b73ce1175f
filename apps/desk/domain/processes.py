"""The processes of one desk on one machine, and what is worth telling about them."""

import re
from dataclasses import dataclass

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
#: A process that ran for so long [s] had recovered: its next fall counts as the first.
STEADY_SECONDS = 60.0
#: A level where log lines have it: "... WARNING apps.risk: ..." and Celery's "[... ERROR/MainProcess] ...".
WORTH_SHOWING = re.compile(r"(?:^|[ \[])(?:WARNING|ERROR|CRITICAL)(?:[ /:\]]|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskProcess:
    """One child of the supervisor: its name, which is also its log's, and its command line."""

    name: str
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What the demo desk shows as its live market, and what trades on it."""

    start: str
    session_seconds: float
    strategy: str
    parameters: tuple[str, ...]
    symbols: tuple[str, ...]
    portfolio: str


def desk_processes(*, python: str, manage: str, host: str, port: int, replay: Replay | None) -> tuple[DeskProcess, ...]:
    """Everything that runs. Without a replay there is neither feed nor trader: a desk without the demo brings its own."""

    def command(name: str, *words: str) -> DeskProcess:
        return DeskProcess(name=name, argv=(python, manage, *words))

    def module(name: str, *words: str) -> DeskProcess:
        return DeskProcess(name=name, argv=(python, "-m", *words))

    celery = ("celery", "--app", "smarttrader")
    light = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    processes = [
        module("web", "daphne", "--bind", host, "--port", str(port), "smarttrader.asgi:application"),
        module("trade-worker", *celery, "worker", "--queues", "trade,data", "--concurrency", "1", "--hostname", "trade@%h", *light),
        module("compute-worker", *celery, "worker", "--queues", "compute", "--concurrency", "1", "--hostname", "compute@%h", *light),
        module("beat", *celery, "beat", "--pidfile="),
        command("broker", "run_broker"),
        command("monitor", "run_risk_monitor"),
    ]
    if replay is not None:
        processes += [
            command("feed", "run_feed", "--replay", "--start", replay.start, "--session-seconds", f"{replay.session_seconds:g}"),
            command(
                "trader", "trade", "--mode", "paper", "--strategy", replay.strategy, "--symbols", ",".join(replay.symbols),
                "--portfolio", replay.portfolio, *(word for parameter in replay.parameters for word in ("--param", parameter)),
            ),
        ]  # fmt: skip
    return tuple(processes)


def restart_delay(falls: int) -> float:
    """Seconds to wait before starting a process again that fell `falls` times in a row (at least 1): doubling, bounded."""
    return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (min(falls, 20) - 1))


def falls_in_a_row(*, before: int, ran_seconds: float) -> int:
    """The count after another fall."""
    return 1 if ran_seconds >= STEADY_SECONDS else before + 1


def worth_showing(line: str) -> bool:
    """True for log lines that somebody at the terminal should see: warnings and worse."""
    return WORTH_SHOWING.search(line) is not None
