"""The tags and filters of every page. `static/js/format.js` writes live numbers and times the same way.

The minus sign is U+2212. A value that is not known is "—" with the reason (the filter's argument) in its title, never 0, NaN or inf.
"""

import math
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django import template
from django.forms import BooleanField, BoundField, ChoiceField
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.core.check_codes import remedy
from apps.core.clock import now
from apps.desk.templatetags.formats import (
    NOT_KNOWN,
    NUMBER_FORMATS,
    decimal_or_none,
    in_unit,
    money_signed,
    p_value,
    percent,
    price,
    quantity,
    ratio,
    share,
    unknown,
)
from apps.execution.selectors.rebalance_impact import proposal_impact
from apps.execution.selectors.reconciliation import portfolio_standing
from apps.marketdata.selectors.quarantine import quarantines_open
from apps.portfolios.selectors.rebalances import ProposalView

register = template.Library()

for written in NUMBER_FORMATS:
    register.filter(written)

TAGS = {
    "filled": "good",
    "new": "work",
    "sent": "work",
    "partially_filled": "work",
    "working": "work",
    "paused": "warn",
    "done": "good",
    "pending_new": "warn",
    "pending_cancel": "warn",
    "pending_replace": "warn",
    "unknown_sent": "unknown",
    "denied": "bad",
    "rejected": "bad",
    "active": "good",
    "reducing": "warn",
    "halted": "bad",
    "pass": "good",
    "warn": "warn",
    "block": "bad",
    "critical": "bad",
    "warning": "warn",
    "info": "work",
    "succeeded": "good",
    "running": "work",
    "partial": "warn",
    "pending": "warn",
    "executing": "work",
    "executed": "good",
    "failed": "bad",
    "ok": "good",
    "clean": "good",
    "breaks": "bad",
    "breach": "bad",
    "no_data": "warn",
    "price_stale": "warn",
    "price_missing": "bad",
    "no_history": "bad",
    "insufficient_data": "warn",
    "raised": "bad",
    "cleared": "good",
    "collecting": "work",
    "waiting": "warn",
    "dead": "bad",
    "dropped": "warn",
    "green": "good",
    "yellow": "warn",
    "red": "bad",
}


CELLS = {
    "money_signed": money_signed,
    "number": quantity,
    "p_value": p_value,
    "percent": percent,
    "price": price,
    "ratio": ratio,
    "share": share,
}


@register.filter
def cell(value: Any, unit: str = "") -> str:
    """A cell of a table, written as its column asks: words, a label, a time, or a number in one of the formats above."""
    if value is None or value == "":
        return unknown(NOT_KNOWN) if value is None else ""
    if unit in ("text", "wrap", "code"):
        return str(value)
    if unit == "tag":
        return format_html('<span class="tag {}">{}</span>', tag(value), words(value))
    if unit in ("date", "time"):
        return moment(value, "date" if unit == "date" else "full")
    return CELLS[unit](value) if unit in CELLS else in_unit(value, unit)


@register.filter
def fact(value: Any) -> str:
    """What a number was computed from: a time, a number as short as it can be, or words."""
    if isinstance(value, date):
        return moment(value)
    return quantity(value) if decimal_or_none(value) is not None else cell(value, "text")


@register.filter
def unit_format(unit: str) -> str:
    """Name of the live format (`data-format`) that writes numbers of a unit as `in_unit` does."""
    return {"USD": "money", "fraction": "share", "days": "ratio", "times": "ratio"}.get(unit, "quantity")


@register.filter
def lot_gain(lot: Any, price: Any) -> Decimal | None:
    """What the rest of a lot has gained at a price: (price - cost per share) x remaining; None while there is no price."""
    number = decimal_or_none(price)
    return None if number is None else (number - lot.unit_cost) * lot.remaining


@register.filter
def minus(value: Any, other: Any) -> Decimal | None:
    """The difference, None when one of the two is unknown."""
    first, second = decimal_or_none(value), decimal_or_none(other)
    return None if first is None or second is None else first - second


@register.filter
def as_float(value: Any) -> float:
    """A fraction for a bar's `value` attribute, between 0 and 1; the unknown is full, so that it never looks fine."""
    number = decimal_or_none(value)
    return 1.0 if number is None else float(min(max(number, Decimal(0)), Decimal(1)))


@register.filter
def direction(value: Any) -> str:
    """Class "up" or "down" of a signed number; nothing for zero or unknown."""
    number = decimal_or_none(value)
    if not number:
        return ""
    return "up" if number > 0 else "down"


@register.filter
def tag(state: Any) -> str:
    """Class of the small label of an order status, trading state, outcome, severity or job state."""
    return TAGS.get(str(getattr(state, "value", state)).lower(), "")


register.filter("remedy", remedy)


@register.filter
def words(value: Any) -> str:
    """partially_filled gives "partially filled"."""
    return str(value).replace("_", " ")


@register.filter
def nearness(fraction: Any) -> str:
    """Class of a limit bar: nothing below 70 %, "near" below 90 %, "over" from there."""
    number = decimal_or_none(fraction)
    if number is None or number >= Decimal("0.9"):
        return "over"
    return "near" if number >= Decimal("0.7") else ""


