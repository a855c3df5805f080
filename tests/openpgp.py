"""The library that signs what tests have checked."""

import pytest


def library():
    """pysequoia; the test, or the module while it is imported, is skipped where it has no wheels, as on riscv64."""
    return pytest.importorskip("pysequoia", reason="pysequoia is not installed: pip install pysequoia")
