from datetime import timedelta

from django.apps import AppConfig


class MarketdataConfig(AppConfig):
    name = "apps.marketdata"
    verbose_name = "Market data"

    def ready(self) -> None:
        from apps.core.measures import register_measures
        from apps.core.schedule import register_periodic
        from apps.marketdata.streams import register

        register()
        register_measures("apps.marketdata.domain.indicators.measures")
        register_periodic(
            "marketdata.data_freshness",
            queue="data",
            every=timedelta(minutes=5),
            description="Tell operators about bars that are missing and a feed that stands still",
        )
