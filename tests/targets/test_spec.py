"""Target files, and the selection of targets."""

import re

import pytest

from sysevent.errors import BadTargetFile, UsageError
from sysevent.targets import spec

ROW = '[[target]]\nname = "a"\narch = "arm64"\nwhere = "tcg"\n'


def ids(*args, **more):
    return [found.id for found in select(*args, **more)]


def select(globs=(), archs=(), kernels=()):
    return spec.select(spec.builtin(), globs, archs, kernels)


# Other modes of KVM, which are asked only if they are named.
ARM64_MODES = ["arm64-nvhe", "arm64-hvhe", "arm64-v8.0", "arm64-gicv2", "arm64-protected", "arm64-nested"]
MODES = [*ARM64_MODES, "x86_64-shadow", "x86_64-rt"]


def test_builtin_targets():
    """One for each architecture, under TCG, with the default kernel; those of other modes; and this machine."""
    *rows, own = spec.builtin()
    rows = [row for row in rows if row.default]
    assert (own.name, own.arch, own.where, own.kernel, own.default) == (
        "local",
        spec.own_arch(),
        "local",
        "",
        False,
    )
    assert [(row.name, row.arch, row.where, row.kernel) for row in rows] == [
        ("arm64-tcg", "arm64", "tcg", "debian:6.12"),
        ("riscv64-tcg", "riscv64", "tcg", "debian:6.12"),
        ("x86_64-tcg", "x86_64", "tcg", "debian:6.12"),
    ]
    assert {(row.memory, row.channel, row.boot, row.cpu, row.id == row.name) for row in rows} == {
        (512, "virtio", 180, "", True)
    }


