"""The mode of KVM, from files of the target: what is known, and what is said to be unknown."""

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.engine.kvm_mode import complaints, kvm_mode, why_no_kvm
from sysevent.hosts.traits import MODE, TRAITS
from sysevent.model import Answer, ExpectedKernel, KernelIdentity, Proof

PTIMER = "11: 0 GICv3 30 Level kvm guest ptimer\n12: 0 GICv3 27 Level kvm guest vtimer\n"
VTIMER = "12: 0 GICv3 27 Level kvm guest vtimer\n"
SVM = "flags\t: fpu svm npt\n"
VMX = "flags\t: fpu vmx\nvmx flags\t: ept\n"


def mode(arch, **files):
    """The mode, without the size of a page unless it is among the files."""
    answers = {label.replace("_", " "): Answer(0, 0, text.encode()) for label, text in files.items()}
    renamed = {"kvms log": "kvm's log", "kvms timers": "kvm's timers"}
    found = kvm_mode(arch, {renamed.get(label, label): answer for label, answer in answers.items()})
    if "page" not in files:
        assert found.pop("page") == "unknown"
    return found


def record(message, priority=6):
    return f"{priority},205,4014468,-;kvm [1]: {message}\n"


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("VHE mode initialized successfully", "VHE"),
        ("Hyp mode initialized successfully", "nVHE"),
        ("Hyp nVHE mode initialized successfully", "nVHE"),
        ("Hyp hVHE mode initialized successfully", "hVHE"),
        ("Protected nVHE mode initialized successfully", "protected nVHE"),
        ("Protected hVHE mode initialized successfully", "protected hVHE"),
        ("VHE+NV2 mode initialized successfully", "VHE+NV2"),
        ("Some new mode initialized successfully", "unknown"),
        ("\x1b[2J mode initialized successfully", "unknown"),
    ],
)
def test_arm64_log(message, found):
    """The words of kvm_arm_init, of 5.10 to 7.2."""
    assert mode("arm64", kvms_log=record(message)) == {"mode": found}


def test_a_program_that_writes_to_the_log():
    """Only the kernel's own messages count."""
    forged = record("Protected hVHE mode initialized successfully", priority=14)
    assert mode("arm64", kvms_log=record("VHE mode initialized successfully") + forged) == {"mode": "VHE"}


@pytest.mark.parametrize(
    ("timers", "words", "found"),
    [
        (PTIMER, "quiet", "VHE"),
        (PTIMER, "kvm-arm.mode=protected", "VHE"),
        (VTIMER, "quiet", "nVHE"),
        (VTIMER, "kvm-arm.mode=nvhe", "nVHE"),
        (VTIMER, "kvm-arm.mode=protected", "unknown"),
        (VTIMER, "arm64_sw.hvhe=1", "unknown"),
        ("", "quiet", "unknown"),
    ],
)
def test_arm64_without_its_log(timers, words, found):
    """On a machine whose log only root may read: interrupts and command line say what they can."""
    assert mode("arm64", kvms_timers=timers, command_line=words) == {"mode": found}


def test_arm64_without_anything():
    assert mode("arm64") == {"mode": "unknown"}
    assert mode("arm64", kvms_timers=VTIMER) == {"mode": "unknown"}


