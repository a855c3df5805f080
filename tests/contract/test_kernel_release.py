"""Kernel releases are parsed, and compared as numbers."""

import pytest

from sysevent.contract import kernel_release
from sysevent.contract.kernel_release import Version
from sysevent.contract.terms import Terms
from sysevent.errors import UsageError
from sysevent.model import Facts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("5.10.0-32-cloud-amd64", (5, 10)),
        ("6.1.0-50-cloud-arm64", (6, 1)),
        ("6.12.107+deb13-riscv64", (6, 12)),
        ("7.3.4+deb13-cloud-arm64", (7, 3)),
        ("5.18.0", (5, 18)),
        ("5.18", (5, 18)),
        ("5.18.0-rc5", (5, 17)),
        ("5.18-rc4+", (5, 17)),
        ("6.10.0-rc1-next-20240501", (6, 9)),
        ("4.18.0-553.el8_10.x86_64", (4, 18)),
        ("10.0.1", (10, 0)),
        ("5.15.0-rc-like-name", (5, 15)),
        ("", (0, 0)),
        ("next-20240501", (0, 0)),
        ("5", (0, 0)),
        ("v5.18", (0, 0)),
    ],
)
def test_parse(text, found):
    """A release candidate counts as the release before it. Other text is (0, 0)."""
    assert kernel_release.parse(text) == found


def test_order():
    """6.9 is before 6.12; as text it would be after it."""
    assert kernel_release.parse("6.9.1") < kernel_release.parse("6.12.1") < kernel_release.parse("7.2.0")


def test_a_candidate_of_a_zero_release():
    """7.0-rc1 is before 7.0, and after every 6.x."""
    assert (6, 99) < kernel_release.parse("7.0.0-rc1") < (7, 0)


@pytest.mark.parametrize("text", ["", "new", "v6.1"])
def test_a_floor_that_is_not_a_release(text):
    """UsageError shows the text, and an example."""
    with pytest.raises(UsageError, match=f"--floor {text}: a kernel release such as 5.18 is meant"):
        kernel_release.floor(text)


def test_release_that_a_kernel_is_judged_as():
    """The kernel's own release, or the floor if that is higher."""
    assert kernel_release.floor("5.18") == (5, 18)
    floor = Terms(floor=(5, 18))
    assert floor.release(Facts("arm64", "4.18.0-553.el8", {}, {})) == (5, 18)
    assert floor.release(Facts("arm64", "6.1.0", {}, {})) == (6, 1)
    assert Terms().release(Facts("arm64", "vendor", {}, {})) == (0, 0)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("6.12.107+deb13-riscv64", Version((6, 12), 107, False)),
        ("6.12.0", Version((6, 12), 0, False)),
        ("6.12.0-sysevent", Version((6, 12), 0, False)),
        # The numbers of Debian and Ubuntu behind x.y.0 hide the patch level.
        ("6.1.0-50-cloud-amd64", Version((6, 1), None, False)),
        ("5.15.0-1055-aws", Version((5, 15), None, False)),
        ("6.12", Version((6, 12), None, False)),
        ("6.12-rc4+", Version((6, 12), 0, True)),
        ("6.12.0-rc4-1-amd64", Version((6, 12), 0, True)),
        ("7.3~rc7-1~exp1", Version((7, 3), 0, True)),
        ("6.12.29-rc1", Version((6, 12), 29, True)),
        ("next-20240501", None),
        ("", None),
    ],
)
def test_version(text, found):
    """A release in full; None for what its text does not say."""
    assert kernel_release.version(text) == found


CHANGED = ((6, 6, 92), (6, 12, 29), (6, 15))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("6.6.91", False),
        ("6.6.92", True),
        ("6.6.0-50-generic", None),
        ("6.7.5", False),
        ("6.12.28", False),
        ("6.12.29-rc1", None),
        ("6.12.30-rc1", True),
        ("6.12.0-rc3", False),
        ("6.14.11", False),
        ("6.15.0-rc1", None),
        ("6.15.0-50-generic", True),
        ("6.15.3-rc1", True),
        ("6.16.0-rc1", True),
        ("10.0.1", True),
    ],
)
def test_contains(text, found):
    """Stable series have a change from a patch level on, all others from a series on."""
    assert kernel_release.contains(CHANGED, kernel_release.version(text)) is found


def test_contains_of_stable_series_alone():
    """A defect that a backport has brought is in no later series."""
    assert kernel_release.contains(((6, 12, 29),), kernel_release.version("6.13.2")) is False
