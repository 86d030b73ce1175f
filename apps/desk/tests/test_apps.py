"""What every process of the desk does once it is loaded."""

import gc


def test_what_was_loaded_is_out_of_the_collectors_sight_and_the_collector_works() -> None:
    assert gc.isenabled()
    assert gc.get_freeze_count() > 100_000
