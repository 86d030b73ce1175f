from django.apps import AppConfig
from django.db.models.signals import post_migrate


class CoreConfig(AppConfig):
    name = "apps.core"
    verbose_name = "Core"

    def ready(self) -> None:
        from apps.core.job_streams import register_job_stream
        from apps.core.roles import synchronise_after_migrate

        register_job_stream()
        post_migrate.connect(synchronise_after_migrate, dispatch_uid="core.roles")
