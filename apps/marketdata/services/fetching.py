"""Bars, splits and dividends from vendors into the desk: only what is not there yet, from the first vendor that delivers, page by page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np
from django.db import transaction

from apps.core.errors import Conflict, InvalidInput, NotFound, RuleRefused
from apps.core.jobs import NullProgress, Progress
from apps.core.locks import lease
from apps.marketdata.domain.coverage import Span, believed_until, finished_until, has_session, spans_missing
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.domain.vendor import BarsPage
from apps.marketdata.models import BarCoverage, Instrument, Vendor
from apps.marketdata.providers.protocol import (
    MissingKey,
    NotOffered,
    Provider,
    RateLimited,
    UnknownVendorSymbol,
    VendorNonsense,
    VendorRefused,
    VendorUnavailable,
)
from apps.marketdata.selectors.bars import EARLIEST, bounds
from apps.marketdata.selectors.coverage import bars_covered
from apps.marketdata.selectors.instruments import instruments_get
from apps.marketdata.selectors.vendors import vendor_get, vendors_in_order
from apps.marketdata.services.bars import StoreResult, bars_store
from apps.marketdata.services.corporate_actions import actions_store
from apps.marketdata.services.vendors import VendorGuard, vendor_guard
from apps.marketdata.services.vendors.making import Make, provider_of

#: The name that stands for all enabled vendors in their order.
AUTO = "auto"

#: How late a vendor may publish a split or dividend: so far before the missing bars, and before now, it is asked about them again.
LATE_ACTIONS = timedelta(days=30)

#: Errors that hold for the vendor as a whole: in this run it is asked for no other symbol.
OF_VENDOR = (MissingKey, VendorRefused, VendorUnavailable, RateLimited)
#: Errors that hold for a symbol or for a stretch of its history (minutes of last year are often not offered).
OF_SYMBOL = (UnknownVendorSymbol, VendorNonsense, NotOffered)


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorNote:
    """Why a vendor did not deliver: the error's code and text."""

    vendor: str
    code: str
    detail: str


@dataclass(slots=True, kw_only=True)
class SymbolFetch:
    """What a fetch did for one symbol.

    `vendor` delivered all of `asked`, the stretches that were missing; it is "" when nothing was missing (`complete` all the same) and
    when nobody did. `notes` say why the vendors before it did not. Pages that were stored before an error are counted: they stay.
    `actions` are splits and dividends that were new or different; whether the bars bear them out is judged as the bars come. They are
    asked for even when no bars are missing, since a vendor may publish one after its day.
    """

    symbol: str
    vendor: str = ""
    complete: bool = False
    inserted: int = 0
    revised: int = 0
    unchanged: int = 0
    pages: int = 0
    actions: int = 0
    asked: tuple[Span, ...] = ()
    notes: tuple[VendorNote, ...] = ()

    def count(self, stored: StoreResult) -> None:
        """Add what a page did."""
        self.inserted, self.revised, self.unchanged = (
            self.inserted + stored.inserted,
            self.revised + stored.revised,
            self.unchanged + stored.unchanged,
        )
        self.pages += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchReport:
    """What a fetch did. `stopped`: somebody asked it to end before it was through; what is missing comes with the next one."""

    provider: str
    timeframe: str
    start: datetime
    end: datetime
    symbols: tuple[SymbolFetch, ...]
    stopped: bool = False

    @property
    def failed(self) -> tuple[SymbolFetch, ...]:
        return tuple(item for item in self.symbols if not item.complete)

    @property
    def inserted(self) -> int:
        return sum(item.inserted for item in self.symbols)

    @property
    def revised(self) -> int:
        return sum(item.revised for item in self.symbols)

    @property
    def unchanged(self) -> int:
        return sum(item.unchanged for item in self.symbols)


@dataclass(slots=True, kw_only=True)
class _Run:
    """What the caller asked for, when (`at`), and which vendors have dropped out so far."""

    timeframe: Timeframe
    start: datetime
    end: datetime
    refresh: bool
    at: datetime
    clock: Callable[[], datetime]
    progress: Progress
    vendors: Sequence[Vendor]
    make: Make
    out: dict[str, VendorNote] = field(default_factory=dict)
    made: dict[str, tuple[Provider, VendorGuard]] = field(default_factory=dict)

    def line(self, vendor: Vendor) -> tuple[Provider, VendorGuard]:
        """The vendor's provider and its guard, made once."""
        if vendor.name not in self.made:
            guard = vendor_guard(vendor)
            self.made[vendor.name] = self.make(vendor, guard), guard
        return self.made[vendor.name]


