"""Which day-trading rules hold for a brokerage account on a day of the exchange (FINRA Rule 4210, changed on 2026-06-04). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

from apps.core.errors import InvalidInput
from apps.core.measures import measure


class AccountType(StrEnum):
    """What the broker keeps. No day-trading regime concerns a cash account."""

    CASH = "cash"
    MARGIN = "margin"


class Regime(StrEnum):
    """What a margin account is held to."""

    PDT_LEGACY = "PDT_LEGACY"
    INTRADAY_MARGIN = "INTRADAY_MARGIN"


#: From this day on intraday margin is law, and the pattern day trader rule is not.
INTRADAY_FROM: Final = date(2026, 6, 4)
#: Up to this day a broker may still hold accounts to the pattern day trader rule; later only a house rule does.
PHASE_IN_ENDS: Final = date(2027, 10, 20)
#: From this day on the pattern day trader rule was law.
PDT_FROM: Final = date(2001, 9, 28)
PDT, PDT_HOUSE, IML = "US-4210-PDT", "US-4210-PDT-HOUSE", "US-4210-IML"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountTerms:
    """What is stored of an account. `confirmed_on` is when its broker said that `regime` holds, `house_rule` that it is held to it whatever the
    law says. `designated_on`: since when it is a pattern day trader's; `frozen_until`: the last day of a freeze that the broker has told."""

    account_type: AccountType = AccountType.CASH
    regime: Regime | None = None
    confirmed_on: date | None = None
    house_rule: bool = False
    designated_on: date | None = None
    frozen_until: date | None = None

    def rules(self, day: date) -> tuple[str, ...]:
        """Ids of the rules that hold on a day of the exchange; none for a cash account."""
        if self.account_type is AccountType.CASH or day < PDT_FROM:
            return ()
        if day < INTRADAY_FROM:
            return (PDT,)
        legacy = self.regime is Regime.PDT_LEGACY
        kept = legacy and (self.house_rule or (self.confirmed_on is not None and day <= PHASE_IN_ENDS))
        return (IML, PDT_HOUSE) if kept else (IML,)


def default_regime(day: date) -> Regime:
    """The regime of a margin account that is opened on a day."""
    return Regime.PDT_LEGACY if day < INTRADAY_FROM else Regime.INTRADAY_MARGIN


@measure(
    "compliance.rules.in_force",
    units="rule ids",
    convention="the rules that an account's regime decides about, on a day of the exchange; without an account's terms: those of the law",
    source="domain.md A1, A8 (V-A8-1); FINRA Rule 4210, SR-FINRA-2025-017, Regulatory Notice 26-10",
)
def rules_in_force(date: date, account: dict[str, Any] | None = None) -> list[str]:
    """Day-trading rules for a margin account {account_type="margin", day_trading_regime, regime_confirmed_with_broker_on, house_rule}.
    Raises InvalidInput."""
    return list(_terms(account or {}).rules(date))


def _terms(account: Mapping[str, Any]) -> AccountTerms:
    try:
        regime, confirmed = account.get("day_trading_regime"), account.get("regime_confirmed_with_broker_on")
        return AccountTerms(
            account_type=AccountType(account.get("account_type", AccountType.MARGIN)),
            regime=Regime(regime) if regime else None,
            confirmed_on=date.fromisoformat(confirmed) if confirmed else None,
            house_rule=bool(account.get("house_rule", False)),
        )
    except ValueError as error:
        raise InvalidInput(f"this is no account: {error}", field="account") from error
