"""The directories of this checkout that are not Python: guest programs, image recipes and suites."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUESTS = ROOT / "guests"
IMAGES = ROOT / "images"
SUITES = ROOT / "suites"
