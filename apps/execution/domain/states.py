"""The one table of an order's life: from which status, by which event, to which status, and why that happens at all.

The database refuses every other move: `apps.execution.domain.guards` writes its trigger from this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from apps.core.errors import Conflict


class OrderStatus(StrEnum):
    """FIX 39, with ours: DENIED (by the gate, never sent), SENT (handed to the broker, not yet acknowledged) and UNKNOWN_SENT (the
    broker's answer never came, so nobody knows whether it has the order: it is looked up, never sent again blindly).
    """

    PENDING_NEW = "pending_new"
    DENIED = "denied"
    SENT = "sent"
    UNKNOWN_SENT = "unknown_sent"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    PENDING_CANCEL = "pending_cancel"
    PENDING_REPLACE = "pending_replace"
    CANCELED = "canceled"
    REJECTED = "rejected"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        """True when nothing more is expected. A late fill may still come, and is then booked."""
        return self in TERMINAL_STATUSES


class OrderEventKind(StrEnum):
    """FIX 150 ExecType, with ours: what happened to an order, as its events record it."""

    PENDING_NEW = "pending_new"
    DENIED = "denied"
    SENT = "sent"
    TIMED_OUT = "timed_out"
    NEW = "new"
    TRADE = "trade"
    PENDING_CANCEL = "pending_cancel"
    CANCELED = "canceled"
    CANCEL_REJECT = "cancel_reject"
    PENDING_REPLACE = "pending_replace"
    REPLACED = "replaced"
    REPLACE_REJECT = "replace_reject"
    RESTATED = "restated"
    REJECTED = "rejected"
    EXPIRED = "expired"
    TRIGGERED = "triggered"


#: The steps in which something is asked of a broker.
MESSAGES = (OrderEventKind.SENT, OrderEventKind.PENDING_REPLACE, OrderEventKind.PENDING_CANCEL)


class FillLevel(StrEnum):
    """How much of the order's quantity has been executed."""

    NONE = "none"
    PARTIAL = "partial"
    FULL = "full"


class IllegalTransition(Conflict):
    """The event cannot happen to an order in this status: somebody's picture of the order is wrong."""

    code: ClassVar[str] = "ILLEGAL_TRANSITION"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One legal move. `filled` limits it to orders filled that far after the event; None means at any level."""

    source: OrderStatus
    event: OrderEventKind
    target: OrderStatus
    reason: str
    filled: FillLevel | None = None
    late: bool = False


_S, _E, _F = OrderStatus, OrderEventKind, FillLevel


def _move(source: OrderStatus, event: OrderEventKind, target: OrderStatus, reason: str, filled: FillLevel | None = None) -> Transition:
    return Transition(source=source, event=event, target=target, reason=reason, filled=filled)


def _late(source: OrderStatus, target: OrderStatus, filled: FillLevel, reason: str) -> Transition:
    return Transition(source=source, event=_E.TRADE, target=target, reason=reason, filled=filled, late=True)


TRANSITIONS: tuple[Transition, ...] = (
    # Before the broker knows of it.
    _move(_S.PENDING_NEW, _E.DENIED, _S.DENIED, "risk or compliance refuses the order"),
    _move(_S.PENDING_NEW, _E.SENT, _S.SENT, "both authorities allow it and it is handed to the broker"),
    _move(_S.PENDING_NEW, _E.REJECTED, _S.REJECTED, "no adapter takes orders for this account"),
    _move(_S.PENDING_NEW, _E.CANCELED, _S.CANCELED, "it is cancelled, or trading is halted, before it was sent"),
    _move(_S.PENDING_NEW, _E.EXPIRED, _S.EXPIRED, "its decisions ran out before it was sent"),
    # Handed over, not yet acknowledged: any answer may come first.
    _move(_S.SENT, _E.NEW, _S.NEW, "the broker acknowledges it"),
    _move(_S.SENT, _E.REJECTED, _S.REJECTED, "the broker refuses it"),
    _move(_S.SENT, _E.TRADE, _S.PARTIALLY_FILLED, "a fill overtakes the acknowledgement", _F.PARTIAL),
    _move(_S.SENT, _E.TRADE, _S.FILLED, "a complete fill overtakes the acknowledgement", _F.FULL),
    _move(_S.SENT, _E.PENDING_CANCEL, _S.PENDING_CANCEL, "a cancel is asked for before the acknowledgement"),
    _move(_S.SENT, _E.CANCELED, _S.CANCELED, "an immediate order dies at once"),
    _move(_S.SENT, _E.EXPIRED, _S.EXPIRED, "the session closes before the acknowledgement"),
    _move(_S.SENT, _E.TIMED_OUT, _S.UNKNOWN_SENT, "the broker's answer does not come: a time-out is not a reject"),
    _move(_S.UNKNOWN_SENT, _E.TIMED_OUT, _S.UNKNOWN_SENT, "it was looked up, and that answer does not come either"),
    _move(_S.UNKNOWN_SENT, _E.NEW, _S.NEW, "the look-up by our id finds it working"),
    _move(_S.UNKNOWN_SENT, _E.TRADE, _S.PARTIALLY_FILLED, "it has traded: the broker had it", _F.PARTIAL),
    _move(_S.UNKNOWN_SENT, _E.TRADE, _S.FILLED, "it has traded in full: the broker had it", _F.FULL),
    _move(_S.UNKNOWN_SENT, _E.REJECTED, _S.REJECTED, "the broker refused it, or says that it never had it"),
    _move(_S.UNKNOWN_SENT, _E.CANCELED, _S.CANCELED, "the look-up finds it cancelled"),
    _move(_S.UNKNOWN_SENT, _E.EXPIRED, _S.EXPIRED, "the look-up finds it expired"),
    _move(_S.UNKNOWN_SENT, _E.PENDING_CANCEL, _S.PENDING_CANCEL, "a cancel is asked for, whether the broker has it or not"),
    # Working.
    _move(_S.NEW, _E.TRADE, _S.PARTIALLY_FILLED, "part of it trades", _F.PARTIAL),
    _move(_S.NEW, _E.TRADE, _S.FILLED, "all of it trades", _F.FULL),
    _move(_S.NEW, _E.TRIGGERED, _S.NEW, "the market reaches its stop price"),
    _move(_S.NEW, _E.RESTATED, _S.NEW, "its stop follows the market"),
    _move(_S.NEW, _E.PENDING_CANCEL, _S.PENDING_CANCEL, "a cancel is asked for"),
    _move(_S.NEW, _E.PENDING_REPLACE, _S.PENDING_REPLACE, "a change is asked for"),
    _move(_S.NEW, _E.REPLACE_REJECT, _S.NEW, "risk or compliance refuses the change: it was never asked for"),
    _move(_S.NEW, _E.CANCELED, _S.CANCELED, "the rest of an immediate order dies, or the broker cancels unasked"),
    _move(_S.NEW, _E.EXPIRED, _S.EXPIRED, "a day order meets the close of its session"),
    _move(_S.NEW, _E.REJECTED, _S.REJECTED, "the venue refuses what the broker had accepted"),
    _move(_S.PARTIALLY_FILLED, _E.TRADE, _S.PARTIALLY_FILLED, "another part trades", _F.PARTIAL),
    _move(_S.PARTIALLY_FILLED, _E.TRADE, _S.FILLED, "the rest trades", _F.FULL),
    _move(_S.PARTIALLY_FILLED, _E.NEW, _S.PARTIALLY_FILLED, "an acknowledgement which a fill had overtaken"),
    _move(_S.PARTIALLY_FILLED, _E.TRIGGERED, _S.PARTIALLY_FILLED, "the broker tells late that its stop was reached"),
    _move(_S.PARTIALLY_FILLED, _E.RESTATED, _S.PARTIALLY_FILLED, "the stop of the rest follows the market"),
    _move(_S.PARTIALLY_FILLED, _E.PENDING_CANCEL, _S.PENDING_CANCEL, "a cancel of the rest is asked for"),
    _move(_S.PARTIALLY_FILLED, _E.PENDING_REPLACE, _S.PENDING_REPLACE, "a change of the rest is asked for"),
    _move(_S.PARTIALLY_FILLED, _E.REPLACE_REJECT, _S.PARTIALLY_FILLED, "risk or compliance refuses the change of the rest"),
    _move(_S.PARTIALLY_FILLED, _E.CANCELED, _S.CANCELED, "the rest of an immediate order dies, or the broker cancels unasked"),
    _move(_S.PARTIALLY_FILLED, _E.EXPIRED, _S.EXPIRED, "the rest of a day order meets the close of its session"),
    # A cancel is on its way: FIX reports PendingCancel until it is answered, whatever trades meanwhile.
    _move(_S.PENDING_CANCEL, _E.NEW, _S.PENDING_CANCEL, "an acknowledgement which the cancel had overtaken"),
    _move(_S.PENDING_CANCEL, _E.PENDING_CANCEL, _S.PENDING_CANCEL, "somebody asks again"),
    _move(_S.PENDING_CANCEL, _E.TRADE, _S.PENDING_CANCEL, "it trades before the cancel arrives"),
    _move(_S.PENDING_CANCEL, _E.CANCELED, _S.CANCELED, "the cancel is confirmed", _F.NONE),
    _move(_S.PENDING_CANCEL, _E.CANCELED, _S.CANCELED, "the cancel of the rest is confirmed", _F.PARTIAL),
    _move(_S.PENDING_CANCEL, _E.CANCELED, _S.FILLED, "nothing was left to cancel", _F.FULL),
    _move(_S.PENDING_CANCEL, _E.CANCEL_REJECT, _S.NEW, "the cancel is refused: it works on", _F.NONE),
    _move(_S.PENDING_CANCEL, _E.CANCEL_REJECT, _S.PARTIALLY_FILLED, "the cancel is refused: the rest works on", _F.PARTIAL),
    _move(_S.PENDING_CANCEL, _E.CANCEL_REJECT, _S.FILLED, "too late to cancel: it has traded", _F.FULL),
    _move(_S.PENDING_CANCEL, _E.EXPIRED, _S.EXPIRED, "the session closes before the cancel is answered", _F.NONE),
    _move(_S.PENDING_CANCEL, _E.EXPIRED, _S.EXPIRED, "the session closes on the rest before the cancel is answered", _F.PARTIAL),
    _move(_S.PENDING_CANCEL, _E.EXPIRED, _S.FILLED, "nothing was left to expire", _F.FULL),
    _move(_S.PENDING_CANCEL, _E.TRIGGERED, _S.PENDING_CANCEL, "the market reaches its stop before the cancel arrives"),
    _move(_S.PENDING_CANCEL, _E.RESTATED, _S.PENDING_CANCEL, "its stop follows the market until the cancel arrives"),
    _move(_S.PENDING_CANCEL, _E.REPLACED, _S.PENDING_CANCEL, "a change that the cancel had overtaken is confirmed"),
    _move(_S.PENDING_CANCEL, _E.REPLACE_REJECT, _S.PENDING_CANCEL, "a change that the cancel had overtaken is refused"),
    # A change is on its way: until it is confirmed the order works, and fills, as it was.
    _move(_S.PENDING_REPLACE, _E.NEW, _S.PENDING_REPLACE, "an acknowledgement which the change had overtaken"),
    _move(_S.PENDING_REPLACE, _E.TRADE, _S.PENDING_REPLACE, "it trades as it was before the change arrives"),
    _move(_S.PENDING_REPLACE, _E.TRIGGERED, _S.PENDING_REPLACE, "the market reaches its stop before the change arrives"),
    _move(_S.PENDING_REPLACE, _E.RESTATED, _S.PENDING_REPLACE, "its stop follows the market until the change arrives"),
    _move(_S.PENDING_REPLACE, _E.REPLACED, _S.NEW, "the change is confirmed", _F.NONE),
    _move(_S.PENDING_REPLACE, _E.REPLACED, _S.PARTIALLY_FILLED, "the change of the rest is confirmed", _F.PARTIAL),
    _move(_S.PENDING_REPLACE, _E.REPLACED, _S.FILLED, "as much as the change leaves has traded", _F.FULL),
    _move(_S.PENDING_REPLACE, _E.REPLACE_REJECT, _S.NEW, "the change is refused: it works on as it was", _F.NONE),
    _move(_S.PENDING_REPLACE, _E.REPLACE_REJECT, _S.PARTIALLY_FILLED, "the change is refused: the rest works on as it was", _F.PARTIAL),
    _move(_S.PENDING_REPLACE, _E.REPLACE_REJECT, _S.FILLED, "too late to change: it has traded", _F.FULL),
    _move(_S.PENDING_REPLACE, _E.PENDING_CANCEL, _S.PENDING_CANCEL, "a cancel is asked for before the change is answered"),
    _move(_S.PENDING_REPLACE, _E.CANCELED, _S.CANCELED, "the broker cancels unasked before it has changed", _F.NONE),
    _move(_S.PENDING_REPLACE, _E.CANCELED, _S.CANCELED, "the broker cancels the rest unasked before it has changed", _F.PARTIAL),
    _move(_S.PENDING_REPLACE, _E.CANCELED, _S.FILLED, "nothing was left to change or cancel", _F.FULL),
    _move(_S.PENDING_REPLACE, _E.EXPIRED, _S.EXPIRED, "the session closes before the change is answered", _F.NONE),
    _move(_S.PENDING_REPLACE, _E.EXPIRED, _S.EXPIRED, "the session closes on the rest before the change is answered", _F.PARTIAL),
    _move(_S.PENDING_REPLACE, _E.EXPIRED, _S.FILLED, "nothing was left to expire", _F.FULL),
    # Real markets report fills after the end. The shares are ours, so they are booked, and somebody is told.
    _late(_S.CANCELED, _S.CANCELED, _F.PARTIAL, "a fill crossed the cancel on the wire"),
    _late(_S.CANCELED, _S.FILLED, _F.FULL, "the fill of all of it crossed the cancel on the wire"),
    _late(_S.EXPIRED, _S.EXPIRED, _F.PARTIAL, "a fill crossed the close on the wire"),
    _late(_S.EXPIRED, _S.FILLED, _F.FULL, "the fill of all of it crossed the close on the wire"),
    _late(_S.REJECTED, _S.REJECTED, _F.PARTIAL, "the broker, which had refused it or said that it never had it, has traded it"),
    _late(_S.REJECTED, _S.FILLED, _F.FULL, "the broker, which had refused it or said that it never had it, has traded all of it"),
)

TERMINAL_STATUSES: frozenset[OrderStatus] = frozenset({_S.DENIED, _S.FILLED, _S.CANCELED, _S.REJECTED, _S.EXPIRED})

#: Statuses in which a change may be asked for.
CHANGEABLE_STATUSES: frozenset[OrderStatus] = frozenset({_S.NEW, _S.PARTIALLY_FILLED})

#: Statuses of an order that the broker has never seen: no decision is needed to be in them.
UNSENT_STATUSES: frozenset[OrderStatus] = frozenset({_S.PENDING_NEW, _S.DENIED, _S.CANCELED, _S.REJECTED, _S.EXPIRED})


def _index() -> Mapping[tuple[OrderStatus, OrderEventKind, FillLevel], Transition]:
    table: dict[tuple[OrderStatus, OrderEventKind, FillLevel], Transition] = {}
    for transition in TRANSITIONS:
        for level in (transition.filled,) if transition.filled else FillLevel:
            key = (transition.source, transition.event, level)
            if key in table:
                raise ValueError(f"two transitions for {key}")
            table[key] = transition
    return table


_TABLE = _index()


def fill_level(*, cumulative: Decimal, quantity: Decimal) -> FillLevel:
    """Level of an order of `quantity` shares of which `cumulative` have traded.

    Raises IllegalTransition when more has traded than was ordered.
    """
    if cumulative > quantity:
        raise IllegalTransition(f"{cumulative} traded of an order for {quantity}")
    if cumulative == quantity:
        return FillLevel.FULL
    return FillLevel.PARTIAL if cumulative else FillLevel.NONE


def transition_for(status: OrderStatus, event: OrderEventKind, filled: FillLevel) -> Transition:
    """The legal move, where `filled` is the level after the event. Raises IllegalTransition when the table has none."""
    found = _TABLE.get((status, event, filled))
    if found is None:
        raise IllegalTransition(f"an order which is {status} ({filled} filled) cannot become {event}", status_before=str(status), event=str(event))
    return found


def status_moves() -> tuple[tuple[OrderStatus, OrderStatus], ...]:
    """Every (from, to) of the table in which the status changes, sorted."""
    return tuple(sorted({(t.source, t.target) for t in TRANSITIONS if t.source is not t.target}))
