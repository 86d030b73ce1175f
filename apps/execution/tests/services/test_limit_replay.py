"""A limit's replay over orders that the real gate has judged equals asking the gate again under that limit."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from apps.core import clock
from apps.core.models import User
from apps.core.roles import Role
from apps.core.trading import OrderIntent, Outcome
from apps.execution.services.gate import gate_check
from apps.execution.tests.factories import Desk, make_desk, make_user
from apps.risk.models import LimitChange
from apps.risk.selectors.replay import limit_replay
from apps.risk.services.limits import limit_change_request, limit_set

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


class Undone(Exception):
    """Takes back what was tried."""


def blocked_by_gate(desk: Desk, intent: OrderIntent, people: dict[str, User], **limit: Any) -> bool:
    """Whether the gate would deny the order by this limit; nothing of it stays."""
    codes: tuple[str, ...] = ()
    try:
        with transaction.atomic():
            limit_set(portfolio_id=desk.portfolio.pk, reason="tried", active_from=clock.now(), **limit, **people)
            codes = gate_check(intent=intent, user_id=desk.trader.pk, at=clock.now()).codes
            raise Undone
    except Undone:
        return bool(codes)


def asked(desk: Desk, user: User, **fields: Any) -> LimitChange:
    return limit_change_request(portfolio_id=desk.portfolio.pk, reason="asked", user=user, at=clock.now(), **fields)


@pytest.mark.parametrize(("kind", "hard"), [("position_value", "2500"), ("order_size", "15"), ("total_exposure", "3500"), ("symbol_order_rate", "2")])
def test_the_replay_equals_asking_the_gate_again(kind, hard) -> None:
    desk = make_desk()
    people = {"user": make_user("first-of-replay", Role.RISK), "approver": make_user("second-of-replay", Role.RISK)}
    brute = {}
    for quantity in ("10", "14", "20", "5"):
        denied = blocked_by_gate(desk, desk.intent(quantity=quantity), people, kind=kind, hard=hard)
        brute[desk.submit(quantity=quantity).pk] = denied
    change = asked(desk, people["user"], kind=kind, hard=hard)
    found = limit_replay(change, now=clock.now() + DAY)
    assert {one.order.order_id: one.outcome is Outcome.BLOCK for one in found.orders} == brute
    assert found.newly_blocked == sum(brute.values()) > 0
    assert limit_replay(change, now=clock.now() + 40 * DAY).orders == ()


def test_what_the_gate_has_kept_no_number_of_is_unknown_and_some_kinds_have_none() -> None:
    desk = make_desk()
    desk.submit(quantity="10")
    officer = make_user("first-of-replay", Role.RISK)
    found = limit_replay(asked(desk, officer, kind="leverage", hard=Decimal(1)), now=clock.now() + DAY)
    assert (len(found.orders), found.count(None)) == (1, 1)
    assert limit_replay(asked(desk, officer, kind="daily_loss", hard="0.1"), now=clock.now()) is None
