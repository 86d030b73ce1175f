"""The data-quality pages: every series with what the last check says of it, one instrument in detail, checks and quarantine by hand."""

from datetime import date
from typing import Any

import numpy as np
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import F, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from apps.core.charts import Chart, Palette, chart_answer
from apps.core.clock import now
from apps.core.errors import DeskError, InvalidInput, NotPermitted
from apps.core.jobs import FINISHED
from apps.core.models import JobRun
from apps.core.pages import RequestOfUser, page, way_back
from apps.marketdata.domain.quality.coverage import REQUIRED_COMPLETENESS, completeness_by_month, coverage
from apps.marketdata.domain.quality.findings import Severity
from apps.marketdata.domain.timeframes import Timeframe
from apps.marketdata.models import Instrument, QualityFinding, Quarantine, SeriesQuality
from apps.marketdata.pages.vendors import sources
from apps.marketdata.selectors.bars import bar_series, visible_end
from apps.marketdata.selectors.instruments import instrument_get
from apps.marketdata.selectors.market import market_clock
from apps.marketdata.selectors.quality import latest_findings, latest_quality
from apps.marketdata.selectors.quarantine import Quarantined, quarantines_open
from apps.marketdata.services.quality import TASK, CheckRequest, check_queue
from apps.marketdata.services.quarantine import quarantine_open, quarantine_release

PAGE = 50
JOBS = 10
VIEW = "marketdata.view_qualityfinding"
RUN = "marketdata.add_qualityrun"

#: Columns that can be sorted: key, heading, field, whether it is a number.
COLUMNS = (
    ("symbol", "Symbol", "instrument__symbol", False),
    ("timeframe", "Bars", "timeframe", False),
    ("last", "Last bar", "last_bar", False),
    ("behind", "Sessions behind", "sessions_behind", True),
    ("rows", "Rows", "rows", True),
    ("completeness", "Complete", "completeness", True),
    ("gaps", "Gaps", "gaps", True),
    ("errors", "Errors", "errors", True),
    ("warnings", "Warnings", "warnings", True),
)
STATES = (("", "All"), ("errors", "With errors"), ("warnings", "With warnings"), ("quarantined", "In quarantine"), ("good", "Without findings"))


@require_GET
@page
def quality(request: RequestOfUser) -> HttpResponse:
    """All series that were checked, with filters in the address."""
    _allowed(request)
    wanted = {name: request.GET.get(name, "").strip() for name in ("q", "state", "timeframe", "sort")}
    shown = Paginator(_ordered(_matching(latest_quality(), wanted), wanted["sort"]), PAGE).get_page(request.GET.get("page"))
    held = quarantines_open({row.instrument.symbol for row in shown})
    context = {
        "page": shown,
        "rows": [(row, Timeframe(row.timeframe).code, _holding(held.get(row.instrument.symbol, ()), row.timeframe)) for row in shown],
        "columns": [(key, name, number, *_sorting(wanted["sort"], key)) for key, name, _, number in COLUMNS],
        "states": STATES,
        "timeframes": [frame.code for frame in Timeframe],
        "wanted": wanted,
        "filtered": any(wanted[name] for name in ("q", "state", "timeframe")),
        "required": REQUIRED_COMPLETENESS,
        "jobs": _jobs(request),
        "may_run": request.user.has_perm(RUN),
        **sources(request),
    }
    return render(request, "marketdata/quality.html", context)


@require_GET
@page
def quality_of(request: RequestOfUser, symbol: str) -> HttpResponse:
    """One instrument: its series, findings of their last checks, completeness by month, quarantines open and released."""
    _allowed(request)
    instrument = instrument_get(symbol)
    series = list(latest_quality().filter(instrument=instrument).order_by("timeframe"))
    chosen = _frame(request, series)
    findings = latest_findings().filter(instrument=instrument).order_by("severity", F("first").desc(nulls_last=True), "id")
    quarantines = Quarantine.objects.filter(instrument=instrument).select_related("opened_by", "released_by").order_by("released_at", "-opened_at")
    context = {
        "instrument": instrument,
        "series": [(row, Timeframe(row.timeframe).code) for row in series],
        "page": Paginator(findings, PAGE).get_page(request.GET.get("page")),
        "codes": {frame.value: frame.code for frame in Timeframe},
        "quarantines": [(one, "all" if one.timeframe is None else Timeframe(one.timeframe).code) for one in quarantines],
        "timeframe": chosen.code,
        "timeframes": [frame.code for frame in Timeframe],
        "chart_query": f"symbol={symbol}&timeframe={chosen.code}",
        "required": REQUIRED_COMPLETENESS,
        "jobs": _jobs(request),
        "may_run": request.user.has_perm(RUN),
    }
    return render(request, "marketdata/quality_of.html", context)


