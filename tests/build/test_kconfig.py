"""Fragments of kernel configuration."""

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.build import kconfig
from sysevent.build.kconfig import ConfigLine
from sysevent.errors import UsageError


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("CONFIG_KVM=y", ConfigLine("CONFIG_KVM", "CONFIG_KVM=y")),
        ("CONFIG_BUG=y   # a WARN must be seen", ConfigLine("CONFIG_BUG", "CONFIG_BUG=y")),
        ("CONFIG_A=y # optional", ConfigLine("CONFIG_A", "CONFIG_A=y", optional=True)),
        ("CONFIG_A=y # optional; since v6.8", ConfigLine("CONFIG_A", "CONFIG_A=y", optional=True)),
        ("CONFIG_NET=y # fallback; for 5.10", ConfigLine("CONFIG_NET", "CONFIG_NET=y", fallback=True)),
        ('CONFIG_S="a"', ConfigLine("CONFIG_S", 'CONFIG_S="a"')),
        ("# CONFIG_SMP is not set", ConfigLine("CONFIG_SMP", "# CONFIG_SMP is not set")),
    ],
)
def test_line(text, line):
    """A comment after a symbol can make it optional or a fallback."""
    assert kconfig.parse(text, "x") == (line,)


@pytest.mark.parametrize("line", ["CONFIG_KVM", "KVM=y", "CONFIG_KVM = y", "oops"])
def test_bad_line(line):
    """It is an error here, whereas make ignores it."""
    with pytest.raises(UsageError, match="x, line 2"):
        kconfig.parse(f"# a comment\n{line}\n", "x")


def test_unmet():
    """A line is honoured if .config has it; a symbol that is to be off may be missing."""
    wanted = kconfig.parse(
        "CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=m\n# CONFIG_D is not set\n# CONFIG_E is not set", "x"
    )
    dotconfig = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=y\nCONFIG_E=y\n"
    assert [line.symbol for line in kconfig.unmet(wanted, dotconfig)] == [
        "CONFIG_B",
        "CONFIG_C",
        "CONFIG_E",
    ]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_fragments_of_the_project(arch):
    """Each architecture's fragments request KVM and a console."""
    symbols = {line.symbol for line in kconfig.requested_lines(ARCHITECTURES[arch])}
    assert {"CONFIG_KVM", "CONFIG_DEVTMPFS", "CONFIG_FUTEX"} <= symbols
    assert any(symbol.startswith("CONFIG_SERIAL") for symbol in symbols)
    assert not any(
        "#" in line for line in kconfig.render(kconfig.requested_lines(ARCHITECTURES[arch])).splitlines()
    )


def test_users_fragment_wins(tmp_path):
    """A line of the user replaces that of images/kconfig."""
    path = tmp_path / "mine.config"
    path.write_text("# CONFIG_MULTIUSER is not set\nCONFIG_SMP=y\n")
    found = {line.symbol: line for line in kconfig.requested_lines(ARCHITECTURES["arm64"], [path])}
    assert found["CONFIG_MULTIUSER"].text == "# CONFIG_MULTIUSER is not set"
    assert "CONFIG_SMP" in found
    with pytest.raises(UsageError, match="cannot be read"):
        kconfig.requested_lines(ARCHITECTURES["arm64"], [tmp_path / "none"])
