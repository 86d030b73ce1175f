"""Two books of one account: every way in which they can differ, and that books which agree do not."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.trading import Side
from apps.execution.domain.reconciliation import AccountBook, BookFill, BookOrder, BreakKind, books_compare

ORDER = BookOrder(
    reference="a", symbol="AAPL", side=Side.BUY, quantity=Decimal(100), cumulative=Decimal(40), limit_price=Decimal("9.50"), broker_id="17"
)
FILL = BookFill(execution_id="x1", reference="a", symbol="AAPL", side=Side.BUY, quantity=Decimal(40), price=Decimal("9.5"))
BOOK = AccountBook(
    orders=(ORDER,), fills=(FILL,), positions={"AAPL": Decimal(40)}, cash={"USD": Decimal("999.62")}, settled_cash={"USD": Decimal(1000)}
)


def found(ours: AccountBook = BOOK, theirs: AccountBook = BOOK, known: tuple[str, ...] = ()) -> list[tuple[str, str, str, bool]]:
    return [(one.kind.value, one.subject.value, one.key, one.halts) for one in books_compare(ours=ours, theirs=theirs, known=known)]


def test_books_that_agree_have_no_break():
    assert found() == []
    assert found(AccountBook(), AccountBook()) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"orders": ()}, ("missing_at_broker", "order", "a", False)),
        ({"orders": (replace(ORDER, quantity=Decimal(90)),)}, ("qty", "order", "a", False)),
        ({"orders": (replace(ORDER, cumulative=Decimal(41)),)}, ("qty", "order", "a traded", False)),
        ({"orders": (replace(ORDER, limit_price=Decimal("9.51")),)}, ("price", "order", "a", False)),
        ({"orders": (replace(ORDER, limit_price=None),)}, ("price", "order", "a", False)),
        ({"orders": (replace(ORDER, stop_price=Decimal(9)),)}, ("price", "order", "a stop", False)),
        ({"orders": (replace(ORDER, trail_offset=Decimal(1)),)}, ("price", "order", "a trail", False)),
        ({"orders": (replace(ORDER, side=Side.SELL),)}, ("side", "order", "a", False)),
        ({"fills": ()}, ("missing_at_broker", "execution", "x1", False)),
        ({"fills": (replace(FILL, quantity=Decimal(39)),)}, ("qty", "execution", "x1", False)),
        ({"fills": (replace(FILL, price=Decimal("9.49")),)}, ("price", "execution", "x1", False)),
        ({"fills": (replace(FILL, side=Side.SELL),)}, ("side", "execution", "x1", False)),
        ({"positions": {"AAPL": Decimal(41)}}, ("position", "position", "AAPL", False)),
        ({"positions": {}}, ("position", "position", "AAPL", False)),
        ({"positions": {"AAPL": Decimal(40), "MSFT": Decimal("-1")}}, ("position", "position", "MSFT", False)),
        ({"cash": {"USD": Decimal("999.631")}}, ("cash", "cash", "USD", False)),
        ({"cash": {"USD": Decimal("999.62"), "EUR": Decimal(5)}}, ("cash", "cash", "EUR", False)),
        ({"settled_cash": {"USD": Decimal(900)}}, ("cash", "settled_cash", "USD", False)),
    ],
)
def test_each_difference_is_one_break(changes, expected):
    assert found(theirs=replace(BOOK, **changes)) == [expected]


@pytest.mark.parametrize("cents", ["0.01", "-0.01", "0.0099"])
def test_a_cent_is_no_break(cents):
    assert found(theirs=replace(BOOK, cash={"USD": BOOK.cash["USD"] + Decimal(cents)})) == []


def test_settled_cash_is_compared_where_the_broker_tells_it():
    assert found(theirs=replace(BOOK, settled_cash={})) == []


@pytest.mark.parametrize("reference", ["", "z"])
def test_an_order_that_the_desk_never_sent_halts(reference):
    stranger = replace(ORDER, reference=reference, broker_id="99")
    assert found(theirs=replace(BOOK, orders=(ORDER, stranger))) == [("missing_locally", "order", reference or "99", True)]


def test_an_order_that_ended_here_and_works_there_halts_too():
    assert found(theirs=replace(BOOK, orders=(ORDER, replace(ORDER, reference="b"))), known=("b",)) == [("missing_locally", "order", "b", True)]


def test_an_execution_of_a_stranger_halts_and_one_of_ours_is_only_missing():
    ours, strange = replace(FILL, execution_id="x2"), replace(FILL, execution_id="x3", reference="")
    assert found(theirs=replace(BOOK, fills=(FILL, ours, strange))) == [
        ("missing_locally", "execution", "x2", False),
        ("missing_locally", "execution", "x3", True),
    ]


def test_what_is_on_its_way_may_be_there_or_not():
    """A cancel or a change may have been made, and an order that was just sent may not have arrived. Its side never changes."""
    waiting = replace(BOOK, orders=(replace(ORDER, certain=False),))
    assert found(ours=waiting, theirs=replace(BOOK, orders=())) == []
    assert found(ours=waiting, theirs=replace(BOOK, orders=(replace(ORDER, quantity=Decimal(50), limit_price=Decimal(9)),))) == []
    assert found(ours=waiting, theirs=replace(BOOK, orders=(replace(ORDER, side=Side.SELL),))) == [("side", "order", "a", False)]


def test_a_break_that_grows_is_another_one():
    small, large = (books_compare(ours=BOOK, theirs=replace(BOOK, positions={"AAPL": Decimal(n)}))[0] for n in (41, 42))
    assert small.identity != large.identity
    moved = books_compare(ours=replace(BOOK, positions={"AAPL": Decimal(50)}), theirs=replace(BOOK, positions={"AAPL": Decimal(51)}))[0]
    assert moved.identity == small.identity


ORDERS = st.builds(
    BookOrder,
    reference=st.sampled_from(["", "a", "b", "c"]),
    symbol=st.sampled_from(["AAPL", "MSFT"]),
    side=st.sampled_from(Side),
    quantity=st.integers(1, 5).map(Decimal),
    cumulative=st.integers(0, 1).map(Decimal),
    limit_price=st.sampled_from([None, Decimal(9)]),
    broker_id=st.sampled_from(["1", "2", "3"]),
)
BOOKS = st.builds(
    AccountBook,
    orders=st.lists(ORDERS, max_size=4, unique_by=lambda order: order.reference or order.broker_id).map(tuple),
    positions=st.dictionaries(st.sampled_from(["AAPL", "MSFT"]), st.integers(-2, 2).filter(bool).map(Decimal)),
    cash=st.dictionaries(st.sampled_from(["USD", "EUR"]), st.integers(-2, 2).map(Decimal)),
)


def own(book: AccountBook) -> AccountBook:
    """The desk knows only orders that it sent."""
    return replace(book, orders=tuple(order for order in book.orders if order.reference))


@given(BOOKS, BOOKS)
def test_books_agree_exactly_when_nothing_differs(ours, theirs):
    ours = own(ours)
    breaks = books_compare(ours=ours, theirs=theirs)
    same_orders = {o.reference: replace(o, broker_id="") for o in ours.orders} == {o.reference: replace(o, broker_id="") for o in theirs.orders}
    same = (
        same_orders
        and ours.positions == theirs.positions
        and {k: v for k, v in ours.cash.items() if v} == {k: v for k, v in theirs.cash.items() if v}
    )
    assert (breaks == ()) is same
    assert len({(one.kind, one.subject, one.key) for one in breaks}) == len(breaks)
    strangers = [order for order in theirs.orders if order.reference not in {one.reference for one in ours.orders}]
    assert sum(one.halts for one in breaks) == len(strangers)


@given(BOOKS, BOOKS)
def test_seen_from_the_other_side_amounts_have_the_opposite_sign(ours, theirs):
    there, back = books_compare(ours=own(ours), theirs=own(theirs)), books_compare(ours=own(theirs), theirs=own(ours))
    amounts = {(one.subject, one.key): one.difference for one in there if one.kind in (BreakKind.POSITION, BreakKind.CASH)}
    assert amounts == {(one.subject, one.key): -one.difference for one in back if one.kind in (BreakKind.POSITION, BreakKind.CASH)}
