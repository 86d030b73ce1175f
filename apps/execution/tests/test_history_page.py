"""The blotter's history: sums, charts and periods."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client

from apps.core import clock
from apps.core.roles import Role
from apps.execution.models import Fill
from apps.execution.services.rebalancing import portfolio_rebalance, rebalance_execute
from apps.execution.tests.factories import Desk, make_user
from apps.execution.tests.services.rebalancing_desk import MARKET, make_fund, market, prices, targets

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk() -> Desk:
    """Bought ten AAPL at 100 and sold four at 110, each 10 bps worse than its price and for a fee of one."""
    fund = make_fund(slippage_bps="10", commission="1")
    fund.submit(quantity="10")
    market(MARKET + timedelta(days=1))
    prices(MARKET + timedelta(days=1), AAPL="110")
    fund.submit(side="sell", quantity="4")
    assert Fill.objects.count() == 2
    return fund


@pytest.fixture
def client(desk: Desk) -> Client:
    client = Client()
    client.force_login(desk.trader)
    return client


def rows(client: Client, chart: str, query: str = "") -> list[list[str]]:
    return client.get(f"/charts/trades/{chart}?portfolio=all{query}").json()["table"]["rows"]


def test_the_sums_are_those_of_the_fills(client: Client) -> None:
    context = client.get("/trades/history").context
    assert context["executions"] == 2
    assert context["value"] == Decimal("1001.00") + Decimal("439.56")
    assert context["fees"] == 2
    assert context["slippage"] == Decimal("1.00") + Decimal("0.44")
    assert round(context["slippage_bps"], 1) == 10


def test_each_symbol_and_each_session_has_its_part(client: Client) -> None:
    assert rows(client, "symbols") == [["AAPL", "2", "14.0000", "1,440.5600", "3.4400"]]
    assert rows(client, "costs") == [["2024-01-03", "1.0000", "1.0000", "2.0000"], ["2024-01-04", "1.0000", "0.4400", "3.4400"]]


@pytest.mark.parametrize(
    ("query", "sessions"),
    [
        ("&from=2024-01-04", ["2024-01-04"]),
        ("&to=2024-01-03", ["2024-01-03"]),
        ("&from=2024-01-03&to=2024-01-04", ["2024-01-03", "2024-01-04"]),
        ("&from=2024-01-05", []),
    ],
)
def test_a_period_counts_both_its_ends(client: Client, query: str, sessions: list[str]) -> None:
    assert [row[0] for row in rows(client, "costs", query)] == sessions
    assert len(rows(client, "symbols", query)) == bool(sessions)


@pytest.mark.parametrize("address", ["/trades/history", "/charts/trades/costs", "/trades"])
def test_a_date_that_is_none_is_named(client: Client, address: str) -> None:
    answer = client.get(f"{address}?from=yesterday")
    assert answer.status_code == 400
    assert "is no date" in answer.content.decode()


def test_the_blotter_keeps_to_the_days_on_which_orders_were_placed(client: Client, desk: Desk) -> None:
    today = clock.now().date()
    for query, number in ((f"from={today}", 2), (f"from={today + timedelta(days=2)}", 0), (f"to={today - timedelta(days=2)}", 0)):
        assert len(client.get(f"/trades?tab=all&{query}").context["orders"]) == number


def test_rebalances_are_counted_by_month(client: Client, desk: Desk) -> None:
    assert rows(client, "rebalances") == []
    targets(desk, AAPL="0.2")
    proposal = portfolio_rebalance(user=desk.trader, portfolio_id=desk.portfolio.pk, force=True, at=clock.now()).proposal
    assert proposal is not None
    rebalance_execute(user=desk.trader, portfolio_id=desk.portfolio.pk, clock=clock.now, proposal_id=proposal.pk)
    assert rows(client, "rebalances") == [["2024-01-01", "1", "0", "0"]]


def test_a_quarter_is_shown_where_nobody_asks_for_more(client: Client) -> None:
    market(MARKET + timedelta(days=120))
    assert client.get("/trades/history").context["executions"] == 0
    assert client.get("/trades/history?from=").context["executions"] == 2


def test_others_see_nothing_of_it(desk: Desk) -> None:
    stranger = Client()
    stranger.force_login(make_user("stranger", Role.TRADER))
    assert stranger.get("/trades/history?portfolio=all").context["executions"] == 0
    assert rows(stranger, "symbols") == []


def test_charts_are_drawn(client: Client) -> None:
    for chart in ("symbols", "costs"):
        answer = client.get(f"/charts/trades/{chart}?portfolio=all&theme=dark").json()
        assert answer["item"]["doc"]["roots"]
        assert answer["summary"]
    empty = client.get("/charts/trades/rebalances?portfolio=all").json()
    assert (empty["item"], empty["summary"]) == (None, "No rebalance was executed.")