@require_POST
@page
def check_now(request: RequestOfUser) -> HttpResponse:
    """Queue the checks of one instrument or of all."""
    if not request.user.has_perm(RUN):
        raise NotPermitted("Your role does not run data checks.")
    symbol = request.POST.get("symbol", "").strip()
    job = check_queue(request=CheckRequest(symbols=(symbol,) if symbol else ()), user=request.user, at=now())
    target = reverse("data-quality-of", args=[symbol]) if symbol else reverse("data-quality")
    return redirect(f"{target}?job={job.pk}")


@require_POST
@page
def hold(request: RequestOfUser) -> HttpResponse:
    """Put data into quarantine."""
    symbol = request.POST.get("symbol", "").strip()
    try:
        frame = request.POST.get("timeframe", "")
        quarantine_open(
            symbol=symbol,
            timeframe=Timeframe.parse(frame) if frame else None,
            reason=request.POST.get("reason", ""),
            from_date=_day(request, "from_date"),
            to_date=_day(request, "to_date"),
            user=request.user,
            at=now(),
        )
    except DeskError as error:
        messages.error(request, f"Nothing was put into quarantine: {error.detail}")
    else:
        messages.warning(request, f"Data of {symbol} is in quarantine. Orders that open a position and backtests on it are refused.")
    return redirect(way_back(request, reverse("data-quality")))


@require_POST
@page
def release(request: RequestOfUser, quarantine_id: int) -> HttpResponse:
    """Let data be used again."""
    try:
        quarantine_release(quarantine_id=quarantine_id, reason=request.POST.get("reason", ""), user=request.user, at=now())
    except DeskError as error:
        messages.error(request, f"The quarantine was not released: {error.detail}")
    else:
        messages.success(request, "The quarantine is released.")
    return redirect(way_back(request, reverse("data-quality")))


@require_GET
@page
def completeness_chart(request: RequestOfUser) -> HttpResponse:
    """Share of the expected bars that are there, month by month."""
    _allowed(request)
    instrument, frame = instrument_get(request.GET.get("symbol", "")), Timeframe.parse(request.GET.get("timeframe", "1d"))
    name, at = f"completeness-{instrument.pk}", now()
    if frame > Timeframe.DAY:
        return chart_answer(request, Chart(name=name, draw=None, summary=f"Nothing is expected of bars of {frame.code}: they are made of days."))
    bars = bar_series(symbol=instrument.symbol, timeframe=frame, end=visible_end(at, timeframe=frame, calendar=instrument.calendar))
    found = coverage(bars.ts, frame, instrument.calendar, market_clock(at).market_time)
    if found is None or found.completeness is None:
        text = f"No bar of {frame.code} of {instrument.symbol} is stored, so nothing is expected of it."
        return chart_answer(request, Chart(name=name, draw=None, summary=text))
    months, expected, present = completeness_by_month(found)
    share = present / expected

    def draw(palette: Palette) -> Any:
        from apps.marketdata.charts.quality import completeness_figure

        return completeness_figure(palette, months=months, share=share, expected=expected)

    low, worst = int((share <= REQUIRED_COMPLETENESS).sum()), int(np.argmin(share))
    worst_text = f", the worst is {months[worst]} with {share[worst]:.1%}" if low else ""
    summary = (
        f"{found.completeness:.2%} of {found.expected:,} expected bars of {frame.code} are there; "
        f"{low} of {len(months)} months are not complete{worst_text}"
    )
    rows = [
        (str(month), int(want), int(have), float(part)) for month, want, have, part in zip(months, expected, present, share.tolist(), strict=True)
    ]
    columns = ("Month", "Expected bars", "Stored bars", "Complete (fraction)")
    return chart_answer(request, Chart(name=name, draw=draw, summary=summary, columns=columns, rows=rows))


