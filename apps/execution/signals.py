"""The facts that execution announces, after commit."""

from django.dispatch import Signal

#: An order was made or changed. Arguments: `order_id`, `portfolio_id`, `status` (as stored), `algo_id` and `group_id` (None: of none).
order_changed = Signal()
