"""What a result is made of: each part by hand, and whatever is booked, the parts sum to what the ledger says."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.portfolios.domain.day import DayEnd, DayEntry, PortfolioDay
from apps.risk.domain.pnl_explain import ExplainState, pnl_explained, symbols_priced

D = Decimal

OPENED, CLOSED = datetime(2026, 11, 19, 21, tzinfo=UTC), datetime(2026, 11, 20, 21, tzinfo=UTC)
CURRENCIES = {"IBM": "USD", "XOM": "USD", "SAP": "EUR"}
OPENING = {"IBM": D(100), "XOM": D(50), "SAP": D(200), "EURUSD": D("1.10")}
CLOSING = {"IBM": D(103), "XOM": D(49), "SAP": D(210), "EURUSD": D("1.12")}


def entry(
    kind: str, symbol: str = "", quantity: int = 0, amount: str | D = "0", fee: str | D = "0", currency: str = "USD", base: str | D | None = None
):
    amount = D(amount)
    return DayEntry(
        kind=kind, symbol=symbol, quantity=D(quantity), amount=amount, fee=D(fee), currency=currency, base_amount=amount if base is None else D(base)
    )


def rate(prices, currency: str) -> D:
    return D(1) if currency == "USD" else prices[f"{currency}USD"]


def worth(shares, cash, prices) -> D:
    return sum((q * prices[s] * rate(prices, CURRENCIES[s]) for s, q in shares.items()), D(0)) + sum(
        (a * rate(prices, c) for c, a in cash.items()), D(0)
    )


def day_of(shares, cash, entries, opening=OPENING, closing=CLOSING) -> PortfolioDay:
    """The two values are summed from the positions, not from the parts."""
    after, money, flow = defaultdict(D, shares), defaultdict(D, cash), D(0)
    for one in entries:
        after[one.symbol or "IBM"] += one.quantity
        money[one.currency] += one.amount
        if one.kind in {"deposit", "withdrawal"}:
            flow += one.base_amount
        if one.kind == "transfer":
            flow += one.market_value
    return PortfolioDay(
        currency="USD",
        opened=DayEnd(ts=OPENED, total=worth(shares, cash, opening), flow=D(0)),
        closed=DayEnd(ts=CLOSED, total=worth(after, money, closing), flow=flow),
        shares=shares,
        cash=cash,
        entries=tuple(entries),
        currencies=CURRENCIES,
    )


def test_each_part_by_hand() -> None:
    day = day_of(
        {"IBM": D(10), "SAP": D(4)},
        {"USD": D(1000), "EUR": D(100)},
        [
            entry("trade", "XOM", 20, amount="-1021", fee="1"),  # at 51, closes at 49
            entry("trade", "IBM", -5, amount="509", fee="1"),  # at 102, closes at 103
            entry("dividend", "IBM", amount="7"),
            entry("borrow_fee", "XOM", amount="-2"),
            entry("deposit", amount="500"),
            entry("deposit", amount="50", currency="EUR", base="55"),
        ],
    )
    found = pnl_explained(day, OPENING, CLOSING)
    assert found.price == 10 * 3 + 4 * 10 * D("1.12")
    assert (found.trading, found.fees, found.income) == (-40 - 5, -4, 7)
    assert found.fx == (4 * 200 + 100) * D("0.02") + 50 * D("1.12") - 55
    assert (found.residual, found.state) == (0, ExplainState.OK)
    assert found.by_symbol["IBM"].total == 30 - 5 + 7 - 1
    assert found.result == found.explained == day.closed.total - day.opened.total - 555


def test_a_split_is_no_gain_and_no_trading() -> None:
    day = day_of({"IBM": D(10)}, {}, [entry("split", "IBM", 10)], closing=CLOSING | {"IBM": D(51)})
    found = pnl_explained(day, OPENING, CLOSING | {"IBM": D(51)})
    assert (found.price, found.trading, found.residual) == (20, 0, 0)


def test_a_price_revised_after_the_value_was_recorded_is_a_residual_beyond_the_bound() -> None:
    found = pnl_explained(day_of({"IBM": D(10)}, {}, []), OPENING, CLOSING | {"IBM": D("103.01")})
    assert (found.residual, found.bound, found.state) == (D("-0.10"), D("0.0101"), ExplainState.RESIDUAL)
    assert pnl_explained(day_of({"IBM": D(1)}, {}, []), OPENING, CLOSING | {"IBM": D("103.01")}).state is ExplainState.OK


def test_what_needs_a_price_is_named_and_one_that_is_missing_is_an_error() -> None:
    day = day_of({"SAP": D(4)}, {"EUR": D(1)}, [entry("trade", "XOM", 1, amount="-50")])
    assert symbols_priced(day) == (("EURUSD", "SAP"), ("EURUSD", "SAP", "XOM"))
    with pytest.raises(KeyError, match="XOM"):
        pnl_explained(day, OPENING, {symbol: price for symbol, price in CLOSING.items() if symbol != "XOM"})


prices = st.decimals(D("0.01"), D(1000), places=2)
quantities = st.integers(-500, 500)
amounts = st.decimals(D(-10_000), D(10_000), places=4)
symbols = st.sampled_from(sorted(CURRENCIES))


@st.composite
def entries(draw) -> DayEntry:
    kind = draw(
        st.sampled_from(["trade", "cash_in_lieu", "split", "transfer", "deposit", "withdrawal", "fee", "dividend", "borrow_fee", "interest", "fx"])
    )
    symbol, currency = draw(symbols), draw(st.sampled_from(["USD", "EUR"]))
    if kind == "split":
        return entry(kind, symbol, draw(quantities))
    if kind == "transfer":
        return replace(entry(kind, symbol, draw(quantities.filter(bool))), market_value=draw(amounts))
    if kind in {"trade", "cash_in_lieu"}:
        return entry(
            kind, symbol, draw(quantities.filter(bool)), amount=draw(amounts), fee=draw(st.decimals(0, 10, places=2)), currency=CURRENCIES[symbol]
        )
    one = entry(kind, symbol if kind in {"dividend", "borrow_fee"} else "", amount=draw(amounts), currency=currency)
    return one if currency == "USD" else replace(one, base_amount=draw(amounts))


@settings(max_examples=40)
@given(
    shares=st.dictionaries(symbols, quantities.map(D)),
    cash=st.dictionaries(st.sampled_from(["USD", "EUR"]), amounts),
    booked=st.lists(entries(), max_size=8),
    opening=st.fixed_dictionaries(dict.fromkeys(OPENING, prices)),
    closing=st.fixed_dictionaries(dict.fromkeys(OPENING, prices)),
)
def test_whatever_is_booked_the_parts_sum_to_the_ledgers_result(shares, cash, booked, opening, closing) -> None:
    day = day_of(shares, cash, booked, opening, closing)
    found = pnl_explained(day, opening, closing)
    assert abs(found.residual) < D("1e-12")
    assert found.explained + found.residual == found.result
    by_symbol = sum((part.price + part.trading for part in found.by_symbol.values()), D(0))
    assert by_symbol == found.price + found.trading
