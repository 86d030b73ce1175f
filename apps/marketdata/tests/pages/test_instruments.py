"""Pages of instruments and watchlists: what they show, what they refuse, what they cost."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django.test import Client

from apps.core.roles import Role
from apps.core.tests.factories import UserFactory
from apps.marketdata.domain.bars import BarSeries
from apps.marketdata.domain.calendars import session_hours
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import ActionKind, ActionRecord
from apps.marketdata.models import FeedState, Watchlist
from apps.marketdata.selectors.quotes import Quote
from apps.marketdata.services.corporate_actions import action_release, actions_store
from apps.marketdata.services.feeds.replay import ticks_store
from apps.marketdata.services.quotes import quotes_publish
from apps.marketdata.services.watchlists import watchlist_create
from apps.marketdata.tests.factories import RECORDED_AT, InstrumentFactory, make_series, store_series

pytestmark = pytest.mark.django_db
DAY = date(2012, 12, 14)
OPEN, CLOSE = session_hours("XNYS", DAY)


@pytest.fixture
def bars() -> None:
    """Bars up to the session before DAY, and one of DAY itself, which the replay has not finished."""
    closes = 50 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.02, 241)))
    store_series(make_series("AAA", closes), make_series("B.B", closes[:240]))
    replay_at(OPEN + timedelta(hours=1))


def replay_at(moment: datetime) -> None:
    FeedState.objects.update_or_create(
        name="replay", defaults={"mode": "replay", "market_time": moment, "session": moment.date(), "updated_at": datetime.now(UTC)}
    )


def quote(symbol: str, price: str, at: datetime, received: datetime) -> Quote:
    return Quote(
        symbol=symbol, instrument_id=InstrumentFactory(symbol=symbol).pk, price=Decimal(price), market_time=at, received_at=received, feed="replay"
    )


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(UserFactory(role=Role.TRADER))
    return client


def chart(client: Client, parameters: str = "", symbol: str = "AAA") -> dict[str, Any]:
    answer = client.get(f"/charts/instrument/{symbol}?{parameters}")
    assert answer.status_code == 200, answer.content.decode()[:500]
    return answer.json()


class TestInstrument:
    def test_the_header_says_what_it_is_and_costs(self, client: Client, bars: None) -> None:
        quotes_publish(quotes=[quote("AAA", "77.5", OPEN + timedelta(hours=1), datetime.now(UTC))], feed="replay", session=DAY, step="open")
        html = client.get("/instruments/AAA").content.decode()
        assert "AAA Incorporated" in html
        assert ">77.50<" in html
        assert 'href="/trade?symbol=AAA"' in html
        assert 'aria-current="true">1d<' in html

    def test_the_chart_ends_at_the_markets_time(self, client: Client, bars: None) -> None:
        payload = chart(client, "i=")
        assert [row[0] for row in payload["table"]["rows"][:1] + payload["table"]["rows"][-1:]].count(f"{DAY} 00:00") == 0
        assert "2012-12-13" in payload["summary"]
        assert payload["item"] is not None

    def test_the_running_bar_is_made_of_the_sessions_prices(self, client: Client, bars: None) -> None:
        received = datetime.now(UTC)
        steps = [
            quote("AAA", price, OPEN + timedelta(minutes=at), received + timedelta(seconds=at)) for at, price in enumerate(("70", "65", "80", "77"))
        ]
        for one in steps:
            ticks_store(quotes=[one], feed="replay")
        quotes_publish(quotes=[steps[-1]], feed="replay", session=DAY, step="high")
        tail = chart(client, "i=sma(3)&tail=1")
        newest = {name: values[-1] for name, values in tail["columns"].items()}
        assert (newest["open"], newest["low"], newest["high"], newest["close"], newest["volume"]) == (70.0, 65.0, 80.0, 77.0, None)
        assert newest["label"] == str(DAY)
        assert tail["ends"] == int(CLOSE.timestamp() * 1000)
        before = tail["columns"]["close"][-3:-1]
        assert newest["i0_sma"] == pytest.approx((sum(before) + 77.0) / 3)

    def test_after_the_close_the_stored_bar_stands_there(self, client: Client, bars: None) -> None:
        replay_at(CLOSE)
        tail = chart(client, "i=&tail=1")
        assert tail["ends"] is None
        assert tail["columns"]["label"][-1] == str(DAY)
        assert tail["columns"]["volume"][-1] == 1_000_000.0

    def test_indicators_are_warm_from_the_first_bar_shown(self, client: Client, bars: None) -> None:
        payload = chart(client, "range=1m&i=sma(50)&i=macd&i=obv")
        assert payload["table"]["columns"][6:] == ["sma(50)", "macd(12, 26, 9) macd", "macd(12, 26, 9) signal", "macd(12, 26, 9) histogram", "obv"]
        assert "—" not in json.dumps(payload["table"]["rows"], ensure_ascii=False)
        assert len(payload["table"]["rows"]) < 30

    def test_prices_are_adjusted_as_asked_and_actions_are_marked(self, client: Client, bars: None) -> None:
        store_series(make_series("CCC", [100.0] * 100 + [50.0] * 100))
        day = make_series("CCC", [1.0] * 101).ts[100].astype("datetime64[D]").item()
        record = ActionRecord(symbol="CCC", kind=ActionKind.SPLIT, ex_date=day, value=Decimal(2), currency="USD")
        actions_store(records=[record], source="test", recorded_at=RECORDED_AT)
        closes = {name: chart(client, f"i=&adjustment={name}&range=max", "CCC")["table"]["rows"][0][4] for name in ("none", "split")}
        assert closes == {"none": "100.0000", "split": "50.0000"}
        assert "1 corporate actions" in chart(client, "i=&range=max", "CCC")["summary"]
        assert str(day) in client.get("/instruments/CCC").content.decode()

    @pytest.mark.parametrize(("timeframe", "bars_shown"), [("1w", 49), ("1mo", 11)])
    def test_weeks_and_months_are_made_of_stored_days(self, client: Client, bars: None, timeframe: str, bars_shown: int) -> None:
        payload = chart(client, f"timeframe={timeframe}&range=max&i=")
        assert len(payload["table"]["rows"]) == bars_shown
        assert "AAA" in client.get(f"/instruments/AAA?timeframe={timeframe}").content.decode()

    def test_the_page_tells_stored_bars_from_made_ones(self, client: Client, bars: None) -> None:
        html = client.get("/instruments/AAA").content.decode()
        assert "<dt>Bars stored</dt><dd>1d</dd><dt>Made of them</dt><dd>1w, 1mo</dd>" in html

    def test_five_minutes_are_made_of_minutes_and_adjusted_for_a_split_between(self, client: Client) -> None:
        """Each bar that is shown is whole, although the market's time ends within the bars of which a later one would be made."""
        opens = [session_hours("XNYS", day)[0].replace(tzinfo=None) for day in (date(2012, 12, 13), DAY)]
        ts = np.concatenate([np.datetime64(opened, "us") + np.arange(60) * np.timedelta64(1, "m") for opened in opens])
        price = np.concatenate([np.full(60, 100.0), 50 + np.arange(60) * 0.01])
        minutes = BarSeries(symbol="MMM", ts=ts, open=price, high=price, low=price, close=price, volume=np.full(120, 10.0))
        store_series(minutes, timeframe=Timeframe.MINUTE)
        record = ActionRecord(symbol="MMM", kind=ActionKind.SPLIT, ex_date=DAY, value=Decimal(2), currency="USD")
        (doubted,) = actions_store(records=[record], source="test", recorded_at=RECORDED_AT).quarantined
        action_release(action_id=doubted.id, reason="it is so", user=UserFactory(role=Role.OPERATOR), recorded_at=RECORDED_AT)
        replay_at(OPEN + timedelta(minutes=32))
        rows = chart(client, "timeframe=5m&range=max&i=", "MMM")["table"]["rows"]
        assert len(rows) == 12 + 6
        assert [rows[0][4], rows[11][4], rows[12][1], rows[-1][4]] == ["50.0000", "50.0000", "50.0000", "50.2900"]
        assert [rows[0][5], rows[-1][5]] == ["100.0000", "50.0000"]
        raw = chart(client, "timeframe=5m&range=max&i=&adjustment=none", "MMM")["table"]["rows"]
        assert [raw[0][4], raw[-1][4]] == ["100.0000", "50.2900"]

    def test_csv_has_every_bar(self, client: Client, bars: None) -> None:
        text = client.get("/charts/instrument/AAA?range=max&i=&format=csv").content.decode("utf-8-sig")
        assert len(text.splitlines()) == 240
        assert text.splitlines()[0] == "Bar (UTC),Open,High,Low,Close,Volume"

    def test_an_indicator_is_added_and_taken_away_by_the_address(self, client: Client, bars: None) -> None:
        answer = client.get("/instruments/AAA?range=6m&add=RSI( 7 )")
        assert answer.status_code == 302
        html = client.get(answer["Location"]).content.decode()
        assert "rsi(7)" in html
        assert "range=6m" in answer["Location"]
        assert "sma(20)" in html
        empty = client.get("/instruments/AAA?i=").content.decode()
        assert 'class="chip"' not in empty

    def test_a_wrong_indicator_is_named_at_its_field(self, client: Client, bars: None) -> None:
        html = client.get("/instruments/AAA?add=smma(3)").content.decode()
        assert "position 1: &#x27;smma&#x27; is no column" in html
        assert 'value="smma(3)"' in html

    @pytest.mark.parametrize(
        "parameters", ["timeframe=2d", "range=7y", "adjustment=half", "i=rsi(", "i=" + "&i=".join(f"sma({n})" for n in range(1, 11))]
    )
    def test_an_address_without_meaning_is_refused(self, client: Client, bars: None, parameters: str) -> None:
        assert client.get(f"/charts/instrument/AAA?{parameters}").status_code == 400

    def test_unknown_and_empty(self, client: Client, bars: None) -> None:
        assert client.get("/instruments/ZZZ").status_code == 404
        InstrumentFactory(symbol="NEW")
        assert client.get("/instruments/NEW").status_code == 200
        payload = chart(client, "", "NEW")
        assert payload["item"] is None
        assert "No bars of 1d" in payload["summary"]


