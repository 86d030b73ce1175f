"""Orders that belong together: a bracket (an entry with a take-profit and a stop-loss), and two of which one cancels the other.

The exits of a bracket are for what the entry has filled, never for more. What one exit trades, the other loses.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from uuid import UUID, uuid5

ZERO = Decimal(0)
#: Names the orders of groups: the same role of the same group has the same client order id, for ever.
GROUP_ORDERS = UUID("7a0b8c55-92a5-57a4-8f53-0c9f7a4f8c20")


class GroupKind(StrEnum):
    """BRACKET has an entry, OCO (one cancels the other) is two exits of a position that is there."""

    BRACKET = "bracket"
    OCO = "oco"


class GroupRole(StrEnum):
    """What an order is in its group. The stop-loss comes first: protection before profit."""

    ENTRY = "entry"
    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"


EXITS = (GroupRole.STOP_LOSS, GroupRole.TAKE_PROFIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """The last order of a role as it stands. `changeable`: it works and may be replaced; `cancelling`: its cancel is on the way.

    `earlier` is what the orders before it have traded in the same role, `attempt` how many they are.
    """

    order_id: int
    quantity: Decimal
    cumulative: Decimal
    ended: bool
    changeable: bool
    cancelling: bool = False
    earlier: Decimal = ZERO
    attempt: int = 0


class Act(StrEnum):
    """What brings a group into step."""

    SEND = "send"
    RESIZE = "resize"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupAction:
    """One thing to do. `quantity` is the whole of the order to send, or what the order is to have in all; `attempt` counts the orders of the role."""

    act: Act
    role: GroupRole
    reason: str
    order_id: int | None = None
    quantity: Decimal = ZERO
    attempt: int = 0


def group_order_id(*, group: UUID, portfolio_id: int, role: GroupRole, attempt: int = 0) -> UUID:
    """The client order id of a member, and of the one that follows it when it ended of nobody's will."""
    return uuid5(GROUP_ORDERS, f"{portfolio_id}|{group}|{role}" + (f"|{attempt}" if attempt else ""))


def group_action(*, kind: GroupKind, quantity: Decimal, members: Mapping[GroupRole, Member], again: Collection[int] = ()) -> GroupAction | None:
    """The next thing that the group needs, None when it is in step. `quantity` is an OCO's; a bracket's is what its entry has filled.

    An exit that has ended stays ended, and the other one works on, but for those whose ids stand in `again`: another one follows them.
    """
    entry = members.get(GroupRole.ENTRY)
    if kind is GroupKind.BRACKET:
        if entry is None:
            return None
        if _exited(members) and not (entry.ended or entry.cancelling):
            return GroupAction(act=Act.WITHDRAW, role=GroupRole.ENTRY, order_id=entry.order_id, reason="an exit of its bracket has traded")
    open_quantity = exit_left(quantity=quantity, members=members)
    for role in EXITS:
        if action := _exit(role, members.get(role), open_quantity, again):
            return action
    return None


def exit_left(*, quantity: Decimal, members: Mapping[GroupRole, Member]) -> Decimal:
    """What the exits together may still trade: what the entry has filled, or an OCO's `quantity`, less what they have traded."""
    entry = members.get(GroupRole.ENTRY)
    return (entry.cumulative if entry is not None else quantity) - _exited(members)


def _exited(members: Mapping[GroupRole, Member]) -> Decimal:
    return sum((members[role].cumulative + members[role].earlier for role in EXITS if role in members), ZERO)


def _exit(role: GroupRole, member: Member | None, open_quantity: Decimal, again: Collection[int]) -> GroupAction | None:
    if member is None or (member.ended and member.order_id in again):
        if open_quantity <= ZERO:
            return None
        attempt = 0 if member is None else member.attempt + 1
        return GroupAction(act=Act.SEND, role=role, quantity=open_quantity, reason="there is something to exit", attempt=attempt)
    if member.ended or member.cancelling:
        return None
    if open_quantity <= ZERO:
        return GroupAction(act=Act.WITHDRAW, role=role, order_id=member.order_id, reason="the other order of its group has traded")
    wanted = member.cumulative + open_quantity
    if wanted == member.quantity or not member.changeable:
        return None
    return GroupAction(act=Act.RESIZE, role=role, order_id=member.order_id, quantity=wanted, reason=f"{open_quantity.normalize():f} are left to exit")
