"""The processes of one desk on one machine, and what is worth telling about them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

FIRST_DELAY = 0.5
LONGEST_DELAY = 30.0
#: A process that ran for so long [s] had recovered: its next fall counts as the first.
STEADY_SECONDS = 60.0
#: The same message of a process is shown again after so long [s]; its log has every one.
REPEAT_SECONDS = 60.0
#: A level where log lines have it: "... WARNING apps.risk: ..." and Celery's "[... ERROR/MainProcess] ...".
WORTH_SHOWING = re.compile(r"(?:^|[ \[])(?:WARNING|ERROR|CRITICAL)(?:[ /:\]]|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskProcess:
    """One child of the supervisor: its name, which is also its log's, its command line, and how far it stands back (as in nice)."""

    name: str
    argv: tuple[str, ...]
    niceness: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What the demo desk shows as its live market, and what trades on it."""

    start: str
    session_seconds: float
    strategy: str
    parameters: tuple[str, ...]
    symbols: tuple[str, ...]
    portfolio: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFeed:
    """Whose ticks the desk shows."""

    provider: str
    symbols: tuple[str, ...]


def desk_processes(
    *, python: str, manage: str, host: str, port: int, replay: Replay | None, live: LiveFeed | None = None, brokers: Sequence[str] = ()
) -> tuple[DeskProcess, ...]:
    """Everything that runs, in the order in which it is started.

    A live feed takes the place of the demo's replay and of the trader, which trades the replay's days. Without either there is neither
    feed nor trader: a desk without the demo brings its own. Backtests, reports and jobs of market data stand back, so that they never slow
    down trading: after a start, when everything is due at once, they would take a whole core from the orders.
    Orders' jobs have a worker of their own: fetching bars at a vendor's pace may take an hour, and with two at a time the journal is
    sealed meanwhile; alerts have one too, so that none waits for a fetch, and no order's job for a slow mail server. Each of `brokers` has
    a process that holds the line to it.
    """

    def command(name: str, *words: str, niceness: int = 0) -> DeskProcess:
        return DeskProcess(name=name, argv=(python, manage, *words), niceness=niceness)

    def worker(name: str, queue: str, *, at_once: int = 1, niceness: int = 0) -> DeskProcess:
        words = ("celery", "--app", "smarttrader", "worker", "--queues", queue, "--concurrency", str(at_once), "--hostname", f"{name}@%h")
        light = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        return DeskProcess(name=name, argv=(python, "-m", *words, *light), niceness=niceness)

    web = ("daphne", "--bind", host, "--port", str(port), "smarttrader.asgi:application")
    return (
        DeskProcess(name="web", argv=(python, "-m", *web)),
        *_prices(command, replay, live),
        command("monitor", "run_risk_monitor"),
        command("broker", "run_broker"),
        *(command(f"broker-{broker}", "run_broker", "--broker", broker) for broker in brokers),
        command("algos", "run_algos"),
        worker("worker", "trade"),
        worker("data", "data", at_once=2, niceness=19),
        worker("alerts", "alerts", at_once=2),
        command("beat", "run_beat", niceness=10),
        worker("compute", "compute", niceness=19),
    )


def _prices(command: Callable[..., DeskProcess], replay: Replay | None, live: LiveFeed | None) -> tuple[DeskProcess, ...]:
    if live is not None:
        return (command("feed", "run_feed", "--provider", live.provider, "--symbols", ",".join(live.symbols)),)
    return (_feed(command, replay), _trader(command, replay)) if replay else ()


def _feed(command: Callable[..., DeskProcess], replay: Replay) -> DeskProcess:
    return command("feed", "run_feed", "--replay", "--start", replay.start, "--session-seconds", f"{replay.session_seconds:g}")


def _trader(command: Callable[..., DeskProcess], replay: Replay) -> DeskProcess:
    parameters = (word for parameter in replay.parameters for word in ("--param", parameter))
    where = ("--symbols", ",".join(replay.symbols), "--portfolio", replay.portfolio)
    return command("trader", "trade", "--mode", "paper", "--strategy", replay.strategy, *where, *parameters)


def restart_delay(falls: int) -> float:
    """Seconds to wait before starting a process again that fell `falls` times in a row (at least 1): doubling, bounded."""
    return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** (min(falls, 20) - 1))


def falls_in_a_row(*, before: int, ran_seconds: float) -> int:
    """The count after another fall."""
    return 1 if ran_seconds >= STEADY_SECONDS else before + 1


def same_message(line: str) -> str:
    """What a log line says, without its numbers: repeated lines differ in times and ids only."""
    return re.sub(r"[0-9]+", "", line)


def worth_showing(line: str) -> bool:
    """True for log lines that somebody at the terminal should see: warnings and worse."""
    return WORTH_SHOWING.search(line) is not None
