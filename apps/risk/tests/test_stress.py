"""The desk's scenarios on a stored portfolio: the selector, the command, and the admin with its history."""

import json
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO

import numpy as np
import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse

from apps.core.errors import NotFound
from apps.core.roles import Role
from apps.marketdata.domain import calendars
from apps.marketdata.tests.factories import make_series, store_series
from apps.portfolios.tests.factories import CashEntryFactory, InstrumentFactory, PortfolioFactory
from apps.risk.domain.scenarios import ScenarioKind, StressState, worst_outcome
from apps.risk.models import StressExposure, StressScenario, StressShock
from apps.risk.selectors.scenarios import scenarios_kept
from apps.risk.selectors.stress import stress_results
from apps.risk.selectors.utilisation import limit_uses_now
from apps.risk.tests.factories import NOW, Desk, RiskLimitFactory, person, show_prices

pytestmark = pytest.mark.django_db

COVID = (date(2020, 2, 19), date(2020, 3, 23))


def sessions_before(day: date, count: int) -> date:
    return calendars.sessions("XNYS", day - timedelta(days=2 * count), day)[-count]


@pytest.fixture
def market() -> np.ndarray:
    """A market of 200 sessions until yesterday; its daily returns."""
    returns = np.random.default_rng(11).standard_normal(200) * 0.01
    closes = 100 * np.cumprod(1 + returns)
    store_series(make_series("SPY", closes, start=sessions_before(date(2026, 11, 19), 200)))
    return returns


@pytest.fixture
def desk(market) -> Desk:
    """100 shares of one stock at 100, which moves one and a half times as the market does."""
    one = Desk()
    store_series(make_series(one.symbol, 100 * np.cumprod(1 + 1.5 * market), start=sessions_before(date(2026, 11, 19), 200)))
    one.price("100")
    return one


def result(desk: Desk, name: str):
    (outcome,) = stress_results(portfolio_id=desk.portfolio.pk, now=NOW, names=[name])
    return outcome


def test_a_stock_without_prices_of_the_window_stands_by_its_beta(desk) -> None:
    outcome = result(desk, "2020-covid")
    assert (outcome.state, outcome.coverage, outcome.proxied) == (StressState.OK, 1.0, (desk.symbol,))
    assert outcome.pnl == pytest.approx(10_000 * 1.5 * -0.3392)


def test_its_limit_is_used_by_the_worst_scenario_and_not_by_one_that_was_told_what_to_lose(desk) -> None:
    RiskLimitFactory(portfolio_id=desk.portfolio.pk, kind="stress_loss", hard=Decimal("0.5"), active_from=NOW - timedelta(days=1))
    outcomes = stress_results(portfolio_id=desk.portfolio.pk, now=NOW)
    assert any(outcome.pnl is None for outcome in outcomes)
    assert any(outcome.kind is ScenarioKind.REVERSE for outcome in outcomes)
    worst = worst_outcome(outcomes)
    (use,) = (use for use in limit_uses_now(portfolio_id=desk.portfolio.pk, now=NOW) if use.kind == "stress_loss")
    assert float(use.used) == pytest.approx(worst.loss / 100_000, abs=1e-6)
    assert 0 < use.used < Decimal("0.10")


def test_its_own_prices_of_the_window_come_first(desk) -> None:
    days = len(calendars.sessions("XNYS", *COVID))
    store_series(make_series(desk.symbol, np.linspace(200, 140, days), start=COVID[0]))
    outcome = result(desk, "2020-covid")
    assert (outcome.pnl, outcome.proxied) == (pytest.approx(-3_000), ())


