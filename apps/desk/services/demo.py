"""The demo desk: people, instruments with their real bars, a fund with a past, backtests. All of it goes the way that people's work goes.

The fund is opened in July 2008. Its first summer is replayed at full speed, with real orders through the gate and a value recorded
at each close, so that it has a history when the screens open on the crash weeks of September.

Loading may be killed at any moment: each step looks first at what is there, and the next load goes on.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import transaction

from apps.alerts.selectors import receipts
from apps.alerts.selectors.routes import routes_of
from apps.alerts.services import alert_acknowledge
from apps.alerts.services.mail import mail_configured
from apps.alerts.services.policies import policy_ensure
from apps.alerts.services.routes import route_create
from apps.compliance.services.restrictions import restriction_add
from apps.core.errors import Conflict, NotFound, NotPermitted, RuleRefused
from apps.core.jobs import job_create, job_run
from apps.core.models import JobRun, User
from apps.core.models.jobs import JobState
from apps.core.roles import Role
from apps.desk.domain import demo
from apps.desk.domain.processes import Replay
from apps.desk.services.demo_users import logins_read, users_ensure
from apps.execution.services.accounts import paper_account_create
from apps.execution.services.intents import intent_build
from apps.execution.services.orders import order_submit
from apps.marketdata.domain.calendars import session_hours, sessions
from apps.marketdata.domain.points import CloseKind
from apps.marketdata.domain.replay import Step
from apps.marketdata.selectors.factors import universe_parse
from apps.marketdata.selectors.history import feed_state
from apps.marketdata.selectors.instruments import instrument_get
from apps.marketdata.selectors.market import HOME_CALENDAR
from apps.marketdata.services.action_imports import actions_import
from apps.marketdata.services.closes import closes_import
from apps.marketdata.services.factors import factors_compute
from apps.marketdata.services.feeds.replay import ReplayPlan, replay_run
from apps.marketdata.services.imports import bars_import
from apps.marketdata.services.instruments import instrument_create
from apps.marketdata.services.quality import CheckRequest, data_check
from apps.marketdata.services.reference import fama_french_plan, series_import
from apps.portfolios.selectors.holdings import holdings
from apps.portfolios.selectors.portfolios import portfolio_by_name
from apps.portfolios.services.portfolios import membership_grant, portfolio_create
from apps.portfolios.services.targets import PlanTerms, targets_set
from apps.portfolios.services.values import portfolio_values_record
from apps.risk.domain.limits import LimitKind, LimitScope
from apps.risk.selectors.limits import limits_in_force, order_limits
from apps.risk.services.limits import limit_set
from apps.strategies.services.backtests import BacktestRequest, backtest_run

JOB = "demo_desk"
FEED = ReplayPlan(start=demo.OPENED_ON, session_seconds=0.0)

Clock = Callable[[], datetime]
Tell = Callable[[str], None]


def demo_allowed() -> bool:
    """True where the settings allow users whose passwords are printed: never in production."""
    return bool(getattr(settings, "DEMO_DESK_ALLOWED", False))


def demo_wanted() -> bool:
    """True for a database without users, and for one in which loading the demo desk was begun and not finished."""
    begun = JobRun.objects.filter(job=JOB)
    return not User.objects.exists() or (begun.exists() and not demo_loaded())


def demo_loaded() -> bool:
    """True once the demo desk is complete."""
    return JobRun.objects.filter(job=JOB, state=JobState.SUCCEEDED).exists()


def demo_replay() -> Replay | None:
    """What the feed and the trader of the demo desk do, None where there is no demo desk."""
    return demo.REPLAY if demo_loaded() else None


def demo_logins() -> dict[str, str]:
    """User names and passwords, empty where this installation did not make them."""
    return logins_read(_logins_file())


def demo_load(*, now: Clock, tell: Tell) -> dict[str, str]:
    """Load what is missing of the demo desk and return the logins. A second load changes nothing.

    Raises NotPermitted under production settings, and Conflict in a database that people already use otherwise.
    """
    if not demo_allowed():
        raise NotPermitted("the demo desk is not for production: its passwords are printed")
    if not demo_wanted() and not demo_loaded():
        raise Conflict("this database has users of its own: the demo desk is for an empty one")
    if demo_loaded():
        users_ensure(_logins_file())
        return demo_logins()
    with job_run(job_create(job=JOB, at=now())) as running:
        users = users_ensure(_logins_file())
        tell(f"{len(users)} users")
        _escalation_set(users, now())
        tell(f"{_market_load(now)} daily bars of {len(demo.INSTRUMENTS)} instruments")
        tell(f"{_factors_load(now)} factor scores")
        portfolio_id = _fund_open(users, now)
        tell(f"{demo.FUND} with {demo.CAPITAL:,} USD")
        _summer_replay(users["trader"], portfolio_id, now)
        tell(f"its history from {demo.OPENED_ON} to {demo.REPLAY_FROM - timedelta(days=1)}")
        tell(f"{_backtests_run(users['quant'], now)} backtests")
        tell(f"the data of {_data_check(now)} series checked")
        running.result = {"users": len(users), "portfolio": portfolio_id}
    return demo_logins()


def _escalation_set(users: Mapping[str, User], at: datetime) -> None:
    """Critical alerts that nobody acknowledges go to the risk managers, then to the operators, again and again."""
    policy_ensure(
        name="Critical alerts",
        minimum="critical",
        steps=[(5, Role.RISK), (10, Role.OPERATOR)],
        repeat_minutes=30,
        active_from=at,
        reason="The demo desk's rule",
    )
    risk = users["risk"]
    if mail_configured() and not routes_of(risk).exists():  # without a mail server it would only die
        route_create(user=risk, channel="email", target=risk.email, minimum="critical", at=at)


def _logins_file() -> Path:
    return Path(settings.VAR) / "demo-logins"


def _market_load(now: Clock) -> int:
    """Instruments first: an import never makes one. Returns the number of bars that were not known."""
    for item in demo.INSTRUMENTS:
        instrument_create(symbol=item.symbol, name=item.name, asset_class=item.asset_class, tradable=item.tradable, sector=item.sector)
    files = [Path(settings.BASE_DIR) / "fixtures" / name for name in sorted({item.file for item in demo.INSTRUMENTS})]
    report = bars_import(files=files, source="fixtures", recorded_at=now())
    if report.errors:
        raise RuleRefused(f"the fixtures cannot be imported: {'; '.join(report.errors)}")
    splits = actions_import(file=Path(settings.BASE_DIR) / "fixtures" / demo.SPLITS, source="fixtures", recorded_at=now())
    if splits.rejected or splits.actions.quarantined:
        raise RuleRefused(f"the fixtures' splits do not fit their bars: {splits.as_dict()}")
    return report.inserted


def _factors_load(now: Clock) -> int:
    """Closes, Fama-French factors and the scores made of them; returns the number of scores that were not known."""
    for symbol, name, asset_class, sector in demo.SCORED:
        instrument_create(symbol=symbol, name=name, asset_class=asset_class, tradable=False, sector=sector)
    fixtures = Path(settings.BASE_DIR) / "fixtures"
    reports = [
        closes_import(files=[fixtures / file], adjustment=adjustment, source="fixtures", recorded_at=now())
        for file, adjustment in (
            (demo.ETF_CLOSES, CloseKind.TOTAL_RETURN),
            (demo.STOCK_CLOSES, CloseKind.TOTAL_RETURN),
            (demo.VIX_CLOSES, CloseKind.NONE),
        )
    ]
    french = fixtures / demo.FAMA_FRENCH
    reports.append(series_import(file=french, plan=fama_french_plan(french), recorded_at=now()))
    if faults := [fault for report in reports for fault in (*report.errors, *(item.text for item in report.rejected))]:
        raise RuleRefused(f"the fixtures cannot be imported: {'; '.join(faults[:5])}")
    starts = {"etf": None, "stock": demo.SCORED_FROM}
    return sum(factors_compute(universe=universe_parse(name), start=start, recorded_at=now()).inserted for name, start in starts.items())


def _fund_open(users: Mapping[str, User], now: Clock) -> int:
    """The fund with its members, account, targets, limits and restrictions."""
    opened_at = session_hours(HOME_CALENDAR, demo.OPENED_ON)[0] - timedelta(minutes=1)
    try:
        portfolio = portfolio_by_name(demo.FUND)
    except NotFound:
        portfolio = portfolio_create(
            name=demo.FUND,
            owner=users["trader"],
            initial_capital=demo.CAPITAL,
            benchmark_symbol=demo.BENCHMARK,
            effective_at=opened_at,
            recorded_at=now(),
        )
    membership_grant(portfolio_id=portfolio.pk, user_id=users["quant"].pk, role="viewer")
    paper_account_create(portfolio_id=portfolio.pk)
    targets_set(
        user=users["trader"],
        portfolio_id=portfolio.pk,
        weights=demo.TARGETS,
        reason=demo.TARGETS_REASON,
        effective_on=demo.OPENED_ON,
        today=demo.OPENED_ON,
        recorded_at=now(),
        terms=PlanTerms(price_tolerance=demo.PRICE_TOLERANCE),
    )
    known = limits_in_force(portfolio.pk, now())
    by, second = users["risk"], users["compliance"]
    limit = partial(limit_set, portfolio_id=portfolio.pk, reason=demo.LIMITS_REASON, active_from=now(), user=by, approver=second)
    for kind, (soft, hard) in demo.LIMITS.items():
        if kind not in known:
            limit(kind=kind, soft=soft, hard=hard)
    for symbol, kind, soft, hard in demo.INSTRUMENT_LIMITS:
        instrument_id = instrument_get(symbol).pk
        met = order_limits(portfolio.pk, now(), book_id=None, instrument_id=instrument_id)
        if met.limits[LimitKind(kind)].scope is not LimitScope.INSTRUMENT:
            limit(kind=kind, soft=soft, hard=hard, instrument_id=instrument_id)
    _opening_limits_seen(users.values(), now)
    for symbol, reason in demo.RESTRICTED.items():
        with suppress(Conflict):  # it stands there already
            restriction_add(instrument_id=instrument_get(symbol).pk, level="restricted", reason=reason, user=users["compliance"], active_from=now())
    return portfolio.pk


def _opening_limits_seen(users: Iterable[User], now: Clock) -> None:
    """The bell begins with what the market does, not with how the desk was set up."""
    for user in users:
        for receipt in receipts(user).filter(alert__code="LIMIT_CHANGED", alert__detail=demo.LIMITS_REASON):
            alert_acknowledge(user=user, alert_id=receipt.alert_id, note=demo.LIMITS_REASON, at=now())


def _summer_replay(trader: User, portfolio_id: int, now: Clock) -> None:
    """From the fund's first session to the last one before the live replay, orders at the first open."""
    state = feed_state(FEED.name)
    if state is None or state.step <= Step.LOW:
        _replay_first_step(now)
        _positions_open(trader, portfolio_id, now)
    for session in sessions(HOME_CALENDAR, demo.OPENED_ON, demo.REPLAY_FROM - timedelta(days=1)):
        _replay_session(session, now)
        closed_at = session_hours(HOME_CALENDAR, session)[1]
        portfolio_values_record(session=session, market_time=closed_at, recorded_at=now())


