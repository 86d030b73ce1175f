from datetime import timedelta

from django.apps import AppConfig


class PortfoliosConfig(AppConfig):
    name = "apps.portfolios"
    verbose_name = "Portfolios"

    def ready(self) -> None:
        from django.urls import reverse

        from apps.alerts.selectors.links import AlertLink, register_alert_link
        from apps.core.schedule import register_periodic

        def shown(portfolio_id: int) -> AlertLink:
            return AlertLink(url=reverse("portfolio-detail", args=[portfolio_id]), label="Show portfolio")

        register_alert_link("portfolio", shown)
        register_periodic(
            "portfolios.values_record",
            queue="trade",
            every=timedelta(seconds=30),  # a replayed session may be over in seconds; what was recorded before is not done again
            description="Record every portfolio's value once a session has closed",
        )
        register_periodic(
            "portfolios.actions_book",
            queue="trade",
            every=timedelta(minutes=1),  # before the first trades of the ex-date, which are by the new count
            description="Book splits and dividends to those who held the shares before the ex-date",
        )
        register_periodic(
            "portfolios.borrow_fees",
            queue="trade",
            every=timedelta(minutes=1),  # it looks whether a session has opened; a replayed night is short
            description="Book what borrowed shares have cost, once for each session",
        )
