"""What is rendered from the log of a run, for logs that are damaged."""

from sysevent.report import merging, run_log
from sysevent.report.history import collection, stream
from sysevent.report.html import history_page
from sysevent.report.renderers import RENDERERS


def formats(path):
    """A run, merged with itself, in every format."""
    run = merging.merge([list(run_log.read(path))] * 2)
    return [row.render(run) for row in RENDERERS]


def history(path):
    """The page of the history of one run."""
    return history_page.render(collection.collect([stream.parts(path)]))
