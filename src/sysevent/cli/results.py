"""sysevent results: the results directories of runs. list, prune."""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

from sysevent.checkout import results_home
from sysevent.cli import say, show
from sysevent.errors import UsageError
from sysevent.report import results_directories
from sysevent.text import escape_line


def run(args: argparse.Namespace) -> int:
    """Run the sub-verb; its exit code. UsageError if the folder cannot be read."""
    folder = Path(args.folder).expanduser() if args.folder else results_home()
    if not folder.is_dir():
        # Only the default: option_values.py has checked what was given.
        show(f"no runs: {folder} does not exist")
        return 0
    return _list(folder) if args.results_verb == "list" else _prune(folder, args)


def _list(folder: Path) -> int:
    """Print a line for each run. Return 0."""
    found = list(results_directories.summaries(folder))
    if not found:
        show(f"no runs in {folder}")
        return 0
    for one in found:
        kernels = ", ".join(one.kernels) or "no kernel"
        about = "; ".join(part for part in (one.end, one.counts, kernels, _megabytes(one.size)) if part)
        show(escape_line(f"{one.start or '?':25}  {one.path.name}: {about}"))
    show(f"{len(found)} runs in {folder}, {_megabytes(sum(one.size for one in found))}")
    return 0


def _prune(folder: Path, args: argparse.Namespace) -> int:
    """Delete old runs, with a line for each. Return 0; 1 if one of them could not be deleted."""
    try:
        found = list(results_directories.old(folder, time.time(), args.newest, args.days))
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from error
    left = freed = 0
    for path in found:
        size = results_directories.size(path)
        if not args.dry_run:
            shutil.rmtree(path, ignore_errors=True)
            if path.exists():
                say(f"{path} could not be deleted")
                left += 1
                continue
        freed += size
        show(escape_line(f"{'would delete' if args.dry_run else 'deleted'} {path}, {_megabytes(size)}"))
    count = len(found) - left
    done = "would be deleted" if args.dry_run else "deleted"
    show(
        f"{count} runs {done}, {_megabytes(freed)}; the newest {args.newest} stay, those of {args.days} days, and what "
        "--results named"
    )
    return 1 if left else 0


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
