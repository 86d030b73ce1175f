import json
import random
from contextlib import contextmanager
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import connection

from apps.core import clock
from apps.marketdata.domain import calendars
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.models import CashBalance, Lot, LotClosure, PortfolioValue, Position
from apps.portfolios.selectors.portfolios import books
from apps.portfolios.services import rebuild
from apps.portfolios.services.portfolios import book_get_or_create
from apps.portfolios.services.rebuild import positions_rebuild
from apps.portfolios.services.transfers import shares_receive
from apps.portfolios.services.values import portfolio_values_record
from apps.portfolios.tests.factories import START, CashEntryFactory, InstrumentFactory, LedgerEntryFactory, PortfolioFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(params=[1, 2, 3])
def portfolio(request):
    """120 random trades, long and short, in two books and three instruments, some booked late, with cash between them."""
    rng = random.Random(request.param)
    portfolio = PortfolioFactory()
    book_get_or_create(portfolio_id=portfolio.pk, name="sma", recorded_at=START)
    book_ids = list(books(portfolio.pk).values())
    instruments = [InstrumentFactory(symbol=symbol).pk for symbol in ("A", "B", "C")]
    for number in range(120):
        if number % 40 == 39:
            CashEntryFactory(portfolio_id=portfolio.pk, kind="withdrawal", amount=Decimal("-12.3456"))
        LedgerEntryFactory(
            portfolio_id=portfolio.pk,
            book_id=rng.choice(book_ids),
            instrument_id=rng.choice(instruments),
            quantity=Decimal(rng.choice([-1, 1]) * rng.randint(1, 5_000_000)).scaleb(-4),
            price=Decimal(rng.randint(1, 50_000_000)).scaleb(-6),
            fee=Decimal(rng.randint(0, 20_000)).scaleb(-4),
            effective_at=START + timedelta(minutes=number - rng.choice([0, 0, 0, 30])),
        )
    return portfolio


class TestRebuild:
    def test_random_trades_leave_what_the_ledger_makes(self, portfolio):
        found = positions_rebuild(portfolio_id=portfolio.pk)
        assert found.differences == ()
        assert found.entries == 124

    def test_cash_and_cost_are_what_was_paid_in_and_what_was_earned(self, portfolio):
        cash = CashBalance.objects.get().amount
        cost, realised = (sum(Position.objects.values_list(name, flat=True)) for name in ("cost", "realised"))
        assert cash + cost == 100_000 - 3 * Decimal("12.3456") + realised
        assert sum(Lot.objects.values_list("remaining_cost", flat=True)) == cost

    def test_a_number_that_was_tampered_with_is_found_and_put_right(self, portfolio):
        position = Position.objects.exclude(quantity=0).first()
        Position.objects.filter(pk=position.pk).update(quantity=position.quantity + 1)
        CashBalance.objects.update(amount=1)
        found = positions_rebuild(portfolio_id=portfolio.pk)
        assert {(item.subject, item.field) for item in found.differences} == {
            (f"position book {position.book_id} instrument {position.instrument_id}", "quantity"),
            ("cash USD", "amount"),
        }
        assert positions_rebuild(portfolio_id=portfolio.pk).differences  # a check corrects nothing
        assert positions_rebuild(portfolio_id=portfolio.pk, check=False).corrected
        assert not positions_rebuild(portfolio_id=portfolio.pk).differences


class TestCommand:
    def test_it_ends_with_0_when_all_is_equal(self, portfolio, capsys):
        call_command("rebuild_positions", "--check", "--json")
        assert json.loads(capsys.readouterr().out)["differences"] == 0

    def test_it_ends_with_1_when_something_differs(self, portfolio, capsys):
        CashBalance.objects.update(amount=1)
        with pytest.raises(SystemExit) as caught:
            call_command("rebuild_positions", "--check")
        assert caught.value.code == 1


@pytest.mark.django_db(transaction=True)
def test_several_processes_find_what_one_finds(portfolio, monkeypatch):
    for position in Position.objects.exclude(quantity=0):
        Position.objects.filter(pk=position.pk).update(cost=position.cost + 1)
    Lot.objects.exclude(remaining=0).update(remaining_cost=0)
    CashBalance.objects.update(amount=1)
    alone = positions_rebuild(portfolio_id=portfolio.pk)
    monkeypatch.setattr(rebuild, "LARGE", 100)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    together = positions_rebuild(portfolio_id=portfolio.pk, check=False)
    assert (together.entries, together.differences) == (alone.entries, alone.differences)
    assert {difference.subject.split()[0] for difference in together.differences} == {"position", "lot", "cash"}
    assert positions_rebuild(portfolio_id=portfolio.pk).differences == ()


@pytest.fixture
def tampering():
    """Writes past the triggers that refuse it."""

    @contextmanager
    def unguarded():
        with connection.cursor() as cursor:
            cursor.execute("set session_replication_role = replica")
            yield cursor
            cursor.execute("set session_replication_role = origin")

    return unguarded


