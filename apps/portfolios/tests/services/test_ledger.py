from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.core.errors import Conflict, InvalidInput, NotFound
from apps.portfolios.models import Book, CashBalance, EntryKind, LedgerEntry, Lot, LotClosure, Portfolio, Position
from apps.portfolios.services.rebuild import positions_rebuild
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


class TestMethods:
    def test_the_method_holds_from_its_change_on_and_each_entry_keeps_its_own(self, trade, portfolio):
        first, second, _ = trade("10", "10"), trade("10", "30"), trade("10", "20")
        fifo = trade("-5", "25")
        Portfolio.objects.filter(pk=portfolio.pk).update(lot_method="hifo")
        hifo = trade("-5", "25")
        assert [(c.entry_id, c.lot.entry_id) for c in LotClosure.objects.order_by("id")] == [(fifo.pk, first.pk), (hifo.pk, second.pk)]
        assert list(LedgerEntry.objects.filter(pk__in=[fifo.pk, hifo.pk]).order_by("id").values_list("lot_method", flat=True)) == ["fifo", "hifo"]
        assert positions_rebuild(portfolio_id=portfolio.pk).differences == ()

    def test_lots_that_are_named_are_closed_and_kept_by_their_entries(self, trade, portfolio):
        first, second = trade("10", "10"), trade("10", "30")
        sale = trade("-6", "25", lots={Lot.objects.get(entry=second).pk: Decimal(4), Lot.objects.get(entry=first).pk: Decimal(2)})
        sale.refresh_from_db()
        assert (sale.lot_method, sale.lot_picks) == ("specific", [[second.pk, "4"], [first.pk, "2"]])
        assert position() == (14, 260, 10)
        assert positions_rebuild(portfolio_id=portfolio.pk).differences == ()

    def test_a_trade_that_names_nothing_is_first_in_first_out(self, trade, portfolio):
        first, _ = trade("10", "10"), trade("10", "30")
        Portfolio.objects.filter(pk=portfolio.pk).update(lot_method="specific")
        assert trade("-5", "25").lot_method == "fifo"
        assert LotClosure.objects.get().lot.entry_id == first.pk


class TestCurrencies:
    def test_lots_and_gains_are_in_the_base_currency_at_the_rates_of_the_trades(self, trade, portfolio):
        trade("10", "100", currency="EUR", fx_rate=Decimal("1.1"))
        trade("-10", "110", currency="EUR", fx_rate=Decimal("1.2"))
        assert position() == (0, 0, 220)
        assert dict(CashBalance.objects.values_list("currency", "amount")) == {"USD": 100_000, "EUR": 100}
        assert positions_rebuild(portfolio_id=portfolio.pk).differences == ()


class TestSettlement:
    @pytest.mark.parametrize(
        ("traded", "settles"),
        [
            ("2017-09-01", "2017-09-07"),  # Friday before Labor Day, still T+3
            ("2017-09-05", "2017-09-07"),  # T+2
            ("2024-05-24", "2024-05-29"),  # T+2 over Memorial Day
            ("2024-05-28", "2024-05-29"),  # T+1
            ("2024-07-03", "2024-07-05"),
        ],
    )
    def test_a_trade_settles_by_the_rule_of_its_day(self, trade, traded, settles):
        entry = trade("1", "10", effective_at=datetime.fromisoformat(f"{traded}T15:00:00+00:00"))
        assert entry.settles_on.isoformat() == settles

    def test_the_trade_date_is_the_exchanges(self, trade):
        assert trade("1", "10", effective_at=datetime(2024, 6, 5, 1, 0, tzinfo=UTC)).settles_on == date(2024, 6, 5)  # evening of the 4th

    def test_cash_counts_at_once_or_when_the_caller_says(self, portfolio):
        at = datetime(2024, 6, 3, 15, tzinfo=UTC)
        assert CashEntryFactory(portfolio_id=portfolio.pk, effective_at=at).settles_on == date(2024, 6, 3)
        paid = CashEntryFactory(portfolio_id=portfolio.pk, kind="dividend", effective_at=at, settles_on=date(2024, 6, 20))
        assert paid.settles_on == date(2024, 6, 20)


