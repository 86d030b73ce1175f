"""The desk's data brought up to date as a job: bars from vendors, then the scores that are made of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.core.documents import plain
from apps.core.errors import InvalidInput
from apps.core.jobs import NullProgress, Progress, job_create
from apps.core.locks import lock_transaction
from apps.core.models import JobRun, User
from apps.core.models.jobs import JobState
from apps.core.tasks import enqueue_on_commit
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Universe
from apps.marketdata.selectors.factors import traded_or_scored, universe_members
from apps.marketdata.selectors.instruments import instruments_get
from apps.marketdata.selectors.vendors import vendor_get
from apps.marketdata.services.factors import FactorReport, factors_compute
from apps.marketdata.services.fetching import AUTO, FetchReport, bars_fetch
from apps.marketdata.services.vendors.making import Make

TASK = "marketdata.update"
#: How far back is looked for missing bars when nobody says from when.
LOOK_BACK = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRequest:
    """What to bring up to date. No symbols: all instruments that are traded or scored. `end` includes its day; None is now."""

    provider: str = AUTO
    symbols: tuple[str, ...] = ()
    timeframe: Timeframe = Timeframe.DAY
    start: date | None = None
    end: date | None = None
    refresh: bool = False

    def as_dict(self) -> dict[str, Any]:
        """JSON form, as the job keeps it."""
        return {**plain(self), "timeframe": self.timeframe.code}

    @classmethod
    def parse(cls, parameters: Mapping[str, Any]) -> "UpdateRequest":
        """The request of a job's parameters."""
        days = {name: date.fromisoformat(parameters[name]) if parameters[name] else None for name in ("start", "end")}
        return cls(
            provider=parameters["provider"],
            symbols=tuple(parameters["symbols"]),
            timeframe=Timeframe.parse(parameters["timeframe"]),
            refresh=parameters["refresh"],
            **days,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateReport:
    """What an update did; `factors` by universe, empty when it was stopped before them or the bars are no daily ones."""

    bars: FetchReport
    factors: tuple[FactorReport, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "inserted": self.bars.inserted,
            "revised": self.bars.revised,
            "unchanged": self.bars.unchanged,
            "bars": plain(self.bars),
            "factors": plain(self.factors),
        }


def data_update_request(*, request: UpdateRequest, user: User, at: datetime, request_uuid: UUID) -> JobRun:
    """Queue the update as a job.

    The same user's request with the same `request_uuid` is the same job: asked again, it is queued once more only if it never began.
    Raises NotFound (unknown vendor or symbols) and InvalidInput (empty range) before anything is queued.
    """
    if request.provider != AUTO:
        vendor_get(request.provider)
    instruments_get(request.symbols)
    start = request.start or at.date() - LOOK_BACK
    if start > at.date() or (request.end is not None and start > request.end):
        raise InvalidInput(f"the range is empty: {start} is after its end, or lies in the future", field="start")
    with transaction.atomic():
        lock_transaction(f"{TASK}:{request_uuid}")
        job = JobRun.objects.filter(job=TASK, requested_by=user, parameters__request_uuid=str(request_uuid)).first()
        job = job or job_create(job=TASK, at=at, parameters={**request.as_dict(), "request_uuid": str(request_uuid)}, requested_by=user)
        if job.state == JobState.QUEUED:
            enqueue_on_commit(TASK, queue="data", job_run_id=job.pk)
    return job


def data_update(*, request: UpdateRequest, clock: Callable[[], datetime], progress: Progress | None = None, make: Make | None = None) -> UpdateReport:
    """Fetch the bars, then score the factors of all universes. Raises what `bars_fetch` raises."""
    progress = progress or NullProgress()
    fetched = bars_fetch(
        provider=request.provider,
        symbols=request.symbols or [item.symbol for item in traded_or_scored(on=clock().date())],
        timeframe=request.timeframe,
        start=request.start or clock().date() - LOOK_BACK,
        end=request.end,
        refresh=request.refresh,
        clock=clock,
        progress=progress,
        make=make,
    )
    if fetched.stopped or request.timeframe is not Timeframe.DAY:
        return UpdateReport(bars=fetched, factors=())
    universes = [universe for universe in Universe if universe_members(universe)]
    return UpdateReport(
        bars=fetched, factors=tuple(factors_compute(universe=universe, recorded_at=clock(), progress=progress) for universe in universes)
    )
