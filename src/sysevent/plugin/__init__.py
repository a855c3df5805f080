"""The pytest surface, named once in the root conftest.py: options, selection, fixtures, verdicts, summary.

There is no pytest11 entry point: pytest would register the plugin by it and again by pytest_plugins in conftest.py,
and abort.
"""

from __future__ import annotations

import importlib

import pytest

# In this order: of two hooks, that of the later one is called first.
_PARTS = (
    "interrupts",
    "options",
    "selection",
    "early",
    "order",
    "guests",
    "fixtures",
    "exceptions",
    "outcome",
    "exports",
    "on_end",
    "summary",
    "snapshots",
    "live",
    "last_screen",
    "old_results",
    "failures",
    "workers",
)


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the parts of the plugin.

    Not by `pytest_plugins`: for each name there, pytest reads the entry points of all installed packages.
    """
    for part in _PARTS:
        name = f"{__name__}.{part}"
        pluginmanager.register(importlib.import_module(name), name)
