"""A sealed journal."""

import pytest

from apps.core.selectors.journal import Verdict, journal_verify
from apps.core.tests.journalling import Tamper, seal_all, write_entries


@pytest.fixture
def sealed(tamper: Tamper) -> list[int]:
    """Six sealed entries, in two batches, with other entries before them."""
    ids = write_entries(3)
    seal_all()
    ids += write_entries(3, "later")
    seal_all()
    assert journal_verify().verdict is Verdict.CLEAN
    return ids
