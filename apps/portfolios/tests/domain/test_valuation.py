from datetime import UTC, datetime
from decimal import Decimal

import pytest

from apps.core.trading import ReferencePrice
from apps.portfolios.domain.holdings import Holding, Holdings
from apps.portfolios.domain.valuation import Traded, value_holdings

NOW = datetime(2024, 1, 3, 18, tzinfo=UTC)


def price(value):
    return ReferencePrice(price=Decimal(value), market_time=NOW, received_at=NOW, source="test")


def held(symbol, quantity, cost, *, instrument_id, book_id=1, realised="0"):
    return Holding(
        book_id=book_id,
        book=f"book {book_id}",
        instrument_id=instrument_id,
        symbol=symbol,
        quantity=Decimal(quantity),
        cost=Decimal(cost),
        realised=Decimal(realised),
    )


@pytest.fixture
def holdings():
    """Long 100 A (cost 1,000), short 50 B (sold for 1,000), cash 9,000; 25 were earned before."""
    positions = (held("A", 100, 1000, instrument_id=1, realised="25"), held("B", -50, -1000, instrument_id=2))
    return Holdings(portfolio_id=1, currency="USD", cash=Decimal(9000), positions=positions, realised=Decimal(25))


class TestValue:
    def test_long_and_short_add_up(self, holdings):
        value = value_holdings(holdings=holdings, prices={"A": price("12"), "B": price("18")})
        assert (value.long, value.short, value.gross, value.net, value.invested) == (1200, -900, 2100, 300, 300)
        assert value.total == 9300
        assert value.unrealised == 200 + 100
        assert value.realised == 25
        assert [position.weight for position in value.positions] == [round(Decimal(1200) / 9300, 8), round(Decimal(-900) / 9300, 8)]
        assert [position.average_cost for position in value.positions] == [10, 20]

    def test_a_missing_price_is_unknown_and_never_zero(self, holdings):
        value = value_holdings(holdings=holdings, prices={"A": price("12")}, previous_closes={"A": Decimal(11), "B": Decimal(19)})
        assert value.missing == ("B",)
        assert value.total is value.unrealised is value.day_pnl is None
        assert value.gross == 1200
        known, unknown = value.positions
        assert (known.market_value, known.weight) == (1200, None)
        assert unknown.price is unknown.market_value is unknown.unrealised is unknown.day_pnl is None

    def test_books_are_added_up_by_instrument(self, holdings):
        both = Holdings(
            portfolio_id=1,
            currency="USD",
            cash=Decimal(0),
            positions=(held("A", 100, 1000, instrument_id=1), held("A", -100, -1300, instrument_id=1, book_id=2)),
            realised=Decimal(0),
        )
        [position] = value_holdings(holdings=both, prices={"A": price("12")}).positions
        assert (position.quantity, position.average_cost, position.market_value, position.unrealised) == (0, None, 0, 300)

    def test_what_is_flat_needs_no_price(self):
        flat = Holdings(
            portfolio_id=1,
            currency="USD",
            cash=Decimal(5),
            positions=(held("A", 1, 10, instrument_id=1), held("A", -1, -11, instrument_id=1, book_id=2)),
            realised=Decimal(0),
        )
        assert value_holdings(holdings=flat, prices={}).total == 5

    def test_an_empty_portfolio_is_worth_its_cash(self):
        empty = Holdings(portfolio_id=1, currency="USD", cash=Decimal("12.34"), positions=(), realised=Decimal(0))
        value = value_holdings(holdings=empty, prices={})
        assert (value.total, value.gross, value.unrealised, value.day_pnl, value.missing) == (Decimal("12.34"), 0, 0, 0, ())


class TestDayPnl:
    CLOSES = {"A": Decimal(11), "B": Decimal(19), "C": Decimal(5)}
    PRICES = {"A": price("12"), "B": price("18")}

    def test_positions_from_yesterday_earn_the_move_since_the_close(self, holdings):
        value = value_holdings(holdings=holdings, prices=self.PRICES, previous_closes=self.CLOSES)
        assert [position.day_pnl for position in value.positions] == [100, 50]
        assert value.day_pnl == 150

    def test_what_was_bought_today_counts_from_its_price(self, holdings):
        traded = {1: Traded(symbol="A", quantity=Decimal(40), amount=Decimal(-401))}  # 40 at 10, fee 1
        value = value_holdings(holdings=holdings, prices=self.PRICES, previous_closes=self.CLOSES, traded=traded)
        assert value.positions[0].day_pnl == 60 * (12 - 11) + 40 * 12 - 401

    def test_what_was_closed_today_counts_too(self, holdings):
        traded = {3: Traded(symbol="C", quantity=Decimal(-10), amount=Decimal(57))}  # 10 of yesterday sold at 5.7
        value = value_holdings(holdings=holdings, prices=self.PRICES, previous_closes=self.CLOSES, traded=traded)
        assert value.day_pnl == 150 + 7

    def test_a_first_day_needs_no_close(self, holdings):
        traded = {
            1: Traded(symbol="A", quantity=Decimal(100), amount=Decimal(-1000)),
            2: Traded(symbol="B", quantity=Decimal(-50), amount=Decimal(1000)),
        }
        value = value_holdings(holdings=holdings, prices=self.PRICES, previous_closes={}, traded=traded)
        assert value.day_pnl == value.unrealised == 300

    def test_a_missing_close_is_unknown(self, holdings):
        value = value_holdings(holdings=holdings, prices=self.PRICES, previous_closes={"A": Decimal(11)})
        assert value.positions[1].day_pnl is value.day_pnl is None
        assert value.total == 9300


class TestCurrencies:
    @pytest.fixture
    def mixed(self):
        """100 SAP in euros, cost 11,000 dollars; cash of 1,000 dollars and 500 euros."""
        sap = Holding(
            book_id=1, book="main", instrument_id=1, symbol="SAP", quantity=Decimal(100), cost=Decimal(11_000), realised=Decimal(0), currency="EUR"
        )
        return Holdings(
            portfolio_id=1, currency="USD", cash=Decimal(1000), positions=(sap,), realised=Decimal(0), foreign_cash=(("EUR", Decimal(500)),)
        )

    def test_what_must_be_priced_includes_the_pair(self, mixed):
        assert mixed.symbols == ("SAP", "EURUSD")

    def test_everything_is_converted_at_the_pairs_price(self, mixed):
        value = value_holdings(holdings=mixed, prices={"SAP": price("101"), "EURUSD": price("1.2")}, previous_closes={"SAP": Decimal(100)})
        assert (value.cash, value.invested, value.total) == (1600, 12_120, 13_720)
        assert (value.unrealised, value.day_pnl) == (1120, 120)
        assert value.positions[0].price == 101

    def test_without_the_pair_nothing_is_guessed(self, mixed):
        value = value_holdings(holdings=mixed, prices={"SAP": price("101")})
        assert value.missing == ("EURUSD",)
        assert value.total is value.unrealised is value.positions[0].market_value is None

    def test_prices_for_the_gate_are_in_the_base_currency(self, mixed):
        assert mixed.in_base({"SAP": Decimal(101), "EURUSD": Decimal("1.2")}) == {"EURUSD": Decimal("1.2"), "SAP": Decimal("121.2")}
        assert "SAP" not in mixed.in_base({"SAP": Decimal(101)})
