"""How commands that import files say what they did."""

from django.core.management.base import OutputWrapper

from apps.core.commands import CommandResult, ExitCode
from apps.marketdata.domain.validation import Problem
from apps.marketdata.services.imports import ImportReport

MOST_SHOWN = 50


def import_result(report: ImportReport, stderr: OutputWrapper, *, gaps: bool = True) -> CommandResult:
    """Write rejected rows and notes to stderr, and give the summary, the JSON and the exit code."""
    for item in report.rejected[:MOST_SHOWN]:
        stderr.write(f"{item.file}:{item.line}: {item.code} {item.column}: {item.text}")
    if (more := len(report.rejected) - MOST_SHOWN) > 0:
        stderr.write(f"... and {more} more; --json lists them all")
    for item in report.warnings[:MOST_SHOWN]:
        stderr.write(f"{item.file}:{item.line}: stored, but {item.code} {item.column}: {item.text}")
    for file in report.files:
        for note in (file.error, *file.notes):
            if note:
                stderr.write(f"{file.file}: {note}" if note != file.error else note)
        if not file.stored and file.rejected:
            stderr.write(f"{file.file}: refused as a whole (--strict), nothing of it was stored")
    return CommandResult(data=report.as_dict(), text=_summary(report, gaps), exit_code=_exit_code(report))


def _summary(report: ImportReport, gaps: bool) -> str:
    counts = f"{report.inserted} inserted, {report.revised} revised, {report.unchanged} unchanged, {len(report.rejected)} rejected"
    counts += f", {len(report.warnings)} stored with a warning" if report.warnings else ""
    return f"{counts}, {sum(gap.sessions for gap in report.gaps)} sessions missing" if gaps else counts


def _exit_code(report: ImportReport) -> ExitCode:
    stored_any = report.inserted + report.revised + report.unchanged > 0
    if report.errors and not stored_any:
        return ExitCode.USAGE
    if report.rejected and not stored_any and all(item.code == Problem.UNKNOWN_SYMBOL for item in report.rejected):
        return ExitCode.USAGE
    return ExitCode.PARTIAL if report.rejected or report.errors else ExitCode.OK
