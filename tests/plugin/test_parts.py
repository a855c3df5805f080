"""The parts of the plugin, of which each has hooks or fixtures."""

import ast
from pathlib import Path

from sysevent import plugin

FOLDER = Path(plugin.__file__).parent


class Manager:
    """Keeps what is registered instead of calling its hooks."""

    def __init__(self):
        self.names = []

    def register(self, module, name):
        assert module.__name__ == name
        self.names.append(name)


def test_every_module_with_hooks_is_registered_once():
    manager = Manager()
    plugin.pytest_addoption(manager)
    with_hooks = {
        f"sysevent.plugin.{path.stem}"
        for path in FOLDER.glob("*.py")
        if path.stem != "__init__"
        for statement in ast.parse(path.read_text()).body
        if isinstance(statement, ast.FunctionDef) and statement.name.startswith("pytest_")
    }
    assert len(manager.names) == len(set(manager.names))
    assert with_hooks <= set(manager.names)


def test_pytest_does_not_read_what_is_installed_for_each_part():
    """As it does for each name of pytest_plugins."""
    assert not hasattr(plugin, "pytest_plugins")
