"""The end of a halt and the monitor from the command line: exit codes, JSON and refusals."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.core.locks import lease
from apps.core.roles import Role
from apps.core.trading import TradingState
from apps.risk.selectors.state import trading_state
from apps.risk.services.state import trading_halt
from apps.risk.tests.factories import NOW, Desk, person

pytestmark = pytest.mark.django_db


def run(*args: str) -> dict:
    out = StringIO()
    call_command(*args, "--json", stdout=out)
    return json.loads(out.getvalue())


def refused(*args: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as caught:
        call_command(*args, stdout=StringIO(), stderr=StringIO())
    return caught.value.returncode, str(caught.value)


@pytest.fixture
def people():
    return person(Role.RISK, "rita"), person(Role.RISK, "rolf")


def halted() -> None:
    trading_halt(portfolio_id=None, user=None, reason="Fire drill", at=NOW)


def test_two_people_resume_the_desk(people) -> None:
    halted()
    assert run("resume", "--reason", "Over", "--user", "rita", "--approved-by", "rolf")["state"] == "active"
    assert trading_state(None).state is TradingState.ACTIVE


@pytest.mark.parametrize(
    ("args", "code", "text"),
    [
        (("resume", "--reason", "x", "--user", "rita", "--approved-by", "rita"), 4, "two different people"),
        (("resume", "--reason", "x", "--user", "rita", "--approved-by", "tom"), 4, "tom may not release"),
        (("resume", "--reason", "x", "--user", "rita", "--approved-by", "nobody"), 2, "no user 'nobody'"),
    ],
)
def test_refusals_say_why_and_leave_the_halt(people, args, code, text) -> None:
    person(Role.TRADER, "tom")
    halted()
    returned, message = refused(*args)
    assert (returned, text in message) == (code, True)
    assert trading_state(None).state is TradingState.HALTED


def test_resuming_what_is_not_halted_is_refused(people) -> None:
    returned, message = refused("resume", "--reason", "x", "--user", "rita", "--approved-by", "rolf")
    assert (returned, message) == (4, "trading is not halted")


def test_the_monitor_values_every_portfolio_once() -> None:
    desk = Desk()
    frames = {frame["portfolio_id"]: frame for frame in run("run_risk_monitor", "--once")["portfolios"]}
    assert frames[desk.portfolio.pk]["total"] == "100000.0000"


def test_there_is_one_monitor_per_desk() -> None:
    with lease("risk-monitor"):
        returned, message = refused("run_risk_monitor", "--once")
    assert (returned, "already running" in message) == (4, True)
