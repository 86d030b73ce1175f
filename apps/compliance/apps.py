from django.apps import AppConfig


class ComplianceConfig(AppConfig):
    name = "apps.compliance"
    verbose_name = "Compliance"

    def ready(self) -> None:
        """Name what the app has: its measures, and what runs by itself."""
        from datetime import timedelta

        from apps.core.measures import register_measures
        from apps.core.schedule import register_periodic

        register_measures(
            "apps.compliance.domain.market_rules",
            "apps.compliance.domain.day_trades",
            "apps.compliance.domain.intraday_margin",
            "apps.compliance.domain.regimes",
        )
        register_periodic(
            "compliance.short_restrictions",
            queue="data",
            every=timedelta(minutes=1),
            description="Look for falls of a tenth, which restrict short sales (Rule 201)",
        )
