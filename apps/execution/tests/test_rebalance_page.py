"""The panel of targets and rebalances on the portfolio's page: targets, proposal, execution, events."""

import pytest
from django.contrib.messages import get_messages
from django.test import Client

from apps.core import clock
from apps.core.roles import Role
from apps.execution.models import Order
from apps.execution.services.rebalancing import portfolio_rebalance
from apps.execution.tests.factories import Desk, make_user
from apps.execution.tests.services.rebalancing_desk import held, make_fund, prices, targets
from apps.portfolios.models import RebalanceProposal, TargetPlan
from apps.portfolios.services.portfolios import membership_grant

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(db: None) -> Desk:
    return make_fund()


@pytest.fixture
def client(desk: Desk) -> Client:
    client = Client()
    client.force_login(desk.trader)
    return client


def shown(client: Client, desk: Desk) -> str:
    return client.get(f"/portfolios/{desk.portfolio.pk}?tab=rebalance").content.decode()


def told(response) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def propose(client: Client, desk: Desk, **fields: str):
    return client.post(f"/portfolios/{desk.portfolio.pk}/rebalance", fields)


def run(client: Client, desk: Desk, *trades: str):
    proposal = RebalanceProposal.objects.latest("id")
    return client.post(f"/portfolios/{desk.portfolio.pk}/rebalances/{proposal.pk}/execute", {"trade": trades})


class TestPanel:
    def test_from_targets_to_booked_fills(self, client, desk):
        page = f"/portfolios/{desk.portfolio.pk}?tab=rebalance"
        assert "No targets" in shown(client, desk)
        form = {"weights": "MSFT 30 %\nAAPL 50", "reason": "new model", "drift_threshold": "4", "next": page}
        saved = client.post(f"/portfolios/{desk.portfolio.pk}/targets", form)
        assert saved.url == page
        html = shown(client, desk)
        assert "AAPL 50.0 %, MSFT 30.0 %" in html
        assert "above the threshold of 4.0 %" in " ".join(html.split())
        assert told(propose(client, desk)) == [f"Rebalance {RebalanceProposal.objects.get().pk} is proposed."]
        html = shown(client, desk)
        assert 'value="AAPL|buy|500.000000"' in html
        assert "Execute on paper" in html
        done = run(client, desk, "AAPL|buy|500.000000")
        assert "is executed: 1 trades, cost 26.00" in told(done)[-1]
        assert held(desk) == {"AAPL": 500}
        html = shown(client, desk)
        assert "Left out: MSFT." in html
        assert "Execute on paper" not in html

    def test_bad_targets_change_nothing_and_say_why(self, client, desk):
        response = client.post(f"/portfolios/{desk.portfolio.pk}/targets", {"weights": "AAPL 50\nMSFT", "reason": "x"})
        assert "line 2" in told(response)[0]
        assert not TargetPlan.objects.exists()

    def test_a_stale_proposal_says_why(self, client, desk):
        targets(desk, AAPL="0.5")
        propose(client, desk)
        prices(AAPL="110")
        assert "the price of AAPL has moved by 10.00 %" in told(run(client, desk, "AAPL|buy|500"))[-1]
        assert not Order.objects.exists()

    @pytest.mark.parametrize("line", ["AAPL", "AAPL|buy|many"])
    def test_a_malformed_trade_is_refused(self, client, desk, line):
        targets(desk, AAPL="0.5")
        propose(client, desk)
        assert "malformed" in told(run(client, desk, line))[-1]

    def test_nothing_to_do_is_said(self, client, desk):
        targets(desk, AAPL="0.01")
        assert "There is nothing to do" in told(propose(client, desk))[0]
        assert "is proposed" in told(propose(client, desk, force="1"))[-1]

    def test_a_viewer_looks_and_does_not_act(self, desk):
        targets(desk, AAPL="0.5")
        portfolio_rebalance(user=desk.trader, portfolio_id=desk.portfolio.pk, force=False, at=clock.now())
        viewer = make_user("viewer", Role.QUANT)
        membership_grant(portfolio_id=desk.portfolio.pk, user_id=viewer.pk, role="viewer")
        client = Client()
        client.force_login(viewer)
        html = shown(client, desk)
        assert "Rebalance events" in html
        for act in ("Execute on paper", "Propose a rebalance", "Set the targets</h2>"):
            assert act not in html
        assert "may not place orders" in told(run(client, desk, "AAPL|buy|500"))[-1]

    def test_the_chart_says_in_words_what_it_shows(self, client, desk):
        path = f"/charts/portfolios/{desk.portfolio.pk}/drift"
        assert client.get(path).json()["summary"] == "There are no targets yet."
        targets(desk, AAPL="0.5", MSFT="0.3")
        answer = client.get(path).json()
        assert answer["summary"] == "The largest drift is −50.0 % in AAPL; 80.0 % of the value is off target"
        assert len(answer["table"]["rows"]) == 2
        assert answer["item"]["doc"]["roots"]

    def test_the_admin_shows_targets_and_rebalances(self, client, desk):
        plan = targets(desk, AAPL="0.5")
        propose(client, desk)
        proposal = RebalanceProposal.objects.get()
        officer = Client()
        officer.force_login(make_user("officer", Role.COMPLIANCE))
        type(desk.trader).objects.filter(username="officer").update(is_staff=True)
        for path in (
            "targetplan/",
            f"targetplan/{plan.pk}/change/",
            "rebalanceproposal/",
            f"rebalanceproposal/{proposal.pk}/change/",
            "rebalanceevent/",
        ):
            assert officer.get(f"/admin/portfolios/{path}").status_code == 200
        assert officer.get("/admin/portfolios/targetplan/add/").status_code == 403
