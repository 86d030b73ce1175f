"""Which alerts go out by a route, and when: severity, kinds, portfolios, quiet hours, digest."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apps.core.errors import InvalidInput

#: From harmless to urgent.
SEVERITIES = ("info", "warning", "critical")
CRITICAL = "critical"
LONGEST_DIGEST = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the owner of a route wants.

    `kinds` are beginnings of codes ("RISK_" takes RISK_LIMIT_BREACH), none for all; `portfolios` are ids, none for all. Quiet hours are
    times of day in `time_zone` (an IANA name), the end excluded, over midnight when the end is the earlier one. `digest_minutes` 0 is at once.
    """

    minimum: str = "warning"
    kinds: tuple[str, ...] = ()
    portfolios: tuple[int, ...] = ()
    quiet_from: time | None = None
    quiet_to: time | None = None
    time_zone: str = "UTC"
    digest_minutes: int = 0


def check_wishes(wishes: Wishes) -> None:
    """Raise InvalidInput, naming the field, for what makes no sense."""
    if wishes.minimum not in SEVERITIES:
        raise InvalidInput(f"{wishes.minimum!r} is no severity ({', '.join(SEVERITIES)})", field="minimum")
    for kind in wishes.kinds:
        if not kind or len(kind) > 60 or not set(kind) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"):
            raise InvalidInput(f"{kind!r} is no beginning of a code: capitals, digits and underscores", field="kinds")
    if any(portfolio < 1 for portfolio in wishes.portfolios):
        raise InvalidInput("portfolios are ids, which are positive", field="portfolios")
    if (wishes.quiet_from is None) != (wishes.quiet_to is None):
        raise InvalidInput("quiet hours have a beginning and an end", field="quiet_to" if wishes.quiet_to is None else "quiet_from")
    if wishes.quiet_from is not None and wishes.quiet_from == wishes.quiet_to:
        raise InvalidInput("quiet hours that end when they begin are all day or never", field="quiet_to")
    if not 0 <= wishes.digest_minutes <= LONGEST_DIGEST:
        raise InvalidInput(f"a digest comes after 1 to {LONGEST_DIGEST} minutes, 0 for at once", field="digest_minutes")
    zone_of(wishes.time_zone)


def zone_of(name: str) -> ZoneInfo:
    """The time zone. Raises InvalidInput for a name that is not known."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # an OSError for "." and other names of folders
        raise InvalidInput(f"{name!r} is no time zone, such as America/New_York", field="time_zone") from error


def wants(wishes: Wishes, *, severity: str, code: str, portfolio_id: int | None) -> bool:
    """Whether an alert goes out. One that is about no portfolio (the desk's, a feed's) passes whatever portfolios are wished for."""
    return (
        SEVERITIES.index(severity) >= SEVERITIES.index(wishes.minimum)
        and (not wishes.kinds or code.startswith(wishes.kinds))
        and (not wishes.portfolios or portfolio_id is None or portfolio_id in wishes.portfolios)
    )


def due_at(wishes: Wishes, *, severity: str, at: datetime) -> datetime:
    """When an alert raised at `at` (aware) goes out, in UTC. What is critical waits neither for a digest nor for the end of quiet hours."""
    if severity == CRITICAL:
        return at.astimezone(UTC)
    due = at.astimezone(UTC) + timedelta(minutes=wishes.digest_minutes)
    for _ in range(3):  # an end that daylight saving moves into other quiet hours is not the end
        end = quiet_end(wishes, due)
        if end is None:
            break
        due = end
    return due


def quiet_end(wishes: Wishes, at: datetime) -> datetime | None:
    """The end of the quiet hours in which `at` lies, in UTC; None when it is not quiet."""
    if wishes.quiet_from is None or wishes.quiet_to is None:
        return None
    local = at.astimezone(zone_of(wishes.time_zone))
    clock, over_midnight = local.time(), wishes.quiet_to < wishes.quiet_from
    after, before = clock >= wishes.quiet_from, clock < wishes.quiet_to
    if not (after or before if over_midnight else after and before):
        return None
    day = local.date() + timedelta(days=1 if over_midnight and after else 0)
    end = datetime.combine(day, wishes.quiet_to, tzinfo=local.tzinfo)
    if day == local.date():
        end = end.replace(fold=local.fold)  # of two equal hours, the one in which we are
    return max(end.astimezone(UTC), at.astimezone(UTC) + timedelta(seconds=1))


def kinds_of(texts: Sequence[str]) -> tuple[str, ...]:
    """Beginnings of codes as people write them: trimmed, in capitals, each once, in order."""
    return tuple(dict.fromkeys(text.strip().upper() for text in texts if text.strip()))
