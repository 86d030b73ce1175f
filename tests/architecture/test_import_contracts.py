"""The import contracts hold, and each of them really fires on a planted violation."""

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRIVATE = ("alerts", "marketdata", "portfolios", "risk", "compliance", "strategies", "execution")

#: contract id -> (file, the line that must not be allowed there)
VIOLATIONS = {
    "apps": ("apps/risk/services/state.py", "import apps.execution.services.orders"),
    "roof": ("apps/core/clock.py", "import smarttrader.celery"),
    "inside": ("apps/portfolios/selectors/holdings.py", "import apps.portfolios.services.ledger"),
    "pure": ("apps/portfolios/domain/lots.py", "import django.utils.timezone"),
    **{f"private-{app}": ("apps/desk/pages.py", f"import apps.{app}.models") for app in PRIVATE},
}


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "lint-imports"
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"}
    return subprocess.run([program, "--no-cache"], cwd=folder, env=environment, capture_output=True, text=True, check=False)


def names_of_contracts() -> dict[str, str]:
    parser = configparser.ConfigParser()
    parser.read(ROOT / ".importlinter")
    return {section.split(":")[-1]: parser[section]["name"] for section in parser.sections() if ":contract:" in section}


def verdicts(output: str) -> dict[str, str]:
    return dict(re.findall(r"^(.+?) (KEPT|BROKEN)\b", output, re.MULTILINE))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the linter says of a copy of the project with every violation planted in it."""
    folder = tmp_path_factory.mktemp("planted")
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("apps", "smarttrader"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    shutil.copy(ROOT / ".importlinter", folder)
    for file, line in VIOLATIONS.values():
        target = folder / file
        target.write_text(f"{target.read_text()}\n{line}\n")
    result = lint(folder)
    assert result.returncode == 1, result.stdout + result.stderr
    return verdicts(result.stdout)


def test_the_project_keeps_every_contract() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert set(verdicts(result.stdout).values()) == {"KEPT"}


def test_every_contract_has_a_planted_violation() -> None:
    assert set(VIOLATIONS) == set(names_of_contracts())


@pytest.mark.parametrize("contract", VIOLATIONS)
def test_contract_fires(contract: str, planted: dict[str, str]) -> None:
    assert planted[names_of_contracts()[contract]] == "BROKEN"
