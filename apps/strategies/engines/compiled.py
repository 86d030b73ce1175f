"""The compiler of this package: matching and simulation belong together."""

from pathlib import Path

from apps.core.compilation import Compiler

APP = Path(__file__).resolve().parents[1]

compiled = Compiler("matching", (APP / "domain" / "matching.py", APP / "engines" / "simulation.py"))
