"""A fill in words."""

from decimal import Decimal

import pytest

from apps.core.trading import OrderType, Side
from apps.execution.domain.explanations import fill_explanation

PAPER = {"price": "100", "market_time": "2024-07-02T16:00:00Z", "source": "replay", "slippage_bps": "5"}


def explained(**changes) -> str:
    given = {"side": Side.BUY, "order_type": OrderType.MARKET, "price": Decimal("100.05"), "fee": Decimal(1), "quote": PAPER}
    return fill_explanation(**given | {"arrival_price": Decimal(100)} | changes)


def test_a_paper_fill_names_quote_time_slippage_fee_and_arrival():
    assert explained() == (
        "Traded at the market. Matched against 100 (replay, 2024-07-02 16:00:00Z), made 5 bps worse: 100.05. Fee 1. "
        "5.0 bps worse than the arrival price 100."
    )


@pytest.mark.parametrize(
    ("changes", "begins"),
    [
        ({"order_type": OrderType.LIMIT, "limit_price": Decimal("99.50")}, "Limit 99.5 was reached."),
        ({"order_type": OrderType.STOP, "stop_price": Decimal(95)}, "Stop 95 was triggered."),
        (
            {"order_type": OrderType.STOP_LIMIT, "stop_price": Decimal(95), "limit_price": Decimal(94)},
            "Stop 95 was triggered and limit 94 was",
        ),
        ({"order_type": OrderType.TRAILING_STOP, "working_stop": Decimal(97)}, "The trailing stop was triggered at 97."),
        ({"order_type": OrderType.MARKET_ON_CLOSE}, "Traded at the session's last price."),
    ],
)
def test_it_begins_with_what_the_order_asked_for(changes, begins):
    assert explained(**changes).startswith(begins)


def test_a_venue_says_what_it_displayed_and_what_it_takes():
    quote = {**PAPER, "venue": "XNAS", "displayed": "300", "venue_fee": "0.003", "slippage_bps": "0"}
    text = explained(quote=quote, price=Decimal(100), fee=Decimal("0.9"))
    assert "at which XNAS displayed 300 shares" in text
    assert "Fee 0.9, of it 0.003 a share for the venue." in text
    assert "0.0 bps from the arrival price 100." in text


def test_a_broker_that_says_little_is_quoted_with_little():
    assert "Executed on ARCA. Commission 1.25." in explained(quote={"venue": "ARCA", "commission": "1.25"}, fee=Decimal(0))
    assert "did not say" in explained(quote={}, fee=Decimal(0), arrival_price=None)
    assert "arrival" not in explained(arrival_price=None)


def test_a_better_price_is_called_better():
    assert explained(side=Side.SELL).endswith("5.0 bps better than the arrival price 100.")
