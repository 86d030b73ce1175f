"""The replay as a process of its own, on servers of its own: whatever is killed, every step is stored once and none is left out."""

import signal
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import psycopg
import pytest

from apps.marketdata.domain.calendars import sessions
from apps.marketdata.domain.replay import Step, step_time
from tests.feeds.desk import Desk, desk_running, wait_for

#: More sessions than the replay shows before its last server is back, however long that takes.
FIRST, LAST = date(2010, 1, 4), date(2019, 12, 31)
SYMBOLS = ("AAA", "BBB")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with desk_running(tmp_path, durable=False) as running:
        yield running


def ticks(desk: Desk) -> int:
    return desk.query("select count(*) from marketdata_tick")[0][0]


def moves_on(desk: Desk) -> None:
    shown = ticks(desk)
    wait_for(lambda: ticks(desk) > shown + 20, f"more ticks than {shown}", desk)


def load_bars(desk: Desk, folder: Path) -> None:
    days = sessions("XNYS", FIRST, LAST)
    with psycopg.connect(desk.servers.postgres.url) as connection:
        for symbol in SYMBOLS:
            connection.execute(
                "insert into marketdata_instrument (symbol, name, asset_class, currency, calendar, tick_size, lot_size, tradable)"
                " values (%s, %s, 'stock', 'USD', 'XNYS', 0.01, 1, true)",
                [symbol, symbol],
            )
            rows = "".join(f"{day},{n + 10},{n + 12},{n + 9},{n + 11},100\n" for n, day in enumerate(days))
            (folder / f"{symbol}.csv").write_text("date,open,high,low,close,volume\n" + rows)
    desk.manage("import_bars", *(str(folder / f"{symbol}.csv") for symbol in SYMBOLS))


@pytest.mark.slow
def test_no_step_is_lost_or_repeated_whatever_is_killed(desk: Desk, tmp_path: Path) -> None:
    load_bars(desk, tmp_path)
    desk.start_feed("--session-seconds", "0.04")
    wait_for(lambda: ticks(desk) > 20, "the first ticks", desk)

    assert desk.end_feed(signal.SIGKILL) == -signal.SIGKILL
    desk.start_feed("--session-seconds", "0.04")
    moves_on(desk)

    desk.restart_redis()
    moves_on(desk)
    wait_for(lambda: set(desk.latest()) == set(SYMBOLS), "the latest prices in the new Redis")

    desk.restart_postgres()
    moves_on(desk)

    assert desk.end_feed(signal.SIGTERM) == 0
    shown = desk.query("select instrument_id, market_time from marketdata_tick order by instrument_id, received_at")
    instruments = sorted({pk for pk, _ in shown})
    expected = [step_time("XNYS", day, step) for day in sessions("XNYS", FIRST, LAST) for step in Step]
    for pk in instruments:
        times = [moment for owner, moment in shown if owner == pk]
        assert times == expected[: len(times)]
    session, step = desk.query("select session, step from marketdata_feedstate")[0]
    assert len(instruments) == len(SYMBOLS)
    assert len(shown) == len(SYMBOLS) * (4 * sessions("XNYS", FIRST, LAST).index(session) + step)
