"""How processes hear of new prices: live ones gathered to their own pace, a replay's steps one by one."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from apps.marketdata.selectors.quotes import Quote, listen
from apps.marketdata.selectors.store import redis_client
from apps.marketdata.services.quotes import quotes_publish

pytestmark = pytest.mark.django_db
AT = datetime(2026, 3, 2, 15, tzinfo=UTC)


def say(step: str = "", **prices: int) -> None:
    quotes = [
        Quote(symbol=name, instrument_id=1, price=Decimal(price), market_time=AT, received_at=AT, feed="live") for name, price in prices.items()
    ]
    quotes_publish(quotes=quotes, feed="live", step=step)


def test_live_prices_that_wait_come_as_one_and_the_steps_of_a_replay_each_by_itself() -> None:
    messages = listen("quotes")
    assert next(messages) is None  # subscribed
    say(AAA=10, BBB=20)
    say(AAA=11)
    say(CCC=30)
    say("open", AAA=12)
    say("high", AAA=13)
    say(AAA=14)
    redis_client().ping()  # once it has answered, all that was said before is in every socket
    heard = [next(messages) for _ in range(4)]
    assert [(message.step, dict(message.prices)) for message in heard if message] == [
        ("", {"AAA": 11, "BBB": 20, "CCC": 30}),
        ("open", {"AAA": 12}),
        ("high", {"AAA": 13}),
        ("", {"AAA": 14}),
    ]
    assert heard[0] is not None
    assert heard[0].symbols == ("AAA", "BBB", "CCC")