@register.filter
def moment(value: Any, style: str = "full") -> str:
    """`<time>` of a moment in UTC: style "full", "short" (no seconds), "day" (no year), "clock" (only the time) or "date"."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return unknown("No readable time")
    if not isinstance(value, date):
        return unknown("No time recorded")
    if not isinstance(value, datetime) or style == "date":
        return format_html('<time datetime="{}">{}</time>', value.strftime("%Y-%m-%d"), value.strftime("%Y-%m-%d"))
    pattern = {"full": "%Y-%m-%d %H:%M:%SZ", "short": "%Y-%m-%d %H:%MZ", "day": "%m-%d %H:%M", "clock": "%H:%M:%S"}[style]
    return format_html('<time datetime="{}">{}</time>', value.isoformat(), value.strftime(pattern))


@register.filter
def duration(seconds: Any) -> str:
    """1.24 s, 3 min 20 s or 2 h 14 min."""
    number = decimal_or_none(seconds)
    if number is None or not math.isfinite(number):
        return unknown("Not finished")
    if number < 60:
        return f"{number:.2f} s"
    minutes, rest = divmod(int(number), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@register.filter
def milliseconds(value: Any) -> str:
    """0.04 ms, 12.3 ms or, from a second on, as `duration` says it."""
    number = decimal_or_none(value)
    if number is None or not math.isfinite(number):
        return unknown("Not measured")
    if number >= 1000:
        return duration(number / 1000)
    return f"{number:.{0 if number >= 100 else 1 if number >= 1 or not number else 2}f} ms"


@register.filter
def last_line(text: Any) -> str:
    """The last line of a traceback: what went wrong."""
    return str(text).strip().rsplit("\n", 1)[-1]


@register.filter
def bootstrap(field: BoundField) -> SafeString:
    """The field's input with Bootstrap's class and, when it is wrong, the link to its message."""
    kind = (
        "form-select"
        if isinstance(field.field, ChoiceField)
        else "form-check-input d-block"
        if isinstance(field.field, BooleanField)
        else "form-control"
    )
    attributes: dict[str, str | bool] = {"class": kind}
    if field.errors:
        attributes |= {"aria-invalid": "true", "aria-describedby": f"{field.id_for_label}-error"}
    return field.as_widget(attrs=attributes)


@register.filter
def item(mapping: Any, key: str) -> Any:
    """The value under `key`, or None."""
    return mapping.get(key) if hasattr(mapping, "get") else None


#: What a ticket takes from another order.
TICKET_FIELDS = ("symbol", "side", "quantity", "order_type", "time_in_force", "limit_price", "stop_price", "trail_offset", "portfolio", "book")


@register.filter
def as_ticket(order: Mapping[str, Any]) -> str:
    """The query string of a ticket like this order."""
    given = {**order, "portfolio": order["portfolio_id"]}
    return f"?{urlencode({name: given[name] for name in TICKET_FIELDS if given.get(name)})}"


@register.simple_tag(takes_context=True)
def query(context: template.Context, **changes: Any) -> str:
    """The page's query string with some parameters changed (None removes one), so that a view's state lives in its address."""
    parameters = context["request"].GET.copy()
    for name, value in changes.items():
        if value is None:
            parameters.pop(name, None)
        else:
            parameters[name] = value
    return f"?{parameters.urlencode()}"


@register.inclusion_tag("execution/reconciliation_strip.html")
def reconciliation_strip(portfolio_id: int) -> dict[str, Any]:
    """Where a portfolio's account stands with its broker. Nothing without an account."""
    return {"standing": portfolio_standing(portfolio_id)}


@register.inclusion_tag("execution/rebalance_impact.html")
def rebalance_impact(view: ProposalView) -> dict[str, Any]:
    """What all trades of a proposal do to value at risk, shortfall and the worst stress loss."""
    return {"impact": proposal_impact(view, now=now())}


@register.inclusion_tag("desk/chart.html")
def chart(
    url: str, *, name: str, title: str, height: int = 300, live: str = "", x: str = "market_time", y: str = "total", again: str = ""
) -> dict[str, Any]:
    """A figure that `charts.js` draws from `url`; with `live` it follows that channel's fields `x` and `y`, with `again` it is drawn anew when
    that channel speaks, every ten seconds at most."""
    return {"url": url, "name": name, "title": title, "height": height, "live": live, "x": x, "y": y, "again": again}


@register.inclusion_tag("desk/data_panel.html", takes_context=True)
def part(context: template.Context, name: str) -> dict[str, Any]:
    """One table of the risk page as a panel, with what it was computed from, and its CSV and JSON as the page shows them."""
    asked = context["request"].GET.urlencode()
    url = reverse("risk-part", args=[context["portfolio"].pk, name])
    return {"table": context["tables"][name], "url": f"{url}?{asked}" if asked else url}


@register.simple_tag(takes_context=True)
def quarantine_tags(context: template.Context, symbol: str) -> SafeString:
    """Labels "quarantined" of an instrument whose data is held back, with the reasons; all open quarantines are read once for the page."""
    request = context["request"]
    if not hasattr(request, "quarantines"):
        request.quarantines = quarantines_open()
    held = request.quarantines.get(symbol, ())
    return format_html_join("", ' <span class="tag bad" title="{}: {}">quarantined</span>', ((one.period, one.reason) for one in held))
