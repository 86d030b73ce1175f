"""The gate: what risk and compliance are told of an order, and what they say. Nothing reaches a broker around it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction

from apps.compliance.selectors.gate import at_gate_question as compliance_question
from apps.compliance.selectors.short_sales import located_quantity
from apps.compliance.services import pretrade as compliance
from apps.compliance.services.short_sales import locate_use
from apps.core.check_codes import CheckCode, check_place
from apps.core.money import ZERO
from apps.core.postgres.base import Question
from apps.core.postgres.rows import asked_together, looking
from apps.core.trading import Check, MarketFacts, OrderIntent, Outcome, PreTradeSnapshot, Side, Verdict
from apps.execution.models import BrokerageAccount
from apps.execution.selectors.working import surroundings_of, surroundings_question
from apps.execution.services.account_facts import account_facts, account_questions
from apps.execution.services.accounts import account_of
from apps.marketdata.selectors.market_facts import market_facts, market_facts_question
from apps.marketdata.selectors.quotes import reference_prices
from apps.portfolios.selectors.quantities import quantities_question
from apps.risk.selectors.gate import at_gate_question as risk_question
from apps.risk.services import pretrade as risk

#: How long a decision holds. Between the gate and the broker lie milliseconds; after this an order is judged anew or dies.
DECISION_VALIDITY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What was judged and what was said, authority by authority. `judged` is what risk has read to say it."""

    snapshot: PreTradeSnapshot
    verdicts: tuple[Verdict, ...]
    market_time: datetime
    judged: risk.Judged

    @property
    def allowed(self) -> bool:
        """Both authorities were asked and both allow it."""
        return {verdict.authority for verdict in self.verdicts if verdict.allowed} == {"risk", "compliance"}

    @property
    def checks(self) -> tuple[tuple[str, Check], ...]:
        """Every check with its authority, in the order of domain.md A5."""
        checks = [(verdict.authority, check) for verdict in self.verdicts for check in verdict.checks]
        return tuple(sorted(checks, key=lambda made: check_place(made[1].code)))

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of what blocks, in the same order."""
        return tuple(check.code for _, check in self.checks if check.outcome is Outcome.BLOCK)

    @property
    def waits(self) -> bool:
        """The order is allowed, and a second person must approve it before it is sent."""
        asked = any(check.code == CheckCode.APPROVAL_REQUIRED and check.outcome is Outcome.WARN for _, check in self.checks)
        return self.allowed and asked

    @property
    def reference_price(self) -> Decimal | None:
        return self.snapshot.reference.price if self.snapshot.reference else None

    @property
    def fx_rate(self) -> Decimal | None:
        """The portfolio's currency for one of the instrument's: 1 where they are the same, None where it is not known."""
        return next((check.before for _, check in self.checks if check.code == CheckCode.FX_RATE_MISSING), Decimal(1))

    @property
    def short_quantity(self) -> Decimal:
        """Shares (>= 0) that an allowed sale sells short."""
        intent = self.snapshot.intent
        if intent.side is Side.BUY:
            return ZERO
        closable = next((check.before for _, check in self.checks if check.code == CheckCode.SHORT_SALE), None)
        return max(ZERO, intent.quantity - (closable or ZERO))


class CheckBroke(Exception):
    """A check broke the transaction in which it looked: nothing can be stored in it, not even that the order is denied."""


def gate_check(
    *,
    intent: OrderIntent,
    user_id: int,
    at: datetime,
    account: BrokerageAccount | None = None,
    instead_of: Collection[int] = (),
    algo_id: int | None = None,
    protects: bool = False,
    savepoint: bool = True,
) -> Gate:
    """Ask both authorities, whatever the first one says, so that every breach is known. Writes nothing.

    `instead_of` names working orders that cannot trade beside this intent: one whose rest it would take the place of, others of a group
    in which one cancels the other. They are not counted. `algo_id` is the parent whose child the intent is: what the other parents have
    not sent yet counts like a working order. `account` is the portfolio's where the caller has it at hand. `protects`: the desk leaves a position
    on its own by it.
    Whoever goes on to store an order holds the portfolio's lock, so that no two orders pass on the same cash. Without a `savepoint`, which costs
    two round trips, a query that fails raises CheckBroke or NotAnswered instead of a denial: the caller takes everything back and asks again
    with one.
    """
    with asked_together(gate_questions(intent, user_id=user_id, at=at, algo_id=algo_id), savepoint=savepoint):
        return _gate(
            intent,
            user_id=user_id,
            at=at,
            account=account or account_of(intent.portfolio_id),
            instead_of=instead_of,
            algo_id=algo_id,
            protects=protects,
            savepoint=savepoint,
        )


class _LastOrder:
    """What this process's last order found: a replay has another time than the desk's."""

    in_real_time = True


def gate_questions(intent: OrderIntent, *, user_id: int, at: datetime, algo_id: int | None) -> tuple[Question, ...]:
    """What the gate asks the database. What depends on the market's time is asked at one which is among the answers: it is taken to be the
    desk's own where it was so for the order before, and where that is wrong they are asked again."""
    facts: tuple[Question, ...] = ()
    if _LastOrder.in_real_time:
        facts = (market_facts_question(intent.symbol, market_time=at), *account_questions(intent.portfolio_id, market_time=at))
    return (
        surroundings_question(intent, at=at, algo_id=algo_id),
        quantities_question(intent.portfolio_id),
        risk_question(intent, at),
        compliance_question(intent, user_id=user_id, at=at),
        *facts,
    )


