"""Compiled code is kept for exactly the sources that it was compiled from."""

import numba

from apps.core.compilation import Compiler


class TestFolder:
    def test_carries_the_hash_of_all_sources_that_are_compiled_together(self, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
        sources = tuple(tmp_path / name for name in ("matching.py", "simulation.py"))
        for source in sources:
            source.write_text("a = 1")
        before = Compiler("pair", sources).folder
        assert Compiler("pair", sources).folder == before
        sources[0].write_text("a = 2")
        assert Compiler("pair", sources).folder != before

    def test_is_a_temporary_one_where_nothing_else_can_be_written(self, tmp_path, monkeypatch) -> None:
        blocked = tmp_path / "file"
        blocked.write_text("no folder")
        monkeypatch.setattr(numba.config, "CACHE_DIR", str(blocked))
        assert Compiler("one", (blocked,)).folder.name.startswith("numba-")
