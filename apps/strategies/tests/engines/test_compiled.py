"""Compiled code is kept for exactly the sources that it was compiled from."""

from apps.strategies.engines import simulation
from apps.strategies.engines.compiled import compiled


def test_the_cache_holds_what_the_engine_compiles() -> None:
    assert simulation.simulate.stats.cache_path.startswith(str(compiled.folder))
