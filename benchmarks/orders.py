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
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
from django.db import connection

from benchmarks.report import Row

ROOT = Path(__file__).resolve().parents[1]
POSITIONS = 200
WARM_UP = 60
ORDERS = 400
PASSWORD = "a-bench-password"  # noqa: S105
AT = datetime.now(UTC)


def _portfolio() -> int:
    """A portfolio with 200 positions, limits, a paper account and fresh prices. Its id."""
    from django.contrib.auth.models import Group

    from apps.core.models import User
    from apps.execution.services.accounts import paper_account_create
    from apps.marketdata.models import Instrument
    from apps.portfolios.models import EntryKind
    from apps.portfolios.services.ledger import entry_post
    from apps.portfolios.services.portfolios import portfolio_create
    from apps.risk.domain.limits import LimitKind
    from apps.risk.services.limits import limit_set

    trader = User.objects.create_user("bench", password=PASSWORD)
    trader.groups.add(Group.objects.get(name="trader"))
    officer = User.objects.create_user("bench-risk")
    officer.groups.add(Group.objects.get(name="risk"))
    portfolio = portfolio_create(name="Bench", owner=trader, initial_capital=Decimal(100_000_000), effective_at=AT, recorded_at=AT)
    paper_account_create(portfolio_id=portfolio.pk)
    for kind in LimitKind:
        limit_set(
            portfolio_id=portfolio.pk,
            kind=kind,
            hard=Decimal("0.5") if kind in FRACTIONS else Decimal(10**9),
            reason="bench",
            user=officer,
            active_from=AT,
        )
    book = portfolio.books.get()
    instruments = Instrument.objects.bulk_create([Instrument(symbol=f"ORD{n:03d}", name=f"Order {n}", asset_class="stock") for n in range(POSITIONS)])
    for instrument in instruments:
        entry_post(
            portfolio_id=portfolio.pk, book_id=book.pk, kind=EntryKind.TRADE, instrument_id=instrument.pk, quantity=Decimal(100), price=Decimal(100),
            source="bench", source_ref=instrument.symbol, effective_at=AT, recorded_at=AT,
        )  # fmt: skip
    return portfolio.pk


FRACTIONS = {"price_collar", "daily_loss", "drawdown"}


def _publish_prices() -> None:
    from apps.marketdata.models import Instrument
    from apps.marketdata.selectors.quotes import Quote
    from apps.marketdata.services.quotes import quotes_publish

    now = datetime.now(UTC)
    found = Instrument.objects.filter(symbol__startswith="ORD")
    quotes = [Quote(symbol=i.symbol, instrument_id=i.pk, price=Decimal(100), market_time=now, received_at=now, feed="bench") for i in found]
    quotes_publish(quotes=quotes, feed="bench")


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


def _measure(port: int, portfolio_id: int) -> tuple[np.ndarray, np.ndarray]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    token = _post(client, "/api/v1/token/", {"username": "bench", "password": PASSWORD}, {})["access"]

    def order(n: int) -> None:
        body = {
            "portfolio_id": portfolio_id, "symbol": f"ORD{n % POSITIONS:03d}", "side": "buy" if n % 2 else "sell", "quantity": "10",
            "order_type": "market", "time_in_force": "day",
        }  # fmt: skip
        answer = _post(client, "/api/v1/orders/", body, {"Authorization": f"Bearer {token}", "Idempotency-Key": uuid.uuid4().hex})
        if answer["status"] != "filled":
            raise RuntimeError(f"the order is {answer['status']}")

    def bare(_: int) -> None:
        _post(client, "/bench/bare", {}, {})

    times = []
    for work in (order, bare):
        _publish_prices()
        _timed(work, WARM_UP)
        _publish_prices()
        times.append(_timed(work, ORDERS))
    return times[0], times[1]


def rows() -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute("create table if not exists bench_bare (id bigserial primary key, number integer, body text)")
    portfolio_id = _portfolio()
    with web() as port:
        ours, bare = _measure(port, portfolio_id)
    result = []
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
