"""Splits, transfers and conversions."""

import random
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import transaction

from apps.core.errors import Conflict, InvalidInput
from apps.portfolios.domain.closing import LotMethod
from apps.portfolios.models import Book, CashBalance, LedgerEntry, Lot, LotClosure, Portfolio, Position
from apps.portfolios.selectors.cash import net_deposits
from apps.portfolios.selectors.holdings import traded_since
from apps.portfolios.selectors.track import portfolio_tracks
from apps.portfolios.services.moves import fx_convert, split_post
from apps.portfolios.services.rebuild import positions_rebuild
from apps.portfolios.services.transfers import shares_deliver, shares_receive, shares_transfer
from apps.portfolios.tests.factories import START, BookFactory, CashEntryFactory, InstrumentFactory, LedgerEntryFactory, PortfolioFactory

pytestmark = pytest.mark.django_db

EX = START + timedelta(days=10)


@pytest.fixture
def portfolio():
    return PortfolioFactory()


@pytest.fixture
def given(portfolio):
    """Where to post: the portfolio, its book, an instrument."""
    return {"portfolio_id": portfolio.pk, "book_id": Book.objects.get(portfolio=portfolio).pk, "instrument_id": InstrumentFactory().pk}


@pytest.fixture
def split(given):
    def post(ratio, **more):
        return split_post(**given | {"source": "test", "source_ref": "split", "effective_at": EX, "recorded_at": EX} | more, ratio=Decimal(ratio))

    return post


def lots():
    return list(Lot.objects.exclude(remaining=0).order_by("id").values_list("quantity", "remaining", "remaining_cost"))


def position(book_id):
    return Position.objects.values_list("quantity", "cost", "realised").get(book_id=book_id)


class TestSplits:
    def test_every_lot_from_before_is_multiplied_and_costs_stay(self, given, split):
        LedgerEntryFactory(**given, quantity=Decimal(100), price=Decimal(10))
        LedgerEntryFactory(**given, quantity=Decimal(-40), price=Decimal(10))
        LedgerEntryFactory(**given, quantity=Decimal(7), price=Decimal(5), effective_at=EX + timedelta(hours=1))
        entry = split(4)
        assert (entry.quantity, entry.amount) == (180, 0)
        assert lots() == [(400, 240, 600), (7, 7, 35)]
        assert position(given["book_id"]) == (247, 635, 0)
        assert positions_rebuild(portfolio_id=given["portfolio_id"]).differences == ()

    def test_fractions_are_paid_out_as_an_entry_of_their_own(self, given, split):
        LedgerEntryFactory(**given, quantity=Decimal(25), price=Decimal(10))
        split("0.1", in_lieu_price=Decimal(101))
        lieu = LedgerEntry.objects.get(kind="cash_in_lieu")
        assert (lieu.quantity, lieu.amount) == (Decimal("-0.5"), Decimal("50.5"))
        assert position(given["book_id"]) == (2, 200, Decimal("0.5"))
        assert positions_rebuild(portfolio_id=given["portfolio_id"]).differences == ()

    def test_once_under_its_reference(self, given, split):
        LedgerEntryFactory(**given, quantity=Decimal(100))
        assert split(2).pk == split(2).pk
        assert position(given["book_id"])[0] == 200
        with pytest.raises(Conflict):
            split(3)

    def test_a_short_is_split_too(self, given, split):
        LedgerEntryFactory(**given, quantity=Decimal(-100), price=Decimal(10))
        split(2)
        assert position(given["book_id"]) == (-200, -1000, 0)

    @pytest.mark.parametrize("ratio", ["0", "-1", "NaN"])
    def test_a_ratio_is_positive(self, given, split, ratio):
        LedgerEntryFactory(**given, quantity=Decimal(100))
        with pytest.raises(InvalidInput) as caught:
            split(ratio)
        assert caught.value.field == "ratio"

    def test_nothing_held_is_nothing_split(self, split):
        with pytest.raises(InvalidInput):
            split(2)

    def test_shares_sold_after_it_by_the_old_count_are_for_people(self, given, split):
        LedgerEntryFactory(**given, quantity=Decimal(100))
        LedgerEntryFactory(**given, quantity=Decimal(-1), effective_at=EX + timedelta(hours=1))
        with pytest.raises(Conflict):
            split(2)