def bars_fetch(
    *,
    provider: str,
    symbols: Sequence[str],
    timeframe: Timeframe,
    start: date | datetime,
    end: date | datetime | None = None,
    refresh: bool = False,
    clock: Callable[[], datetime],
    progress: Progress | None = None,
    make: Make | None = None,
) -> FetchReport:
    """Fetch the bars of the symbols that start in the range and are over now, as far as the desk does not have them yet.

    `provider` is a vendor's name, or "auto" for the enabled vendors in their order: for each symbol the first that delivers counts.
    With `refresh` everything is asked for again, and different values become revisions. Each page is stored together with the note of
    what it covers, so that a fetch that was killed goes on where it stopped. `clock` says when each page came.

    Raises, before anything is asked, NotFound (symbol or vendor), InvalidInput (no symbols, empty range), RuleRefused (vendor not
    enabled); and Unavailable at any time when Redis is away. What vendors do is in the report.
    """
    progress = progress or NullProgress()
    lower, upper = (moment.astimezone(UTC) for moment in bounds(start, end))
    at = clock()
    if not symbols:
        raise InvalidInput("name at least one symbol", field="symbols")
    if lower >= min(upper, at):
        raise InvalidInput("the range is empty: it ends before it starts, or lies in the future", field="start")
    instruments = instruments_get(symbols)
    run = _Run(
        timeframe=timeframe,
        start=lower,
        end=upper,
        refresh=refresh,
        at=at,
        clock=clock,
        progress=progress,
        vendors=vendors_asked(provider),
        make=make or provider_of,
    )
    progress.start(len(instruments), f"bars of {len(instruments)} instruments from {provider}")
    done: list[SymbolFetch] = []
    for instrument in instruments.values():
        if progress.cancelled():
            break
        done.append(_fetch_symbol(run, instrument))
        progress.advance()
    stopped = len(done) < len(instruments) or (progress.cancelled() and not done[-1].complete)
    return FetchReport(provider=provider, timeframe=timeframe.code, start=lower, end=min(upper, at), symbols=tuple(done), stopped=stopped)


def vendors_asked(provider: str) -> list[Vendor]:
    """The vendors that a name stands for. Raises NotFound, and RuleRefused for one that is not enabled."""
    if provider == AUTO:
        if not (vendors := vendors_in_order()):
            raise RuleRefused("no vendor is enabled", field="provider")
        return vendors
    vendor = vendor_get(provider)
    if not vendor.enabled:
        raise RuleRefused(f"{provider} is not enabled: an operator took it out of use", field="provider")
    return [vendor]


def _fetch_symbol(run: _Run, instrument: Instrument) -> SymbolFetch:
    """One symbol at a time: two processes that fetch the same bars would ask the vendor twice."""
    result = SymbolFetch(symbol=instrument.symbol)
    try:
        with lease(f"marketdata.fetch:{instrument.pk}:{run.timeframe.code}"):
            _fall_through(run, instrument, result)
    except Conflict as error:
        result.notes = (VendorNote(vendor="", code=error.code, detail="another process is fetching these bars"),)
    run.progress.say(_line(result))
    return result


def _fall_through(run: _Run, instrument: Instrument, result: SymbolFetch) -> None:
    upper = min(run.end, finished_until(run.timeframe, instrument.calendar, run.at))
    for vendor in run.vendors:
        spans = _spans(run, instrument, upper, vendor)
        about = _about_actions(run, spans, upper)
        if not spans and about is None:
            result.complete = True
            return
        if vendor.name in run.out:
            result.notes += (run.out[vendor.name],)
            continue
        try:
            _fetch_from(run, instrument, vendor, spans, about, result)
        except (*OF_VENDOR, *OF_SYMBOL) as error:
            note = VendorNote(vendor=vendor.name, code=error.code, detail=error.detail)
            result.notes += (note,)
            if isinstance(error, OF_VENDOR):
                run.out[vendor.name] = note
        else:
            return


def _spans(run: _Run, instrument: Instrument, upper: datetime, vendor: Vendor) -> tuple[Span, ...]:
    """What is left to ask this vendor for. In the order of "auto" it does not matter which of the vendors gave the rest."""
    if run.start >= upper:
        return ()
    covered: tuple[Span, ...] = ()
    if not run.refresh:
        names = {vendor.name, *(item.name for item in run.vendors)}
        covered = bars_covered(instrument_id=instrument.pk, timeframe=run.timeframe, vendors=names)
    missing = spans_missing((run.start, upper), covered)
    return tuple(span for span in missing if has_session(span, run.timeframe, instrument.calendar))


def _about_actions(run: _Run, spans: tuple[Span, ...], upper: datetime) -> Span | None:
    """The one stretch of which splits and dividends are asked: all missing bars, and what lies so little before them, or before now, that
    an action of it may have been published since the bars came. None where there is nothing to ask.
    """
    recent = upper > run.at - LATE_ACTIONS
    if run.timeframe.is_intraday or not (spans or recent):
        return None
    first = spans[0][0] if spans else upper
    return first - min(LATE_ACTIONS, first - EARLIEST), upper if recent else spans[-1][1]


