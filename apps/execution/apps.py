from datetime import timedelta

from django.apps import AppConfig


class ExecutionConfig(AppConfig):
    name = "apps.execution"
    verbose_name = "Execution"

    def ready(self) -> None:
        from apps.alerts.selectors.links import register_alert_link
        from apps.core.measures import register_measures
        from apps.core.schedule import register_periodic
        from apps.execution import streams
        from apps.execution.receivers import carry_out_halt, keep_group_in_step, open_paper_account
        from apps.execution.selectors import links
        from apps.execution.selectors.judged import judged_orders
        from apps.execution.selectors.orders import account_modes
        from apps.execution.selectors.working import orders_ahead
        from apps.execution.signals import order_changed
        from apps.portfolios.selectors.accounts import register_account_modes
        from apps.portfolios.selectors.free_cash import register_orders
        from apps.portfolios.signals import portfolio_opened
        from apps.risk.selectors.replay import register_judged_orders
        from apps.risk.signals import trading_state_changed

        register_measures(
            "apps.execution.domain.impact",
            "apps.execution.domain.replay",
            "apps.execution.domain.routing",
            "apps.execution.domain.schedules",
        )
        register_periodic(
            "execution.reconcile",
            queue="trade",
            every=timedelta(minutes=15),  # beside the comparisons at start, on each new line and after fills
            description="Compare every account with its broker's books",
        )
        streams.register()
        trading_state_changed.connect(carry_out_halt, dispatch_uid="execution.carry_out_halt")
        register_account_modes(account_modes)
        register_judged_orders(judged_orders)
        register_alert_link("portfolio", links.rebalance, codes=links.OF_REBALANCES)
        register_alert_link("order", links.order)
        register_orders(orders_ahead)
        register_periodic(
            "execution.rebalance_watch",
            queue="trade",
            every=timedelta(minutes=1),
            description="Hold positions to the stop of the VIX's regime and portfolios to their targets; propose, and exit where a plan says so",
        )
        register_periodic(
            "execution.pattern_day_traders",
            queue="trade",
            every=timedelta(hours=1),
            description="Note which margin accounts have become pattern day traders', where that rule still holds",
        )
        portfolio_opened.connect(open_paper_account, dispatch_uid="execution.open_paper_account")
        order_changed.connect(keep_group_in_step, dispatch_uid="execution.keep_group_in_step")
