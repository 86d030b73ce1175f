from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.core.errors import Conflict, InvalidInput, NotFound
from apps.portfolios.models import Book, CashBalance, EntryKind, LedgerEntry, Lot, LotClosure, Position
from apps.portfolios.signals import entry_posted
from apps.portfolios.tests.factories import START, CashEntryFactory, InstrumentFactory, LedgerEntryFactory, PortfolioFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def portfolio():
    return PortfolioFactory(initial_capital=Decimal(100_000))


@pytest.fixture
def instrument():
    return InstrumentFactory(symbol="AAPL")


@pytest.fixture
def trade(portfolio, instrument):
    """Posts a trade of AAPL in the portfolio; keywords override."""

    def post(quantity, price, fee="0", **more):
        given = {"portfolio_id": portfolio.pk, "instrument_id": instrument.pk, **more}
        return LedgerEntryFactory(quantity=Decimal(quantity), price=Decimal(price), fee=Decimal(fee), **given)

    return post


def position():
    return Position.objects.values_list("quantity", "cost", "realised").get()


def cash():
    return CashBalance.objects.get().amount


class TestTrades:
    def test_a_buy_opens_a_lot_and_takes_cash(self, trade):
        entry = trade("100", "10.5", fee="1")
        assert entry.amount == Decimal("-1051")
        assert position() == (100, 1051, 0)
        assert cash() == 100_000 - 1051
        lot = Lot.objects.get()
        assert (lot.quantity, lot.remaining, lot.cost, lot.remaining_cost) == (100, 100, 1051, 1051)

    def test_a_sell_closes_the_oldest_lots_first(self, trade):
        first, second = trade("100", "10"), trade("100", "12")
        sale = trade("-150", "13", fee="1.50")
        closures = LotClosure.objects.order_by("lot_id").values_list("lot__entry_id", "quantity", "cost", "proceeds", "realised")
        assert list(closures) == [
            (first.pk, 100, 1000, 1299, 299),
            (second.pk, 50, 600, Decimal("649.5"), Decimal("49.5")),
        ]
        assert sale.amount == Decimal("1948.5")
        assert position() == (50, 600, Decimal("348.5"))

    def test_a_short_is_covered_with_the_gain_of_a_falling_price(self, trade):
        trade("-100", "10", fee="1")
        assert position() == (-100, -999, 0)
        trade("100", "8", fee="1")
        assert position() == (0, 0, 198)
        assert cash() == 100_198

    def test_crossing_zero_closes_then_opens(self, trade):
        trade("100", "10")
        trade("-250", "11", fee="2.5")
        assert position() == (-150, Decimal("-1648.5"), 99)
        assert Lot.objects.exclude(remaining=0).get().remaining == -150

    def test_lots_go_by_market_time_not_by_the_order_of_booking(self, trade):
        trade("10", "20", effective_at=START + timedelta(days=2))
        late = trade("10", "30", effective_at=START + timedelta(days=1))
        trade("-10", "40", effective_at=START + timedelta(days=3))
        assert LotClosure.objects.get().lot.entry_id == late.pk

    def test_books_do_not_share_lots(self, trade, portfolio):
        other = Book.objects.create(portfolio=portfolio, name="sma", created_at=START)
        trade("100", "10")
        trade("-40", "11", book_id=other.pk)
        assert not LotClosure.objects.exists()
        assert set(Position.objects.values_list("book__name", "quantity")) == {("main", Decimal(100)), ("sma", Decimal(-40))}

    def test_an_amount_of_36_digits_is_exact(self, trade):
        entry = trade("987654321.123457", "1234567.891235", fee="0.0001")
        product = Fraction("987654321.123457") * Fraction("1234567.891235")
        assert entry.amount == -Decimal(floor(product * 10_000 + Fraction(1, 2))).scaleb(-4) - Decimal("0.0001")


class TestCash:
    @pytest.mark.parametrize(("kind", "amount"), [("deposit", "10.5"), ("dividend", "3.25"), ("withdrawal", "-10.5"), ("fee", "-0.01")])
    def test_cash_moves_by_the_amount(self, portfolio, kind, amount):
        CashEntryFactory(portfolio_id=portfolio.pk, kind=kind, amount=Decimal(amount))
        assert cash() == 100_000 + Decimal(amount)
        assert not Position.objects.exists()


class TestOnce:
    def test_the_same_fact_again_changes_nothing(self, trade):
        first = trade("100", "10", source_ref="fill-1", effective_at=START)
        again = trade("100.0", "10.00", source_ref="fill-1", effective_at=START, recorded_at=START + timedelta(hours=1))
        assert again.pk == first.pk
        assert position() == (100, 1000, 0)
        assert LedgerEntry.objects.filter(source="test").count() == 1

    @pytest.mark.parametrize(
        "change", [{"quantity": Decimal(101)}, {"price": Decimal(11)}, {"fee": Decimal(1)}, {"effective_at": START + timedelta(1)}]
    )
    def test_other_content_under_the_same_reference_is_a_conflict(self, portfolio, instrument, change):
        same = {
            "portfolio_id": portfolio.pk,
            "instrument_id": instrument.pk,
            "quantity": Decimal(100),
            "source_ref": "fill-1",
            "effective_at": START,
        }
        LedgerEntryFactory(**same)
        with pytest.raises(Conflict) as caught:
            LedgerEntryFactory(**same | change)
        assert caught.value.field == next(iter(change))


