"""pytest in place of this process, for `sysevent run` and `sysevent test`, or in another process."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from sysevent.checkout import INSTALLED, ROOT, SUITES, obstacle, state_home
from sysevent.errors import UsageError

HERE = "SYSEVENT_HERE"
"""The variable of the environment with the directory where the user stands, for a process that runs elsewhere."""
# Seconds that a thread which only computes keeps another one waiting.
_SWITCH = 0.0005
# pytest's own options for files and directories that it writes.
_OUTPUTS = ("--junit-xml", "--junitxml", "--log-file", "--basetemp")
# pytest's own options for a file with settings.
_CONFIG_FILE = ("-c", "--config-file")


def import_beside(module: str = "pytest") -> threading.Thread:
    """Start to import what become_pytest() needs in a thread, for a caller that first waits for other programs.

    The thread is returned; nothing has to wait for it, since another import of the module does.
    """
    # As in become_pytest().
    gc.disable()
    thread = threading.Thread(target=importlib.import_module, args=(module,), daemon=True)
    thread.start()
    return thread


def become_pytest(folder: str, arguments: Sequence[str], *, root: Path = ROOT) -> NoReturn:
    """Run pytest with arguments in the directory root of the checkout, and exit with its exit code.

    pytest runs in this process, as with `python -m pytest`: it handles Ctrl-C and signals itself, and no second
    interpreter has to start. UsageError if root does not have the folder, because the package is incomplete.
    """
    if not (root / folder).is_dir():
        raise UsageError(
            f"{root / folder} does not exist: this copy of sysevent is incomplete; use a git checkout of it, "
            f"or install a wheel that was built from one"
        )
    sys.stdout.flush()
    sys.stderr.flush()
    sys.argv = ["pytest", *settings(folder, arguments), *_absolute(arguments, Path.cwd())]
    os.environ[HERE] = str(Path.cwd())
    os.chdir(root)
    sys.path.insert(0, str(root))
    # A thread prepares guests while tests are collected. By default it waits 5 ms after each of its system calls.
    sys.setswitchinterval(_SWITCH)
    # Imports make objects that live to the end. plugin/options.py enables the collector again.
    gc.disable()
    # Here: the other verbs do without.
    import pytest

    # Not console_main(), which turns an output without a reader into 1, the exit code of a failed claim.
    code = pytest.main()
    sys.stdout.flush()
    sys.exit(code)


def suites_command(arguments: Sequence[str]) -> list[str]:
    """Return the command that runs pytest on the suites, or on those that arguments name, in a process of its own.

    Its directory must be ROOT.
    """
    return [sys.executable, "-m", "pytest", *settings(SUITES.name, arguments), *arguments]


def here() -> Path:
    """Return the directory where the user stands, in this process or in one that suites_command() starts."""
    return Path(os.environ.get(HERE) or Path.cwd())


def settings(
    folder: str, arguments: Sequence[str], *, installed: bool = INSTALLED, root: Path = ROOT
) -> list[str]:
    """Return what pytest is given before its arguments; all else is in pyproject.toml, also if it is installed.

    Warnings are reported. Only in the tests of this code they are errors: a newer Python has more of them, and no claim
    is about those. pytest does not rewrite the suites, which have no assert: without its import hook a run takes 0.1 s
    of CPU time less, and nothing is written beside the suites. It does not capture log records, which takes as long,
    unless an option may be about it: Python prints warnings to stderr then, which pytest captures. An installed package
    is not written to either: pytest has its cache elsewhere. So it has if a clone cannot be written to.
    """
    found = ["--assert=plain", "-W", "default"] if folder == SUITES.name else []
    if found and not _may_set_logging(arguments):
        found += ["-p", "no:logging"]
    if not installed and not obstacle(root / ".pytest_cache"):
        return found
    if any(word.endswith("no:cacheprovider") for word in arguments):
        # Without its plugin, pytest does not know the setting of its directory, and refuses it.
        return found
    cache = state_home() / "pytest_cache"
    return [*found, "-p", "no:cacheprovider"] if obstacle(cache) else [*found, "-o", f"cache_dir={cache}"]


def _may_set_logging(arguments: Sequence[str]) -> bool:
    """Whether one of pytest's arguments may be about log records: an option, a setting, or a file with settings."""
    words = [*arguments, *os.environ.get("PYTEST_ADDOPTS", "").split()]
    return any("log" in word or word.startswith(_CONFIG_FILE) for word in words)


def _absolute(arguments: Sequence[str], here: Path) -> Iterator[str]:
    """Yield the arguments with the files that pytest writes made absolute: it runs elsewhere than the user stands."""
    before = ""
    for word in arguments:
        option, equals, value = word.partition("=")
        if option in _OUTPUTS and equals:
            yield f"{option}={here / Path(value).expanduser()}"
        elif before in _OUTPUTS:
            yield str(here / Path(word).expanduser())
        else:
            yield word
        before = word
