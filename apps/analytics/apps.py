from django.apps import AppConfig


class AnalyticsConfig(AppConfig):
    name = "apps.analytics"
    verbose_name = "Analytics"

    def ready(self) -> None:
        from apps.core.measures import register_measures

        register_measures("apps.analytics.domain.ratios", "apps.analytics.domain.returns", "apps.analytics.domain.tca")