def test_each_scenario_of_the_desk_answers_and_says_what_it_covers(desk) -> None:
    outcomes = {outcome.name: outcome for outcome in stress_results(portfolio_id=desk.portfolio.pk, now=NOW)}
    assert len(outcomes) >= 20
    assert {outcome.kind for outcome in outcomes.values()} == set(ScenarioKind)
    assert outcomes["equity-20-down"].pnl == pytest.approx(-3_000)
    assert outcomes["fed-severely-adverse"].pnl == pytest.approx(-8_700)
    assert "volatility" in outcomes["fed-severely-adverse"].note
    assert outcomes["euro-10-down"].pnl == 0
    for unknown in ("rates-200-up", "technology-25-down", "credit-200-wider", "vix-doubled"):
        assert (outcomes[unknown].state, outcomes[unknown].pnl) == (StressState.INSUFFICIENT_DATA, None)
    reverse = outcomes["reverse-10"]
    assert reverse.pnl == pytest.approx(-10_000)
    assert reverse.moves[desk.symbol] == pytest.approx(-1)
    assert reverse.distance == pytest.approx(1 / (1.5 * 0.01), rel=0.15)


def test_what_somebody_has_judged_counts_and_a_currency_moves_what_is_quoted_in_it(desk) -> None:
    StressExposure.objects.create(symbol=desk.symbol, factor="rates", beta=-5, gamma=Decimal(100), reason="A utility")
    assert result(desk, "rates-200-up").pnl == pytest.approx(10_000 * (-0.1 + 0.02))
    foreign = InstrumentFactory(symbol="SAP", currency="EUR")
    InstrumentFactory(symbol="EURUSD")
    desk.trade(10, 50, instrument=foreign)
    CashEntryFactory(portfolio_id=desk.portfolio.pk, book_id=desk.book.pk, amount=Decimal(1000), currency="EUR", fx_rate=Decimal("1.1"))
    show_prices(SAP="50", EURUSD="1.1")
    outcome = result(desk, "euro-10-down")
    assert outcome.by_symbol["SAP"] == pytest.approx(-55)
    assert outcome.by_symbol["EURUSD"] == pytest.approx(-110)  # 1,000 euros of cash


def test_an_empty_portfolio_a_missing_price_and_an_unknown_scenario_are_named(desk) -> None:
    empty = PortfolioFactory()
    assert {outcome.state for outcome in stress_results(portfolio_id=empty.pk, now=NOW)} == {StressState.EMPTY}
    desk.trade(5, 10, instrument=InstrumentFactory(symbol="UNPRICED"))
    outcome = result(desk, "equity-20-down")
    assert (outcome.state, outcome.pnl, outcome.unpriced) == (StressState.PRICE_MISSING, None, ("UNPRICED",))
    with pytest.raises(NotFound, match=r"no scenario 'nope'; there are: .*equity-20-down"):
        result(desk, "nope")


def run(*args: str) -> tuple[int, str]:
    out = StringIO()
    try:
        with time_machine.travel(NOW, tick=False):
            call_command("stress", *args, stdout=out, stderr=StringIO())
    except SystemExit as ended:
        return int(str(ended.code)), out.getvalue()
    except CommandError as refused:
        return refused.returncode, str(refused)
    return 0, out.getvalue()


def test_scenarios_are_kept_until_what_they_are_made_of_is_another(desk, django_assert_max_num_queries) -> None:
    def asked(now=NOW):
        return scenarios_kept(symbols=[desk.symbol], now=now, names=["2020-covid", "rates-200-up"])

    def told() -> None:
        nonlocal before
        after = asked()
        assert after is not before
        assert after[0].proxied != before[0].proxied or after[1].moves != before[1].moves
        before = after

    before = asked()
    with django_assert_max_num_queries(8):
        assert asked() is before
    assert asked(NOW + timedelta(minutes=1)) is before
    StressExposure.objects.create(symbol=desk.symbol, factor="equity", beta=Decimal("0.9"), reason="judged")
    told()
    StressShock.objects.create(scenario=StressScenario.objects.get(name="rates-200-up"), factor="equity", size=Decimal("-0.1"))
    told()
    store_series(make_series(desk.symbol, np.linspace(200, 140, len(calendars.sessions("XNYS", *COVID))), start=COVID[0]))
    told()


