import pytest
from django.contrib.auth import get_user_model

from apps.portfolios.tests.factories import START, LedgerEntryFactory, PortfolioFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def officer(client):
    user = get_user_model().objects.create_superuser("officer")
    client.force_login(user)
    return client


class TestAdmin:
    @pytest.mark.parametrize("model", ["portfolio", "portfoliomembership", "ledgerentry", "lotclosure", "position", "cashbalance"])
    def test_the_lists_open(self, officer, model):
        portfolio = PortfolioFactory()
        bought = LedgerEntryFactory(portfolio_id=portfolio.pk)
        LedgerEntryFactory(
            portfolio_id=portfolio.pk, instrument_id=bought.instrument_id, quantity=-bought.quantity, effective_at=START.replace(year=2025)
        )
        assert officer.get(f"/admin/portfolios/{model}/").status_code == 200

    def test_a_portfolio_has_its_history(self, officer):
        portfolio = PortfolioFactory()
        assert officer.get(f"/admin/portfolios/portfolio/{portfolio.pk}/history/").status_code == 200

    @pytest.mark.parametrize("model", ["ledgerentry", "position", "cashbalance", "portfolio"])
    def test_nobody_adds_what_only_the_services_write(self, officer, model):
        assert officer.get(f"/admin/portfolios/{model}/add/").status_code == 403

    def test_an_entry_cannot_be_changed(self, officer):
        entry = LedgerEntryFactory()
        assert officer.post(f"/admin/portfolios/ledgerentry/{entry.pk}/change/", {"fee": "0"}).status_code == 403
