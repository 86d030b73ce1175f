from decimal import ROUND_HALF_UP, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.errors import InvalidInput
from apps.portfolios.domain.closing import LotMethod, closing_pieces, rounded, running_cuts, split_quantity
from apps.portfolios.domain.lots import OpenLot, fill_lots, trade_amount, trade_book

quantities = st.decimals(min_value=Decimal(-5000), max_value=Decimal(5000), places=6).filter(bool)
prices = st.decimals(min_value=Decimal("0.000001"), max_value=Decimal(9999), places=6)
fees = st.decimals(min_value=Decimal(0), max_value=Decimal(50), places=4)
trades = st.lists(st.tuples(quantities, prices, fees), min_size=1, max_size=25)


def lot(lot_id, remaining, cost):
    return OpenLot(lot_id=lot_id, remaining=Decimal(remaining), cost=Decimal(cost))


class TestTradeBook:
    def test_the_first_trade_opens(self):
        booking = trade_book(open_lots=[], quantity=Decimal(-3), amount=Decimal(30))
        assert booking.closures == ()
        assert (booking.opening.quantity, booking.opening.cost) == (-3, -30)

    def test_a_trade_with_the_position_opens_another_lot(self):
        booking = trade_book(open_lots=[lot(1, 5, 50)], quantity=Decimal(5), amount=Decimal(-60))
        assert booking.closures == ()
        assert booking.opening.cost == 60

    def test_thirds_of_a_cent_are_not_lost(self):
        lots = [lot(1, 1, "10.0000"), lot(2, 1, "10.0000"), lot(3, 1, "10.0000")]
        booking = trade_book(open_lots=lots, quantity=Decimal(-3), amount=Decimal("10.0000"))
        assert [closure.proceeds for closure in booking.closures] == [Decimal("3.3333"), Decimal("3.3334"), Decimal("3.3333")]

    def test_the_last_piece_of_a_lot_takes_the_rest_of_its_cost(self):
        first = trade_book(open_lots=[lot(1, 3, 10)], quantity=Decimal(-1), amount=Decimal(4)).closures[0]
        assert first.cost == Decimal("3.3333")
        last = trade_book(open_lots=[lot(1, 2, 10 - first.cost)], quantity=Decimal(-2), amount=Decimal(8)).closures[0]
        assert first.cost + last.cost == 10

    @given(trades)
    def test_nothing_is_lost_whatever_is_traded(self, trades):
        lots, position, cost, realised, cash = [], Decimal(0), Decimal(0), Decimal(0), Decimal(0)
        for number, (quantity, price, fee) in enumerate(trades):
            amount = trade_amount(quantity=quantity, price=price, fee=fee)
            booking = trade_book(open_lots=lots, quantity=quantity, amount=amount)
            lots = after(lots, booking, number)
            position, cash = position + quantity, cash + amount
            cost, realised = cost + booking.cost_change, realised + booking.realised

            assert sum(part.remaining for part in lots) == position
            assert sum(part.cost for part in lots) == cost
            assert cash + cost == realised  # nothing was paid in
            assert len({part.remaining > 0 for part in lots}) <= 1
            # At any price: value - what was paid in = realised + unrealised.
            value = position * price
            assert cash + value == realised + (value - cost)

    @given(trades)
    def test_each_piece_is_within_a_unit_of_its_share(self, trades):
        lots = [lot(n, abs(quantity), abs(quantity)) for n, (quantity, _, _) in enumerate(trades)]
        quantity = -sum(part.remaining for part in lots)
        booking = trade_book(open_lots=lots, quantity=quantity, amount=Decimal("1234.5678"))
        for closure in booking.closures:
            assert abs(closure.proceeds - Decimal("1234.5678") * closure.quantity / -quantity) <= Decimal("0.0001")


def after(lots, booking, number):
    """The open lots after a booking, with the new one last."""
    closed = {closure.lot_id: closure for closure in booking.closures}
    assert list(closed) == [part.lot_id for part in lots][: len(closed)]  # first in, first out
    rest = []
    for part in lots:
        if part.lot_id in closed:
            closure = closed[part.lot_id]
            part = OpenLot(lot_id=part.lot_id, remaining=part.remaining - closure.quantity, cost=part.cost - closure.cost)
        if part.remaining:
            rest.append(part)
        else:
            assert part.cost == 0
    if booking.opening:
        rest.append(OpenLot(lot_id=number, remaining=booking.opening.quantity, cost=booking.opening.cost))
    return rest


