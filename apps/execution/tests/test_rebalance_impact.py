"""What a proposal does to risk: the ticket's numbers, for all of its trades at once."""

from datetime import timedelta

import pytest
from django.test import Client

from apps.core import clock
from apps.execution.selectors.rebalance_impact import proposal_impact
from apps.execution.services.preview import order_preview
from apps.execution.services.rebalancing import portfolio_rebalance
from apps.execution.tests.factories import Desk
from apps.execution.tests.services.rebalancing_desk import MARKET, make_fund, targets
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.selectors.rebalances import proposal_view
from apps.risk.domain.pretrade_risk import RiskImpact

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(db: None) -> Desk:
    """Prices go up and down by turns for half a year before the market's day."""
    start = MARKET.date() - timedelta(days=182)
    store_series(make_series("AAPL", [100.0, 102.0] * 60, start=start), make_series("MSFT", [51.0, 50.0, 50.0] * 40, start=start))
    return make_fund(slippage_bps="0", commission="0")


def impact(desk: Desk) -> RiskImpact:
    portfolio_rebalance(user=desk.trader, portfolio_id=desk.portfolio.pk, force=True, at=clock.now())
    found = proposal_impact(proposal_view(portfolio_id=desk.portfolio.pk), now=clock.now())
    assert found is not None
    return found


def test_one_purchase_is_what_the_ticket_says_of_it(desk: Desk) -> None:
    targets(desk, AAPL="0.5")
    found = impact(desk)
    preview = order_preview(intent=desk.intent(quantity="500"), user=desk.trader, at=clock.now())
    assert preview.impact is not None
    assert found.var.after == pytest.approx(preview.impact.var.after)
    assert found.es.after == pytest.approx(preview.impact.es.after)
    assert (found.var.before, found.equity) == (0, 100_000)


def test_all_trades_count_together(desk: Desk) -> None:
    """Out of all of AAPL, into MSFT: what is left is the risk of MSFT alone."""
    desk.submit(quantity="500")
    targets(desk, MSFT="0.5")
    both = impact(desk)
    desk.submit(side="sell", quantity="500")
    alone = impact(desk)
    assert both.var.before == pytest.approx(50_000 * 2 / 102)
    assert both.var.after == pytest.approx(alone.var.after)
    assert alone.var.before == 0


def test_the_panel_shows_it_while_the_proposal_is_open(desk: Desk) -> None:
    client = Client()
    client.force_login(desk.trader)
    targets(desk, AAPL="0.5")
    impact(desk)
    html = client.get(f"/portfolios/{desk.portfolio.pk}?tab=rebalance").content.decode()
    assert "Risk before and after" in html
    assert '<td class="num">$980.39</td>' in html
    assert 'id="rebalance-now" data-refresh=' in html
    assert 'id="reconciliation-now" data-refresh=' in html


def test_without_history_it_says_so(db: None) -> None:
    desk = make_fund()
    targets(desk, IBM="0.5")
    assert {(one.state, one.note) for one in impact(desk).headline[:4]} == {("no_history", "IBM")}