def test_the_command_prints_a_table_and_exact_json_and_says_how_it_ended(desk) -> None:
    name = desk.portfolio.name
    code, text = run(name, "--scenario", "equity-20-down")
    assert (code, "-3,000.00" in text, "100.0 %" in text) == (0, True, True)
    code, text = run(name, "--scenario", "equity-20-down", "--scenario", "vix-doubled", "--json")
    told = json.loads(text)
    assert code == 3
    assert [(one["name"], one["state"]) for one in told["outcomes"]] == [("equity-20-down", "ok"), ("vix-doubled", "insufficient_data")]
    assert told["outcomes"][0]["by_symbol"][desk.symbol] == told["outcomes"][0]["pnl"]
    assert run(name, "--scenario", "vix-doubled")[0] == 1
    assert run(name, "--scenario", "nope")[0] == 2
    assert run("nobody's")[0] == 2


@pytest.mark.parametrize(
    "terms",
    [
        {"kind": "historic"},
        {"kind": "historic", "window_start": COVID[1], "window_end": COVID[0]},
        {"kind": "factor", "loss": Decimal("0.1")},
        {"kind": "reverse"},
        {"kind": "reverse", "loss": Decimal(0)},
    ],
)
def test_the_database_refuses_terms_that_do_not_fit_the_kind(terms) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        StressScenario.objects.create(name="x", title="X", reason="Try", **terms)


def test_shocks_need_their_key_and_a_history_is_never_rewritten() -> None:
    scenario = StressScenario.objects.get(name="equity-20-down")
    for shock in ({"factor": "sector"}, {"factor": "equity", "key": "EUR"}, {"factor": "rates", "size": 0}):
        with pytest.raises(IntegrityError), transaction.atomic():
            StressShock.objects.create(scenario=scenario, **({"size": Decimal("0.1")} | shock))
    assert scenario.history.count() == scenario.shocks.get().history.count() == 1
    with pytest.raises(DatabaseError, match="its rows are facts"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("update risk_historicalstressshock set size = 0")


def officer(role: Role) -> Client:
    client = Client()
    client.force_login(person(role, is_staff=True))
    return client


def change(client: Client, scenario: StressScenario, *, size: str, reason: str):
    shock = scenario.shocks.get()
    inline = {
        "shocks-TOTAL_FORMS": 1,
        "shocks-INITIAL_FORMS": 1,
        "shocks-0-id": shock.pk,
        "shocks-0-scenario": scenario.pk,
        "shocks-0-factor": "equity",
        "shocks-0-key": "",
        "shocks-0-size": size,
    }
    form = {"title": scenario.title, "source": "", "active": "on", "reason": reason} | inline
    return client.post(reverse("admin:risk_stressscenario_change", args=[scenario.pk]), form)


def test_an_officer_changes_a_shock_with_a_reason_and_both_histories_keep_it() -> None:
    scenario = StressScenario.objects.get(name="equity-20-down")
    client = officer(Role.RISK)
    assert change(client, scenario, size="-0.3", reason="").status_code == 200
    assert scenario.shocks.get().size == Decimal("-0.2")
    assert change(client, scenario, size="-0.3", reason="Worse than we thought").status_code == 302
    shock = scenario.shocks.get()
    assert (shock.size, shock.history.first().history_change_reason) == (Decimal("-0.3"), "Worse than we thought")
    assert scenario.history.first().history_change_reason == "Worse than we thought"
    assert change(officer(Role.AUDITOR), scenario, size="-0.1", reason="No").status_code == 403


def test_an_exposure_is_of_an_instrument_that_the_desk_has() -> None:
    client, form = officer(Role.RISK), {"factor": "rates", "key": "", "beta": "-4", "gamma": "0", "reason": "A bond fund"}
    address = reverse("admin:risk_stressexposure_add")
    assert b"There is no instrument NOPE" in client.post(address, form | {"symbol": "NOPE"}).content
    InstrumentFactory(symbol="BONDS")
    assert b"need a key" in client.post(address, form | {"symbol": "BONDS", "factor": "sector"}).content
    assert client.post(address, form | {"symbol": "BONDS"}).status_code == 302
    assert StressExposure.objects.get(symbol="BONDS").history.get().history_user.groups.get().name == "risk"
