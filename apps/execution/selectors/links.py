"""Where alerts of this app lead."""

from django.urls import reverse

from apps.alerts.selectors.links import AlertLink

#: Alerts of a portfolio which are about a rebalance of it.
OF_REBALANCES = ("REBALANCE_DUE", "STOP_LOSS", "STOP_EXIT_FAILED", "STOP_EXIT_DONE")


def rebalance(portfolio_id: int) -> AlertLink:
    """The panel with the newest proposal."""
    return AlertLink(url=f"{reverse('portfolio-detail', args=[portfolio_id])}?tab=rebalance#rebalance-now", label="Preview rebalance")


def order(order_id: int) -> AlertLink:
    """The life of an order."""
    return AlertLink(url=reverse("order-detail", args=[order_id]), label="Show order")
