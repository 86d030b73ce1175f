"""Targets: setting the weights that a portfolio shall have from a day on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db import transaction

from apps.core.errors import InvalidInput
from apps.core.money import exact
from apps.marketdata.selectors.instruments import instruments_known
from apps.portfolios.domain.drift import WEIGHT_PLACES, targets_check
from apps.portfolios.domain.rebalancing import Every, StopAction
from apps.portfolios.models import TargetPlan, TargetWeight
from apps.portfolios.selectors.targets import plan_weights, stopped_symbols, target_plan
from apps.portfolios.services.portfolios import portfolio_managed

if TYPE_CHECKING:
    from apps.core.models import User
    from apps.marketdata.models import Instrument

FRACTION_PLACES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTerms:
    """When a portfolio is brought back to its targets: fractions of the equity (`price_tolerance` of the price), words of `Every`, `StopAction`."""

    drift_threshold: Decimal = Decimal("0.05")
    band: Decimal = Decimal("0.005")
    price_tolerance: Decimal = Decimal("0.02")
    drift_check: str = Every.WEEK.value
    schedule: str = Every.NEVER.value
    stop_loss: str = StopAction.PROPOSE.value


TERMS = PlanTerms()


def targets_set(
    *,
    user: "User",
    portfolio_id: int,
    weights: Mapping[str, Decimal],
    reason: str,
    effective_on: date,
    today: date,
    recorded_at: datetime,
    terms: PlanTerms = TERMS,
) -> TargetPlan:
    """Give a portfolio the targets `weights` (fractions by symbol, at most 1 in all, the rest is cash) from a market date on.

    Nothing is overwritten: earlier plans stay and say what held when, by whom and why. The same plan again for the same reason, when it is
    the one that holds on that date and no stop has sold anything of it, makes no other. `today` is the market's date: no plan holds for
    days that are over.
    Raises NotFound (also for a portfolio that the user does not see), NotPermitted (not its manager), InvalidInput (naming the field).
    """
    if not reason.strip() or len(reason) > 200:
        raise InvalidInput("a change of targets has a reason of at most 200 characters", field="reason")
    if effective_on < today:
        raise InvalidInput(f"{effective_on} is over in the market, where it is {today}", field="effective_on")
    wanted = {symbol: exact(weight, places=WEIGHT_PLACES, field="weights") for symbol, weight in weights.items()}
    targets_check(wanted)
    _check_terms(terms)
    instruments = _instruments(wanted)
    with transaction.atomic():
        portfolio = portfolio_managed(user=user, portfolio_id=portfolio_id, act="sets its targets")
        before = target_plan(portfolio_id, effective_on)
        if before is not None and _same(before, wanted, terms, reason.strip()):
            return before
        plan = TargetPlan.objects.create(
            portfolio=portfolio,
            effective_on=effective_on,
            reason=reason.strip(),
            created_by=user,
            recorded_at=recorded_at,
            **{name: getattr(terms, name) for name in PlanTerms.__slots__},
        )
        rows = [TargetWeight(plan=plan, instrument=instruments[symbol], weight=weight) for symbol, weight in wanted.items()]
        TargetWeight.objects.bulk_create(rows)
        return plan


def _same(plan: TargetPlan, weights: Mapping[str, Decimal], terms: PlanTerms, reason: str) -> bool:
    return plan_weights(plan) == weights and plan_terms(plan) == terms and plan.reason == reason and not stopped_symbols(plan)


def plan_terms(plan: TargetPlan) -> PlanTerms:
    """The terms of a stored plan."""
    return PlanTerms(**{name: getattr(plan, name) for name in PlanTerms.__slots__})


def _check_terms(terms: PlanTerms) -> None:
    """Raises InvalidInput for what the database would refuse."""
    bounds = {"drift_threshold": (False, True), "band": (True, False), "price_tolerance": (False, True)}  # whether 0 and 1 are allowed
    for name, (zero, one) in bounds.items():
        value = exact(getattr(terms, name), places=FRACTION_PLACES, field=name)
        if not (value > 0 or (zero and value == 0)) or not (value < 1 or (one and value == 1)):
            raise InvalidInput(f"{name} was {value}, but it is a fraction from 0 to 1", field=name)
    choices: dict[str, list[str]] = {"drift_check": [*Every], "schedule": [*Every], "stop_loss": [*StopAction]}
    for name, words in choices.items():
        if getattr(terms, name) not in words:
            raise InvalidInput(f"{getattr(terms, name)!r} is none of {', '.join(words)}", field=name)


def _instruments(weights: Mapping[str, Decimal]) -> "dict[str, Instrument]":
    found = instruments_known(weights)
    if unknown := sorted(set(weights) - set(found)):
        raise InvalidInput(f"there is no instrument {', '.join(unknown)}", field="weights")
    if idle := sorted(symbol for symbol, one in found.items() if not one.tradable and weights[symbol]):
        raise InvalidInput(f"{', '.join(idle)} cannot be traded", field="weights")
    return found
