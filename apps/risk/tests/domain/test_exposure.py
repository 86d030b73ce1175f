"""What a book can become, against every way in which its working orders may fill."""

from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.core.trading import Side
from apps.risk.domain.exposure import Exposure, exposure, held_value, working_quantities, working_value
from apps.risk.tests.domain.test_pretrade import working

INSTRUMENTS = range(1, 5)
amounts = st.integers(-500_000_000, 500_000_000).map(lambda n: Decimal(n).scaleb(-6))
marks = st.integers(1, 400_000_000).map(lambda n: Decimal(n).scaleb(-6))
orders = st.tuples(st.sampled_from(list(Side)), st.sampled_from(INSTRUMENTS), st.integers(1, 900))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    held=st.dictionaries(st.sampled_from(INSTRUMENTS), amounts, max_size=4),
    price=st.lists(marks, min_size=4, max_size=4),
    resting=st.lists(orders, max_size=6),
)
def test_no_filling_of_the_working_orders_goes_further(held, price, resting) -> None:
    prices = dict(zip(INSTRUMENTS, price, strict=True))
    found = exposure(held, working_quantities(working(side, str(q), instrument=key) for side, key, q in resting), prices)
    books = []
    for filled in product([0, 1], repeat=len(resting)):
        book = dict(held)
        for fill, (side, key, quantity) in zip(filled, resting, strict=True):
            book[key] = book.get(key, Decimal(0)) + fill * side.sign * quantity
        books.append({key: quantity * prices[key] for key, quantity in book.items()})
    nets = [sum(values.values(), Decimal(0)) for values in books]
    gross = max(sum(map(abs, values.values()), Decimal(0)) for values in books)
    assert found == Exposure(net=nets[0], gross=gross, lowest=min(nets), highest=max(nets))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    held=st.dictionaries(st.sampled_from(INSTRUMENTS), amounts, min_size=1, max_size=4),
    price=st.lists(marks, min_size=4, max_size=4),
    other=st.none() | marks,
    resting=st.lists(orders, max_size=6),
)
def test_a_value_that_is_known_moves_with_the_price_of_one_instrument(held, price, other, resting) -> None:
    prices, moved = dict(zip(INSTRUMENTS, price, strict=True)), next(iter(held))
    before = {key: quantity for key, quantity in held.items() if key != moved or other is not None}
    known = held_value(before, prices if other is None else prices | {moved: other})
    value = known.moved(held[moved], price=other, to=prices[moved])
    assert value == held_value(held, prices)
    at_work = working_quantities(working(side, str(q), instrument=key) for side, key, q in resting)
    priced = working_quantities(working(side, str(q), instrument=key) for side, key, q in resting if key != moved or other is not None)
    may = working_value(before, priced, prices if other is None else prices | {moved: other})
    beside = may.moved(moved, held[moved], at_work, price=other, to=prices[moved])
    assert beside == working_value(held, at_work, prices)
    assert exposure(held, at_work, prices, value, beside) == exposure(held, at_work, prices)


def test_only_what_is_held_or_ordered_needs_a_price() -> None:
    held, none = {1: Decimal(-3), 2: Decimal(0)}, working_quantities([])
    assert exposure(held, none, {1: Decimal(10)}) == Exposure(net=Decimal(-30), gross=Decimal(30), lowest=Decimal(-30), highest=Decimal(-30))
    with pytest.raises(KeyError):
        exposure(held, none, {2: Decimal(10)})
    with pytest.raises(KeyError):
        exposure(held, working_quantities([working(Side.BUY, "1", instrument=2)]), {1: Decimal(10)})
