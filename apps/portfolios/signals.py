"""The facts that portfolios announce, after commit."""

from django.dispatch import Signal

#: A ledger entry was posted. Arguments: `portfolio_id`, `book_id`, `instrument_id` (None for cash), `entry_id`, `kind`.
entry_posted = Signal()

#: A portfolio was opened by a person. Arguments: `portfolio_id`, `is_paper_trading`.
portfolio_opened = Signal()
