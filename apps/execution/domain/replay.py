"""Where an order stands after a list of broker reports, in FIX's words: the rules of FIX 4.4 appendix D as a pure function.

The desk's own orders go through `states`; this measure states the rules for any order, replaces included, so that a broker's
log can be checked against them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, ClassVar

from apps.core.errors import InvalidInput, RuleRefused
from apps.core.measures import measure
from apps.core.money import QUANTITY_PLACES, ZERO, exact

#: OrdStatus when several apply: the one with the highest precedence is reported (FIX 5.0SP2, volume 4).
PRECEDENCE: Mapping[str, int] = {
    "PendingCancel": 12,
    "PendingReplace": 11,
    "Filled": 8,
    "Canceled": 5,
    "PartiallyFilled": 4,
    "New": 3,
    "PendingNew": 2,
    "Rejected": 2,
}


class ReplayIllegal(RuleRefused):
    """The report cannot follow the ones before it."""

    code: ClassVar[str] = "ILLEGAL_TRANSITION"


class ReplayOverfill(RuleRefused):
    """More has traded than was ordered."""

    code: ClassVar[str] = "OVERFILL"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderState:
    """An order after some reports. Quantities in shares, `notional` the sum of quantity x price, `alerts` codes for people."""

    quantity: Decimal
    cumulative: Decimal = ZERO
    notional: Decimal = ZERO
    acknowledged: bool = False
    rejected: bool = False
    canceled: bool = False
    pending_cancel: bool = False
    pending_replace: bool = False
    executions: frozenset[str] = frozenset()
    alerts: tuple[str, ...] = field(default=())

    @property
    def status(self) -> str:
        """The applying status with the highest precedence, as domain rules D1 write it."""
        if self.rejected:
            return "Rejected"
        applying = {
            "PendingCancel": self.pending_cancel,
            "PendingReplace": self.pending_replace,
            "Filled": self.cumulative == self.quantity,
            "Canceled": self.canceled,
            "PartiallyFilled": self.cumulative > ZERO,
            "New": self.acknowledged,
            "PendingNew": True,
        }
        return max((name for name, applies in applying.items() if applies), key=PRECEDENCE.__getitem__)

    @property
    def leaves(self) -> Decimal:
        """What may still trade: zero once the order is terminal."""
        return ZERO if self.rejected or self.canceled else self.quantity - self.cumulative

    @property
    def average_price(self) -> Decimal | None:
        return self.notional / self.cumulative if self.cumulative else None


def apply(state: OrderState, event: Mapping[str, Any]) -> OrderState:
    """The state after one report. A repeated execution id changes nothing; a fill after the cancel is taken and alerted.

    Raises InvalidInput for an unknown type or a missing field, ReplayIllegal and ReplayOverfill for a report that cannot be true.
    """
    kind = event.get("type")
    if kind in ("CANCEL_REQUEST", "REPLACE_REQUEST"):
        return state  # only the broker's acknowledgement makes it pending
    if kind == "FILL":
        return _filled(state, event)
    handler = _REPORTS.get(str(kind))
    if handler is None:
        raise InvalidInput(f"{kind!r} is no event of an order", field="type")
    if state.rejected or (state.canceled and kind not in ("NEW", "CANCELED", "CANCEL_REJECT", "REPLACE_REJECT")):
        raise ReplayIllegal(f"{kind} after the order was {state.status}", field="type")
    return handler(state, event)


def _filled(state: OrderState, event: Mapping[str, Any]) -> OrderState:
    execution = str(_required(event, "exec_id"))
    quantity = exact(_required(event, "quantity"), places=QUANTITY_PLACES, field="quantity")
    price = exact(_required(event, "price"), places=QUANTITY_PLACES, field="price")
    if quantity <= 0:
        raise InvalidInput("a fill has a quantity above zero", field="quantity")
    if execution in state.executions:
        return state
    if state.rejected:
        raise ReplayIllegal("FILL after the order was Rejected", field="type")
    if state.cumulative + quantity > state.quantity:
        raise ReplayOverfill(f"{state.cumulative + quantity} traded of {state.quantity}", field="quantity")
    return replace(
        state,
        cumulative=state.cumulative + quantity,
        notional=state.notional + quantity * price,
        executions=state.executions | {execution},
        alerts=(*state.alerts, "LATE_FILL") if state.canceled else state.alerts,
    )


def _replaced(state: OrderState, event: Mapping[str, Any]) -> OrderState:
    quantity = exact(_required(event, "quantity"), places=QUANTITY_PLACES, field="quantity")
    # What has traded cannot be replaced away: a smaller quantity means "no more" (FIX 4.4 C.3.c).
    return replace(state, quantity=max(quantity, state.cumulative), pending_replace=False, acknowledged=True)


def _rejected(state: OrderState, _event: Mapping[str, Any]) -> OrderState:
    if state.cumulative:
        raise ReplayIllegal("REJECTED after the order has traded", field="type")
    return replace(state, rejected=True, pending_cancel=False, pending_replace=False)


_REPORTS: Mapping[str, Callable[[OrderState, Mapping[str, Any]], OrderState]] = {
    "NEW": lambda state, _event: replace(state, acknowledged=True),
    "PENDING_CANCEL": lambda state, _event: replace(state, pending_cancel=True),
    "CANCELED": lambda state, _event: replace(state, canceled=True, pending_cancel=False, pending_replace=False),
    "CANCEL_REJECT": lambda state, _event: replace(state, pending_cancel=False),
    "PENDING_REPLACE": lambda state, _event: replace(state, pending_replace=True),
    "REPLACED": _replaced,
    "REPLACE_REJECT": lambda state, _event: replace(state, pending_replace=False),
    "REJECTED": _rejected,
}


def _required(event: Mapping[str, Any], name: str) -> Any:
    if name not in event:
        raise InvalidInput(f"{event.get('type')} needs {name}", field=name)
    return event[name]


@measure(
    "execution.order.replay",
    units="shares; price in the currency of the fills",
    convention="status of highest FIX precedence; leaves is zero once terminal; average price is null before the first fill",
    source="FIX 4.4 appendix D, FIX 5.0SP2 volume 4",
)
def order_replay(quantity: int | str, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Replay broker reports onto an order for `quantity` shares.

    Returns {status, order_quantity, cumulative, leaves, average_price}: whole quantities as integers, the price as a Decimal
    string, null before the first fill. Raises InvalidInput, ReplayIllegal, ReplayOverfill.
    """
    ordered = exact(quantity, places=QUANTITY_PLACES, field="quantity")
    if ordered <= 0:
        raise InvalidInput("an order has a quantity above zero", field="quantity")
    state = OrderState(quantity=ordered)
    for event in events:
        state = apply(state, event)
    average = state.average_price
    return {
        "status": state.status,
        "order_quantity": _number(state.quantity),
        "cumulative": _number(state.cumulative),
        "leaves": _number(state.leaves),
        "average_price": None if average is None else format(average, "f"),
    }


def _number(value: Decimal) -> int | str:
    return int(value) if value == value.to_integral_value() else format(value.normalize(), "f")
