"""Charts of the risk page."""

from typing import Any

import numpy as np
from django.http import HttpResponse
from django.views.decorators.http import require_GET

from apps.core.charts import Chart, Palette, chart_answer, percent_text
from apps.core.clock import now
from apps.core.pages import RequestOfUser, page
from apps.portfolios.selectors.portfolios import portfolio_get
from apps.portfolios.selectors.values import portfolio_values
from apps.risk.domain.limits import LimitKind
from apps.risk.selectors.limits import limits_in_force


@require_GET
@page
def drawdown_chart(request: RequestOfUser, portfolio_id: int) -> HttpResponse:
    """Drawdown of the recorded values, flows taken out, with the limit in force."""
    portfolio_get(user=request.user, portfolio_id=portfolio_id)
    values = portfolio_values(portfolio_id)
    name = f"drawdown-{portfolio_id}"
    if not len(values):
        return chart_answer(
            request, Chart(name=name, draw=None, summary="No value is recorded yet: the first comes at the end of the first session.")
        )
    wealth = np.cumprod(1.0 + np.nan_to_num(values.daily_return))
    drawdown = wealth / np.maximum.accumulate(np.maximum(wealth, 1.0)) - 1.0
    limit = limits_in_force(portfolio_id, now()).get(LimitKind.DRAWDOWN)

    def draw(palette: Palette) -> Any:
        from apps.risk.charts import drawdown_figure

        soft = float(limit.soft) if limit and limit.soft is not None else None
        return drawdown_figure(palette, ts=values.ts, drawdown=drawdown, soft=soft, hard=float(limit.hard) if limit else None)

    held = f"limit {percent_text(-float(limit.hard))}" if limit else "no limit is set"
    summary = f"Now {percent_text(drawdown[-1])} below the highest value, at most {percent_text(drawdown.min())} so far; {held}"
    rows = [(ts.astype("datetime64[us]").item(), float(value)) for ts, value in zip(values.ts, drawdown, strict=True)]
    return chart_answer(request, Chart(name=name, draw=draw, summary=summary, columns=("Market time", "Drawdown (fraction)"), rows=rows))