class TestMethods:
    def test_each_method_closes_the_lots_it_names(self):
        lots = [lot(1, 10, 100), lot(2, 10, 300), lot(3, 10, 200)]

        def closed(method):
            booking = trade_book(open_lots=lots, quantity=Decimal(-15), amount=Decimal(450), method=method)
            return {closure.lot_id: (closure.quantity, closure.cost) for closure in booking.closures}

        assert closed(LotMethod.FIFO) == {1: (10, 100), 2: (5, 150)}
        assert closed(LotMethod.LIFO) == {3: (10, 200), 2: (5, 150)}
        assert closed(LotMethod.HIFO) == {2: (10, 300), 3: (5, 100)}
        assert closed(LotMethod.AVERAGE) == {1: (5, 50), 2: (5, 150), 3: (5, 100)}

    def test_the_highest_cost_of_a_short_is_the_lowest_price_sold_at(self):
        booking = trade_book(open_lots=[lot(1, -10, -300), lot(2, -10, -100)], quantity=Decimal(10), amount=Decimal(-50), method=LotMethod.HIFO)
        assert [closure.lot_id for closure in booking.closures] == [2]

    def test_named_lots_are_closed_as_named(self):
        lots = [lot(1, 10, 100), lot(2, 10, 300)]
        booking = trade_book(open_lots=lots, quantity=Decimal(-6), amount=Decimal(180), named={2: Decimal(4), 1: Decimal(2)})
        assert {closure.lot_id: (closure.quantity, closure.cost, closure.proceeds) for closure in booking.closures} == {
            2: (4, 120, 120),
            1: (2, 20, 60),
        }

    @pytest.mark.parametrize("named", [{1: "6", 2: "1"}, {1: "11"}, {1: "-6"}, {3: "6"}, {1: "5"}, {1: "0", 2: "6"}])
    def test_named_lots_that_do_not_fit_are_refused(self, named):
        with pytest.raises(InvalidInput) as caught:
            trade_book(
                open_lots=[lot(1, 10, 100), lot(2, 10, 300)],
                quantity=Decimal(-6),
                amount=Decimal(180),
                named={lot_id: Decimal(part) for lot_id, part in named.items()},
            )
        assert caught.value.field == "lots"

    @given(st.sampled_from(sorted(LotMethod)), trades)
    def test_no_method_loses_shares_or_money(self, method, trades):
        lots, position, cost, realised, cash = [], Decimal(0), Decimal(0), Decimal(0), Decimal(0)
        for number, (quantity, price, fee) in enumerate(trades):
            amount = trade_amount(quantity=quantity, price=price, fee=fee)
            booking = trade_book(open_lots=lots, quantity=quantity, amount=amount, method=method)
            lots = remaining_after(lots, booking, number)
            position, cash = position + quantity, cash + amount
            cost, realised = cost + booking.cost_change, realised + booking.realised
            assert sum(part.remaining for part in lots) == position
            assert sum(part.cost for part in lots) == cost
            assert cash + cost == realised
            assert len({part.remaining > 0 for part in lots}) <= 1

    @given(st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 10**9)), min_size=2, max_size=12), st.data())
    def test_the_average_is_exact(self, lots, data):
        whole, cost = sum(lot[0] for lot in lots), sum(lot[1] for lot in lots)
        wanted = data.draw(st.integers(1, whole))
        pieces = closing_pieces(lots, quantity=-wanted, method=LotMethod.AVERAGE)
        assert sum(closed for _, closed, _ in pieces) == wanted
        assert all(0 < closed <= lots[at][0] for at, closed, _ in pieces)
        assert all(part == lots[at][1] for at, closed, part in pieces if closed == lots[at][0])
        if any(closed < lots[at][0] for at, closed, _ in pieces):
            assert sum(part for _, _, part in pieces) == rounded(cost * wanted, whole)

    @given(st.integers(-(10**26), 10**26), st.integers(1, 10**18), st.sampled_from([-1, 1]))
    def test_rounding_is_that_of_money(self, numerator, denominator, sign):
        with localcontext(prec=120):
            exact = Decimal(numerator) / (sign * denominator)
            assert rounded(numerator, sign * denominator) == exact.quantize(Decimal(1), ROUND_HALF_UP)


def remaining_after(lots, booking, number):
    """The open lots after a booking by any method, in order of acquisition."""
    closed = {closure.lot_id: closure for closure in booking.closures}
    rest = []
    for part in lots:
        if closure := closed.get(part.lot_id):
            assert abs(closure.quantity) <= abs(part.remaining)
            part = OpenLot(lot_id=part.lot_id, remaining=part.remaining - closure.quantity, cost=part.cost - closure.cost)
            assert part.remaining or not part.cost
        if part.remaining:
            rest.append(part)
    if booking.opening:
        rest.append(OpenLot(lot_id=number, remaining=booking.opening.quantity, cost=booking.opening.cost))
    return rest


class TestRunningCuts:
    @given(st.integers(-(10**10), 10**10), st.lists(st.integers(1, 1000), min_size=1, max_size=20))
    def test_the_pieces_add_up(self, amount, parts):
        pieces = running_cuts(parts, of=sum(parts), amount=amount)
        assert sum(pieces) == amount
        assert all(abs(piece - amount * part / sum(parts)) <= 1.001 for piece, part in zip(pieces, parts, strict=True))


class TestSplit:
    @given(st.integers(1, 10**15), st.integers(1, 10**15), st.integers(1, 10**12))
    def test_what_remains_stays_within_what_was_opened(self, one, other, ratio):
        smaller, larger = sorted((one, other))
        assert 0 < split_quantity(smaller, new=ratio, old=10**10) <= split_quantity(larger, new=ratio, old=10**10)
        assert split_quantity(-smaller, new=ratio, old=10**10) == -split_quantity(smaller, new=ratio, old=10**10)


class TestLotsOfAFill:
    @pytest.mark.parametrize(
        ("done", "quantity", "taken"),
        [
            ("0", "3", {3: "3"}),
            ("0", "7", {3: "5", 2: "2"}),
            ("5", "2", {2: "2"}),
            ("4", "4", {3: "1", 2: "3"}),
            ("5", "5", {2: "4", 1: "1"}),  # more than was named: the oldest
            ("0", "15", {3: "5", 2: "4", 1: "6"}),
            ("0", "16", {}),  # the position turns: the method closes everything
        ],
    )
    def test_in_the_order_in_which_they_were_named(self, done, quantity, taken):
        open_lots = [(1, Decimal(6)), (2, Decimal(4)), (3, Decimal(5))]
        found = fill_lots(named=[(3, Decimal(5)), (2, Decimal(4))], done=Decimal(done), quantity=Decimal(quantity), open_lots=open_lots)
        assert found == {lot: Decimal(part) for lot, part in taken.items()}
