"""What execution does when a lower app announces something."""

from datetime import datetime
from typing import Any

from apps.core import clock
from apps.execution.services.accounts import paper_account_create
from apps.execution.services.groups import group_advance
from apps.execution.services.halting import halt_carry_out


def carry_out_halt(*, portfolio_id: int | None, at: datetime, **_: Any) -> None:
    """A halt cancels what works, a flattening also closes what is held; a release and a pause leave orders as they are."""
    halt_carry_out(portfolio_id=portfolio_id, at=at)


def keep_group_in_step(*, group_id: int | None = None, **_: Any) -> None:
    """A bracket's or an OCO pair's orders follow what has just happened to one of them. Asks nothing about an order of no group."""
    if group_id is not None:
        group_advance(group_id=group_id, at=clock.now())


def open_paper_account(*, portfolio_id: int, is_paper_trading: bool, **_: Any) -> None:
    """A portfolio that a person opens for paper can trade at once."""
    if is_paper_trading:
        paper_account_create(portfolio_id=portfolio_id)