class TestCash:
    @pytest.mark.parametrize(
        ("kind", "amount"),
        [
            ("deposit", "10.5"),
            ("dividend", "3.25"),
            ("withdrawal", "-10.5"),
            ("fee", "-0.01"),
            ("interest", "0.5"),
            ("interest", "-0.5"),
            ("borrow_fee", "-2"),
            ("dividend_paid", "-2"),
        ],
    )
    def test_cash_moves_by_the_amount(self, portfolio, instrument, kind, amount):
        CashEntryFactory(portfolio_id=portfolio.pk, kind=kind, amount=Decimal(amount), instrument_id=instrument.pk)
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
            ({"currency": "EUR"}, "fx_rate"),
            ({"currency": "EU", "fx_rate": Decimal(1)}, "currency"),
            ({"currency": "EUR", "fx_rate": Decimal(0)}, "fx_rate"),
            ({"fx_rate": Decimal("1.1")}, "fx_rate"),
            ({"kind": "split"}, "kind"),
            ({"lots": {0: Decimal(1)}}, "lots"),
            (
                {"kind": "borrow_fee", "instrument_id": None, "quantity": Decimal(0), "price": None, "fee": Decimal(0), "amount": Decimal(-1)},
                "instrument_id",
            ),
            ({"kind": "interest", "quantity": Decimal(0), "price": None, "fee": Decimal(0), "amount": Decimal(0)}, "amount"),
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
            ({"lot_method": ""}, "ledger_trade_adds_up"),
            ({"lot_method": "specific"}, "ledger_lots_named"),
            ({"lot_picks": [[1, "1"]]}, "ledger_lots_named"),
            ({"fx_rate": Decimal("1.5")}, "ledger_base_amount"),
            ({"fx_rate": Decimal(0), "base_amount": Decimal(0)}, "ledger_base_amount"),
            ({"ratio": Decimal(2)}, "ledger_split_ratio"),
            ({"cost": Decimal(2)}, "ledger_transfer_carries_lot"),
        ],
    )
    def test_a_fact_that_does_not_add_up_is_refused(self, fields, change, constraint):
        with pytest.raises(IntegrityError, match=constraint):
            LedgerEntry.objects.create(**fields | {"base_amount": change.get("amount", fields["amount"])} | change)

    CASH = {"quantity": Decimal(0), "price": None, "fee": Decimal(0), "lot_method": ""}
    PAID = CASH | {"amount": Decimal(-5), "base_amount": Decimal(-5)}
    GOT = CASH | {"amount": Decimal(5), "base_amount": Decimal(5)}
    MOVED = CASH | {"amount": Decimal(0), "base_amount": Decimal(0)}
    SPLIT = MOVED | {"kind": "split", "ratio": Decimal(2), "quantity": Decimal(100)}
    TRANSFER = MOVED | {"kind": "transfer", "quantity": Decimal(100), "cost": Decimal(100), "acquired_at": START}

    @pytest.mark.parametrize(
        ("good", "bad", "constraint"),
        [
            (PAID | {"kind": "borrow_fee"}, GOT, "ledger_cash_sign"),
            (PAID | {"kind": "borrow_fee"}, {"instrument_id": None}, "ledger_names_instrument"),
            (PAID | {"kind": "dividend_paid"}, GOT, "ledger_cash_sign"),
            (PAID | {"kind": "dividend_paid"}, {"instrument_id": None}, "ledger_names_instrument"),
            (PAID | {"kind": "interest"}, MOVED, "ledger_cash_sign"),
            (GOT | {"kind": "interest"}, {"quantity": Decimal(1)}, "ledger_cash_sign"),
            (GOT | {"kind": "fx"}, MOVED, "ledger_cash_sign"),
            (SPLIT, {"ratio": None}, "ledger_split_ratio"),
            (SPLIT, {"ratio": Decimal(0)}, "ledger_split_ratio"),
            (SPLIT, {"instrument_id": None}, "ledger_moves_no_money"),
            (SPLIT, {"amount": Decimal(1), "base_amount": Decimal(1)}, "ledger_moves_no_money"),
            (TRANSFER, {"cost": None}, "ledger_transfer_carries_lot"),
            (TRANSFER, {"acquired_at": None}, "ledger_transfer_carries_lot"),
            (TRANSFER, {"cost": Decimal(-1)}, "ledger_transfer_carries_lot"),
            (TRANSFER, {"quantity": Decimal(0)}, "ledger_transfer_carries_lot"),
            (TRANSFER, {"fee": Decimal(1)}, "ledger_moves_no_money"),
        ],
    )
    def test_each_kind_carries_what_is_its_own(self, fields, good, bad, constraint):
        LedgerEntry.objects.create(**fields | good)
        with pytest.raises(IntegrityError, match=constraint):
            LedgerEntry.objects.create(**fields | good | bad | {"source_ref": "another"})

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


def test_a_trade_settles_by_the_rules_of_its_instrument_s_own_market():
    thursday = datetime(2024, 6, 6, 15, tzinfo=UTC)
    terms = {"effective_at": thursday, "currency": "EUR", "fx_rate": Decimal("1.08")}
    home, paris = (InstrumentFactory(symbol=symbol, calendar=calendar).pk for symbol, calendar in (("IBM", "XNYS"), ("MC", "XPAR")))
    assert LedgerEntryFactory(instrument_id=home, effective_at=thursday).settles_on == date(2024, 6, 7)
    assert LedgerEntryFactory(instrument_id=paris, **terms).settles_on == date(2024, 6, 10)
