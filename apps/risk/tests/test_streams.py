"""The live channel of a portfolio: for those who see it, and the first paint is a full frame."""

import pytest

from apps.core.documents import plain
from apps.core.roles import Role
from apps.core.streams import stream_of
from apps.portfolios.tests.factories import UserFactory
from apps.risk.tests.factories import Desk, person

pytestmark = pytest.mark.django_db


def test_members_and_risk_see_it_others_do_not() -> None:
    desk = Desk()
    stream, key = stream_of(f"portfolio:{desk.portfolio.pk}")
    assert stream.allowed(desk.trader, key)
    assert stream.allowed(person(Role.RISK), key)
    assert not stream.allowed(UserFactory(), key)
    assert not stream.allowed(desk.trader, "x")
    assert not stream.allowed(desk.trader, "")


def test_the_snapshot_is_a_whole_frame() -> None:
    desk = Desk()
    stream, key = stream_of(f"portfolio:{desk.portfolio.pk}")
    frame = plain(stream.snapshot(desk.trader, key))
    assert (frame["total"], frame["positions"][0]["symbol"]) == ("100000.0000", desk.symbol)
    assert {"equity", "daily_pnl", "drawdown", "limits", "trading", "missing"} <= frame["risk"].keys()
