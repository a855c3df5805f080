"""The CI recipes in docs/ci: the command line accepts every command in them."""

import argparse
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from sysevent.checkout import ROOT
from sysevent.prompt.verbs import add_arguments

RECIPES = sorted((ROOT / "docs" / "ci").iterdir())
COMMAND = re.compile(r"(?:\./|/opt/sysevent/)sysevent (?P<rest>[^\n]*(?:\n +--[^\n]*)?)")


def commands(path: Path) -> list[list[str]]:
    """The arguments of each call of sysevent in a recipe; comments do not count."""
    text = re.sub(r"\$\{\{.*?\}\}", "x", path.read_text())
    text = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("#", "//")))
    found = [match["rest"].replace("\n", " ") for match in COMMAND.finditer(text)]
    if path.name == "Jenkinsfile":
        # Each command stands in sh '…'.
        found = [rest.rpartition("'")[0] for rest in found]
    return [shlex.split(rest) for rest in found]


@pytest.mark.parametrize("path", [path for path in RECIPES if path.suffix != ".timer"], ids=lambda p: p.name)
def test_commands_are_accepted(path):
    found = commands(path)
    assert found
    for verb, *rest in found:
        parser = argparse.ArgumentParser(exit_on_error=False)
        add_arguments(parser, verb)
        own = rest[: rest.index("--")] if "--" in rest else rest
        parser.parse_args(own)


def test_the_guide_links_every_recipe():
    named = set(re.findall(r"\(ci/([\w.-]+)\)", (ROOT / "docs" / "ci.md").read_text()))
    assert named == {path.name for path in RECIPES}


def test_systemd_accepts_the_units(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    units = [tmp_path / "sysevent.service", tmp_path / "sysevent.timer"]
    for unit in units:
        # systemd-analyze checks that programs and folders exist; this checkout is not in /opt/sysevent.
        text = (ROOT / "docs" / "ci" / unit.name).read_text().replace("/opt/sysevent/sysevent", "/bin/true")
        unit.write_text(text.replace("/opt/sysevent", "/"))
    command = ["systemd-analyze", "verify", "--man=no", *units]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    # Other units of this machine may have problems of their own.
    assert [line for line in done.stderr.splitlines() if "sysevent." in line] == []
