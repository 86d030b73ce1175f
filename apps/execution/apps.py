from django.apps import AppConfig


class ExecutionConfig(AppConfig):
    name = "apps.execution"
    verbose_name = "Execution"

    def ready(self) -> None:
        from apps.core.measures import register_measures
        from apps.execution import streams
        from apps.execution.receivers import carry_out_halt, keep_group_in_step
        from apps.execution.signals import order_changed
        from apps.risk.signals import trading_state_changed

        register_measures(
            "apps.execution.domain.impact",
            "apps.execution.domain.replay",
            "apps.execution.domain.routing",
            "apps.execution.domain.schedules",
        )
        streams.register()
        trading_state_changed.connect(carry_out_halt, dispatch_uid="execution.carry_out_halt")
        order_changed.connect(keep_group_in_step, dispatch_uid="execution.keep_group_in_step")
