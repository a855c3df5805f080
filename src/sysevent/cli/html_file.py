"""Writes the page of `report --history` and of `diff` to the file of --html; - is the standard output."""

from __future__ import annotations

from sysevent.errors import InfrastructureError
from sysevent.report import exporting


def write(file: str, page: str) -> None:
    """Write a page as every format of a report is written. InfrastructureError if it cannot be."""
    for _, why in exporting.write([exporting.Export("html", file, lambda _: page)], []):
        raise InfrastructureError(f"--html could not be written: {why}")
