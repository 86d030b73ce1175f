"""Run all benchmarks, print the table, write results.md. Exit 1 when something required was missed or a suite failed."""

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from benchmarks.report import HEADER, RESULTS, Row, as_markdown, machine
from benchmarks.servers import bench_servers

logger = logging.getLogger(__name__)


def show(rows: list[Row]) -> None:
    table = Table(*HEADER)
    for row in rows:
        table.add_row(*row.cells())
    Console().print(table)


def main() -> int:
    only = sys.argv[1:]
    with bench_servers():
        from benchmarks import adjusted, alerts, backtests, bars, book, factors, feed, gate, ledger, orders, pnl, pretrade_risk, risk

        suites = {"bars": bars.rows, "adjusted": adjusted.rows, "book": book.rows, "backtests": backtests.rows, "orders": orders.rows}
        suites |= {
            "gate": gate.rows,
            "feed": feed.rows,
            "factors": factors.rows,
            "ledger": ledger.rows,
            "pnl": pnl.rows,
            "pretrade_risk": pretrade_risk.rows,
            "alerts": alerts.rows,
            "risk": risk.rows,
        }
        rows: list[Row] = []
        for name, suite in suites.items():
            if not only or name in only:
                measured = _measured(name, suite)
                show(measured)
                rows += measured
    show(rows)
    if not only:
        RESULTS.write_text(as_markdown(rows, measured_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", machine=machine()))
    return 0 if all(row.met for row in rows) else 1


def _measured(name: str, suite: Callable[[], list[Row]]) -> list[Row]:
    """The suite's rows. One that fails is a row too, and takes nothing away from the others."""
    try:
        return suite()
    except Exception as error:
        logger.exception("suite %s", name)
        return [Row(work=f"suite {name}", ours=f"failed: {error!r:.120}", peer="-", ratio="-", required="to run", met=False)]


if __name__ == "__main__":
    sys.exit(main())
