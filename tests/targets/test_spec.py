"""Target files, and the choice among targets."""

import re

import pytest

from sysevent.errors import BadTargetFile, UsageError
from sysevent.targets import spec

ROW = '[[target]]\nname = "a"\narch = "arm64"\nwhere = "tcg"\n'


def ids(*args, **more):
    return [found.id for found in select(*args, **more)]


def select(globs=(), archs=(), kernels=()):
    return spec.select(spec.builtin(), globs, archs, kernels)


def test_builtin_targets():
    """One for each architecture, under software emulation, with the default kernel."""
    rows = spec.builtin()
    assert [(row.name, row.arch, row.where, row.kernel) for row in rows] == [
        ("arm64-tcg", "arm64", "tcg", "debian:6.12"),
        ("riscv64-tcg", "riscv64", "tcg", "debian:6.12"),
        ("x86_64-tcg", "x86_64", "tcg", "debian:6.12"),
    ]
    assert {(row.memory, row.channel, row.boot, row.cpu, row.id == row.name) for row in rows} == {
        (512, "virtio", 180, "", True)
    }


def test_a_file_of_one_s_own(tmp_path):
    path = tmp_path / "lab.toml"
    path.write_text(
        ROW + 'cpu = "neoverse-n1"\nmemory = 1024\nchannel = "serial"\nboot = 60\nkernel = "/boot/Image"\n'
    )
    (found,) = spec.read(path)
    assert (found.cpu, found.memory, found.channel, found.boot, found.kernel) == (
        "neoverse-n1",
        1024,
        "serial",
        60,
        "/boot/Image",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ROW + "memroy = 4\n", r"unknown field `memroy` - at `\$\.target\[0\]`"),
        (ROW + ROW.replace('"a"', '"b"') + "extra = 1\n", r"unknown field `extra` - at `\$\.target\[1\]`"),
        (ROW.replace("arm64", "armv7"), r"'armv7' - at `\$\.target\[0\]\.arch`"),
        (ROW.replace('"tcg"', '"hvf"'), r"'hvf' - at `\$\.target\[0\]\.where`"),
        (ROW + 'channel = "usb"\n', r"'usb' - at `\$\.target\[0\]\.channel`"),
        (ROW + 'memory = "512M"\n', r"Expected `int`, got `str` - at `\$\.target\[0\]\.memory`"),
        (ROW.replace('name = "a"\n', ""), r"missing required field `name` - at `\$\.target\[0\]`"),
        ("", "missing required field `target`"),
        ("target = 3\n", r"Expected `array`, got `int` - at `\$\.target`"),
        ("[[target]\n", "lab.toml: "),
        (ROW + ROW, "lab.toml: two targets are called 'a'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, words):
    """With the file, and the place in it."""
    path = tmp_path / "lab.toml"
    path.write_text(text)
    with pytest.raises(BadTargetFile, match=words) as told:
        spec.read(path)
    assert str(told.value).startswith(f"{path}: ")


@pytest.mark.parametrize("content", [b"\xff\xfe[\0[\0", b'name = "\xe4"'])
def test_not_utf_8(tmp_path, content):
    path = tmp_path / "lab.toml"
    path.write_bytes(content)
    with pytest.raises(BadTargetFile, match=f"{path}: not a text file"):
        spec.read(path)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(BadTargetFile, match=r"missing.toml cannot be read: No such file or directory"):
        spec.read(tmp_path / "missing.toml")


def test_a_bad_file_is_the_user_s_error():
    assert issubclass(BadTargetFile, UsageError)


def test_nothing_asked_is_everything():
    assert select() == spec.builtin()


@pytest.mark.parametrize(
    ("globs", "archs", "chosen"),
    [
        (["arm64-tcg"], [], ["arm64-tcg"]),
        (["*64-tcg"], [], ["arm64-tcg", "riscv64-tcg", "x86_64-tcg"]),
        (["x*", "a*"], [], ["arm64-tcg", "x86_64-tcg"]),
        (["?rm64*", "arm64-tcg"], [], ["arm64-tcg"]),
        ([], ["riscv64"], ["riscv64-tcg"]),
        ([], ["x86_64", "arm64"], ["arm64-tcg", "x86_64-tcg"]),
        (["*"], ["arm64"], ["arm64-tcg"]),
    ],
)
def test_selection(globs, archs, chosen):
    """In the order of the file, each once."""
    assert ids(globs, archs) == chosen


@pytest.mark.parametrize(
    ("globs", "archs", "words"),
    [
        (["arm32*"], [], "--target arm32* matches none of the targets: arm64-tcg, riscv64-tcg, x86_64-tcg"),
        (["arm64-tcg", "lab"], [], "--target lab matches none"),
        (["ARM64-TCG"], [], "--target ARM64-TCG matches none"),
        (["arm64"], [], "--target arm64 matches none"),
        ([], ["aarch64"], "--arch aarch64: there are arm64, riscv64, x86_64"),
        (["arm64-tcg"], ["x86_64"], "no target matches both --target arm64-tcg and --arch x86_64"),
    ],
)
def test_what_matches_nothing_is_an_error(globs, archs, words):
    """A typing error must not become a green run."""
    with pytest.raises(UsageError, match=re.escape(words)):
        select(globs, archs)


def test_one_kernel_keeps_the_ids():
    chosen = select(kernels=["debian:6.1", "debian:6.1"])
    assert [(row.id, row.kernel) for row in chosen] == [
        ("arm64-tcg", "debian:6.1"),
        ("riscv64-tcg", "debian:6.1"),
        ("x86_64-tcg", "debian:6.1"),
    ]


def test_two_kernels_stand_side_by_side():
    chosen = select(["arm64-tcg", "x86_64-tcg"], kernels=["debian:6.1", "debian:7.2"])
    assert [(row.id, row.name, row.kernel) for row in chosen] == [
        ("arm64-tcg@debian:6.1", "arm64-tcg", "debian:6.1"),
        ("arm64-tcg@debian:7.2", "arm64-tcg", "debian:7.2"),
        ("x86_64-tcg@debian:6.1", "x86_64-tcg", "debian:6.1"),
        ("x86_64-tcg@debian:7.2", "x86_64-tcg", "debian:7.2"),
    ]


@pytest.mark.parametrize(
    ("kernels", "labels"),
    [
        (["/a/Image", "/b/Image"], ["Image", "Image~2"]),
        (["/a/Image", "/b/Image", "/a/Image", "/c/Image"], ["Image", "Image~2", "Image~3"]),
        (["tree:/home/me/linux", "tree:/home/me/linux-next"], ["linux", "linux-next"]),
        (["tree:/a/linux", "/b/linux"], ["linux", "linux~2"]),
        (["debian:6.1", "./vmlinuz"], ["debian:6.1", "vmlinuz"]),
    ],
)
def test_labels_are_short_and_distinct(kernels, labels):
    """Two kernels never share an id, whatever their files are called."""
    assert [row.label for row in select(["arm64-tcg"], kernels=kernels)] == labels


def test_labels_are_distinct_from_made_up_ones():
    chosen = ids(["arm64-tcg"], kernels=["/z/Image~3", "/a/Image", "/b/Image"])
    assert len(set(chosen)) == 3
