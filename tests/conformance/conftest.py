"""Without Hypothesis, which `./sysevent` does not install, the common sequences cannot be read: `tox -e extras`."""

import importlib.util

collect_ignore = [] if importlib.util.find_spec("hypothesis") else ["test_rules.py"]
