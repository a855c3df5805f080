"""sysevent explore on real kernels: they follow the model, and the results are those of any run."""

import pytest

from sysevent import cli
from sysevent.arches import ARCHITECTURES
from sysevent.model import Status
from sysevent.report import records, run_log

pytest.importorskip("hypothesis", reason="Hypothesis is not installed: pip install 'sysevent[explore]'")


# Whether these are reached depends on timing: a hart must be stopped by another one while it is on its way into its
# suspension, and a register be written when a vCPU's thread has come to its KVM_RUN.
TIMING = {
    "kvm.system_event.riscv64.explore.hsm.suspend.stopped",
    "kvm.system_event.arm64.explore.gic.write.busy",
}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_real_kernel_follows_the_model(arch, tmp_path):
    """Every rule that the kernel gives an occasion for is reached, and none is broken."""
    words = [
        "explore",
        "--arch",
        arch,
        "--max-examples",
        "100",
        "--budget",
        "120",
        "--results",
        str(tmp_path / "out"),
    ]
    assert cli.main(words) == 0
    found = list(run_log.read(run_log.path_in(tmp_path / "out")))
    verdicts = [record for record in found if isinstance(record, records.Verdict)]
    assert {verdict.status for verdict in verdicts} <= {Status.PASS, Status.SKIP}
    unreached = [one.test for one in verdicts if "has reached it" in one.reason]
    assert TIMING.issuperset(unreached)
    assert isinstance(found[-1], records.End)
