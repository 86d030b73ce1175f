from datetime import timedelta

from django.apps import AppConfig


class RiskConfig(AppConfig):
    name = "apps.risk"
    verbose_name = "Risk"

    def ready(self) -> None:
        from apps.core.measures import register_measures
        from apps.core.schedule import register_periodic
        from apps.portfolios.selectors.stops import register_stop_threshold
        from apps.risk.selectors.stops import stop_fraction
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
        register_stop_threshold(stop_fraction)
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
        register_periodic(
            "risk.snapshots",
            queue="compute",
            every=timedelta(minutes=1),
            description="Write down every portfolio's risk while the market is open, and once after it has closed",
        )
        register_periodic(
            "risk.var_forecasts",
            queue="compute",
            every=timedelta(seconds=30),  # a replayed night is short, and a forecast must be there before the session opens
            description="Forecast the next session's value at risk of every portfolio after the close",
        )
        register_periodic(
            "risk.var_zones",
            queue="compute",
            every=timedelta(minutes=5),
            description="Hold the forecasts of value at risk against what happened, and tell of another zone",
        )
