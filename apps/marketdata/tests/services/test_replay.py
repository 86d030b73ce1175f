"""The replay feed on a real database and a real Redis."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError

from apps.core.errors import Conflict, InvalidInput, NotFound
from apps.core.locks import lease
from apps.marketdata.models import FeedState, Tick
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quotes import latest_quotes, listen, message_from_json, reference_prices
from apps.marketdata.selectors.store import CHANNELS, LATEST, redis_client
from apps.marketdata.services.feeds import replay as feed
from apps.marketdata.services.feeds.replay import FeedReport, ReplayPlan, replay_run
from apps.marketdata.tests.factories import make_series, store_series

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 20, 14, tzinfo=UTC)
FIRST, SECOND = date(2012, 1, 3), date(2012, 1, 4)
END = "end"


class Ticking:
    """A wall clock that moves by a second each time it is read."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


class StopAfter:
    """Says stop once so many steps have been shown."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self, _text: str) -> None:
        self.left -= 1

    def __call__(self) -> bool:
        return self.left <= 0


def run(clock: Ticking | None = None, *, steps: int | None = None, **plan: object) -> FeedReport:
    stop = StopAfter(10_000 if steps is None else steps)
    return replay_run(plan=ReplayPlan(**{"session_seconds": 0.0, "once": True, **plan}), clock=clock or Ticking(), stopping=stop, on_step=stop.step)


@pytest.fixture
def messages():
    """What was announced, in order: call it at the end."""
    subscription = redis_client().pubsub(ignore_subscribe_messages=True)
    subscription.subscribe(*CHANNELS.values())
    for _ in CHANNELS:
        subscription.get_message(timeout=60)  # Redis has confirmed

    def read() -> list:
        redis_client().publish(next(iter(CHANNELS.values())), END)  # whatever was announced comes before it
        result = []
        while (raw := subscription.get_message(timeout=60))["data"] != END:
            result.append(message_from_json(raw["data"]))
        return result

    yield read
    subscription.close()


@pytest.fixture
def bars() -> None:
    store_series(make_series("AAA", [10.0, 11.0]), make_series("BBB", [20.0, 21.0, 22.0]))


def test_shows_open_low_high_and_close_of_each_session(bars, messages) -> None:
    report = run()
    assert (report.sessions, report.steps, report.ticks, report.faults) == (3, 12, 20, 0)
    assert [tick.price for tick in Tick.objects.filter(instrument_id=latest_quotes(["AAA"])["AAA"].instrument_id).order_by("received_at")] == [
        10.0, 9.9, 10.1, 10.0, 10.0, 9.9, 11.11, 11.0,
    ]  # fmt: skip
    seen = messages()
    assert [(item.kind, item.step) for item in seen[:6]] == [
        ("quotes", "open"), ("quotes", "low"), ("quotes", "high"), ("quotes", "close"), ("bars", ""), ("quotes", "open"),
    ]  # fmt: skip
    assert seen[4].session == FIRST
    assert seen[4].symbols == ("AAA", "BBB")
    assert seen[-1].symbols == ("BBB",)
    assert seen[0].market_time == datetime(2012, 1, 3, 14, 30, tzinfo=UTC)
    assert seen[3].market_time == datetime(2012, 1, 3, 21, tzinfo=UTC)
    assert latest_quotes()["BBB"].price == Decimal("22")


def test_goes_on_where_it_stopped(bars, messages) -> None:
    clock = Ticking()
    run(clock, steps=6)
    assert FeedState.objects.values_list("session", "step").get() == (SECOND, 2)
    redis_client().delete(LATEST)  # Redis lost everything meanwhile
    messages()
    run(clock, steps=1)
    seen = messages()
    assert [(item.session, item.step) for item in seen] == [(SECOND, "low"), (SECOND, "high")]  # the last one again, then on
    assert Tick.objects.count() == 14


def test_redis_is_healed_at_start_before_anything_moves(bars) -> None:
    run(steps=6)
    redis_client().flushall()
    run(sessions=0)
    quote = latest_quotes(["AAA"])["AAA"]
    assert quote.price == Decimal("9.9")
    assert quote.market_time == market_clock(NOW).market_time


def test_a_database_that_goes_away_costs_no_step_and_repeats_none(bars, monkeypatch) -> None:
    real, calls = feed.ticks_store, []

    def failing(**arguments: object) -> None:
        calls.append(1)
        if len(calls) in (3, 4, 9):
            raise OperationalError("server closed the connection unexpectedly")
        real(**arguments)

    monkeypatch.setattr(feed, "ticks_store", failing)
    report = run()
    assert (report.steps, report.faults) == (12, 3)
    assert Tick.objects.count() == 20


def test_waits_for_more_bars_at_the_end(bars, monkeypatch) -> None:
    monkeypatch.setattr(feed, "LOOK_AGAIN_SECONDS", 0.0)
    ended = []

    def stop_at_the_fourth_session(text: str) -> None:
        if "waiting" in text and not ended:
            ended.append(market_clock(NOW).ended)
            store_series(make_series("AAA", [12.0, 13.0], start=date(2012, 1, 6)))

    report = replay_run(plan=ReplayPlan(session_seconds=0.0, sessions=4), clock=Ticking(), stopping=lambda: False, on_step=stop_at_the_fourth_session)
    assert ended == [True]
    assert report.sessions == 4
    state = FeedState.objects.get()
    assert (state.session, state.ended) == (date(2012, 1, 6), False)


def test_redis_is_healed_while_waiting_at_the_end(bars, monkeypatch) -> None:
    monkeypatch.setattr(feed, "LOOK_AGAIN_SECONDS", 0.0)
    healed = []

    def lose_redis_once(text: str) -> None:
        if "waiting" in text:
            healed.append(set(latest_quotes()))
            redis_client().flushall()

    replay_run(plan=ReplayPlan(session_seconds=0.0), clock=Ticking(), stopping=lambda: len(healed) > 1, on_step=lose_redis_once)
    assert healed == [{"AAA", "BBB"}, {"BBB"}]  # the last session has a bar of BBB only


def test_restart_goes_back_and_forgets_the_latest_prices(bars) -> None:
    clock = Ticking()
    run(clock)
    run(clock, restart=True, start=SECOND, steps=1)
    assert FeedState.objects.values_list("session", "step").get() == (SECOND, 1)
    assert latest_quotes(["AAA"])["AAA"].market_time == datetime(2012, 1, 4, 14, 30, tzinfo=UTC)


def test_clock_is_the_replays_and_open_between_open_and_close(bars) -> None:
    run(steps=2)
    clock = market_clock(NOW + timedelta(seconds=30))
    assert (clock.mode, clock.session, clock.is_open, clock.ended) == ("replay", FIRST, True, False)
    assert clock.market_time == datetime(2012, 1, 3, 16, 40, tzinfo=UTC)
    assert clock.next_change == datetime(2012, 1, 3, 21, tzinfo=UTC)
    run(steps=2)
    assert not market_clock(NOW).is_open


def test_one_feed_of_a_name_at_a_time(bars) -> None:
    with lease("feed:replay"), pytest.raises(Conflict, match="already running"):
        run()
    assert run(sessions=1).sessions == 1


def test_nothing_to_replay_is_said() -> None:
    with pytest.raises(InvalidInput, match="no daily bars"):
        run()


def test_start_after_the_last_bar_is_refused(bars) -> None:
    with pytest.raises(NotFound, match="2030-01-01"):
        run(start=date(2030, 1, 1))
    assert not FeedState.objects.exists()


def test_reference_price_falls_back_to_the_close_known_at_market_time(bars) -> None:
    run(steps=5, symbols=("AAA",))  # the second session has opened
    prices = reference_prices(["AAA", "BBB"])
    assert (prices["AAA"].price, prices["AAA"].source) == (Decimal("10"), "replay")
    assert (prices["BBB"].price, prices["BBB"].source) == (Decimal("20"), "close")
    assert prices["BBB"].market_time == datetime(2012, 1, 3, 21, tzinfo=UTC)


def test_listen_gives_messages_and_none_in_silence(bars) -> None:
    messages = listen("bars")
    assert next(messages) is None  # subscribed
    run(sessions=1)
    message = next(item for item in messages if item)
    assert (message.kind, message.session, message.symbols) == ("bars", FIRST, ("AAA", "BBB"))
    assert next(messages) is None
