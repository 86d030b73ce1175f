"""HTML to PDF by the machine's Chromium: the same engine that shows the desk's pages, so that paper looks like the screen."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from django.conf import settings

from apps.core.errors import Unavailable

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 60
#: Nothing is fetched: a document has all in itself, and a name in it leads nowhere.
FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--no-pdf-header-footer",
)


def pdf_of(html: str) -> bytes:
    """A document that has everything in itself, as PDF. Raises Unavailable: there is no Chromium, or it does not answer."""
    chromium = next((found for name in (settings.CHROMIUM, *BROWSERS) if name and (found := shutil.which(name))), None)
    if chromium is None:
        raise Unavailable("there is no Chromium to make a PDF with: install it, or name one in DESK_CHROMIUM")
    with TemporaryDirectory(prefix="desk-pdf-") as folder:
        page, paper = Path(folder) / "page.html", Path(folder) / "page.pdf"
        page.write_text(html, encoding="utf-8")
        sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()  # Chromium refuses its sandbox to root
        # It takes what the others leave: a browser that starts held up orders for four seconds, however far its worker stood back.
        idle = (chrt, "--idle", "0") if (chrt := shutil.which("chrt")) else ()
        command = [*idle, chromium, *FLAGS, *sandbox, f"--user-data-dir={folder}/profile", f"--print-to-pdf={paper}", page.as_uri()]
        try:
            subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=SECONDS)
        except (subprocess.SubprocessError, OSError) as error:
            raise Unavailable(f"Chromium made no PDF: {error}") from error
        if not paper.exists():
            raise Unavailable("Chromium made no PDF and said nothing")
        return paper.read_bytes()