def test_riscv64():
    tables = record("hypervisor extension available") + record("using Sv57x4 G-stage page table format")
    aia = record("AIA available with 7 guest external interrupts")
    assert mode("riscv64", kvms_log=tables) == {"stage2": "Sv57x4", "aia": "off"}
    assert mode("riscv64", kvms_log=tables + aia) == {"stage2": "Sv57x4", "aia": "on"}
    assert mode("riscv64") == {"stage2": "unknown", "aia": "unknown"}


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (
            {"cpu": SVM, "kvm_amd.npt": "Y\n", "kvm_amd.nested": "1\n", "kvm_intel.ept": "N\n"},
            {"vendor": "amd", "npt": "on", "nested": "on"},
        ),
        # As 5.10 writes it.
        ({"cpu": SVM, "kvm_amd.npt": "0\n"}, {"vendor": "amd", "npt": "off", "nested": "unknown"}),
        (
            {
                "cpu": VMX,
                "kvm_intel.ept": "Y\n",
                "kvm_intel.nested": "N\n",
                "kvm_intel.unrestricted_guest": "?",
            },
            {"vendor": "intel", "ept": "on", "nested": "off", "unrestricted_guest": "unknown"},
        ),
        ({"cpu": "flags\t: fpu\n"}, {"vendor": "unknown"}),
        ({}, {"vendor": "unknown"}),
    ],
)
def test_x86_64(files, found):
    answers = {label: Answer(0, 0, text.encode()) for label, text in files.items()}
    assert kvm_mode("x86_64", answers) == {**found, "page": "unknown"}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_page_size(arch):
    assert mode(arch, page="KernelPageSize:       16 kB\nKernelPageSize:")["page"] == "16k"


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_files_that_cannot_be_read(arch):
    """Refused, or not text: nothing is known, and every key can be expected in a target file."""
    for answer in (Answer(-1, 1, b""), Answer(0, 0, b"\xff\x00\n")):
        found = kvm_mode(
            arch, dict.fromkeys(("page", "kvm's log", "kvm's timers", "command line", "cpu"), answer)
        )
        assert set(found.values()) == {"unknown"}
        assert found.keys() <= MODE.keys() <= TRAITS.keys()


def test_in_reports():
    identity = KernelIdentity("ab", {}, Proof.PROVEN, mode={"mode": "VHE", "page": "4k"})
    assert str(identity) == "build ID ab (proven), KVM: mode VHE, page 4k"


@pytest.mark.parametrize(
    ("log", "found"),
    [
        (
            "3,360,1,-;kvm: RT requires X86_FEATURE_CONSTANT_TSC\n6,361,2,-;kvm_intel: VMX not supported by CPU 0\n",
            "kvm: RT requires X86_FEATURE_CONSTANT_TSC; kvm_intel: VMX not supported by CPU 0",
        ),
        (record("HYP mode not available"), "kvm [1]: HYP mode not available"),
        (record("KVM disabled from command line"), "kvm [1]: KVM disabled from command line"),
        (
            "6,3,1,-;kvm: support for 'kvm_intel' disabled by bios\n",
            "kvm: support for 'kvm_intel' disabled by bios",
        ),
        ("6,360,1,-;kvm_amd: Nested Paging enabled\n" + record("VHE mode initialized successfully"), ""),
        ("", ""),
    ],
)
def test_why_there_is_no_kvm(log, found):
    """In the kernel's own words."""
    assert complaints({"kvm's log": Answer(0, 0, log.encode())}) == found


@pytest.mark.parametrize(
    ("given", "loaded", "log", "words"),
    [
        ((), (), "", "no module of KVM was given: if it is not built in, --modules names its directory"),
        (("kvm_amd",), (), "", "the kernel did not load its kvm_amd (the log of the guest has the errno)"),
        (
            ("kvm_amd",),
            (),
            "14,1,1,-;kvm_amd: not loaded: errno 95\n14,2,1,-;kvm_intel: not loaded: errno 5\n",
            "the kernel did not load its kvm_amd (errno 95 (EOPNOTSUPP))",
        ),
        (
            ("kvm_amd",),
            (),
            "14,1,1,-;kvm_amd: not loaded: errno ?\n",
            "the kernel did not load its kvm_amd (the log of the guest has the errno)",
        ),
        (("kvm_amd", "kvm_intel"), ("kvm_amd",), "", ""),
        (("kvm_amd",), ("kvm_amd",), "3,1,1,-;kvm: no\x1b\n", r"its kernel says: kvm: no\x1b"),
    ],
    ids=["no modules", "not loaded", "errno", "damaged", "one is enough", "log"],
)
def test_modules_and_words(given, loaded, log, words):
    expected = ExpectedKernel(image="bzImage", modules=dict.fromkeys(given, ""))
    answers = {"kvm's log": Answer(0, 0, log.encode())}
    assert why_no_kvm(("kvm-amd", "kvm-intel"), expected, loaded, answers) == words


def test_kvm_that_is_built_in():
    """As on arm64: there are no modules to miss."""
    assert why_no_kvm((), ExpectedKernel(image="Image"), (), {}) == ""
