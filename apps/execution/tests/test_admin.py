"""The admin shows everything and changes nothing."""

from datetime import date
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection
from django.test import Client

from apps.core import clock
from apps.core.roles import Role
from apps.execution.models import BreakResolution, BrokerageAccount, Order, ReconciliationBreak, ReconciliationTrigger
from apps.execution.services.reconciliation_watch import reconcile_ask
from apps.execution.tests.factories import make_user


@pytest.fixture
def officer(desk):
    user = make_user("officer", Role.COMPLIANCE)
    user.is_staff = True
    user.save()
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("path", ["order", "fill", "brokerageaccount", "brokerrequest", "reconciliationrun", "reconciliationbreak"])
def test_lists_are_read(desk, officer, path):
    desk.submit()
    assert officer.get(f"/admin/execution/{path}/").status_code == 200
    assert officer.get(f"/admin/execution/{path}/add/").status_code == 403


def test_an_order_is_read_with_its_history_and_never_written(desk, officer):
    order = desk.submit()
    page = f"/admin/execution/order/{order.pk}/"
    assert officer.get(f"{page}change/").status_code == 200
    assert officer.get(f"{page}history/").status_code == 200
    assert officer.post(f"{page}change/", {"status": "canceled"}).status_code == 403
    assert officer.post(f"{page}delete/", {"post": "yes"}).status_code == 403
    assert Order.objects.get().status == "filled"
    assert list(order.history.order_by("history_id").values_list("history_type", "status")) == [("+", "sent"), ("~", "filled")]


def test_an_operator_says_how_a_paper_account_fills_and_nothing_else(desk, officer, client):
    page = f"/admin/execution/brokerageaccount/{desk.account.pk}/change/"
    asked = {
        "slippage_bps": "5",
        "commission": "1",
        "displayed_share": "",
        "latency_ms": "250",
        "reject_share": "0.05",
        "reject_seed": "7",
        "mode": "live",
        "number": "X",
        "reason": "a slow day",
    }
    officer.post(page, {**asked, "account_type": "cash"})  # compliance has the day-trading rules alone
    desk.account.refresh_from_db()
    assert desk.account.latency_ms == 0
    operator = make_user("operator", Role.OPERATOR)
    operator.is_staff = True
    operator.save()
    client.force_login(operator)
    for wrong in ({"reject_share": "1.5"}, {"reason": ""}):
        assert client.post(page, {**asked, **wrong}).status_code == 200
    assert client.post(page, asked).status_code == 302
    account = BrokerageAccount.objects.get()
    assert (account.latency_ms, account.reject_share, account.displayed_share) == (250, Decimal("0.05"), None)
    assert (account.mode, account.number) == ("paper", desk.account.number)
    assert account.history.latest().history_user == operator
    BrokerageAccount.objects.update(broker="ib", number="DU1234567", latency_ms=0, reject_share=0)
    assert client.post(page, {**asked, "commission_per_share": "0.0035", "commission_cap": ""}).status_code == 302
    account = BrokerageAccount.objects.get()
    assert (account.latency_ms, account.commission_per_share, account.commission_cap) == (0, Decimal("0.0035"), None)


def test_compliance_resolves_a_break_with_a_reason(desk, officer):
    with connection.cursor() as cursor:
        cursor.execute("update portfolios_cashbalance set amount = amount - 5")
    reconcile_ask(account=desk.account, trigger=ReconciliationTrigger.REQUEST, at=clock.now())
    row = ReconciliationBreak.objects.get()
    page = "/admin/execution/breakresolution/add/"
    assert officer.post(page, {"found": row.pk, "reason": ""}).status_code == 200
    assert officer.post(page, {"found": row.pk, "reason": "a wire on its way"}).status_code == 302
    resolution = BreakResolution.objects.get()
    assert (resolution.found, resolution.resolved_by.username, resolution.run) == (row, "officer", None)
    assert officer.get("/admin/execution/breakresolution/").status_code == 200
    assert officer.post(f"/admin/execution/breakresolution/{resolution.pk}/delete/", {"post": "yes"}).status_code == 403


def test_compliance_says_which_day_trading_rules_an_account_is_held_to(desk, officer):
    page = f"/admin/execution/brokerageaccount/{desk.account.pk}/change/"
    legacy = {"account_type": "margin", "day_trading_regime": "PDT_LEGACY", "regime_confirmed_with_broker_on": "2026-11-20", "commission": "7"}
    assert officer.get(page).status_code == 200
    for wrong in (legacy, legacy | {"account_type": "cash", "regime_source": "a call"}, legacy | {"regime_source": "a call"}):
        assert officer.post(page, wrong).status_code == 200  # no source; a regime of a cash account; no reason
    assert officer.post(page, legacy | {"regime_source": "a call", "reason": "the broker phases in"}).status_code == 302
    desk.account.refresh_from_db()
    assert (desk.account.account_type, desk.account.day_trading_regime, desk.account.commission) == ("margin", "PDT_LEGACY", 1)
    written = desk.account.history.first()
    assert (written.history_user.username, written.history_change_reason) == ("officer", "the broker phases in")
    assert officer.get(page.replace("change", "history")).status_code == 200


@pytest.mark.parametrize(("roles", "status"), [((Role.TRADER, Role.RISK), 403), ((Role.OPERATOR,), 302)])
def test_nobody_else_does(desk, roles, status):
    somebody = make_user("somebody", *roles)
    somebody.is_staff = True
    somebody.save()
    client = Client()
    client.force_login(somebody)
    settings = {"slippage_bps": "5", "commission": "1", "latency_ms": "0", "reject_share": "0", "reject_seed": "0", "reason": "why not"}
    terms = {"account_type": "margin", "day_trading_regime": "INTRADAY_MARGIN"}
    assert client.post(f"/admin/execution/brokerageaccount/{desk.account.pk}/change/", settings | terms).status_code == status
    desk.account.refresh_from_db()
    assert (desk.account.account_type, desk.account.day_trading_regime) == ("cash", "")


@pytest.mark.parametrize(
    "terms",
    [
        {"account_type": "margin"},
        {"day_trading_regime": "INTRADAY_MARGIN"},
        {"frozen_until": date(2026, 12, 1)},
        {"account_type": "margin", "day_trading_regime": "INTRADAY_MARGIN", "house_rule": True},
        {"account_type": "margin", "day_trading_regime": "PDT_LEGACY", "regime_confirmed_with_broker_on": date(2026, 11, 20)},
    ],
)
def test_terms_that_contradict_themselves_are_refused_by_the_database(desk, terms):
    with pytest.raises(IntegrityError):
        BrokerageAccount.objects.update(**terms)