def _fetch_from(run: _Run, instrument: Instrument, vendor: Vendor, spans: tuple[Span, ...], about: Span | None, result: SymbolFetch) -> None:
    provider, guard = run.line(vendor)
    if run.timeframe not in provider.offer.timeframes:
        raise NotOffered(f"{vendor.name} has no bars of {run.timeframe.code}", field="timeframe")
    guard.symbol = instrument.symbol
    result.asked = spans
    try:
        if about is not None and provider.offer.corporate_actions:
            _fetch_actions(run, instrument, vendor, provider, about, result)
        for span in spans:
            if not _fetch_span(run, instrument, vendor, provider, span, result):
                return
    except (VendorNonsense, VendorUnavailable, VendorRefused) as error:
        guard.report(error)
        raise
    result.vendor, result.complete = vendor.name if spans else "", True


def _fetch_actions(run: _Run, instrument: Instrument, vendor: Vendor, provider: Provider, span: Span, result: SymbolFetch) -> None:
    """Before the bars, whose cover would say that nothing is left to ask: prices without their splits would be wrong."""
    records = provider.corporate_actions(instrument.symbol, span[0].date(), (span[1] - timedelta(microseconds=1)).date())
    try:
        stored = actions_store(records=records, source=vendor.name, recorded_at=run.clock())
    except (InvalidInput, NotFound) as error:
        raise VendorNonsense(f"{vendor.name} answered with a split or dividend that cannot be: {error.detail}") from error
    result.actions += stored.inserted + stored.revised


def _fetch_span(run: _Run, instrument: Instrument, vendor: Vendor, provider: Provider, span: Span, result: SymbolFetch) -> bool:
    """False when somebody asked to stop between two pages."""
    reached = given = span[0]
    last_bar = None
    for page in provider.fetch_bars(instrument.symbol, run.timeframe, *span):
        _check(page, vendor, instrument, run.timeframe, (given, span[1]))
        if len(page.series):
            last_bar = page.series.ts[-1].item().replace(tzinfo=UTC)
        believed = believed_until(page.complete_to, last_bar, timeframe=run.timeframe, calendar=instrument.calendar, now=run.at)
        result.count(_store_page(run, instrument, vendor, page, (reached, believed)))
        reached, given = max(reached, believed), page.complete_to
        if page.complete_to < span[1] and run.progress.cancelled():
            return False
    return True


def _check(page: BarsPage, vendor: Vendor, instrument: Instrument, timeframe: Timeframe, left: Span) -> None:
    """Raise VendorNonsense for a page that is none of what was asked for."""
    ts = page.series.ts
    lower, upper = (np.datetime64(moment.replace(tzinfo=None), "us") for moment in left)
    if page.series.symbol != instrument.symbol or page.timeframe is not timeframe:
        raise VendorNonsense(f"{vendor.name} answered with {page.timeframe.code} bars of {page.series.symbol}")
    if len(ts) and (ts[0] < lower or ts[-1] >= upper or (ts[1:] <= ts[:-1]).any()):
        raise VendorNonsense(f"{vendor.name} answered with bars of {instrument.symbol} outside of what was asked for, or in no order")


def _store_page(run: _Run, instrument: Instrument, vendor: Vendor, page: BarsPage, covered: Span) -> StoreResult:
    """The page and what it covers, in one transaction. Raises VendorNonsense for bars that cannot be."""
    recorded_at = run.clock()
    try:
        with transaction.atomic():
            stored = bars_store(series=[page.series], timeframe=run.timeframe, source=vendor.name, recorded_at=recorded_at)
            if covered[0] < covered[1]:
                BarCoverage.objects.create(
                    instrument=instrument,
                    timeframe=int(run.timeframe),
                    vendor=vendor.name,
                    starts_at=covered[0],
                    ends_at=covered[1],
                    fetched_at=recorded_at,
                )
            return stored
    except InvalidInput as error:
        raise VendorNonsense(f"{vendor.name} answered with a bar that cannot be: {error.detail}") from error


def _line(result: SymbolFetch) -> str:
    notes = "; ".join(f"{note.vendor} {note.detail}".strip() for note in result.notes)
    if result.complete and not result.vendor and not result.actions:
        return f"{result.symbol}: nothing is missing"
    counts = f"{result.inserted} new, {result.revised} revised, {result.unchanged} known"
    if result.actions:
        counts += f", {result.actions} splits and dividends"
    if not result.complete:
        return f"{result.symbol}: not complete, {counts}: {notes or 'stopped'}"
    return f"{result.symbol}: {counts}" + (f", from {result.vendor}" if result.vendor else "") + (f" ({notes})" if notes else "")
