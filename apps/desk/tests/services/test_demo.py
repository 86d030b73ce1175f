"""The demo desk: loaded the way that people's work goes, once, and completed when it was interrupted."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.core import clock
from apps.core.errors import Conflict, NotPermitted
from apps.core.models import User
from apps.core.roles import roles_synchronise
from apps.desk.domain import demo
from apps.desk.services import demo as service
from apps.desk.services.demo import demo_load, demo_loaded, demo_replay, demo_wanted
from apps.desk.services.demo_users import DEMO_USERS, logins_read, users_ensure
from apps.marketdata.models import Quarantine
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quality import latest_quality
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.selectors.portfolios import portfolio_by_name
from apps.portfolios.selectors.values import portfolio_values

LATE = date(2008, 9, 8)


@pytest.fixture(autouse=True)
def private_var(settings: Any, tmp_path: Path) -> None:
    settings.VAR = tmp_path
    settings.DEMO_DESK_ALLOWED = True


@pytest.fixture
def short_summer(monkeypatch: pytest.MonkeyPatch) -> None:
    """One week of history instead of a summer, and no compiled backtests."""
    monkeypatch.setattr(demo, "OPENED_ON", LATE)
    monkeypatch.setattr(demo, "BACKTESTS", demo.BACKTESTS[:1])
    monkeypatch.setattr(service, "FEED", replace(service.FEED, start=LATE))


def load() -> dict[str, str]:
    return demo_load(now=clock.now, tell=lambda _line: None)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("short_summer")
class TestLoad:
    @pytest.fixture(autouse=True)
    def roles(self) -> None:
        roles_synchronise()  # emptied between tests with real commits

    def test_interrupted_load_goes_on_and_a_second_one_changes_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(service, "_replay_session", self._interrupt)
            with pytest.raises(KeyboardInterrupt):
                load()
        assert demo_wanted()
        assert demo_replay() is None

        logins = load()

        assert demo_loaded()
        assert not demo_wanted()
        assert demo_replay() == demo.REPLAY
        fund = portfolio_by_name(demo.FUND).pk
        held = holdings(fund)
        assert {position.symbol: position.quantity for position in held.positions} == demo.OPENING_POSITIONS
        assert 0 < held.cash < demo.CAPITAL
        assert len(portfolio_values(fund).total) == 1 + 4  # its opening, and the closes of 8 to 11 September
        assert market_clock(clock.now()).session == date(2008, 9, 11)
        assert latest_quality().count() == len(demo.INSTRUMENTS)
        assert not Quarantine.objects.exists()
        assert load() == logins
        assert holdings(fund) == held

    @staticmethod
    def _interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def test_every_opening_order_passed_the_gate(self) -> None:
        load()
        held = holdings(portfolio_by_name(demo.FUND).pk)
        spent = sum((position.cost for position in held.positions), Decimal(0))
        assert abs(held.cash + spent - demo.CAPITAL) <= 10  # the commissions


@pytest.mark.django_db
class TestRefusals:
    def test_production_has_no_demo_desk(self, settings: Any) -> None:
        settings.DEMO_DESK_ALLOWED = False
        with pytest.raises(NotPermitted, match="not for production"):
            load()
        assert not User.objects.exists()

    def test_a_database_in_use_is_left_alone(self) -> None:
        User.objects.create_user("somebody")
        with pytest.raises(Conflict, match="users of its own"):
            load()

    def test_the_command_ends_with_the_code_of_a_refusal(self, settings: Any) -> None:
        settings.DEMO_DESK_ALLOWED = False
        with pytest.raises(CommandError) as caught:
            call_command("demo_desk")
        assert caught.value.returncode == 4


@pytest.mark.django_db
class TestUsers:
    def test_passwords_are_private_different_and_kept(self, tmp_path: Path) -> None:
        file = tmp_path / "logins"
        users_ensure(file)
        first = logins_read(file)
        assert file.stat().st_mode & 0o777 == 0o600
        assert list(first) == list(DEMO_USERS)
        assert len(set(first.values())) == len(first)
        users_ensure(file)
        assert logins_read(file) == first

    def test_each_can_log_in_and_has_the_role(self, tmp_path: Path) -> None:
        users = users_ensure(tmp_path / "logins")
        for name, password in logins_read(tmp_path / "logins").items():
            assert users[name].check_password(password)
        assert users["trader"].has_perm("execution.add_order")
        assert not users["auditor"].has_perm("execution.add_order")
        assert users["admin"].is_superuser
        assert users["compliance"].is_staff
        assert not users["trader"].is_staff

    def test_a_lost_file_means_new_passwords(self, tmp_path: Path) -> None:
        file = tmp_path / "logins"
        users_ensure(file)
        before = logins_read(file)
        file.unlink()
        users = users_ensure(file)
        assert logins_read(file) != before
        assert users["trader"].check_password(logins_read(file)["trader"])
