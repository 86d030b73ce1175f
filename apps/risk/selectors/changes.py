"""Changes of limits, open and decided."""

from typing import TYPE_CHECKING

from django.db.models import Q, QuerySet

from apps.portfolios.selectors.portfolios import portfolios_visible
from apps.risk.models import LimitChange

if TYPE_CHECKING:
    from apps.core.models import User


def limit_changes_visible(user: "User") -> QuerySet[LimitChange]:
    """Changes of the desk's controls and of the limits of portfolios that the user sees, newest first."""
    seen = Q(portfolio__isnull=True) | Q(portfolio__in=portfolios_visible(user))
    return LimitChange.objects.filter(seen).select_related("portfolio", "book", "instrument", "requested_by", "decided_by").order_by("-id")
