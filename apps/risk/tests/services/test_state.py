"""The kill switch: one person halts, two different people release, and the database insists."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from apps.alerts.models import Alert
from apps.core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from apps.core.roles import Role
from apps.core.trading import TradingState
from apps.portfolios.models import PortfolioRole
from apps.portfolios.tests.factories import PortfolioFactory, PortfolioMembershipFactory, UserFactory
from apps.risk.models import ReleaseRequest, ReleaseState, TradingStateChange
from apps.risk.selectors.state import trading_state, trading_states
from apps.risk.services.state import release_approve, release_request, release_withdraw, trading_halt, trading_release
from apps.risk.signals import trading_state_changed
from apps.risk.tests.factories import NOW, person

pytestmark = pytest.mark.django_db


class Scene:
    """A halted portfolio, a trader in it, and two risk managers."""

    def __init__(self) -> None:
        self.portfolio = PortfolioFactory()
        self.trader = person(Role.TRADER)
        PortfolioMembershipFactory(portfolio=self.portfolio, user=self.trader, role=PortfolioRole.TRADER)
        self.first, self.second = person(Role.RISK), person(Role.RISK)
        self.halt = trading_halt(portfolio_id=self.portfolio.pk, user=self.trader, reason="Prices look wrong", at=NOW)

    @property
    def state(self) -> TradingState:
        return trading_state(self.portfolio.pk).state


@pytest.fixture
def scene() -> Scene:
    return Scene()


def release(scene: Scene, **changes):
    given = {"portfolio_id": scene.portfolio.pk, "user": scene.first, "approver": scene.second, "reason": "Checked", "at": NOW}
    return trading_release(**(given | changes))


def test_one_person_halts_and_two_release(scene) -> None:
    view = trading_state(scene.portfolio.pk)
    assert (view.state, view.by, view.reason, view.scope) == (TradingState.HALTED, scene.trader.username, "Prices look wrong", scene.portfolio.pk)
    release(scene)
    assert scene.state is TradingState.ACTIVE


@pytest.mark.parametrize("superuser", [False, True])
def test_one_person_alone_never_releases_and_the_attempt_is_kept(scene, superuser) -> None:
    scene.first.is_superuser = superuser
    scene.first.save()
    with pytest.raises(NotPermitted, match="two different people"):
        release(scene, approver=scene.first)
    assert scene.state is TradingState.HALTED
    assert Alert.objects.filter(code="RELEASE_REFUSED", subject=f"portfolio:{scene.portfolio.pk}").count() == 1


def test_a_second_person_without_the_permission_does_not_count(scene) -> None:
    with pytest.raises(NotPermitted):
        release(scene, approver=scene.trader)
    scene.second.is_active = False
    with pytest.raises(NotPermitted):
        release(scene)
    assert scene.state is TradingState.HALTED


def test_the_database_itself_refuses_a_release_by_one(scene) -> None:
    row = {"portfolio": scene.portfolio, "state": TradingState.ACTIVE, "reason": "x", "recorded_at": NOW}
    for people in ({"changed_by": scene.first, "approved_by": scene.first}, {"changed_by": scene.first}, {"approved_by": scene.first}):
        with pytest.raises(IntegrityError, match="release_by_two"), transaction.atomic():
            TradingStateChange.objects.create(**row, **people)
    TradingStateChange.objects.create(**row, changed_by=scene.first, approved_by=scene.second)


@pytest.mark.parametrize(
    "statement",
    ["update risk_tradingstatechange set reason = 'x'", "delete from risk_tradingstatechange", "truncate risk_tradingstatechange cascade"],
)
def test_a_stored_state_cannot_be_rewritten(scene, statement) -> None:
    with pytest.raises(Exception, match=r"(?i)append|refuse|change"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert scene.state is TradingState.HALTED


def test_the_desk_s_halt_holds_for_every_portfolio(scene) -> None:
    release(scene)
    trading_halt(portfolio_id=None, user=scene.first, reason="Fire drill", at=NOW)
    assert trading_state(scene.portfolio.pk).desk
    assert trading_states([scene.portfolio.pk])[scene.portfolio.pk].state is TradingState.HALTED
    with pytest.raises(Conflict, match="not halted"):
        release(scene)
    release(scene, portfolio_id=None)
    assert scene.state is TradingState.ACTIVE


def test_halting_needs_permission_sight_and_a_reason(scene) -> None:
    with pytest.raises(NotPermitted):
        trading_halt(portfolio_id=scene.portfolio.pk, user=UserFactory(), reason="x", at=NOW)
    with pytest.raises(NotFound):
        trading_halt(portfolio_id=PortfolioFactory().pk, user=scene.trader, reason="x", at=NOW)
    with pytest.raises(NotFound):
        trading_halt(portfolio_id=0, user=None, reason="x", at=NOW)
    with pytest.raises(InvalidInput):
        trading_halt(portfolio_id=scene.portfolio.pk, user=scene.trader, reason="  ", at=NOW)
    with pytest.raises(InvalidInput):
        trading_halt(portfolio_id=scene.portfolio.pk, user=scene.trader, reason="x", at=NOW, state=TradingState.ACTIVE)


def test_going_from_halted_to_reducing_would_be_half_a_release(scene) -> None:
    with pytest.raises(Conflict, match="two people"):
        trading_halt(portfolio_id=scene.portfolio.pk, user=scene.first, reason="x", at=NOW, state=TradingState.REDUCING)
    release(scene)
    trading_halt(portfolio_id=scene.portfolio.pk, user=scene.first, reason="x", at=NOW, state=TradingState.REDUCING)
    assert scene.state is TradingState.REDUCING


def request_of(scene: Scene, at=NOW) -> ReleaseRequest:
    return release_request(portfolio_id=scene.portfolio.pk, user=scene.first, reason="Checked", at=at)


def test_a_release_in_two_steps(scene) -> None:
    change = release_approve(request_id=request_of(scene).pk, approver=scene.second, at=NOW + timedelta(minutes=14, seconds=59))
    assert (change.changed_by, change.approved_by) == (scene.first, scene.second)
    assert scene.state is TradingState.ACTIVE


@pytest.mark.parametrize(
    ("approver", "minutes", "error"),
    [("first", 1, NotPermitted), ("trader", 1, NotPermitted), ("second", 15, Conflict)],
    ids=["own request", "no permission", "expired"],
)
def test_a_request_is_refused_to_the_wrong_person_and_after_its_time(scene, approver, minutes, error) -> None:
    request = request_of(scene)
    with pytest.raises(error):
        release_approve(request_id=request.pk, approver=getattr(scene, approver), at=NOW + timedelta(minutes=minutes))
    assert scene.state is TradingState.HALTED
    request.refresh_from_db()
    assert request.state == ReleaseState.PENDING


def test_a_request_is_decided_once(scene) -> None:
    request = request_of(scene)
    release_approve(request_id=request.pk, approver=scene.second, at=NOW)
    with pytest.raises(Conflict, match="approved already"):
        release_approve(request_id=request.pk, approver=scene.second, at=NOW)


def test_a_newer_halt_is_not_ended_by_an_older_request(scene) -> None:
    request = request_of(scene)
    trading_halt(portfolio_id=scene.portfolio.pk, user=scene.trader, reason="Again", at=NOW)
    with pytest.raises(Conflict, match="halted again"):
        release_approve(request_id=request.pk, approver=scene.second, at=NOW)
    assert scene.state is TradingState.HALTED
    assert request_of(scene).halt_id != request.halt_id


def test_one_request_is_open_at_a_time(scene) -> None:
    request = request_of(scene)
    with pytest.raises(Conflict, match="waits for a second person"):
        request_of(scene)
    later = request_of(scene, at=NOW + timedelta(minutes=15))
    request.refresh_from_db()
    assert (request.state, later.state) == (ReleaseState.WITHDRAWN, ReleaseState.PENDING)


def test_a_request_may_be_withdrawn(scene) -> None:
    request = request_of(scene)
    with pytest.raises(NotPermitted):
        release_withdraw(request_id=request.pk, user=scene.trader, at=NOW)
    release_withdraw(request_id=request.pk, user=scene.first, at=NOW)
    with pytest.raises(Conflict):
        release_approve(request_id=request.pk, approver=scene.second, at=NOW)


def test_the_database_refuses_a_request_approved_by_its_author(scene) -> None:
    request = request_of(scene)
    with pytest.raises(IntegrityError, match="release_by_two"), transaction.atomic():
        ReleaseRequest.objects.filter(pk=request.pk).update(approved_by=scene.first, state=ReleaseState.APPROVED, decided_at=NOW)


def test_everybody_concerned_is_told(scene) -> None:
    alert = Alert.objects.get(code="TRADING_HALTED", subject=f"portfolio:{scene.portfolio.pk}")
    assert alert.severity == "critical"
    told = set(alert.receipts.values_list("user_id", flat=True))
    assert {scene.trader.pk, scene.first.pk, scene.second.pk} <= told


def test_the_signal_is_sent_after_commit_and_a_failing_receiver_stops_nothing(scene, django_capture_on_commit_callbacks, caplog) -> None:
    heard = []

    def broken(**kwargs):
        raise RuntimeError("receiver broke")

    def listening(**kwargs):
        heard.append((kwargs["portfolio_id"], kwargs["state"]))

    trading_state_changed.connect(broken)
    trading_state_changed.connect(listening)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            trading_halt(portfolio_id=scene.portfolio.pk, user=scene.trader, reason="x", at=NOW)
            assert heard == []
    finally:
        trading_state_changed.disconnect(broken)
        trading_state_changed.disconnect(listening)
    assert heard == [(scene.portfolio.pk, TradingState.HALTED)]
    assert "receiver broke" in caplog.text
