"""A tick from the vendor's line to a connected screen: `run_feed`, Redis, Daphne and a WebSocket client, each a process of its own.

The time of a tick is the vendor's, taken just before it is sent; it has arrived when the first row that stands for it is read by the
client: rows carry the number of ticks accepted of their symbol so far, so a tick that was coalesced arrives with its successor. The
peer is a bare Redis publish of each tick's JSON to a bare WebSocket, of the same ticks in the same run.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from django.conf import settings
from django.db import connection

from benchmarks.orders import web
from benchmarks.report import Row
from benchmarks.vendor import WARM_UP_SECONDS, symbol

ROOT = Path(__file__).resolve().parents[1]
SYMBOLS = 500
RATE = 2_000
SECONDS = 15.0
LIMIT_MS = 100.0
Arrivals = list[tuple[str, int, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Milliseconds of each tick [N]; rows that the client had, ticks that they stand for, ticks that the vendor sent."""

    delays: np.ndarray
    rows: int
    stood_for: int
    sent: int


def session_of(username: str) -> str:
    """The cookie of a signed-in user."""
    from django.test import Client

    from apps.core.models import User

    user, _ = User.objects.get_or_create(username=username)
    client = Client()
    client.force_login(user)
    return str(client.cookies["sessionid"].value)


def instruments_make() -> None:
    from apps.marketdata.models import Instrument

    Instrument.objects.bulk_create(
        [Instrument(symbol=symbol(n), name=symbol(n), asset_class="crypto", calendar="24/7") for n in range(SYMBOLS)], ignore_conflicts=True
    )


@contextmanager
def vendor(out: Path, *, seconds: float = SECONDS, jumps: int = 0) -> Iterator[int]:
    """The vendor of ticks as a process; its port."""
    words = [sys.executable, "-m", "benchmarks.vendor", str(SYMBOLS), str(RATE), str(seconds), str(out), str(jumps)]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(20)


def feed_start(port: int) -> "subprocess.Popen[str]":
    names = ",".join(symbol(n) for n in range(SYMBOLS))
    environment = os.environ | {"COINBASE_STREAM_URL": f"ws://127.0.0.1:{port}"}
    words = [sys.executable, "manage.py", "run_feed", "--provider", "coinbase", "--symbols", names, "--json", "--no-progress"]
    return subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


async def _watch(port: int, cookie: str, seconds: float, on_first: Callable[[], None]) -> Arrivals:
    """Read the stream of quotes for so long after its first row."""
    from websockets.asyncio.client import connect

    arrivals: Arrivals = []
    until = time.monotonic() + 120
    async with connect(f"ws://127.0.0.1:{port}/ws/", additional_headers={"Cookie": f"sessionid={cookie}"}, origin=f"http://127.0.0.1:{port}") as line:
        await line.send(json.dumps({"type": "subscribe", "ch": "quotes"}))
        received = 0
        while time.monotonic() < until:
            try:
                text = await asyncio.wait_for(line.recv(), until - time.monotonic())
            except TimeoutError:
                break
            at = time.time()
            received += 1
            message = json.loads(text)
            if message["type"] == "hb":
                await line.send(json.dumps({"type": "ack", "n": received}))
            elif message["type"] == "delta":
                if not arrivals:
                    on_first()
                    until = time.monotonic() + seconds
                arrivals += [(name, row["count"], at) for name, row in message["d"]["quotes"].items()]
    return arrivals


def _outcome(sent: np.ndarray, arrivals: Arrivals) -> Outcome:
    """When each tick of the measured time arrived: with the first row whose count is at least its own."""
    numbers, times = sent[:, 0].astype(int), sent[:, 1]
    count = np.zeros(len(sent), int)
    seen: dict[int, int] = {}
    for place, number in enumerate(numbers):
        count[place] = seen[number] = seen.get(number, 0) + 1
    rows: dict[str, list[tuple[int, float]]] = {}
    for name, upto, at in arrivals:
        rows.setdefault(name, []).append((upto, at))
    delays = np.full(len(sent), np.inf)
    for number in seen:
        mine, own = np.flatnonzero(numbers == number), rows.get(symbol(number), [])
        if own:
            upto, at = np.array([item[0] for item in own]), np.array([item[1] for item in own])
            first = np.searchsorted(upto, count[mine])
            there = first < len(upto)
            delays[mine[there]] = (at[first[there]] - times[mine[there]]) * 1000
    measured = times > times[0] + WARM_UP_SECONDS
    stood_for = sum(max(upto for upto, _ in own) for own in rows.values())
    return Outcome(delays=delays[measured], rows=len(arrivals), stood_for=stood_for, sent=len(sent))


