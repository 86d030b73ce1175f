import uuid
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from apps.core.trading import Check, OrderIntent, OrderType, Outcome, Side, TimeInForce, Verdict, blocking_codes, check_as_dict

INTENT = OrderIntent(
    client_order_id=uuid.UUID(int=1),
    portfolio_id=1,
    book_id=2,
    instrument_id=3,
    symbol="AAPL",
    side=Side.BUY,
    quantity=Decimal("100"),
    order_type=OrderType.LIMIT,
    time_in_force=TimeInForce.DAY,
    limit_price=Decimal("189.50"),
)


def make_check(outcome: Outcome, code: str = "X") -> Check:
    return Check(code=code, outcome=outcome, message="", unit="USD", limit=Decimal("1E+3"), after=Decimal("0.10"))


class TestOrderIntent:
    def test_its_digest_is_the_same_for_the_same_order(self) -> None:
        same = replace(INTENT, quantity=Decimal("1E+2"), limit_price=Decimal("189.500000"))
        assert same.digest == INTENT.digest
        assert len(INTENT.digest) == 64

    @pytest.mark.parametrize(
        "change",
        [
            {"client_order_id": uuid.UUID(int=2)},
            {"portfolio_id": 2},
            {"book_id": 3},
            {"instrument_id": 4},
            {"symbol": "MSFT"},
            {"side": Side.SELL},
            {"quantity": Decimal("100.000001")},
            {"order_type": OrderType.STOP_LIMIT},
            {"time_in_force": TimeInForce.GTC},
            {"limit_price": None},
            {"stop_price": Decimal("1")},
            {"trail_offset": Decimal("1")},
            {"expire_at": datetime(2026, 3, 1, tzinfo=UTC)},
            {"strategy": "macd"},
        ],
    )
    def test_no_field_can_change_behind_its_digest(self, change: dict[str, object]) -> None:
        assert replace(INTENT, **change).digest != INTENT.digest

    def test_it_is_frozen(self) -> None:
        with pytest.raises(FrozenInstanceError):
            INTENT.quantity = Decimal("1")  # type: ignore[misc]

    def test_a_sale_is_negative(self) -> None:
        assert INTENT.signed_quantity == 100
        assert replace(INTENT, side=Side.SELL).signed_quantity == -100

    def test_limit_and_stop_belong_to_the_type(self) -> None:
        assert [kind for kind in OrderType if kind.has_limit] == [OrderType.LIMIT, OrderType.STOP_LIMIT]
        assert [kind for kind in OrderType if kind.has_stop] == [OrderType.STOP, OrderType.STOP_LIMIT]
        assert [kind for kind in OrderType if kind.has_trail] == [OrderType.TRAILING_STOP]


class TestVerdict:
    def test_nothing_checked_means_no(self) -> None:
        assert not Verdict(authority="risk").allowed

    def test_a_warning_passes_and_a_block_does_not(self) -> None:
        warned = Verdict(authority="risk", checks=(make_check(Outcome.PASS), make_check(Outcome.WARN, "W")))
        blocked = replace(warned, checks=(*warned.checks, make_check(Outcome.BLOCK, "B")))
        assert warned.allowed
        assert not blocked.allowed
        assert [check.code for check in blocked.breaches] == ["W", "B"]
        assert blocking_codes([warned, blocked]) == ("B",)

    def test_a_check_in_json_has_its_numbers_as_plain_strings(self) -> None:
        found = check_as_dict(make_check(Outcome.BLOCK))
        assert found["outcome"] == "block"
        assert (found["limit"], found["before"], found["after"]) == ("1000", None, "0.10")
