from datetime import timedelta

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "apps.alerts"
    verbose_name = "Alerts"

    def ready(self) -> None:
        from apps.alerts.streams import register_alert_stream
        from apps.core.schedule import register_periodic

        register_alert_stream()
        register_periodic(
            "alerts.sweep",
            queue="alerts",
            every=timedelta(seconds=15),
            description="Escalate what nobody acknowledges, and send what is due: retries, digests, ends of quiet hours",
        )
