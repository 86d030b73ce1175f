"""People who stop an engine, change it, and approve that it trades with real money."""

import pytest
from django.db import IntegrityError, transaction

from apps.core import clock
from apps.core.errors import Conflict, NotPermitted
from apps.core.roles import Role
from apps.core.trading import TradingMode
from apps.execution.models import EngineEvent, LiveApproval, TradingEngine
from apps.execution.selectors.engines import engine_get, engine_status
from apps.execution.services.accounts import ib_account_create
from apps.execution.services.engine_records import Fenced
from apps.execution.services.engines import (
    engine_start,
    engine_stop,
    engine_want,
    live_approve,
    live_request,
    live_revoke,
)
from apps.execution.services.live_building import live_engine_begin, live_engine_describe, live_engine_open
from apps.execution.services.live_config import LiveConfig
from apps.execution.tests.factories import make_user
from apps.execution.tests.services.engines.trading import STOPS, bought, controller, price
from apps.execution.tests.services.test_live import engine
from apps.portfolios.models import PortfolioMembership


class TestControl:
    def test_a_stop_by_a_person_holds_from_that_moment(self, desk, bars):
        live, n, _ = bought(desk, bars, stop_loss=STOPS)
        engine_want(live.engine, user=desk.trader, at=clock.now())
        person = controller(desk)
        engine_stop(engine_id=live.engine.pk, user=person, reason="enough", at=clock.now())
        price(bars, n, 0.9)
        with pytest.raises(Fenced):
            live.look(at=clock.now())
        row = engine_get(user=person, engine_id=live.engine.pk)
        assert engine_status(row, row.state, clock.now()) == "stopped"
        engine_start(engine_id=live.engine.pk, user=person, at=clock.now())
        row = engine_get(user=person, engine_id=live.engine.pk)
        assert engine_status(row, row.state, clock.now()) == "waiting"
        assert [event.kind for event in EngineEvent.objects.order_by("-id")[:2]] == ["started", "stopped"]

    def test_another_configuration_fences_off_what_runs(self, desk, bars):
        live, _, _ = bought(desk, bars)
        engine(desk, stop_loss=STOPS)
        with pytest.raises(Fenced):
            live.look(at=clock.now())
        assert TradingEngine.objects.get().configuration["stop_loss"]["position_stop_pct"] == "0.05"


class TestLive:
    @pytest.fixture
    def live_desk(self, desk, bars):
        desk.account.delete()
        ib_account_create(portfolio_id=desk.portfolio.pk, number="U1234567")
        return desk

    def described(self, desk):
        config = LiveConfig(strategy="sma_cross", symbols=("AAPL",), portfolio_id=desk.portfolio.pk, parameters={"fast": "3", "slow": "8"})
        return live_engine_describe(config=config, user=desk.trader, mode=TradingMode.LIVE, at=clock.now())

    def test_it_needs_two_people_for_this_very_configuration(self, live_desk):
        row = self.described(live_desk)
        with pytest.raises(NotPermitted, match="two people"):
            live_engine_open(row, holder="x", at=clock.now())
        first, second = make_user("rob", Role.RISK), make_user("ruth", Role.RISK)
        approval = live_request(engine_id=row.pk, user=first, reason="tested on paper", at=clock.now())
        with pytest.raises(NotPermitted, match="second person"):
            live_approve(approval_id=approval.pk, user=first, at=clock.now())
        with pytest.raises(NotPermitted):
            live_engine_open(row, holder="x", at=clock.now())
        live_approve(approval_id=approval.pk, user=second, at=clock.now())
        with pytest.raises(Conflict):
            live_approve(approval_id=approval.pk, user=second, at=clock.now())
        live = live_engine_open(row, holder="x", at=clock.now())
        assert live.engine.mode == "live"
        live_revoke(approval_id=approval.pk, user=first, reason="enough", at=clock.now())
        with pytest.raises(Fenced):
            live.look(at=clock.now())
        with pytest.raises(NotPermitted):
            engine_start(engine_id=row.pk, user=first, at=clock.now())

    def test_a_change_of_the_configuration_ends_the_approval(self, live_desk):
        row = self.described(live_desk)
        first, second = make_user("rob", Role.RISK), make_user("ruth", Role.RISK)
        approval = live_request(engine_id=row.pk, user=first, reason="tested on paper", at=clock.now())
        TradingEngine.objects.filter(pk=row.pk).update(config_digest="0" * 64)
        with pytest.raises(Conflict, match="configured anew"):
            live_approve(approval_id=approval.pk, user=second, at=clock.now())

    def test_the_database_holds_it_too(self, live_desk):
        row = self.described(live_desk)
        first = make_user("rob", Role.RISK)
        approval = live_request(engine_id=row.pk, user=first, reason="tested on paper", at=clock.now())
        with pytest.raises(IntegrityError, match="live_approval_by_two"), transaction.atomic():
            LiveApproval.objects.filter(pk=approval.pk).update(approved_by=first, approved_at=clock.now())
        with pytest.raises(IntegrityError, match="is decided"), transaction.atomic():
            LiveApproval.objects.filter(pk=approval.pk).update(config_digest="1" * 64)

    def test_paper_needs_nobody(self, desk, bars):
        live = engine(desk)
        with pytest.raises(Conflict, match="on paper"):
            live_request(engine_id=live.engine.pk, user=make_user("rob", Role.RISK), reason="why", at=clock.now())
        assert PortfolioMembership.objects.exists()


class TestBegin:
    def begin(self, desk, *, standby, **parameters):
        config = LiveConfig(strategy="sma_cross", symbols=("AAPL",), portfolio_id=desk.portfolio.pk, parameters=parameters)
        return live_engine_begin(config=config, user=desk.trader, mode=TradingMode.PAPER, standby=standby, at=clock.now())

    def test_a_standby_makes_an_engine_only_where_there_is_none(self, desk, bars):
        row = self.begin(desk, standby=True, fast="3", slow="8")
        assert (row.wanted, row.parameters) == (True, {"fast": "3", "slow": "8"})
        engine_stop(engine_id=row.pk, user=controller(desk), reason="enough", at=clock.now())
        row = self.begin(desk, standby=True, fast="5", slow="9")
        assert (row.wanted, row.parameters) == (False, {"fast": "3", "slow": "8"})

    def test_who_starts_it_by_hand_decides(self, desk, bars):
        row = self.begin(desk, standby=True, fast="3", slow="8")
        engine_stop(engine_id=row.pk, user=controller(desk), reason="enough", at=clock.now())
        row = self.begin(desk, standby=False, fast="5", slow="9")
        assert (row.wanted, row.parameters) == (True, {"fast": "5", "slow": "9"})
