"""The facts that portfolios announce, after commit."""

from django.dispatch import Signal

#: A ledger entry was posted. Arguments: `portfolio_id`, `book_id`, `instrument_id` (None for cash), `entry_id`, `kind`.
entry_posted = Signal()
