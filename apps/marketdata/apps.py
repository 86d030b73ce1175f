from datetime import timedelta

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class MarketdataConfig(AppConfig):
    name = "apps.marketdata"
    verbose_name = "Market data"

    def ready(self) -> None:
        from apps.core.measures import register_measures
        from apps.core.schedule import register_periodic
        from apps.marketdata.services.vendors import control
        from apps.marketdata.streams import register

        register()
        post_migrate.connect(control.synchronise_after_migrate, dispatch_uid="marketdata.vendors")
        register_measures(
            "apps.marketdata.domain.book.measure",
            "apps.marketdata.domain.cross_section",
            "apps.marketdata.domain.exposures",
            "apps.marketdata.domain.factors",
            "apps.marketdata.domain.indicators.measures",
            "apps.marketdata.domain.vix",
            "apps.marketdata.domain.weights",
            *(f"apps.marketdata.domain.microstructure.{subject}" for subject in ("flow", "liquidity", "profile", "spreads", "toxicity")),
        )
        register_periodic(
            "marketdata.data_freshness",
            queue="data",
            every=timedelta(minutes=5),
            description="Tell operators about bars that are missing and a feed that stands still",
        )
        register_periodic(
            "marketdata.archive_data",
            queue="data",
            crontab="15 4 * * *",
            description="Move rows that are older than the retention policies allow into verified files",
        )
        register_periodic(
            "marketdata.check_data",
            queue="data",
            crontab="30 22 * * *",
            description="Check all stored bars after the close, tell operators about new errors",
        )
        register_periodic(
            "marketdata.compute_factors",
            queue="compute",
            crontab="45 22 * * 1-5",  # New York has closed, in winter and in summer
            description="Score the sessions that have closed since the last factor scores",
        )
        register_periodic(
            "marketdata.subscriptions",
            queue="data",
            every=timedelta(minutes=1),
            description="Fetch what subscriptions ask for, when the exchange's calendar says that it is time",
        )
