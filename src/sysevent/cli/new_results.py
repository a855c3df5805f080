"""The directory for the results of a verb that does not become pytest; plugin/results.py has the one of a run."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path

from sysevent.checkout import obstacle, results_home
from sysevent.errors import UsageError


def new_folder(given: str | None, kind: str = "") -> Path:
    """Return the directory for new results: that of --results, or one of this second in the usual place.

    It is not created. kind: a word for its name if it holds the results of several runs, which are not deleted when
    they are old. UsageError if nothing can be written there, or if it is not empty: results would be mixed with others.
    """
    if given is None:
        name = f"{kind}{kind and '-'}{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}"
        names = itertools.chain([name], (f"{name}-{n}" for n in itertools.count(2)))
        folder = next(path for path in map(results_home().joinpath, names) if not path.exists())
    else:
        folder = Path(given).expanduser().absolute()
    if why := obstacle(folder):
        raise UsageError(f"no results can be kept in {folder}: {why}; name another place with --results DIR")
    try:
        used = folder.exists() and any(folder.iterdir())
    except OSError as error:
        raise UsageError(f"--results {folder} cannot be used: {error.strerror}") from error
    if used:
        raise UsageError(f"--results {folder} is not empty: name a new directory")
    return folder
