"""What every process of the desk does once it is loaded."""

import gc
from collections import Counter

from django.urls import URLPattern, URLResolver, get_resolver


def test_what_was_loaded_is_out_of_the_collectors_sight_and_the_collector_works() -> None:
    assert gc.isenabled()
    assert gc.get_freeze_count() > 100_000


def test_no_two_pages_have_one_name() -> None:
    """The later one would take the links of the other."""
    pages = [app for app in get_resolver().url_patterns if isinstance(app, URLResolver) and not str(app.pattern)]
    names = Counter(one.name for app in pages for one in app.url_patterns if isinstance(one, URLPattern))
    assert names["chart-vix"] == 1
    assert [name for name, times in names.items() if times > 1] == []
