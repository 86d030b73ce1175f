from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.db import DatabaseError, connection, transaction

from apps.core.errors import Conflict, InvalidInput, NotFound
from apps.portfolios.models import Book, Portfolio, PortfolioMembership
from apps.portfolios.selectors.holdings import holdings, traded_since
from apps.portfolios.selectors.portfolios import portfolio_by_name, portfolio_get, portfolio_may_trade, portfolios_tradable, portfolios_visible
from apps.portfolios.services.portfolios import book_get_or_create, membership_grant, portfolio_lock
from apps.portfolios.tests.factories import START, InstrumentFactory, LedgerEntryFactory, PortfolioFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def portfolio():
    return PortfolioFactory(name="Alpha")


class TestCreate:
    def test_it_has_a_book_a_manager_and_its_capital(self, portfolio):
        assert Book.objects.get().name == "main"
        assert PortfolioMembership.objects.get().role == "manager"
        assert holdings(portfolio.pk).cash == 100_000

    def test_a_name_is_given_once(self, portfolio):
        with pytest.raises(Conflict):
            PortfolioFactory(name="Alpha")
        assert Portfolio.objects.count() == 1

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"name": "  "}, "name"),
            ({"initial_capital": Decimal(0)}, "initial_capital"),
            ({"initial_capital": Decimal("1.00001")}, "initial_capital"),
            ({"initial_capital": Decimal("Infinity")}, "initial_capital"),
            ({"currency": "usd"}, "currency"),
            ({"benchmark_symbol": "NOSUCH"}, "benchmark_symbol"),
        ],
    )
    def test_bad_input_names_its_field_and_opens_nothing(self, change, field):
        with pytest.raises(InvalidInput) as caught:
            PortfolioFactory(**change)
        assert caught.value.field == field
        assert not Portfolio.objects.exists()


class TestLock:
    def test_it_needs_a_portfolio(self, portfolio):
        with transaction.atomic():
            assert portfolio_lock(portfolio.pk) == portfolio
            with pytest.raises(NotFound):
                portfolio_lock(portfolio.pk + 1)


class TestBooks:
    def test_a_book_is_made_once(self, portfolio):
        first, second = (book_get_or_create(portfolio_id=portfolio.pk, name="sma", recorded_at=START) for _ in range(2))
        assert first == second

    def test_a_book_needs_a_portfolio_and_a_name(self, portfolio):
        with pytest.raises(NotFound):
            book_get_or_create(portfolio_id=portfolio.pk + 1, name="sma", recorded_at=START)
        with pytest.raises(InvalidInput):
            book_get_or_create(portfolio_id=portfolio.pk, name=" ", recorded_at=START)


class TestMembership:
    @pytest.fixture
    def user(self):
        user = UserFactory()
        user.user_permissions.add(Permission.objects.get(codename="add_order"))
        return user

    def test_strangers_see_nothing(self, portfolio, user):
        assert not portfolios_visible(user).exists()
        with pytest.raises(NotFound):
            portfolio_get(user=user, portfolio_id=portfolio.pk)

    def test_a_viewer_sees_and_a_trader_trades(self, portfolio, user):
        membership_grant(portfolio_id=portfolio.pk, user_id=user.pk, role="viewer")
        assert portfolio_get(user=user, portfolio_id=portfolio.pk) == portfolio
        assert not portfolio_may_trade(user=user, portfolio_id=portfolio.pk)
        membership_grant(portfolio_id=portfolio.pk, user_id=user.pk, role="trader")
        assert portfolio_may_trade(user=user, portfolio_id=portfolio.pk)
        assert PortfolioMembership.history.filter(user=user).count() == 2

    def test_nobody_trades_in_a_closed_one(self, portfolio, user):
        membership_grant(portfolio_id=portfolio.pk, user_id=user.pk, role="trader")
        Portfolio.objects.update(status="closed")
        assert not portfolios_tradable(user).exists()

    def test_who_may_see_all_sees_it(self, portfolio):
        auditor = UserFactory()
        auditor.user_permissions.add(Permission.objects.get(codename="view_all_portfolios"))
        assert portfolios_visible(auditor).get() == portfolio

    def test_an_unknown_role_is_refused(self, portfolio, user):
        with pytest.raises(InvalidInput) as caught:
            membership_grant(portfolio_id=portfolio.pk, user_id=user.pk, role="owner")
        assert caught.value.field == "role"


class TestHoldings:
    def test_one_query_for_cash_and_positions_by_book(self, portfolio, django_assert_num_queries):
        sma = book_get_or_create(portfolio_id=portfolio.pk, name="sma", recorded_at=START)
        first, second = InstrumentFactory(symbol="B"), InstrumentFactory(symbol="A")
        LedgerEntryFactory(portfolio_id=portfolio.pk, instrument_id=first.pk)
        LedgerEntryFactory(portfolio_id=portfolio.pk, instrument_id=second.pk, book_id=sma.pk, quantity=Decimal(-5))
        with django_assert_num_queries(1):
            held = holdings(portfolio.pk)
        assert [(p.book, p.symbol, p.quantity, p.cost) for p in held.positions] == [("main", "B", 100, 1000), ("sma", "A", -5, -50)]
        assert held.cash == 100_000 - 1000 + 50
        assert held.quantity(first.pk) == 100

    def test_what_is_flat_counts_in_the_realised_sum_only(self, portfolio):
        instrument = InstrumentFactory()
        LedgerEntryFactory(portfolio_id=portfolio.pk, instrument_id=instrument.pk)
        LedgerEntryFactory(portfolio_id=portfolio.pk, instrument_id=instrument.pk, quantity=Decimal(-100), price=Decimal(11))
        held = holdings(portfolio.pk)
        assert held.positions == ()
        assert held.realised == 100

    def test_no_portfolio_is_not_found(self):
        with pytest.raises(NotFound):
            holdings(1234567)

    def test_traded_since_adds_up(self, portfolio):
        instrument = InstrumentFactory()
        for quantity in (100, -30):
            LedgerEntryFactory(portfolio_id=portfolio.pk, instrument_id=instrument.pk, quantity=Decimal(quantity))
        traded = traded_since(portfolio.pk, START)[instrument.pk]
        assert (traded.quantity, traded.amount) == (70, -700)
        assert traded_since(portfolio.pk, START.replace(year=2030)) == {}


class TestFinders:
    def test_commands_name_portfolios_by_name_or_id(self, portfolio):
        assert portfolio_by_name("Alpha") == portfolio_by_name(str(portfolio.pk)) == portfolio
        with pytest.raises(NotFound):
            portfolio_by_name("Beta")


class TestDatabase:
    """Facts stay as they are, whoever asks."""

    @pytest.mark.parametrize("statement", ["update {} set fee = 1", "delete from {}", "truncate {} cascade"])
    @pytest.mark.parametrize("table", ["portfolios_ledgerentry", "portfolios_lotclosure"])
    def test_facts_cannot_be_changed(self, statement, table):
        bought = LedgerEntryFactory()
        LedgerEntryFactory(portfolio_id=bought.portfolio_id, instrument_id=bought.instrument_id, quantity=-bought.quantity)
        sql = statement.format(table).replace("fee", "cost" if "lot" in table else "fee")
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("set constraints all immediate")
            with pytest.raises(DatabaseError, match="its rows are facts"), transaction.atomic():
                cursor.execute(sql)

    def test_history_cannot_be_changed(self, portfolio):
        with pytest.raises(DatabaseError), transaction.atomic():
            portfolio.history.update(name="Other")
