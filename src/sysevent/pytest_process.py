"""pytest in place of this process, for `sysevent run` and `sysevent test`."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from sysevent.checkout import ROOT
from sysevent.errors import UsageError


def become_pytest(folder: str, arguments: Sequence[str], *, root: Path = ROOT) -> NoReturn:
    """Run pytest with arguments in the directory root of the checkout, and exit with its exit code.

    pytest runs in this process, as with `python -m pytest`: it handles Ctrl-C and signals itself, and no second
    interpreter has to start. UsageError if root does not have the folder, because it is not a checkout.
    """
    if not (root / folder).is_dir():
        raise UsageError(
            f"{root / folder} does not exist: this verb needs a git checkout of sysevent, installed editable "
            f"(./sysevent does that); an installed copy of the package is not enough"
        )
    sys.stdout.flush()
    sys.stderr.flush()
    os.chdir(root)
    sys.argv = ["pytest", *arguments]
    sys.path.insert(0, str(root))
    # Imports make objects that live to the end. plugin/options.py enables the collector again.
    gc.disable()
    # Here: the other verbs do without.
    import pytest

    # Not console_main(), which turns an output without a reader into 1, the exit code of a failed claim.
    code = pytest.main()
    sys.stdout.flush()
    sys.exit(code)
