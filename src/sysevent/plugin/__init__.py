"""The pytest surface, named once in the root conftest.py: options, selection, fixtures, verdicts, summary.

There is no pytest11 entry point: pytest would register the plugin by it and again by pytest_plugins in conftest.py,
and abort.
"""

pytest_plugins = (
    "sysevent.plugin.interrupts",
    "sysevent.plugin.options",
    "sysevent.plugin.selection",
    "sysevent.plugin.early",
    "sysevent.plugin.order",
    "sysevent.plugin.fixtures",
    "sysevent.plugin.exceptions",
    "sysevent.plugin.outcome",
    "sysevent.plugin.exports",
    "sysevent.plugin.on_end",
    "sysevent.plugin.summary",
    "sysevent.plugin.snapshots",
    "sysevent.plugin.live",
    "sysevent.plugin.last_screen",
    "sysevent.plugin.old_results",
    "sysevent.plugin.failures",
    "sysevent.plugin.workers",
)
