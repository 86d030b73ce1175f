"""Compiled code is kept for exactly the sources that it was compiled from."""

import numba

from apps.strategies.engines import compiled


class TestCacheFolder:
    def test_carries_the_hash_of_all_sources_that_are_compiled_together(self, tmp_path, monkeypatch):
        monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
        sources = tuple(tmp_path / name for name in ("matching.py", "simulation.py"))
        for source in sources:
            source.write_text("a = 1")
        monkeypatch.setattr(compiled, "SOURCES", sources)
        before = compiled.cache_folder()
        assert compiled.cache_folder() == before
        sources[0].write_text("a = 2")
        assert compiled.cache_folder() != before

    def test_is_a_temporary_one_where_nothing_else_can_be_written(self, tmp_path, monkeypatch):
        blocked = tmp_path / "file"
        blocked.write_text("no folder")
        monkeypatch.setattr(numba.config, "CACHE_DIR", str(blocked))
        assert compiled.cache_folder().name.startswith("numba-")

    def test_holds_what_the_engine_compiles(self):
        from apps.strategies.engines import simulation

        assert simulation.simulate.stats.cache_path.startswith(str(compiled.CACHE))
