"""The pytest surface, named once in the root conftest.py: options, selection, fixtures, outcomes.

It is no entry point: pytest registers those by itself, and with pytest_plugins in conftest.py as well it
would be registered twice and abort.
"""

pytest_plugins = (
    "sysevent.plugin.options",
    "sysevent.plugin.selection",
    "sysevent.plugin.fixtures",
    "sysevent.plugin.outcome",
    "sysevent.plugin.workers",
)
