"""Recording how far limits are used, so that the past of a limit can be looked at."""

import logging
from datetime import datetime

from apps.core.errors import DeskError
from apps.portfolios.selectors.track import active_portfolio_ids
from apps.risk.models import LimitUtilisation
from apps.risk.selectors.utilisation import limit_uses_now

logger = logging.getLogger(__name__)


def utilisation_record(*, at: datetime) -> dict[str, int]:
    """Store the use of every limit of every active portfolio; one that cannot be computed at all is left out and counted.

    Limits that single orders are held to have no use between two orders, and are not stored.
    """
    rows, failed = [], 0
    for portfolio_id in active_portfolio_ids():
        try:
            uses = limit_uses_now(portfolio_id=portfolio_id, now=at)
        except DeskError:
            logger.exception("the limits of portfolio %s could not be computed", portfolio_id)
            failed += 1
            continue
        rows += [
            LimitUtilisation(
                portfolio_id=portfolio_id,
                recorded_at=at,
                kind=use.kind,
                scope=use.scope,
                subject=use.subject if use.scope in ("book", "instrument", "sector") else "",
                soft=use.soft,
                hard=use.hard,
                used=use.used,
                share=use.utilisation,
                state=use.state,
            )
            for use in uses
            if use.state != "per_order"
        ]
    LimitUtilisation.objects.bulk_create(rows, ignore_conflicts=True)
    return {"rows": len(rows), "failed": failed}
