"""Init passes the parameters of a module on the kernel's command line to the kernel, as modprobe does."""

import subprocess

import pytest

from sysevent.arches import native
from sysevent.build import compiler, programs

MAIN = """
#include "vmm/sys.h"
#include "init/parameters.h"

int program(int argc, char **argv, char **envp)
{
	char out[32];
	usize size;

	(void)argc;
	(void)envp;
	size = module_parameters(argv[1], text_length(argv[1]), argv[2], out, sizeof(out));
	sys_write(1, out, size);
	return size == text_length(out) ? 0 : 1;
}
"""


@pytest.fixture(scope="module")
def parameters(own_cache, tmp_path_factory):
    """parameters(module, line): what the module is given."""
    folder = tmp_path_factory.mktemp("parameters")
    (folder / "main.c").write_text(MAIN)
    for name in ("vmm", "init"):
        (folder / name).symlink_to(programs.INIT.parent / name)
    abi, program = native("x86_64"), folder / "program"
    sources = [folder / "main.c", programs.INIT / "parameters.c", programs.VMM / "runtime.c"]
    compiler.build(compiler.find(abi), abi, ("-s",), sources, program)
    return lambda module, line: (
        subprocess.run([program, module, line], capture_output=True, text=True, check=True).stdout
    )


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("quiet kvm_amd.npt=0 panic=-1\n", "npt=0 "),
        ("kvm-amd.npt=0 kvm_amd.nested=0", "npt=0 nested=0 "),
        ("kvm.npt=0 xkvm_amd.npt=0 kvm_amd_x.npt=0 kvm_amd=0 kvm_amd. kvm_amd", ""),
        ("kvm_amd.avic", "avic "),
        ('a="b kvm_amd.npt=0" kvm_amd.x="y z"  kvm_amd.q=1', 'x="y z" q=1 '),
        ('kvm_amd.x="never ends', 'x="never ends '),
        ("", ""),
        # 31 bytes fit.
        (f"kvm_amd.a={'x' * 28}", f"a={'x' * 28} "),
        (f"kvm_amd.a={'x' * 29} kvm_amd.b=1", "b=1 "),
    ],
)
def test_parameters(parameters, line, found):
    assert parameters("kvm_amd", line) == found
