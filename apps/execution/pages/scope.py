"""Whose orders a page shows, and of which days."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING

from apps.core.errors import InvalidInput
from apps.core.pages import RequestOfUser, chosen_portfolio
from apps.portfolios.selectors.portfolios import portfolios_visible

if TYPE_CHECKING:
    from apps.portfolios.models import Portfolio


def portfolios_chosen(request: RequestOfUser) -> list["Portfolio"]:
    """The one portfolio that is wanted, or all that the user sees for "all" and for one that the user does not see."""
    portfolios = list(portfolios_visible(request.user))
    wanted = str(chosen_portfolio(request) or (portfolios[0].pk if portfolios else "all"))
    return [one for one in portfolios if str(one.pk) == wanted] or portfolios


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Days of a time zone from `first` to `last`, both counted; None is open."""

    first: date | None
    last: date | None
    zone: tzinfo

    @property
    def since(self) -> datetime | None:
        return None if self.first is None else self._midnight(self.first)

    @property
    def until(self) -> datetime | None:
        return None if self.last is None else self._midnight(self.last + timedelta(days=1))

    @property
    def after(self) -> date | None:
        return None if self.last is None else self.last + timedelta(days=1)

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone)


def period_asked(request: RequestOfUser, zone: tzinfo = UTC) -> Period:
    """The dates of the address, in the zone in which the page tells its times. Raises InvalidInput naming the one that is none."""
    days: dict[str, date | None] = {}
    for name in ("from", "to"):
        text = request.GET.get(name, "").strip()
        try:
            days[name] = date.fromisoformat(text) if text else None
        except ValueError:
            raise InvalidInput(f"{text[:20]!r} is no date such as 2026-11-27", field=name) from None
    return Period(first=days["from"], last=days["to"], zone=zone)
