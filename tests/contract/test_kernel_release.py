"""Kernel releases are parsed, and compared as numbers."""

import pytest

from sysevent.contract import kernel_release
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
