import gc

from django.apps import AppConfig


class DeskConfig(AppConfig):
    name = "apps.desk"
    verbose_name = "Desk"

    def ready(self) -> None:
        from apps.desk.receivers import show_trading_state
        from apps.desk.streams import register_trading_stream
        from apps.risk.signals import trading_state_changed

        register_trading_stream()
        trading_state_changed.connect(show_trading_state, dispatch_uid="desk.show_trading_state")
        # The last app: everything is loaded, and smarttrader has held the collector back. What is there stays, and is not walked through
        # again: not while the process works, and not at its end, where that took most of a second of each process.
        gc.freeze()
        gc.enable()
