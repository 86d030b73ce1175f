from datetime import timedelta

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class CoreConfig(AppConfig):
    name = "apps.core"
    verbose_name = "Core"

    def ready(self) -> None:
        from apps.core import roles, schedule
        from apps.core.job_streams import register_job_stream
        from apps.core.measures import register_measures
        from apps.core.task_context import connect_task_context

        connect_task_context()
        register_job_stream()
        register_measures("apps.core.domain.chain")
        schedule.register_periodic("core.journal_seal", queue="data", every=timedelta(seconds=10), description="Seal the journal into its chain")
        schedule.register_periodic("core.housekeeping", queue="data", crontab="17 * * * *", description="Forget what nobody will ask for again")
        post_migrate.connect(roles.synchronise_after_migrate, dispatch_uid="core.roles")
        post_migrate.connect(schedule.synchronise_after_migrate, dispatch_uid="core.schedule")