class TestTransfers:
    @pytest.fixture
    def there(self):
        """A book of another portfolio."""
        return BookFactory()

    @pytest.fixture
    def transfer(self, given, there):
        def move(quantity, **more):
            places = {
                "from_portfolio_id": given["portfolio_id"],
                "from_book_id": given["book_id"],
                "to_portfolio_id": there.portfolio_id,
                "to_book_id": there.pk,
                "instrument_id": given["instrument_id"],
            }
            facts = {"price": Decimal(12), "source": "test", "source_ref": "move", "effective_at": EX, "recorded_at": EX}
            return shares_transfer(**places | facts | more, quantity=Decimal(quantity))

        return move

    def test_lots_go_with_their_cost_and_day(self, given, there, transfer):
        bought = [LedgerEntryFactory(**given, quantity=Decimal(10), price=Decimal(price)) for price in (10, 20)]
        entries = transfer(15)
        assert [(entry.quantity, entry.cost) for entry in entries] == [(-10, -100), (10, 100), (-5, -100), (5, 100)]
        arrived = Lot.objects.filter(book=there).order_by("opened_at")
        assert [(lot.opened_at, lot.remaining, lot.remaining_cost) for lot in arrived] == [
            (bought[0].effective_at, 10, 100),
            (bought[1].effective_at, 5, 100),
        ]
        assert position(given["book_id"]) == (5, 100, 0)
        assert position(there.pk) == (15, 200, 0)
        assert {closure.realised for closure in LotClosure.objects.all()} == {0}
        for portfolio_id in (given["portfolio_id"], there.portfolio_id):
            assert positions_rebuild(portfolio_id=portfolio_id).differences == ()

    def test_once_under_its_reference(self, given, there, transfer):
        LedgerEntryFactory(**given, quantity=Decimal(10))
        assert [entry.pk for entry in transfer(4)] == [entry.pk for entry in transfer(4)]
        assert position(there.pk)[0] == 4
        with pytest.raises(Conflict):
            transfer(5)

    def test_the_lots_can_be_named(self, given, there, transfer):
        LedgerEntryFactory(**given, quantity=Decimal(10), price=Decimal(10))
        second = LedgerEntryFactory(**given, quantity=Decimal(10), price=Decimal(20))
        transfer(3, lots={Lot.objects.get(entry=second).pk: Decimal(3)})
        assert position(there.pk) == (3, 60, 0)

    @pytest.mark.parametrize("quantity", ["11", "-1", "0"])
    def test_more_than_is_held_does_not_leave(self, given, there, transfer, quantity):
        LedgerEntryFactory(**given, quantity=Decimal(10))
        with pytest.raises(InvalidInput) as caught, transaction.atomic():
            transfer(quantity)
        assert caught.value.field == "quantity"
        assert not Position.objects.filter(book=there).exists()

    def test_shares_do_not_close_what_they_meet(self, given, there, transfer):
        LedgerEntryFactory(**given, quantity=Decimal(10))
        LedgerEntryFactory(portfolio_id=there.portfolio_id, book_id=there.pk, instrument_id=given["instrument_id"], quantity=Decimal(-1))
        with pytest.raises(Conflict):
            transfer(5)

    def test_portfolios_count_in_one_currency(self, given, transfer):
        LedgerEntryFactory(**given, quantity=Decimal(10))
        other = PortfolioFactory(currency="EUR")
        with pytest.raises(InvalidInput) as caught:
            transfer(5, to_portfolio_id=other.pk, to_book_id=other.books.get().pk)
        assert caught.value.field == "to_portfolio_id"

    def test_what_moves_is_a_flow_of_both_portfolios_and_no_gain_of_the_day(self, given, there, transfer):
        LedgerEntryFactory(**given, quantity=Decimal(10), price=Decimal(10))
        paid = {pk: net_deposits(pk) for pk in (given["portfolio_id"], there.portfolio_id)}
        transfer(4)
        assert net_deposits(given["portfolio_id"]) - paid[given["portfolio_id"]] == -48
        assert net_deposits(there.portfolio_id) - paid[there.portfolio_id] == 48
        [moved] = traded_since(there.portfolio_id, EX).values()
        assert (moved.quantity, moved.amount) == (4, -48)  # as if bought at its price
        track = portfolio_tracks([there.portfolio_id], before=EX)[there.portfolio_id]
        assert track.flow == 48


