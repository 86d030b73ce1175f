"""One row per measurement, as a table on the screen and in results.md."""

import platform
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).with_name("results.md")
HEADER = ("work", "ours", "peer or limit", "ratio", "required", "met or missed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`ratio` is what `required` speaks of; `met` says whether it was reached."""

    work: str
    ours: str
    peer: str
    ratio: str
    required: str
    met: bool

    def cells(self) -> tuple[str, ...]:
        return self.work, self.ours, self.peer, self.ratio, self.required, "met" if self.met else "missed"


def as_markdown(rows: list[Row], *, measured_at: str, machine: str) -> str:
    lines = ["# Benchmarks", "", f"Measured {measured_at} on {machine} by `make bench`.", ""]
    lines += [f"| {' | '.join(HEADER)} |", f"|{' --- |' * len(HEADER)}"]
    lines += [f"| {' | '.join(row.cells())} |" for row in rows]
    return "\n".join(lines) + "\n"


def machine() -> str:
    import os

    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