class TestRefusals:
    def test_the_set_up_of_the_refusals_is_accepted(self, trade):
        trade("100", "10", fee="1")

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"kind": "gift"}, "kind"),
            ({"quantity": Decimal(0)}, "quantity"),
            ({"quantity": Decimal("0.0000001")}, "quantity"),
            ({"quantity": Decimal("NaN")}, "quantity"),
            ({"quantity": Decimal("1000000000000")}, "quantity"),
            ({"price": None}, "price"),
            ({"price": Decimal(0)}, "price"),
            ({"price": Decimal("-1")}, "price"),
            ({"price": Decimal("1.0000001")}, "price"),
            ({"fee": Decimal("-0.01")}, "fee"),
            ({"fee": Decimal("0.00001")}, "fee"),
            ({"amount": Decimal("-1000")}, "amount"),
            ({"instrument_id": None}, "instrument_id"),
            ({"currency": "EUR"}, "currency"),
            ({"source_ref": ""}, "source_ref"),
            ({"kind": "deposit", "quantity": Decimal(0), "price": None, "fee": Decimal(0), "amount": Decimal(-1)}, "amount"),
            ({"kind": "withdrawal", "quantity": Decimal(0), "price": None, "fee": Decimal(0), "amount": Decimal(1)}, "amount"),
            ({"kind": "deposit", "quantity": Decimal(0), "price": None, "fee": Decimal(1), "amount": Decimal(1)}, "fee"),
            ({"kind": "deposit", "amount": Decimal(1)}, "quantity"),
        ],
    )
    def test_bad_input_names_its_field_and_leaves_nothing(self, portfolio, instrument, change, field):
        good = {"portfolio_id": portfolio.pk, "instrument_id": instrument.pk, "fee": Decimal(1)}
        before = cash()
        # The transaction of a refused posting is lost as a whole, hence the savepoint around it.
        with pytest.raises(InvalidInput) as caught, transaction.atomic():
            LedgerEntryFactory(**good | change)
        assert caught.value.field == field
        assert cash() == before
        assert not Position.objects.exists()

    def test_a_book_of_another_portfolio_is_not_found(self, trade):
        other = Book.objects.get(portfolio=PortfolioFactory())
        with pytest.raises(NotFound), transaction.atomic():
            trade("100", "10", book_id=other.pk)


class TestDatabase:
    """What holds when the service is passed by."""

    @pytest.fixture
    def fields(self, trade):
        entry = trade("100", "10", fee="1")
        names = [field.attname for field in LedgerEntry._meta.fields if field.attname != "id"]
        return {name: getattr(entry, name) for name in names} | {"source_ref": "by hand"}

    def test_the_set_up_is_accepted(self, fields):
        LedgerEntry.objects.create(**fields)

    @pytest.mark.parametrize(
        ("change", "constraint"),
        [
            ({"amount": Decimal("-1000.9999")}, "ledger_trade_adds_up"),
            ({"amount": Decimal("-999")}, "ledger_trade_adds_up"),
            ({"price": None}, "ledger_trade_adds_up"),
            ({"fee": Decimal(-1), "amount": Decimal(-999)}, "ledger_fee_not_negative"),
            ({"kind": "deposit"}, "ledger_cash_sign"),
            ({"kind": "gift"}, "ledger_cash_sign"),
        ],
    )
    def test_a_fact_that_does_not_add_up_is_refused(self, fields, change, constraint):
        with pytest.raises(IntegrityError, match=constraint):
            LedgerEntry.objects.create(**fields | change)

    def test_a_book_of_another_portfolio_is_refused(self, fields):
        other = Book.objects.get(portfolio=PortfolioFactory())
        with pytest.raises(IntegrityError, match="ledger_book_of_portfolio"):
            LedgerEntry.objects.create(**fields | {"book_id": other.pk})

    @pytest.mark.parametrize("price", ["0.33335", "0.33345", "1.000049", "2.00005"])
    @pytest.mark.parametrize("quantity", ["1", "-1", "0.1", "-0.3", "3"])
    def test_the_database_rounds_as_the_service_does(self, trade, quantity, price):
        assert trade(quantity, price, fee="0.0001").pk


class TestHotPath:
    @pytest.fixture
    def crowded(self, portfolio, trade):
        """200 positions, and three lots of AAPL."""
        for _ in range(199):
            LedgerEntryFactory(portfolio_id=portfolio.pk)
        for price in ("10", "11", "12"):
            trade("100", price)

    @pytest.mark.parametrize(
        ("quantity", "most"),
        [
            ("100", 4),  # the portfolio's lock, the reference, the lots against it, and one statement that writes
            ("-250", 4),
            ("-500", 4),  # crossing zero
        ],
    )
    def test_a_trade_costs_a_fixed_number_of_queries(self, crowded, trade, portfolio, quantity, most):
        book_id = Book.objects.get(portfolio=portfolio).pk
        with CaptureQueriesContext(connection) as queries:
            trade(quantity, "13", book_id=book_id)
        assert len(queries) <= most, [query["sql"] for query in queries]


class TestSignal:
    def test_it_is_sent_after_commit_only(self, trade, django_capture_on_commit_callbacks):
        heard = []

        def hear(sender, **facts):
            heard.append((facts["entry_id"], facts["kind"], facts["instrument_id"]))

        entry_posted.connect(hear)
        try:
            with django_capture_on_commit_callbacks(execute=True):
                entry = trade("100", "10")
                assert not heard
        finally:
            entry_posted.disconnect(hear)
        assert heard[-1] == (entry.pk, EntryKind.TRADE, entry.instrument_id)