class TestInAndOutOfTheDesk:
    facts = {"price": Decimal(12), "source": "test", "source_ref": "move", "effective_at": EX, "recorded_at": EX}

    def test_shares_come_with_what_was_paid_for_them_and_are_a_flow_at_their_price(self, given):
        before = net_deposits(given["portfolio_id"])
        [entry] = shares_receive(**given, **self.facts, quantity=Decimal(50), cost=Decimal(450), acquired_at=START - timedelta(days=400))
        assert (entry.cost, entry.market_value, entry.amount) == (450, 600, 0)
        lot = Lot.objects.get(entry=entry)
        assert (lot.opened_at, lot.remaining, lot.remaining_cost) == (START - timedelta(days=400), 50, 450)
        assert net_deposits(given["portfolio_id"]) - before == 600
        assert positions_rebuild(portfolio_id=given["portfolio_id"]).differences == ()

    def test_shares_leave_by_lots_at_their_cost(self, given):
        LedgerEntryFactory(**given, quantity=Decimal(10), price=Decimal(10))
        LedgerEntryFactory(**given, quantity=Decimal(10), price=Decimal(20))
        before = net_deposits(given["portfolio_id"])
        entries = shares_deliver(**given, **self.facts, quantity=Decimal(15))
        assert [(entry.quantity, entry.cost, entry.market_value) for entry in entries] == [(-10, -100, -120), (-5, -100, -60)]
        assert position(given["book_id"]) == (5, 100, 0)
        assert net_deposits(given["portfolio_id"]) - before == -180
        assert positions_rebuild(portfolio_id=given["portfolio_id"]).differences == ()
        assert shares_deliver(**given, **self.facts, quantity=Decimal(15)) == entries

    @pytest.mark.parametrize(("field", "value"), [("cost", Decimal(-1)), ("acquired_at", EX + timedelta(days=1)), ("price", Decimal(0))])
    def test_what_cannot_be_is_refused(self, given, field, value):
        terms = given | self.facts | {"quantity": Decimal(50), "cost": Decimal(450), "acquired_at": START}
        with pytest.raises(InvalidInput) as caught:
            shares_receive(**terms | {field: value})
        assert caught.value.field == field

    def test_more_than_is_held_does_not_leave(self, given):
        with pytest.raises(InvalidInput) as caught:
            shares_deliver(**given, **self.facts, quantity=Decimal(1))
        assert caught.value.field == "quantity"


class TestConversions:
    def test_two_legs_move_cash_between_currencies(self, given):
        del given["instrument_id"]
        out, into = fx_convert(
            **given, sold=Decimal(1100), sold_currency="USD", bought=Decimal(1000), bought_currency="EUR", bought_rate=Decimal("1.1"),
            source="test", source_ref="fx", effective_at=EX, recorded_at=EX,
        )  # fmt: skip
        assert (out.base_amount, into.base_amount) == (-1100, 1100)
        assert dict(CashBalance.objects.values_list("currency", "amount")) == {"USD": 98_900, "EUR": 1000}

    def test_both_legs_or_none(self, given):
        del given["instrument_id"]
        with pytest.raises(InvalidInput) as caught, transaction.atomic():
            fx_convert(
                **given, sold=Decimal(1100), sold_currency="USD", bought=Decimal(1000), bought_currency="EUR",
                source="test", source_ref="fx", effective_at=EX, recorded_at=EX,
            )  # fmt: skip
        assert caught.value.field == "fx_rate"
        assert not LedgerEntry.objects.filter(kind="fx").exists()