class TestList:
    def test_search_and_class(self, client: Client, bars: None) -> None:
        InstrumentFactory(symbol="XXX", name="Exes", asset_class="etf")
        assert "XXX" not in client.get("/instruments?search=aaa").content.decode()
        assert "AAA" not in client.get("/instruments?class=etf").content.decode()
        assert "None matches" in client.get("/instruments?search=nothing").content.decode()

    def test_the_close_is_the_price_while_nobody_quotes(self, client: Client, bars: None) -> None:
        html = client.get("/instruments").content.decode()
        assert "close, " in html
        assert 'href="/instruments/B.B"' in html


class TestWatchlists:
    def post(self, client: Client, address: str = "/watchlists/item", **fields: Any) -> str:
        answer = client.post(address, fields, follow=True)
        assert answer.status_code == 200
        return answer.content.decode()

    def test_a_list_is_made_filled_ordered_and_deleted(self, client: Client, bars: None) -> None:
        assert "No watchlist yet" in client.get("/watchlists").content.decode()
        html = self.post(client, "/watchlists", action="create", name="mine", symbols="aaa")
        made = Watchlist.objects.get()
        assert 'data-key="AAA"' in html
        html = self.post(client, watchlist=made.pk, action="add", symbol="b.b")
        assert html.index('data-key="AAA"') < html.index('data-key="B.B"')
        html = self.post(client, watchlist=made.pk, action="up", symbol="B.B")
        assert html.index('data-key="B.B"') < html.index('data-key="AAA"')
        assert 'data-key="AAA"' not in self.post(client, watchlist=made.pk, action="remove", symbol="AAA")
        assert "shared with everybody" in self.post(client, "/watchlists", action="change", watchlist=made.pk, name="ours", shared="on")
        self.post(client, "/watchlists", action="delete", watchlist=made.pk)
        assert not Watchlist.objects.exists()

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"action": "add", "symbol": "ZZZ"}, "ZZZ"),
            ({"action": "jump", "symbol": "AAA"}, "add, remove"),
            ({"action": "up", "symbol": "AAA"}, "not in the list"),
        ],
    )
    def test_what_is_refused_is_said(self, client: Client, bars: None, fields: dict[str, str], said: str) -> None:
        self.post(client, "/watchlists", action="create", name="mine", symbols="B.B")
        assert said in self.post(client, watchlist=Watchlist.objects.get().pk, **fields)

    def test_a_shared_list_of_others_has_no_forms_for_it(self, client: Client, bars: None) -> None:
        other = watchlist_create(owner=UserFactory(), name="theirs", symbols=["AAA"], shared=True, at=RECORDED_AT)
        html = client.get(f"/watchlists?list={other.pk}").content.decode()
        assert 'data-key="AAA"' in html
        assert "Move AAA up" not in html
        assert "Nothing was changed" in self.post(client, "/watchlists", action="delete", watchlist=other.pk)
        assert Watchlist.objects.exists()


@pytest.mark.parametrize(
    ("path", "budget"),
    [("/instruments", 16), ("/instruments/AAA", 22), ("/charts/instrument/AAA", 15), ("/watchlists", 18)],
)
def test_no_page_asks_the_database_too_often(client: Client, bars: None, path: str, budget: int, django_assert_max_num_queries: Any) -> None:
    client.post("/watchlists", {"action": "create", "name": "mine", "symbols": "AAA B.B"})
    client.get("/instruments/AAA")  # imports and caches
    with django_assert_max_num_queries(budget):
        assert client.get(path).status_code == 200
