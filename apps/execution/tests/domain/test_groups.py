"""What a bracket and an OCO pair need next, over random lives of their orders."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from apps.execution.domain.groups import EXITS, Act, GroupKind, GroupRole, Member, group_action


class Group:
    """A group on a broker that does at once what it is asked for."""

    def __init__(self, kind, quantity):
        self.kind, self.quantity = kind, Decimal(quantity)
        self.orders = {}
        if kind is GroupKind.BRACKET:
            self.orders[GroupRole.ENTRY] = [self.quantity, Decimal(0), False]

    def members(self):
        return {
            role: Member(order_id=number, quantity=quantity, cumulative=filled, ended=ended, changeable=not ended)
            for number, (role, (quantity, filled, ended)) in enumerate(self.orders.items())
        }

    def settle(self):
        for _ in range(10):
            action = group_action(kind=self.kind, quantity=self.quantity, members=self.members())
            if action is None:
                return
            if action.act is Act.SEND:
                assert action.role not in self.orders
                self.orders[action.role] = [action.quantity, Decimal(0), False]
            elif action.act is Act.RESIZE:
                assert action.quantity > self.orders[action.role][1]
                self.orders[action.role][0] = action.quantity
            else:
                self.orders[action.role][2] = True
        raise AssertionError("it never comes into step")

    def trade(self, role, shares):
        order = self.orders.get(role)
        if order and not order[2]:
            order[1] += min(Decimal(shares), order[0] - order[1])
            order[2] = order[1] == order[0]

    @property
    def exited(self):
        return sum(self.orders[role][1] for role in EXITS if role in self.orders)

    @property
    def entered(self):
        return self.orders[GroupRole.ENTRY][1] if self.kind is GroupKind.BRACKET else self.quantity


EVENTS = st.lists(st.tuples(st.sampled_from(list(GroupRole)), st.integers(0, 60), st.booleans()), max_size=12)


@given(st.sampled_from(list(GroupKind)), st.integers(1, 100), EVENTS)
def test_exits_are_for_what_is_there_and_what_one_trades_the_other_loses(kind, quantity, happenings):
    group = Group(kind, quantity)
    group.settle()
    for role, shares, cancelled in happenings:
        if cancelled and role in group.orders:
            group.orders[role][2] = True
        else:
            group.trade(role, shares)
        group.settle()
        left = group.entered - group.exited
        assert left >= 0
        for exit_role in EXITS:
            if exit_role in group.orders and not group.orders[exit_role][2]:
                assert group.orders[exit_role][0] - group.orders[exit_role][1] == left
        if kind is GroupKind.BRACKET and not group.entered:
            assert set(group.orders) == {GroupRole.ENTRY}
        if kind is GroupKind.BRACKET and group.exited:
            assert group.orders[GroupRole.ENTRY][2]


def test_the_stop_loss_is_sent_first():
    found = group_action(kind=GroupKind.OCO, quantity=Decimal(10), members={})
    assert (found.act, found.role, found.quantity) == (Act.SEND, GroupRole.STOP_LOSS, 10)


def test_an_order_whose_cancel_is_on_its_way_is_left_alone():
    waiting = Member(order_id=1, quantity=Decimal(10), cumulative=Decimal(0), ended=False, changeable=False, cancelling=True)
    traded = Member(order_id=2, quantity=Decimal(10), cumulative=Decimal(10), ended=True, changeable=False)
    members = {GroupRole.STOP_LOSS: waiting, GroupRole.TAKE_PROFIT: traded}
    assert group_action(kind=GroupKind.OCO, quantity=Decimal(10), members=members) is None


def test_a_lost_exit_is_followed_by_one_for_what_is_left():
    lost = Member(order_id=1, quantity=Decimal(10), cumulative=Decimal(3), ended=True, changeable=False, earlier=Decimal(2), attempt=1)
    works = Member(order_id=2, quantity=Decimal(5), cumulative=Decimal(0), ended=False, changeable=True)
    members = {GroupRole.STOP_LOSS: lost, GroupRole.TAKE_PROFIT: works}
    assert group_action(kind=GroupKind.OCO, quantity=Decimal(10), members=members) is None
    found = group_action(kind=GroupKind.OCO, quantity=Decimal(10), members=members, again={1})
    assert (found.act, found.role, found.order_id, found.quantity, found.attempt) == (Act.SEND, GroupRole.STOP_LOSS, None, 5, 2)
