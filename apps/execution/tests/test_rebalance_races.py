"""Several people press Execute at once, with real commits: one of them executes, and no order is sent twice."""

from apps.core import clock
from apps.core.errors import Conflict
from apps.core.roles import roles_synchronise
from apps.execution.models import Fill, Order
from apps.execution.services.rebalancing import Execution, portfolio_rebalance, rebalance_execute
from apps.execution.tests.services.rebalancing_desk import held, make_fund, targets
from apps.execution.tests.test_races import THREADS, at_once


def test_one_proposal_is_executed_once(transactional_db: None) -> None:
    roles_synchronise()
    desk = make_fund()
    targets(desk, AAPL="0.5", MSFT="0.3")
    proposal = portfolio_rebalance(user=desk.trader, portfolio_id=desk.portfolio.pk, force=False, at=clock.now()).proposal
    assert proposal is not None

    def press() -> Execution:
        return rebalance_execute(user=desk.trader, portfolio_id=desk.portfolio.pk, clock=clock.now, proposal_id=proposal.pk)

    found = at_once(*[press] * THREADS)
    done = [one for one in found if isinstance(one, Execution)]
    assert [one.ending.status for one in done] == ["executed"]
    assert all(isinstance(one, Conflict) for one in found if one not in done)
    assert (Order.objects.count(), Fill.objects.count()) == (2, 2)
    assert held(desk) == {"AAPL": 500, "MSFT": 600}
    assert list(proposal.events.order_by("id").values_list("status", flat=True)) == ["pending", "executing", "executed"]
