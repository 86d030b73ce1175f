"""One order over HTTP, from POST to booked paper fill with everything on, beside a bare view that inserts twenty rows."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from django.db import connection

from benchmarks.gate import portfolio_make, prices_publish
from benchmarks.report import Row

ROOT = Path(__file__).resolve().parents[1]
POSITIONS = 200
SYMBOLS = [f"ORD{n:03d}" for n in range(POSITIONS)]
WARM_UP = 60
ORDERS = 400
PASSWORD = "a-bench-password"  # noqa: S105
#: Orders a second while everything else runs, and for how long [s].
PACE, PACED_SECONDS = 20, 60
#: A desk is up when its workers answer and have had nothing to do for so long [s]: starting is not what is measured, its daily work is.
SETTLED_SECONDS, LONGEST_START = 3.0, 180.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def web() -> Iterator[int]:
    """Daphne with the benchmark's settings on a free port."""
    port = _free_port()
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "smarttrader.asgi:application"]
    process = subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("daphne did not start") from None
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _post(connection_: http.client.HTTPConnection, path: str, body: dict, headers: dict[str, str]) -> dict:
    connection_.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})
    response = connection_.getresponse()
    answer = json.loads(response.read())
    if response.status >= 300:
        raise RuntimeError(f"{path}: {response.status} {answer}")
    return answer


def _timed(work: Callable[[int], None], count: int) -> np.ndarray:
    """Milliseconds of each call."""
    times = np.empty(count)
    for n in range(count):
        started = time.perf_counter()
        work(n)
        times[n] = (time.perf_counter() - started) * 1000
    return times


def computed_after(token: int) -> float:
    """Wait until a monitor with a higher token has computed every portfolio; when that was."""
    from apps.risk.models import MonitorState

    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        state = MonitorState.objects.first()
        if state is not None and state.token > token and state.computed_at is not None and state.computed_at > state.taken_at:
            return state.computed_at.timestamp()
        time.sleep(0.02)
    raise RuntimeError("no risk monitor has computed anything within two minutes")


def _settled(workers: int, running: dict[str, subprocess.Popen[bytes]]) -> None:
    """Wait until that many workers answer and none has had work for a while. Raises RuntimeError: a process ended, or it took too long."""
    from apps.core.models import JobRun
    from smarttrader.celery import app

    began, calm_since = time.monotonic(), None
    while calm_since is None or time.monotonic() - calm_since < SETTLED_SECONDS:
        ended = [name for name, process in running.items() if process.poll() is not None]
        if ended or time.monotonic() - began > LONGEST_START:
            raise RuntimeError(f"ended by themselves: {', '.join(ended)}" if ended else "the desk's workers did not come to rest")
        active = app.control.inspect(timeout=1.0, limit=workers).active() or {}
        busy = len(active) < workers or any(active.values()) or JobRun.objects.filter(state__in=("queued", "running")).exists()
        calm_since = None if busy else calm_since or time.monotonic()


@contextmanager
def everything_on() -> Iterator[None]:
    """The desk's other processes as its supervisor starts them, and prices of all positions twice a second."""
    from apps.desk.domain.processes import DeskProcess, desk_processes
    from apps.desk.services.children import stand_back
    from apps.risk.models import MonitorState

    table = desk_processes(python=sys.executable, manage="manage.py", host="127.0.0.1", port=0, replay=None)
    feed = DeskProcess(name="feed", argv=(sys.executable, "-m", "benchmarks.prices", *SYMBOLS))
    others = [feed, *(process for process in table if process.name != "web")]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = {
        process.name: subprocess.Popen(
            process.argv, cwd=ROOT, env=dict(os.environ), start_new_session=True, preexec_fn=partial(stand_back, process.niceness), **quiet
        )
        for process in others
    }
    try:
        _settled(sum("celery" in process.argv for process in others), running)
        computed_after(0)  # until then the gate opens nothing
        yield
    finally:
        for child in running.values():
            child.terminate()
        for child in running.values():
            child.wait(30)
        MonitorState.objects.all().delete()  # the suites after this one have no monitor


def _measure(port: int, portfolio_id: int) -> tuple[np.ndarray, np.ndarray]:
    order = _ordering(port, portfolio_id)
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def bare(_: int) -> None:
        _post(client, "/bench/bare", {}, {})

    times = []
    for work in (order, bare):
        prices_publish(SYMBOLS)
        _timed(work, WARM_UP)
        prices_publish(SYMBOLS)
        times.append(_timed(work, ORDERS))
    return times[0], times[1]


def _ordering(port: int, portfolio_id: int) -> Callable[[int], None]:
    """What posts the n-th order and sees that it is filled."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    token = _post(client, "/api/v1/token/", {"username": "bench", "password": PASSWORD}, {})["access"]

    def order(n: int) -> None:
        body = {
            "portfolio_id": portfolio_id, "symbol": SYMBOLS[n % POSITIONS], "side": "buy" if n % 2 else "sell", "quantity": "10",
            "order_type": "market", "time_in_force": "day",
        }  # fmt: skip
        answer = _post(client, "/api/v1/orders/", body, {"Authorization": f"Bearer {token}", "Idempotency-Key": uuid.uuid4().hex})
        if answer["status"] != "filled":
            raise RuntimeError(f"the order is {answer['status']}: {answer.get('reason')}")

    return order


def _paced(port: int, portfolio_id: int) -> np.ndarray:
    """Milliseconds of each order at a steady pace, from the moment at which it was due: a late start counts."""
    order = _ordering(port, portfolio_id)
    times = np.empty(PACE * PACED_SECONDS)
    began = time.perf_counter()
    for n in range(len(times)):
        due = began + n / PACE
        time.sleep(max(0.0, due - time.perf_counter()))
        order(n)
        times[n] = (time.perf_counter() - due) * 1000
    return times


def _paced_row(times: np.ndarray) -> Row:
    median, p99 = np.percentile(times, [50, 99])
    return Row(
        work=f"the same at {PACE} orders/s with every process of a desk running: p99",
        ours=f"{p99:.1f} ms",
        peer=f"median {median:.1f} ms",
        ratio="-",
        required="< 50 ms",
        met=bool(p99 < 50),
    )


def rows() -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute("create table if not exists bench_bare (id bigserial primary key, number integer, body text)")
    portfolio_id = portfolio_make("bench", SYMBOLS, password=PASSWORD).portfolio_id
    with web() as port:
        ours, bare = _measure(port, portfolio_id)
        with everything_on():
            paced = _paced(port, portfolio_id)
    result = [_paced_row(paced)]
    for name, percentile, limit in (("median", 50, 20), ("p99", 99, 40)):
        mine, theirs = np.percentile(ours, percentile), np.percentile(bare, percentile)
        result.append(
            Row(
                work=f"POST an order to booked paper fill, {POSITIONS} positions, durable: {name}",
                ours=f"{mine:.1f} ms",
                peer=f"{theirs:.1f} ms bare view inserting 20 rows",
                ratio=f"{mine / theirs:.2f} x its time",
                required=f"< {limit} ms",
                met=bool(mine < limit),
            )
        )
    return result
