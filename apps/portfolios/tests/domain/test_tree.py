from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from apps.core.trading import ReferencePrice
from apps.portfolios.domain.holdings import Holding, Holdings
from apps.portfolios.domain.tree import desk_tree
from apps.portfolios.domain.valuation import value_holdings

NOW = datetime(2024, 1, 3, 18, tzinfo=UTC)
# Whole numbers, which are drawn faster than decimals: millionths of a share, and of a dollar.
positions = st.dictionaries(st.tuples(st.integers(1, 3), st.integers(1, 4)), st.integers(-(10**10), 10**10), max_size=6)
prices_of_four = st.tuples(*[st.integers(1, 10**9)] * 4)


def price(value):
    return ReferencePrice(price=Decimal(value), market_time=NOW, received_at=NOW, source="test")


def holdings(held, *, portfolio_id=1, currency="USD", cash="10"):
    return Holdings(
        portfolio_id=portfolio_id,
        currency=currency,
        cash=Decimal(cash),
        realised=Decimal(7),
        positions=tuple(
            Holding(book_id=book, book=f"book {book}", instrument_id=one, symbol=f"S{one}", quantity=quantity, cost=Decimal(5), realised=Decimal(1))
            for (book, one), quantity in held.items()
        ),
    )


class TestTree:
    @given(st.lists(positions, max_size=3), prices_of_four)
    def test_every_node_is_the_sum_of_its_children_and_the_portfolios_value(self, desks, closes):
        prices = {f"S{n}": price(Decimal(close).scaleb(-6)) for n, close in enumerate(closes, 1)}
        held = [(f"p{n}", holdings({key: Decimal(units).scaleb(-6) for key, units in one.items()}, portfolio_id=n)) for n, one in enumerate(desks)]
        tree = desk_tree(holdings=held, prices=prices)
        for node in (tree, *tree.children, *(book for child in tree.children for book in child.children)):
            for name in ("market_value", "cost", "unrealised"):
                assert getattr(node, name) == sum(getattr(child, name) for child in node.children)
        assert tree.total == sum(child.total for child in tree.children)
        for node, (_, one) in zip(tree.children, held, strict=True):
            assert node.total == value_holdings(holdings=one, prices=prices).total

    def test_a_missing_price_is_unknown_all_the_way_up(self):
        tree = desk_tree(holdings=[("p", holdings({(1, 1): Decimal(1), (2, 2): Decimal(1)}))], prices={"S1": price(3)})
        assert (tree.total, tree.missing) == (None, ("S2",))
        assert tree.children[0].children[0].market_value == 3

    def test_currencies_are_not_added_up(self):
        tree = desk_tree(holdings=[("a", holdings({})), ("b", holdings({}, portfolio_id=2, currency="EUR"))], prices={})
        assert (tree.currency, tree.total) == ("", None)
        assert [child.total for child in tree.children] == [10, 10]

    def test_an_empty_desk_is_worth_nothing(self):
        assert desk_tree(holdings=[], prices={}).total == 0
