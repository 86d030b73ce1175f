"""What follows from errors in data: operators are told once, and the data of their days is quarantined where a rule says so."""

import logging
from collections.abc import Sequence
from datetime import date, datetime

from django.conf import settings

from apps.alerts.services import alert_raise
from apps.core.models import User
from apps.core.roles import Role
from apps.marketdata.domain import calendars
from apps.marketdata.domain.quality.findings import Finding
from apps.marketdata.domain.quality.series import SeriesReport
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Instrument, Quarantine
from apps.marketdata.services.quarantine import quarantine_open, quarantine_widen

logger = logging.getLogger(__name__)

SUBJECT = "marketdata"
CODE = "DATA_QUALITY"
NAMED = 10

Error = tuple[Instrument, SeriesReport, Finding]


def errors_tell(errors: Sequence[Error], *, market_time: datetime, now: datetime) -> None:
    """One alert to all operators about errors that no earlier run has found; nothing when there are none."""
    if not errors:
        return
    operators = list(User.objects.filter(groups__name=Role.OPERATOR, is_active=True).values_list("pk", flat=True))
    lines = [f"{item.symbol} {report.timeframe.code}: {finding.text}" for item, report, finding in errors]
    if not operators:
        logger.warning("%d new errors in market data, and nobody has the role of an operator: %s", len(errors), "; ".join(lines[:NAMED]))
    symbols = sorted({item.symbol for item, _, _ in errors})
    named = f"{', '.join(symbols[:3])}{' and others' if len(symbols) > 3 else ''}"
    more = f"; and {len(lines) - NAMED} more" if len(lines) > NAMED else ""
    alert_raise(
        code=CODE,
        severity="warning",
        title=f"{len(errors)} new error{'s' if len(errors) > 1 else ''} in the data of {named}",
        detail="; ".join(lines[:NAMED]) + more,
        subject=SUBJECT,
        data={"errors": [{"symbol": item.symbol, "timeframe": report.timeframe.code, "check": finding.check} for item, report, finding in errors]},
        recipients=operators,
        occurred_at=market_time,
        recorded_at=now,
    )


def errors_quarantine(errors: Sequence[Error], *, at: datetime) -> tuple[str, ...]:
    """Quarantine the days of errors whose check stands in settings.QUARANTINE_CHECKS. Returns the symbols that were put there or widened.

    An error that reaches the series' last bar is quarantined until further notice, so the gate denies orders; an older one for its own
    days only. An error whose days somebody has released is left alone: a person has judged it.
    """
    wanted = [error for error in errors if error[2].check in settings.QUARANTINE_CHECKS and error[2].first is not None]
    symbols: list[str] = []
    for item, report, finding in wanted:
        first, last = _days(item, report, finding)
        if _released(item, report.timeframe, first, last):
            continue
        if _hold(item, report.timeframe, first, last, f"{finding.check}: {finding.text}", at):
            symbols.append(item.symbol)
    return tuple(dict.fromkeys(symbols))


def _days(item: Instrument, report: SeriesReport, finding: Finding) -> tuple[date, date | None]:
    """First and last day of a finding in the market's own time; no last day when the series ends with it."""
    assert finding.first is not None  # noqa: S101 - the caller has left out the others
    assert finding.last is not None  # noqa: S101
    first, last = (_day(item, report.timeframe, moment) for moment in (finding.first, finding.last))
    return first, None if report.last is not None and finding.last >= report.last else last


def _day(item: Instrument, timeframe: Timeframe, moment: datetime) -> date:
    return calendars.session_at(item.calendar, moment) if timeframe.is_intraday else moment.date()


def _released(item: Instrument, timeframe: Timeframe, first: date, last: date | None) -> bool:
    """Whether a released quarantine has covered these days."""
    done = Quarantine.objects.filter(instrument=item, released_at__isnull=False)
    return any(
        one.timeframe in (None, int(timeframe))
        and (one.from_date is None or one.from_date <= first)
        and (one.to_date is None or (last is not None and last <= one.to_date))
        for one in done
    )


def _hold(item: Instrument, timeframe: Timeframe, first: date, last: date | None, reason: str, at: datetime) -> bool:
    """Open a quarantine or widen the one that is open. False when it covers the days already."""
    there = Quarantine.objects.filter(instrument=item, timeframe=int(timeframe), released_at__isnull=True).first()
    if there is None:
        quarantine_open(symbol=item.symbol, timeframe=timeframe, reason=reason[:500], from_date=first, to_date=last, user=None, at=at)
        return True
    covers = (there.from_date is None or there.from_date <= first) and (there.to_date is None or (last is not None and last <= there.to_date))
    if not covers:
        quarantine_widen(quarantine_id=there.pk, from_date=first, to_date=last, reason=reason)
    return not covers
