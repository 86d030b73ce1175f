from django.apps import AppConfig


class MarketdataConfig(AppConfig):
    name = "apps.marketdata"
    verbose_name = "Market data"

    def ready(self) -> None:
        from apps.marketdata.streams import register

        register()
