"""Run all benchmarks, print the table, write results.md. Exit 1 when something required was missed."""

import sys
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from benchmarks.report import HEADER, RESULTS, Row, as_markdown, machine
from benchmarks.servers import bench_servers


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
        rows = []
        for name, suite in suites.items():
            if not only or name in only:
                measured = suite()
                show(measured)  # a suite that fails later takes nothing away
                rows += measured
    show(rows)
    if not only:
        RESULTS.write_text(as_markdown(rows, measured_at=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", machine=machine()))
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