def test_a_target_file(tmp_path):
    path = tmp_path / "lab.toml"
    path.write_text(
        ROW
        + 'cpu = "neoverse-n1"\nmachine = "gic-version=2"\nmemory = 1024\nboot = 60\nkernel = "/boot/Image"\n'
    )
    (found,) = spec.read(path)
    values = (found.cpu, found.machine, found.memory, found.boot, found.kernel)
    assert values == ("neoverse-n1", "gic-version=2", 1024, 60, "/boot/Image")


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
        (ROW + "tags = " + "{a = " * 2000, "lab.toml: "),
        (ROW + 'kernel = "a\\u001b[31m"\n', r"unprintable characters - at `\$\.target\[0\]\.kernel`"),
        (ROW + ROW, "lab.toml: two targets are called 'a'"),
    ],
)
def test_messages_name_file_row_and_key(tmp_path, text, words):
    path = tmp_path / "lab.toml"
    path.write_text(text)
    with pytest.raises(BadTargetFile, match=words) as caught:
        spec.read(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("content", [b"\xff\xfe[\0[\0", b'name = "\xe4"'])
def test_not_utf_8(tmp_path, content):
    path = tmp_path / "lab.toml"
    path.write_bytes(content)
    with pytest.raises(BadTargetFile, match=f"{path}: not a text file"):
        spec.read(path)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(BadTargetFile, match=r"missing.toml cannot be read: No such file or directory"):
        spec.read(tmp_path / "missing.toml")


def test_a_bad_file_is_a_usage_error():
    assert issubclass(BadTargetFile, UsageError)


def test_default_targets():
    """Without `local`: this machine's KVM may be broken or in use, so it is asked only if it is named."""
    assert ids() == ["arm64-tcg", "riscv64-tcg", "x86_64-tcg"]


def test_a_star_matches_all_targets():
    assert ids(["*"]) == ["arm64-tcg", "riscv64-tcg", "x86_64-tcg", *MODES, "local"]


def test_a_machine_of_another_architecture_has_no_local(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "ppc64le")
    assert [row.name for row in spec.builtin()] == ["arm64-tcg", "riscv64-tcg", "x86_64-tcg", *MODES]


@pytest.mark.parametrize(
    ("globs", "archs", "chosen"),
    [
        (["arm64-tcg"], [], ["arm64-tcg"]),
        (["*64-tcg"], [], ["arm64-tcg", "riscv64-tcg", "x86_64-tcg"]),
        (["x*-tcg", "a*-tcg"], [], ["arm64-tcg", "x86_64-tcg"]),
        (["?rm64*", "arm64-tcg"], [], ["arm64-tcg", *ARM64_MODES]),
        ([], ["riscv64"], ["riscv64-tcg"]),
        ([], ["x86_64", "arm64"], ["arm64-tcg", "x86_64-tcg"]),
        (["*"], ["arm64"], ["arm64-tcg", *ARM64_MODES]),
    ],
)
def test_selection(globs, archs, chosen):
    """In the order of the file, and each target once."""
    assert ids(globs, archs) == chosen


@pytest.mark.parametrize(
    ("globs", "archs", "words"),
    [
        (
            ["arm32*"],
            [],
            f"--target arm32* matches none of the targets; they are {', '.join(ids(['*']))}",
        ),
        (["arm64-tcg", "lab"], [], "--target lab matches none"),
        (["ARM64-TCG"], [], "--target ARM64-TCG matches none"),
        (["arm64"], [], "--target arm64 matches none"),
        ([], ["aarch64"], "--arch aarch64, did you mean arm64?; expected one of arm64, riscv64, x86_64"),
        (["arm64-tcg"], ["x86_64"], "no target matches both --target arm64-tcg and --arch x86_64"),
    ],
)
def test_a_selection_without_match_is_an_error(globs, archs, words):
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


def test_two_kernels_follow_each_other_for_each_target():
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
    """Two kernels never have the same id, whatever the names of their files are."""
    assert [row.label for row in select(["arm64-tcg"], kernels=kernels)] == labels


def test_a_numbered_label_does_not_collide_with_a_file_name():
    chosen = ids(["arm64-tcg"], kernels=["/z/Image~3", "/a/Image", "/b/Image"])
    assert len(set(chosen)) == 3


LAB = """
[labgrid]
coordinator = "lab:20408"

[[target]]
name = "rpi5"
arch = "arm64"
where = "ssh"
address = "10.0.0.5"
port = 2222
tags = { rack = "3" }
expect = { kernel = "6.*" }
require = true

[[target]]
name = "some-arm"
arch = "arm64"
where = "labgrid"
tags = { arch = "arm64", kvm = "yes" }

[[target]]
name = "that-one"
arch = "riscv64"
where = "labgrid"
place = "visionfive"
coordinator = "other"

[[target]]
name = "own"
where = "local"
"""


def test_target_file_of_a_lab():
    rpi5, some, that, own = spec.parse(LAB.encode(), "lab.toml")
    assert (rpi5.address, rpi5.port, rpi5.require, rpi5.kernel, rpi5.coordinator) == (
        "10.0.0.5",
        2222,
        True,
        "",
        "",
    )
    assert (some.tags, some.coordinator, some.lease) == ({"arch": "arm64", "kvm": "yes"}, "lab:20408", 600)
    assert (that.place, that.coordinator) == ("visionfive", "other")
    assert (own.arch, own.kernel, own.default) == (spec.own_arch(), "", True)


def test_kernels_are_for_guests():
    """A machine runs its kernel already: --kernel does not change such a target."""
    rows = [*spec.builtin(), *spec.parse(LAB.encode(), "lab.toml")]
    for kernels in (["debian:6.1"], ["debian:6.1", "debian:7.2"]):
        chosen = spec.select(rows, ["arm64-tcg", "rpi5", "local"], [], kernels)
        assert [(row.id, row.kernel) for row in chosen if not row.booted] == [("local", ""), ("rpi5", "")]
        assert [row.kernel for row in chosen if row.booted] == kernels
    with pytest.raises(UsageError, match=r"--kernel debian:6\.1: local, rpi5 cannot boot it"):
        spec.select(rows, ["local", "rpi5"], [], ["debian:6.1"])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            'address = "10.0.0.5"\n',
            "",
            "needs an address: a name, .* - at `$.target[0].address` (target 'rpi5')",
        ),
        ('address = "10', 'address = "-o10', "starts with '-' .* - at `$.target[0].address`"),
        ("port = 2222", "port = 99999", "`int` <= 65535 - at `$.target[0].port` (target 'rpi5')"),
        (
            "port = 2222",
            "memory = 512",
            "has no meaning with where = 'ssh', .* tcg or kvm or auto - at `$.target[0].memory`",
        ),
        ("port = 2222", 'kernel = "debian:6.1"', "has no meaning with where = 'ssh'.*`$.target[0].kernel`"),
        ("port = 2222", "boot = 3", "has no meaning .*`$.target[0].boot`"),
        ("port = 2222", 'addres = "x"', "unknown field `addres` .*; did you mean `address`? (target 'rpi5')"),
        ("port = 2222", 'qqqqq = "x"', "unknown field `qqqqq` - at `$.target[0]` (target 'rpi5')$"),
        ("port = 2222", 'label = "x"', "`label` cannot be set in a file"),
        ("port = 2222", "lease = 0", "`int` >= 1 - at `$.target[0].lease`"),
        ('tags = { arch = "arm64", kvm = "yes" }', "", "needs tags = .* or a place - at `$.target[1].tags`"),
        ('kvm = "yes"', 'KVM = "yes"', "lower-case letters.*`$.target[1].tags.KVM`"),
        ('kvm = "yes"', 'kvm = "a=b"', "without '='.*`$.target[1].tags.kvm`"),
        ('kvm = "yes"', "kvm = true", "Expected `str`, got `bool` - at `$.target[1].tags"),
        ('place = "visionfive"', 'place = "v"\naddress = "x"', "has no meaning .* only with ssh"),
        ('name = "own"', 'name = "own one"', "'own one' cannot be a name: .* - at `$.target[3].name`"),
        ('name = "own"', 'name = "../own"', "cannot be a name"),
        ('name = "own"', 'name = "headers"', "cannot be a name"),
        ('name = "own"', 'name = ""', "cannot be a name"),
        (
            'coordinator = "lab',
            'coordinater = "lab',
            "`coordinater` - at `$.labgrid`; did you mean `coordinator`?",
        ),
        ("[labgrid]", "[labgird]", "unknown field `labgird`; did you mean `labgrid`?"),
    ],
    ids=str,
)
def test_rules_across_keys(old, new, words):
    """The message has the key, the row's number and name, and what is expected."""
    assert LAB.count(old) == 1
    pattern = "^lab.toml: .*" + words.replace("$.", r"\$\.").replace("[", r"\[").replace("]", r"\]").replace(
        "(target", r"\(target"
    ).replace("')", r"'\)").replace("`?", r"`\?")
    with pytest.raises(BadTargetFile, match=pattern):
        spec.parse(LAB.replace(old, new).encode(), "lab.toml")
