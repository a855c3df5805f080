"""The directories of this checkout that are not Python: what runs below pytest, the suites and the tests."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUESTS = ROOT / "guests"
IMAGES = ROOT / "images"
SUITES = ROOT / "suites"
TESTS = ROOT / "tests"