def _gate(
    intent: OrderIntent,
    *,
    user_id: int,
    at: datetime,
    account: BrokerageAccount,
    instead_of: Collection[int],
    algo_id: int | None,
    protects: bool,
    savepoint: bool,
) -> Gate:
    reference = reference_prices([intent.symbol]).get(intent.symbol)
    around = surroundings_of(intent=intent, at=at, instead_of=instead_of, algo_id=algo_id)
    _LastOrder.in_real_time = around.market_time == at
    facts = market_facts(intent.symbol, market_time=around.market_time, day=(reference.market_time if reference else at).date())
    rates = around.rates
    snapshot = PreTradeSnapshot(
        intent=intent,
        working_orders=around.working,
        reference=reference,
        orders_last_minute=rates.portfolio,
        symbol_orders_last_minute=rates.instrument,
        user_id=user_id,
        as_of=at,
        market=facts,
        strategy_orders_last_minute=rates.strategy,
        desk_messages_last_minute=around.desk_messages,
        identical_age=rates.identical_age,
        located=_located(intent, facts),
        account_hold=_account_hold(around.strangers),
    )
    # One savepoint for both: where the first check breaks the transaction the second cannot look either, and both deny.
    with looking(savepoint=savepoint):
        judged = risk.order_judged(snapshot=snapshot, savepoint=False)
        facts_of_account = account_facts(intent, account=account, judged=judged, market_time=around.market_time, protects=protects)
        verdicts = (judged.verdict, compliance.order_check(snapshot=snapshot, account=facts_of_account, savepoint=False))
    if not savepoint and transaction.get_rollback():
        raise CheckBroke
    return Gate(snapshot=snapshot, verdicts=verdicts, market_time=around.market_time, judged=judged)


def locates_take(gate: Gate, *, at: datetime) -> None:
    """Take what an allowed order sells short off the session's locates. The caller holds the portfolio's lock and stores the order."""
    intent, market, short = gate.snapshot.intent, gate.snapshot.market, gate.short_quantity
    if short and market is not None:
        locate_use(
            portfolio_id=intent.portfolio_id,
            instrument_id=intent.instrument_id,
            client_order_id=intent.client_order_id,
            quantity=short,
            session=market.session,
            at=at,
        )


def _located(intent: OrderIntent, facts: MarketFacts | None) -> Decimal:
    """What may be sold short; nothing is asked for a buy."""
    if intent.side is Side.BUY or facts is None:
        return ZERO
    return located_quantity(
        portfolio_id=intent.portfolio_id, instrument_id=intent.instrument_id, session=facts.session, client_order_id=intent.client_order_id
    )


def _account_hold(strangers: int) -> str:
    if not strangers:
        return ""
    what = "1 order or execution" if strangers == 1 else f"{strangers} orders or executions"
    return f"the broker has {what} that the desk does not know"
