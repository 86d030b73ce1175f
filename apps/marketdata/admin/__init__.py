"""Market data in the admin: one module per subject, imported here so that Django finds them."""

from apps.marketdata.admin import corporate_actions, features, instruments, quality, subscriptions, universes, vendors, watchlists

__all__ = ["corporate_actions", "features", "instruments", "quality", "subscriptions", "universes", "vendors", "watchlists"]
