"""Fragments of kernel configuration."""

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.build import kconfig
from sysevent.build.kconfig import Wish
from sysevent.errors import UsageError


@pytest.mark.parametrize(
    ("line", "wish"),
    [
        ("CONFIG_KVM=y", Wish("CONFIG_KVM", "CONFIG_KVM=y")),
        ("CONFIG_BUG=y   # a WARN must be seen", Wish("CONFIG_BUG", "CONFIG_BUG=y")),
        ("CONFIG_A=y # optional", Wish("CONFIG_A", "CONFIG_A=y", optional=True)),
        ("CONFIG_A=y # optional; since v6.8", Wish("CONFIG_A", "CONFIG_A=y", optional=True)),
        ("CONFIG_NET=y # fallback; for 5.10", Wish("CONFIG_NET", "CONFIG_NET=y", fallback=True)),
        ('CONFIG_S="a"', Wish("CONFIG_S", 'CONFIG_S="a"')),
        ("# CONFIG_SMP is not set", Wish("CONFIG_SMP", "# CONFIG_SMP is not set")),
    ],
)
def test_line(line, wish):
    """What stands behind a symbol tells how much it is wanted."""
    assert kconfig.parse(line, "x") == (wish,)


@pytest.mark.parametrize("line", ["CONFIG_KVM", "KVM=y", "CONFIG_KVM = y", "oops"])
def test_bad_line(line):
    """A typing error is not passed over: make would do that."""
    with pytest.raises(UsageError, match="x, line 2"):
        kconfig.parse(f"# a comment\n{line}\n", "x")


def test_refused():
    """A symbol is honoured when it stands there as asked; one that must be off may be absent."""
    wanted = kconfig.parse(
        "CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=m\n# CONFIG_D is not set\n# CONFIG_E is not set", "x"
    )
    dotconfig = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=y\nCONFIG_E=y\n"
    assert [wish.symbol for wish in kconfig.refused(wanted, dotconfig)] == [
        "CONFIG_B",
        "CONFIG_C",
        "CONFIG_E",
    ]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_ours(arch):
    """Every architecture's fragments ask for KVM and a console, and for nothing twice in two ways."""
    symbols = {wish.symbol for wish in kconfig.wishes(ARCHITECTURES[arch])}
    assert {"CONFIG_KVM", "CONFIG_DEVTMPFS", "CONFIG_FUTEX"} <= symbols
    assert any(symbol.startswith("CONFIG_SERIAL") for symbol in symbols)
    assert not any("#" in line for line in kconfig.render(kconfig.wishes(ARCHITECTURES[arch])).splitlines())


def test_users_fragment_wins(tmp_path):
    """A user's line replaces ours."""
    path = tmp_path / "mine.config"
    path.write_text("# CONFIG_MULTIUSER is not set\nCONFIG_SMP=y\n")
    found = {wish.symbol: wish for wish in kconfig.wishes(ARCHITECTURES["arm64"], [path])}
    assert found["CONFIG_MULTIUSER"].text == "# CONFIG_MULTIUSER is not set"
    assert "CONFIG_SMP" in found
    with pytest.raises(UsageError, match="cannot be read"):
        kconfig.wishes(ARCHITECTURES["arm64"], [tmp_path / "none"])