@require_GET
@page
def findings_chart(request: RequestOfUser) -> HttpResponse:
    """Findings of the last checks along the time of the bars that they are about."""
    _allowed(request)
    instrument = instrument_get(request.GET.get("symbol", ""))
    findings: list[QualityFinding] = list(latest_findings().filter(instrument=instrument, first__isnull=False).order_by("first", "id"))
    name = f"findings-{instrument.pk}"
    if not findings:
        text = "The last checks found nothing in the bars." if _checked(instrument) else "No check has looked at this instrument yet."
        return chart_answer(request, Chart(name=name, draw=None, summary=text))

    def draw(palette: Palette) -> Any:
        from apps.marketdata.charts.quality import findings_figure

        return findings_figure(
            palette,
            first=[item.first for item in findings if item.first],
            last=[item.last or item.first for item in findings if item.first],
            checks=[item.check_code for item in findings],
            severities=[item.severity for item in findings],
            texts=[item.text for item in findings],
        )

    counts = [f"{sum(item.severity == severity for item in findings)} {severity}" for severity in reversed(Severity)]
    rows = [(item.first, item.last, Timeframe(item.timeframe).code, item.severity, item.check_code, item.count, item.text) for item in findings]
    columns = ("First bar", "Last bar", "Bars", "Severity", "Check", "Count", "What")
    return chart_answer(request, Chart(name=name, draw=draw, summary=f"Findings: {', '.join(counts)}", columns=columns, rows=rows))


def _matching(rows: "QuerySet[SeriesQuality]", wanted: dict[str, str]) -> "QuerySet[SeriesQuality]":
    if wanted["q"]:
        rows = rows.filter(Q(instrument__symbol__icontains=wanted["q"]) | Q(instrument__name__icontains=wanted["q"]))
    if wanted["timeframe"]:
        rows = rows.filter(timeframe=int(Timeframe.parse(wanted["timeframe"])))
    conditions = {
        "errors": Q(errors__gt=0),
        "warnings": Q(warnings__gt=0),
        "good": Q(errors=0, warnings=0),
        "quarantined": Q(instrument__in=Quarantine.objects.filter(released_at__isnull=True).values("instrument")),
    }
    if wanted["state"] and wanted["state"] not in conditions:
        raise InvalidInput(f"{wanted['state']!r} is none of {', '.join(conditions)}", field="state")
    return rows.filter(conditions.get(wanted["state"], Q()))


def _ordered(rows: "QuerySet[SeriesQuality]", sort: str) -> "QuerySet[SeriesQuality]":
    """By the column asked for; by default what needs somebody comes first."""
    fields = {key: field for key, _, field, _ in COLUMNS}
    field = fields.get(sort.removeprefix("-"))
    if field is None:
        return rows.order_by("-errors", "-warnings", "instrument__symbol", "timeframe")
    order = F(field).desc(nulls_last=True) if sort.startswith("-") else F(field).asc(nulls_last=True)
    return rows.order_by(order, "instrument__symbol", "timeframe")


def _sorting(sort: str, key: str) -> tuple[str, str]:
    """What a click on the heading asks for next, and what aria-sort says now."""
    if sort == key:
        return f"-{key}", "ascending"
    return key, "descending" if sort == f"-{key}" else ""


def _holding(held: tuple[Quarantined, ...], timeframe: int) -> list[Quarantined]:
    return [item for item in held if item.timeframe is None or int(item.timeframe) == timeframe]


def _frame(request: RequestOfUser, series: list[SeriesQuality]) -> Timeframe:
    if wanted := request.GET.get("timeframe"):
        return Timeframe.parse(wanted)
    frames = [Timeframe(row.timeframe) for row in series]
    return Timeframe.DAY if not frames or Timeframe.DAY in frames else frames[0]


def _checked(instrument: Instrument) -> bool:
    return SeriesQuality.objects.filter(instrument=instrument).exists()


def _jobs(request: RequestOfUser) -> list[JobRun]:
    """This user's checks that go on, and the one that the address names."""
    jobs = JobRun.objects.filter(job=TASK, requested_by=request.user).order_by("-id")[:JOBS]
    return [job for job in jobs if job.state not in FINISHED or str(job.pk) == request.GET.get("job")]


def _day(request: RequestOfUser, name: str) -> date | None:
    text = request.POST.get(name, "").strip()
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no date like 2012-12-31", field=name) from error


def _allowed(request: RequestOfUser) -> None:
    if not request.user.has_perm(VIEW):
        raise NotPermitted("Your role does not see data quality.")