class Dealer:
    """Posts random entries of every kind in two books of two portfolios, under methods that change."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.portfolios = [PortfolioFactory(), PortfolioFactory()]
        self.books = [(p.pk, book.pk) for p in self.portfolios for book in (p.books.get(), BookFactory(portfolio=p))]
        self.instruments = [InstrumentFactory(symbol=symbol).pk for symbol in ("A", "B")]
        self.number = 0

    def facts(self):
        self.number += 1
        at = START + timedelta(minutes=self.number - self.random.choice([0, 0, 30]))
        return {"source": "dealer", "source_ref": str(self.number), "effective_at": at, "recorded_at": at}

    def decimal(self, largest, places):
        return Decimal(self.random.randint(1, largest * 10**places)).scaleb(-places)

    def open_lots(self, **where):
        """In the order in which they were opened, so that the same seed makes the same ledger in every database."""
        return list(Lot.objects.filter(**where).exclude(remaining=0).order_by("id"))

    def trade(self):
        (portfolio_id, book_id), instrument_id = self.random.choice(self.books), self.random.choice(self.instruments)
        where = {"portfolio_id": portfolio_id, "book_id": book_id, "instrument_id": instrument_id}
        money = self.random.choice([{}, {}, {"currency": "EUR", "fx_rate": self.decimal(2, 6)}])
        quantity = self.random.choice([-1, 1]) * self.decimal(50, self.random.choice([0, 4, 6]))
        held = self.open_lots(book_id=book_id, instrument_id=instrument_id)
        if held and self.random.random() < 0.2:  # named lots, half of each of some
            named = {lot.pk: round(lot.remaining / 2, 6) or lot.remaining for lot in self.random.sample(held, min(2, len(held)))}
            quantity, money["lots"] = -sum(named.values()), named
        LedgerEntryFactory(**where, **self.facts(), **money, quantity=quantity, price=self.decimal(90, 6), fee=self.decimal(1, 4))

    def cash(self):
        kind, sign = self.random.choice(
            [("interest", 1), ("interest", -1), ("borrow_fee", -1), ("dividend_paid", -1), ("dividend", 1), ("withdrawal", -1), ("fee", -1)]
        )
        portfolio_id, book_id = self.random.choice(self.books)
        CashEntryFactory(
            portfolio_id=portfolio_id, book_id=book_id, instrument_id=self.instruments[0], kind=kind, amount=sign * self.decimal(9, 4), **self.facts()
        )

    def split(self):
        portfolio_id, book_id = self.random.choice(self.books)
        where = {"portfolio_id": portfolio_id, "book_id": book_id, "instrument_id": self.random.choice(self.instruments)}
        ratio = self.random.choice([Decimal(2), Decimal("0.5"), Decimal("1.5"), Decimal("0.3333333333")])
        facts = self.facts()
        facts["effective_at"] = START + timedelta(minutes=self.number)  # never before what was closed already
        split_post(**where, **facts, ratio=ratio, in_lieu_price=self.decimal(90, 6))

    def transfer(self):
        (giver, from_book), (taker, to_book) = self.random.sample(self.books, 2)
        if held := self.open_lots(book_id=from_book):
            lot = self.random.choice(held)
            shares_transfer(
                from_portfolio_id=giver, from_book_id=from_book, to_portfolio_id=taker, to_book_id=to_book,
                instrument_id=lot.instrument_id, quantity=lot.remaining, price=Decimal(7), **self.facts(),
            )  # fmt: skip

    def convert(self):
        portfolio_id, book_id = self.books[0]
        fx_convert(
            portfolio_id=portfolio_id, book_id=book_id, sold=self.decimal(9, 4), sold_currency="EUR", sold_rate=self.decimal(2, 9),
            bought=self.decimal(9, 4), bought_currency="USD", **self.facts(),
        )  # fmt: skip

    def method(self):
        portfolio = self.random.choice(self.portfolios)
        Portfolio.objects.filter(pk=portfolio.pk).update(lot_method=self.random.choice(sorted(LotMethod)))

    def deal(self):
        work = self.random.choices([self.trade, self.cash, self.split, self.transfer, self.convert, self.method], weights=[60, 10, 4, 10, 3, 13])[0]
        try:
            with transaction.atomic():
                work()
        except (InvalidInput, Conflict):  # nothing to split, the other side is held: refused as a whole
            return


@pytest.mark.parametrize("seed", [4, 9, 12])
def test_random_entries_of_all_kinds_leave_what_the_ledger_makes(seed):
    dealer = Dealer(seed)
    for _ in range(150):
        dealer.deal()
    kinds = set(LedgerEntry.objects.filter(portfolio__in=dealer.portfolios).values_list("kind", flat=True))
    assert kinds >= {"trade", "split", "transfer", "fx", "interest", "cash_in_lieu"}
    methods = set(LedgerEntry.objects.filter(portfolio__in=dealer.portfolios).exclude(lot_method="").values_list("lot_method", flat=True))
    assert methods == set(LotMethod)
    for portfolio in dealer.portfolios:
        assert positions_rebuild(portfolio_id=portfolio.pk).differences == ()
    # Whatever was moved and by whichever method: what came in for shares and what they cost is what they earned.
    traded = sum(LedgerEntry.objects.filter(kind__in=["trade", "cash_in_lieu"]).values_list("base_amount", flat=True))
    cost, realised = (sum(Position.objects.values_list(name, flat=True)) for name in ("cost", "realised"))
    assert traded + cost == realised
    assert sum(Lot.objects.values_list("remaining_cost", flat=True)) == cost
    assert sum(LotClosure.objects.values_list("realised", flat=True)) == realised