class TestClosures:
    def test_each_is_what_the_ledger_makes(self, portfolio):
        assert LotClosure.objects.count() > 50
        assert positions_rebuild(portfolio_id=portfolio.pk).differences == ()

    @pytest.mark.parametrize("unit", ["0.0001", "-0.0001"])
    def test_one_that_was_tampered_with_is_found_and_named(self, portfolio, tampering, unit):
        one = LotClosure.objects.select_related("lot").order_by("id")[7]
        with tampering():
            changed = {"cost": one.cost + Decimal(unit), "realised": one.realised - Decimal(unit)}
            LotClosure.objects.filter(pk=one.pk).update(**changed)
        [difference] = positions_rebuild(portfolio_id=portfolio.pk).differences
        assert (difference.subject, difference.field) == (f"closure of the lot of entry {one.lot.entry_id} by entry {one.entry_id}", "cost")
        assert Decimal(difference.rebuilt) == one.cost

    def test_one_that_is_missing_and_one_that_was_moved_to_another_lot(self, portfolio, tampering):
        first, second = LotClosure.objects.order_by("id")[:2]
        with tampering():
            LotClosure.objects.filter(pk=first.pk).delete()
        assert {one.stored for one in positions_rebuild(portfolio_id=portfolio.pk).differences} == {""}
        other = Lot.objects.exclude(pk=second.lot_id).exclude(closures__entry=second.entry_id).filter(book=second.lot.book).first()
        with tampering():
            LotClosure.objects.filter(pk=second.pk).update(lot=other)
        subjects = {one.subject for one in positions_rebuild(portfolio_id=portfolio.pk).differences}
        assert f"closure of the lot of entry {other.entry_id} by entry {second.entry_id}" in subjects


class TestValues:
    @pytest.fixture
    def valued(self):
        """Bought, sold, paid in late and moved, with a value of each of four sessions."""
        days = calendars.sessions("XNYS", date(2012, 1, 3), date(2012, 1, 6))
        store_series(make_series("AAPL", [10, 11, 12, 13], start=days[0]))
        opens = [calendars.session_hours("XNYS", day)[0] for day in days]
        portfolio = PortfolioFactory(initial_capital=Decimal(10_000), effective_at=opens[0])
        where = {"portfolio_id": portfolio.pk, "instrument_id": InstrumentFactory(symbol="AAPL").pk}

        def record(at):
            close = calendars.session_hours("XNYS", days[at])[1]
            portfolio_values_record(session=days[at], market_time=close, recorded_at=clock.now())

        LedgerEntryFactory(**where, quantity=Decimal(100), effective_at=opens[0] + timedelta(hours=1))
        record(0)
        LedgerEntryFactory(**where, quantity=Decimal(-30), price=Decimal(11), fee=Decimal("0.35"), effective_at=opens[1] + timedelta(hours=1))
        record(1)
        late = {"portfolio_id": portfolio.pk, "amount": Decimal(500), "effective_at": opens[0] + timedelta(hours=2)}
        CashEntryFactory(**late)  # booked after two values which it should have been in
        facts = {"source": "test", "source_ref": "in", "effective_at": opens[2] + timedelta(hours=1), "recorded_at": opens[2]}
        book_id = books(portfolio.pk)["main"]
        shares_receive(**where, **facts, book_id=book_id, quantity=Decimal(10), cost=Decimal(90), acquired_at=opens[0], price=Decimal(12))
        record(2)
        CashEntryFactory(portfolio_id=portfolio.pk, kind="fee", amount=Decimal(-7), effective_at=opens[3] + timedelta(hours=1))
        record(3)
        return portfolio

    def test_they_follow_from_the_ledger_and_the_prices_that_were_known(self, valued):
        rows = PortfolioValue.objects.filter(portfolio_id=valued.pk).order_by("ts")
        assert [row.flow for row in rows] == [10_000, 0, 0, 620, 0]
        assert positions_rebuild(portfolio_id=valued.pk).differences == ()

    @pytest.mark.parametrize(("field", "value"), [("flow", 1), ("daily_return", 0.5), ("last_entry_id", 1), ("last_entry_id", 10**9)])
    def test_what_was_tampered_with_is_found_and_put_right(self, valued, field, value):
        rows = PortfolioValue.objects.filter(portfolio_id=valued.pk).order_by("ts")
        before = list(rows.values())
        rows.filter(ts=rows[2].ts).update(**{field: value})
        found = positions_rebuild(portfolio_id=valued.pk)
        assert (f"value {rows[2].ts:%Y-%m-%d %H:%M}", field) in {(one.subject, one.field) for one in found.differences}
        positions_rebuild(portfolio_id=valued.pk, check=False)
        if field == "last_entry_id":  # then what was known cannot be told any more: nothing is touched
            assert [row["total"] for row in rows.values()] == [row["total"] for row in before]
            assert positions_rebuild(portfolio_id=valued.pk).differences == found.differences
        else:
            assert list(rows.values()) == before
            assert positions_rebuild(portfolio_id=valued.pk).differences == ()

    def test_cash_and_total_too(self, valued):
        row = PortfolioValue.objects.filter(portfolio_id=valued.pk).order_by("ts")[1]
        PortfolioValue.objects.filter(portfolio_id=valued.pk, ts=row.ts).update(cash=row.cash + 5, total=row.total + 5)
        found = positions_rebuild(portfolio_id=valued.pk, check=False).differences
        assert [one.field for one in found] == ["cash", "total"]
        assert PortfolioValue.objects.get(portfolio_id=valued.pk, ts=row.ts).total == row.total

    def test_a_price_that_was_revised_since_changes_nothing(self, valued):
        store_series(make_series("AAPL", [10, 11.5, 12, 13], start=date(2012, 1, 3)), recorded_at=clock.now())
        assert positions_rebuild(portfolio_id=valued.pk).differences == ()
