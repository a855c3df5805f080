"""Where the parts of this checkout lie that are not Python: what runs below pytest, and the suites."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUESTS = ROOT / "guests"
IMAGES = ROOT / "images"
SUITES = ROOT / "suites"
TESTS = ROOT / "tests"
