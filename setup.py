"""Puts what is not a Python package into the wheel: sysevent/_data, with the names that the files have in a clone.

All else about the package is in pyproject.toml. setuptools can copy only files below a package without this.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

# What src/sysevent/checkout.py finds there. pyproject.toml has pytest's settings, so that they are the same everywhere.
DATA = ("suites", "guests", "images", "docs", "tests/data/runs", "conftest.py", "pyproject.toml")
_UNWANTED = shutil.ignore_patterns("__pycache__", "*.pyc")


class BuildWithData(build_py):
    """Builds the package from nothing, and adds the data. An editable installation uses those of the clone."""

    def run(self):
        """Copy modules and data to the build directory."""
        if not self.editable_mode:
            # Otherwise the wheel has modules that an earlier build left there, and that are deleted since.
            shutil.rmtree(Path(self.build_lib) / "sysevent", ignore_errors=True)
        super().run()
        if not self.editable_mode:
            for name in DATA:
                self._add(Path(name))

    def _add(self, source):
        target = Path(self.build_lib) / "sysevent" / "_data" / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=_UNWANTED)
        else:
            shutil.copyfile(source, target)


setup(cmdclass={"build_py": BuildWithData})