def _replay_first_step(now: Clock) -> None:
    shown: list[str] = []
    replay_run(plan=FEED, clock=now, stopping=lambda: bool(shown), on_step=shown.append)


def _replay_session(session: date, now: Clock) -> None:
    state = feed_state(FEED.name)
    done = state is not None and (state.session > session or (state.session == session and state.step == len(Step)))
    if not done:
        replay_run(plan=ReplayPlan(name=FEED.name, start=FEED.start, session_seconds=0.0, sessions=1), clock=now, stopping=lambda: False)


def _positions_open(trader: User, portfolio_id: int, now: Clock) -> None:
    """Buy what is not held yet. Raises RuleRefused when the gate denies an order: the limits and the orders here do not fit."""
    held = {position.symbol for position in holdings(portfolio_id).positions}
    for symbol, quantity in demo.OPENING_POSITIONS.items():
        if symbol not in held:
            intent = intent_build(user=trader, portfolio_id=portfolio_id, symbol=symbol, side="buy", quantity=quantity)
            order = order_submit(intent=intent, user=trader, at=now(), note="Opening position")
            if order.status != "filled":
                raise RuleRefused(f"the opening order in {symbol} is {order.status}: {order.reason}")


def _data_check(now: Clock) -> int:
    """What every night's check says, so that the page "Data" is not empty on the first day. Returns the number of series.

    It holds nothing back: Apple's fall by half in September 2000 looks like a split, and people shall decide about it.
    """
    return len(data_check(request=CheckRequest(), now=now(), quarantine=False).series)


def _backtests_run(quant: User, now: Clock) -> int:
    """All or none, so that a load which goes on stores no run twice."""
    with transaction.atomic():
        for item in demo.BACKTESTS:
            request = BacktestRequest(
                strategy=item.strategy,
                symbols=item.symbols,
                start=item.start,
                end=item.end,
                parameters=item.parameters,
                cash=demo.BACKTEST_CASH,
                commission=demo.BACKTEST_COMMISSION,
                slippage_bps=demo.BACKTEST_SLIPPAGE_BPS,
            )
            backtest_run(request=request, user=quant, at=now())
    return len(demo.BACKTESTS)
