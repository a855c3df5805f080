"""Without Hypothesis, which `./sysevent` does not install, these modules cannot be imported: `tox -e extras` has it."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("hypothesis") else ["test_*.py"]
