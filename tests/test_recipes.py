"""The CI recipes in docs/ci: every command and option that they name is real."""

import argparse
import importlib
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from sysevent.checkout import ROOT

RECIPES = sorted((ROOT / "docs" / "ci").iterdir())
COMMAND = re.compile(r"(?:\./|/opt/sysevent/)sysevent (?P<rest>[^\n]*(?:\n +--[^\n]*)?)")


def commands(path: Path) -> list[list[str]]:
    text = re.sub(r"\$\{\{.*?\}\}", "x", path.read_text())
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("#", "//")))
    found = [match["rest"].replace("\n", " ") for match in COMMAND.finditer(text)]
    if path.name == "Jenkinsfile":  # sh '...'
        found = [rest.rpartition("'")[0] for rest in found]
    return [shlex.split(rest) for rest in found]


@pytest.mark.parametrize("path", [path for path in RECIPES if path.suffix != ".timer"], ids=lambda p: p.name)
def test_commands_are_real(path):
    found = commands(path)
    assert found
    for verb, *rest in found:
        module = importlib.import_module(f"sysevent.cli.{verb}")
        parser = argparse.ArgumentParser(exit_on_error=False)
        module.add_arguments(parser)
        own = rest[: rest.index("--")] if "--" in rest else rest
        parser.parse_args(own)


def test_every_ci_system_that_the_guide_names_is_here():
    named = set(re.findall(r"\(ci/([\w.-]+)\)", (ROOT / "docs" / "ci.md").read_text()))
    assert named == {path.name for path in RECIPES}


def test_systemd_takes_the_units(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    for name in ("sysevent.service", "sysevent.timer"):
        # Here the checkout is elsewhere.
        text = (ROOT / "docs" / "ci" / name).read_text().replace("/opt/sysevent/sysevent", "/bin/true")
        (tmp_path / name).write_text(text.replace("/opt/sysevent", "/"))
    done = subprocess.run(
        [
            "systemd-analyze",
            "verify",
            "--man=no",
            *(tmp_path / n for n in ("sysevent.service", "sysevent.timer")),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "sysevent." in line]
    assert complaints == []