def _ours(folder: Path, cookie: str) -> tuple[Outcome, dict, float]:
    """What the screen had, what the feed counted, and the share of a core that the feed took while it fed."""
    out = folder / "sent.npy"
    with web() as web_port, vendor(out) as port:
        feed = feed_start(port)
        try:
            before: list[float] = []
            span = SECONDS + WARM_UP_SECONDS + 1.0
            arrivals = asyncio.run(_watch(web_port, cookie, span, lambda: before.append(_cpu_seconds(feed.pid))))
            used = (_cpu_seconds(feed.pid) - before[0]) / span
        finally:
            feed.send_signal(signal.SIGTERM)
            text, _ = feed.communicate(timeout=60)
    return _outcome(np.load(out), arrivals), json.loads(text), used


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def bare() -> np.ndarray:
    """Milliseconds from before a Redis publish to its message at the end of a WebSocket, at the same rate."""
    from redis.asyncio import Redis
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import ServerConnection, serve

    delays: list[float] = []
    redis = Redis.from_url(settings.URLS.redis(0))
    ready = asyncio.Event()

    async def hand_on(client: ServerConnection) -> None:
        async with redis.pubsub(ignore_subscribe_messages=True) as subscription:
            await subscription.subscribe("bench")
            ready.set()
            async for message in subscription.listen():
                if message["data"] == b"end":
                    return
                await client.send(message["data"])

    async def read(port: int) -> None:
        async with connect(f"ws://127.0.0.1:{port}") as line:
            async for text in line:
                delays.append((time.time() - json.loads(text)["ts"]) * 1000)  # noqa: PERF401  (each as it comes)

    async with serve(hand_on, "127.0.0.1", 0) as server:
        reading = asyncio.create_task(read(next(iter(server.sockets)).getsockname()[1]))
        await ready.wait()
        begun = time.monotonic()
        for number in range(int(RATE * 5)):
            if number % 10 == 0:
                await asyncio.sleep(max(0.0, begun + number / RATE - time.monotonic()))
            await redis.publish("bench", json.dumps({"symbol": symbol(number % SYMBOLS), "price": "100.01", "ts": time.time()}))
        await redis.publish("bench", "end")
        await reading
    await redis.aclose()
    return np.array(delays)


def rows() -> list[Row]:
    instruments_make()
    connection.close()
    with TemporaryDirectory() as folder:
        outcome, counters, used = _ours(Path(folder), session_of("bench-screen"))
    plain = asyncio.run(bare())
    middle, late = np.percentile(outcome.delays, [50, 99])
    whole = outcome.stood_for == outcome.sent == counters["accepted"] == counters["delivered"] + counters["coalesced"] == counters["stored"]
    shown = (
        f"{counters['accepted']:,} accepted = {counters['delivered']:,} delivered + {counters['coalesced']:,} coalesced; {outcome.rows:,} rows seen"
    )
    return [
        Row(
            work=f"a tick from the vendor's line to a WebSocket client, {SYMBOLS} symbols, {RATE:,} ticks/s: p99",
            ours=f"{late:.0f} ms (median {middle:.0f} ms)",
            peer=f"{np.percentile(plain, 99):.1f} ms bare Redis publish to bare WebSocket",
            ratio=f"{late / np.percentile(plain, 99):.1f} x its time",
            required=f"< {LIMIT_MS:.0f} ms",
            met=bool(late < LIMIT_MS),
        ),
        Row(
            work="the same ticks: none dropped silently, each in the database once",
            ours=shown,
            peer=f"{outcome.sent:,} sent by the vendor",
            ratio=f"the feed takes {used:.2f} of a core",
            required="all accounted for",
            met=whole,
        ),
    ]
