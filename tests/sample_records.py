"""Records of run.jsonl for tests, complete and valid."""

from sysevent.model import Level, Proof, Status
from sysevent.report import records
from sysevent.report.recorded_outcome import Seen

RUN = records.Run(
    schema=records.SCHEMA, id="1", start="2026-01-01T00:00:00+00:00", argv=("a b",), versions={}
)
TARGET = records.Target(
    name="arm64-tcg",
    arch="arm64",
    where="tcg",
    kernel="6.1.0",
    spec="debian:6.1",
    package="6.1.1-1",
    qemu="7.2.22",
    vmm="1234",
    build_id="ab" * 20,
    module_build_ids={"kvm": "cd" * 20},
    identity=Proof.PROVEN,
    capabilities={"vm/215": 1},
    features={"psci.version": 65537},
    origin="boot",
    seconds_to_boot=1.5,
)
INCIDENT = records.Incident(
    target="arm64-tcg", reason="panic\nend of the console", log="console.log", retried=True
)
OUTCOME = records.Outcome(
    target="arm64-tcg",
    kernel="6.1.0",
    test="kvm.system_event.arm64.vmm.qemu.psci.reset",
    vmm="qemu-10",
    seen=Seen(
        version="10.0.13",
        events=("RESET guest-reset",),
        data={},
        restarted=True,
        starts=2,
        returned="",
        refused=False,
        state="running",
        exit_code=0,
        ended="exit code 0",
        seconds=0.03,
        start_seconds=1.5,
        memory=40960,
    ),
)
READING = records.Reading(
    target="arm64-tcg", event="arm64.psci.off", reader="type", abi="arm64", finding="right", told="type 1"
)
PEER = records.Peer(
    target="arm64-tcg",
    suite="selftests",
    program="psci_test",
    source="linux-source 6.12.117-1",
    status=Status.FAIL,
    reason="exit code 254: arm64/psci_test.c:1: x == y",
    exit=254,
    seconds=0.2,
    confirmed=2,
    output=("==== Test Assertion Failure ====",),
)
COVERAGE = records.Coverage(
    target="arm64-tcg",
    build_id="ab" * 20,
    guided=True,
    files={"arch/arm64/kvm/psci.c": records.Covered(lines=9, reached=8, new=1, unreached=("f",))},
    cut=0,
    tracefile="/results/arm64-tcg.info",
)
KEPT = records.Kept(target="arm64-tcg", pid=1234, directory="/results/arm64-tcg", limit=3600)
END = records.End(counts={Status.PASS: 1}, exit=0)


def verdict(
    test,
    target,
    status,
    abi="arm64",
    native=True,
    kernel="6.1.0",
    reason="why",
    dimensions=None,
    erratum="",
):
    """Return a verdict on a test on a target."""
    return records.Verdict(
        test=test,
        target=target,
        kernel=kernel,
        abi=abi,
        native=native,
        status=Status(status),
        level=Level.ABI,
        reason=reason,
        expected={"type": "1"},
        got={"type": "2"},
        raw={"exit": "00" * 320},
        written={"exit": ((32, 36),)},
        nodeid=f"suites/test_a.py::test[{target}]",
        seconds=0.5,
        dimensions=dimensions or {},
        erratum=erratum,
    )
