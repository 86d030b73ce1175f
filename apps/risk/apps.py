from datetime import timedelta

from django.apps import AppConfig


class RiskConfig(AppConfig):
    name = "apps.risk"
    verbose_name = "Risk"

    def ready(self) -> None:
        from apps.core.measures import register_measures
        from apps.core.schedule import register_periodic
        from apps.risk.streams import register_portfolio_stream

        register_measures(
            "apps.risk.domain.backtesting",
            "apps.risk.domain.covariance",
            "apps.risk.domain.decomposition",
            "apps.risk.domain.drawdown",
            "apps.risk.domain.simulation",
            "apps.risk.domain.sizing",
            "apps.risk.domain.stops",
            "apps.risk.domain.stress",
            "apps.risk.domain.value_at_risk",
        )
        register_portfolio_stream()
        register_periodic(
            "risk.reports",
            queue="compute",
            every=timedelta(minutes=1),  # it looks whether something is missing; a replayed night is short
            description="Make each portfolio's daily risk report after the close, as HTML and PDF",
        )
        register_periodic(
            "risk.limits_record",
            queue="trade",
            every=timedelta(minutes=5),
            description="Record how far each limit of each portfolio is used",
        )
