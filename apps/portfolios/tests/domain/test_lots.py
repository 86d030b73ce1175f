from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from apps.portfolios.domain.lots import OpenLot, split_amount, trade_amount, trade_book

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


class TestSplitAmount:
    @given(st.decimals(min_value=-(10**6), max_value=10**6, places=4), st.lists(st.integers(1, 1000), min_size=1, max_size=20))
    def test_the_pieces_add_up(self, amount, parts):
        whole = Decimal(sum(parts))
        pieces = split_amount(amount, [Decimal(part) for part in parts], whole)
        assert sum(pieces) == amount
        assert pieces[-1] == 0
