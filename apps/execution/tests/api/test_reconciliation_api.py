"""REST, the command, the schedule and the page of reconciliation."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from apps.alerts.models import Alert
from apps.core import clock
from apps.core.roles import Role
from apps.core.schedule import run_once
from apps.execution.api.reconciliation import ReconciliationBreakSerializer, ReconciliationRunSerializer
from apps.execution.models import ReconciliationBreak, ReconciliationRun, ReconciliationTrigger
from apps.execution.services.accounts import ib_account_create
from apps.execution.services.outbox import listening
from apps.execution.services.reconciliation_watch import reconcile_ask
from apps.execution.tasks import compare_all
from apps.execution.tests.factories import make_user
from apps.execution.tests.services.ib.process import hears
from apps.portfolios.tests.factories import PortfolioFactory


@pytest.fixture
def broken(desk) -> ReconciliationBreak:
    """The desk's cash has lost five dollars."""
    with connection.cursor() as cursor:
        cursor.execute("update portfolios_cashbalance set amount = amount - 5")
    reconcile_ask(account=desk.account, trigger=ReconciliationTrigger.REQUEST, at=clock.now())
    return ReconciliationBreak.objects.get()


def client_of(user) -> APIClient:
    client = APIClient()
    client.force_authenticate(user)
    return client


def post(client, path, data):
    return client.post(f"/api/v1/{path}", data, format="json", headers={"Idempotency-Key": str(uuid4())})


class TestRest:
    def test_runs_and_breaks_of_ones_own_portfolios(self, desk, broken):
        mine, others = client_of(desk.trader), client_of(make_user("somebody", Role.TRADER))
        (run,) = mine.get("/api/v1/reconciliation/runs/").json()["results"]
        (row,) = mine.get(f"/api/v1/reconciliation/breaks/?open=true&kind=cash&portfolio={desk.portfolio.pk}").json()["results"]
        assert (run["state"], run["open_breaks"], set(run)) == ("breaks", 1, set(ReconciliationRunSerializer().fields))
        assert (row["key"], row["difference"], row["resolution"], set(row)) == ("USD", "5", None, set(ReconciliationBreakSerializer().fields))
        assert others.get("/api/v1/reconciliation/runs/").json()["results"] == []
        assert others.get("/api/v1/reconciliation/breaks/").json()["results"] == []

    def test_risk_resolves_and_a_trader_does_not(self, desk, broken):
        path = f"reconciliation/breaks/{broken.pk}/resolve/"
        assert post(client_of(desk.trader), path, {"reason": "known"}).status_code == 403
        risk = client_of(make_user("risk-officer", Role.RISK))
        assert post(risk, path, {"reason": ""}).status_code == 400
        answer = post(risk, path, {"reason": "a wire on its way"}).json()
        assert (answer["resolution"]["by"], answer["resolution"]["reason"]) == ("risk-officer", "a wire on its way")
        assert post(risk, path, {"reason": "again"}).status_code == 409
        assert risk.get("/api/v1/reconciliation/breaks/?open=true").json()["results"] == []


class TestCommand:
    def test_books_that_agree_end_with_nothing_to_say(self, desk, capsys):
        call_command("reconcile", "--json")
        (account,) = json.loads(capsys.readouterr().out)["accounts"]
        assert (account["account"], account["state"], account["breaks"]) == (desk.account.number, "clean", [])

    def test_breaks_end_it_with_one(self, desk, broken, capsys):
        with pytest.raises(SystemExit) as ended:
            call_command("reconcile", desk.account.number, "--json")
        assert ended.value.code == 1
        (account,) = json.loads(capsys.readouterr().out)["accounts"]
        assert [(row["kind"], row["ours"], row["theirs"]) for row in account["breaks"]] == [("cash", "99995", "100000")]

    def test_an_unknown_account_is_named(self, desk):
        with pytest.raises(CommandError) as caught:
            call_command("reconcile", "NONE")
        assert "NONE" in str(caught.value)

    def test_nobody_holds_the_line(self, desk):
        ib_account_create(portfolio_id=PortfolioFactory(owner=desk.trader).pk, number="DU7654321")
        with pytest.raises(CommandError) as caught:
            call_command("reconcile", "DU7654321", "--wait", "0.01")
        assert caught.value.returncode == 5
        assert "is it running?" in str(caught.value)


@pytest.mark.django_db(transaction=True)
def test_the_schedule_compares_what_it_can_and_asks_for_the_rest(desk):
    ib_account_create(portfolio_id=PortfolioFactory(owner=desk.trader).pk, number="DU7654321")
    with listening("ib") as words:
        done = run_once("execution.reconcile", scheduled_for=None, parameters={}, work=compare_all)
        assert done == {"accounts": {desk.account.number: "clean", "DU7654321": "asked"}}
        assert hears(words) == ("reconcile beat DU7654321",)


@pytest.mark.django_db(transaction=True)
def test_a_brokers_process_that_does_not_answer_the_schedule_is_told_of_once(desk):
    account, other = (ib_account_create(portfolio_id=PortfolioFactory(owner=desk.trader).pk, number=f"DU765432{n}") for n in (1, 2))
    at = clock.now()

    def beats(number: int) -> list[tuple[str, str]]:
        run_once("execution.reconcile", scheduled_for=at + number * timedelta(minutes=15), parameters={}, work=compare_all)
        return [(alert.code, alert.subject) for alert in Alert.objects.order_by("id")]

    def answer(number: int) -> None:
        """Both accounts are compared after that beat."""
        told = {"state": "clean", "trigger": "beat", "started_at": clock.now(), "recorded_at": at + timedelta(minutes=15 * number, seconds=1)}
        for one in (account, other):
            ReconciliationRun.objects.create(account=one, **told)

    assert beats(0) == []
    answer(0)
    assert beats(1) == []
    assert beats(2) == beats(3) == beats(4) == [("BROKER_SILENT", "broker:ib")]
    assert {receipt.user_id for receipt in Alert.objects.get().receipts.all()} == {desk.trader.pk}
    answer(4)
    assert len(beats(5)) == 1
    assert len(beats(6)) == 2


def test_the_page_says_where_the_account_stands(desk, broken):
    page = Client()
    page.force_login(desk.trader)
    html = page.get(f"/portfolios/{desk.portfolio.pk}").content.decode()
    assert "Reconciliation" in html
    assert ">breaks<" in html.lower()
    assert "99995" in html.replace(",", "")
    assert ReconciliationRun.objects.count() == 1
