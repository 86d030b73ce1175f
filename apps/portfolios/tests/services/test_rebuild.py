import json
import random
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command

from apps.portfolios.models import CashBalance, Lot, Position
from apps.portfolios.selectors.portfolios import books
from apps.portfolios.services import rebuild
from apps.portfolios.services.portfolios import book_get_or_create
from apps.portfolios.services.rebuild import positions_rebuild
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
