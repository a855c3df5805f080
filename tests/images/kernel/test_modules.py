"""Modules: dependencies, load order, compressions, and modules of another kernel."""

import gzip
import lzma
import shutil
import subprocess

import pytest

from sysevent.errors import ImageError
from sysevent.images.kernel import modules


@pytest.fixture
def installed(tmp_path, make_module):
    """installed({path: dependencies, ...}): the modules in a directory like lib/modules/R."""

    def install(depends, **options):
        for path, needs in depends.items():
            data = make_module(needs, **options)
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(data)
        return modules.directory(tmp_path)

    return install


def names(*arguments):
    return [module.name for module in modules.closure(*arguments)]


def test_dependencies_come_first(installed):
    files = installed(
        {
            "a/kvm-amd.ko": "kvm,ccp",
            "a/kvm.ko": "irqbypass",
            "virt/irqbypass.ko": "",
            "ccp.ko": "",
            "other.ko": "kvm",
        }
    )
    assert names(["kvm_amd"], files) == ["irqbypass", "kvm", "ccp", "kvm_amd"]


def test_each_module_once_in_the_wanted_order(installed):
    files = installed({"d.ko": "", "b.ko": "d", "c.ko": "d", "a.ko": "b,c"})
    assert names(["c", "a", "c"], files) == ["d", "c", "b", "a"]


def test_hyphens_and_underscores_are_equivalent(installed):
    files = installed({"kvm-amd.ko": "irq-bypass", "irq_bypass.ko": ""})
    assert names(["kvm-amd"], files) == names(["kvm_amd"], files) == ["irq_bypass", "kvm_amd"]


def test_a_module_without_a_file_counts_as_built_in(installed):
    assert names(["kvm", "a"], installed({"a.ko": ""})) == ["a"]


def test_a_missing_dependency_is_an_error(installed):
    with pytest.raises(ImageError, match="module kvm needs irqbypass, which is not in"):
        names(["kvm"], installed({"kvm.ko": "irqbypass"}))


def test_a_circle_is_an_error(installed):
    with pytest.raises(ImageError, match="a -> b -> a"):
        names(["a"], installed({"a.ko": "b", "b.ko": "a"}))


def test_updates_are_preferred(installed, tmp_path, make_module):
    files = installed({"kernel/a.ko": "", "updates/dkms/a.ko": ""})
    (tmp_path / "updates/dkms/a.ko").write_bytes(make_module(vermagic="9.9 "))
    assert modules.closure(["a"], files)[0].vermagic == "9.9 "


def test_links_to_the_source_are_not_followed(installed, tmp_path):
    installed({"real/a.ko": ""})
    (tmp_path / "build").symlink_to(tmp_path)
    assert modules.directory(tmp_path).paths == ("real/a.ko",)


@pytest.mark.parametrize("suffix", ["", ".xz", ".gz", ".zst"])
def test_compressions(tmp_path, make_module, suffix):
    if suffix == ".zst" and shutil.which("zstd") is None:
        pytest.skip("zstd is not installed: apt install zstd")
    plain = make_module()
    packed = {
        "": lambda: plain,
        ".xz": lambda: lzma.compress(plain),
        ".gz": lambda: gzip.compress(plain),
        ".zst": lambda: subprocess.run(["zstd", "-cq"], input=plain, capture_output=True, check=True).stdout,
    }[suffix]()
    (tmp_path / f"a.ko{suffix}").write_bytes(packed)
    assert modules.closure(["a"], modules.directory(tmp_path))[0].data == plain
    if suffix:
        (tmp_path / f"a.ko{suffix}").write_bytes(packed[:-12])
        with pytest.raises(ImageError, match=rf"a\.ko{suffix} in .* is damaged or truncated"):
            modules.closure(["a"], modules.directory(tmp_path))


@pytest.mark.parametrize("data", [b"", b"hello", b"\x7fELF", b"\x7fELF\x02\x01\x01" + bytes(100)])
def test_files_that_are_not_modules(tmp_path, data):
    (tmp_path / "a.ko").write_bytes(data)
    with pytest.raises(ImageError, match=r"a\.ko in .* is not a kernel module"):
        modules.closure(["a"], modules.directory(tmp_path))


@pytest.mark.parametrize("suffix", ["ko", "o"])
def test_a_built_tree_lists_its_modules(installed, tmp_path, suffix):
    installed({"virt/kvm.ko": "", "stale.ko": ""})
    (tmp_path / "include/config").mkdir(parents=True)
    (tmp_path / "include/config/kernel.release").write_text("6.12.1\n")
    (tmp_path / "modules.order").write_text(f"virt/kvm.{suffix}\n")
    assert modules.directory(tmp_path).paths == ("virt/kvm.ko",)


def test_modules_of_another_kernel_or_architecture(installed):
    files = installed({"a.ko": ""}, vermagic="6.12.1 SMP ")
    loaded = modules.closure(["a"], files)
    modules.check(loaded, "EM_AARCH64", "6.12.1", "here")
    modules.check(loaded, "EM_AARCH64", "", "here")
    with pytest.raises(ImageError, match=r"for Linux 6\.12\.1, the kernel is 6\.12\.2"):
        modules.check(loaded, "EM_AARCH64", "6.12.2", "here")
    with pytest.raises(ImageError, match="EM_AARCH64, the kernel for EM_RISCV"):
        modules.check(loaded, "EM_RISCV", "6.12.1", "here")


def test_modversions_allow_another_release(installed):
    files = installed({"a.ko": ""}, vermagic="6.12.1 SMP modversions aarch64")
    modules.check(modules.closure(["a"], files), "EM_AARCH64", "6.12.2", "here")
