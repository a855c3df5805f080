"""The kernel that answers is the one that was given: build IDs are compared in every session, first of all."""

import msgspec
import pytest
from fakes import HELLO, scenario
from kernel_images import note

from sysevent import wire
from sysevent.engine.identity import identify
from sysevent.engine.question import Question
from sysevent.errors import BadWire, GuestLost, NoKvm, WrongHost, WrongKernel
from sysevent.hosts.openers import OPENERS
from sysevent.model import Answer, ExpectedKernel, Observation, Proof
from sysevent.scenario.facts import BUILD, LOADED
from sysevent.scenario.steps import File
from sysevent.targets.spec import TargetSpec

NOTES = "/sys/kernel/notes"
ID, OTHER = bytes(range(20)), b"o" * 20
EXPECTED = ExpectedKernel("/boot/Image", ID.hex(), "", {"kvm": "aa" * 20, "kvm_amd": "bb" * 20}, "content")
ABSENT = Answer(-1, 2, b"")


def seen(kernel=ID, **modules):
    """The answer of a guest: its build IDs; None for one that is loaded and has no notes."""
    answers = {step.label: ABSENT for step in BUILD["x86_64"].steps if isinstance(step, File)}
    if kernel:
        answers["kernel"] = Answer(0, 0, note(b"\x07", b"Linux\0", 0x101) + note(kernel))
    for name, found in modules.items():
        answers[LOADED.format(name)] = Answer(0, 0, b"live\n")
        if found:
            answers[name] = Answer(0, 0, note(found))
    return Observation("x86_64.build", "x86_64", "x86_64", {}, answers, {})


def expected(**changes):
    return msgspec.structs.replace(EXPECTED, **changes)


def test_proven():
    found = identify("x", EXPECTED, "6.12.1", seen(kvm=b"\xaa" * 20, kvm_amd=b"\xbb" * 20))
    assert found.build_id == ID.hex()
    assert found.modules == {"kvm": "aa" * 20, "kvm_amd": "bb" * 20}
    assert (found.proof, found.reason, found.content) == (Proof.PROVEN, "", "content")


def test_a_module_that_is_not_loaded_needs_no_proof():
    """kvm_intel refuses to load on another CPU."""
    assert identify("x", EXPECTED, "6.12.1", seen(kvm=b"\xaa" * 20)).proof is Proof.PROVEN
    assert identify("x", EXPECTED, "6.12.1", seen()).proof is Proof.PROVEN


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (seen(OTHER), f"answers has the build ID {OTHER.hex()}, and /boot/Image has {ID.hex()}"),
        (seen(kvm=OTHER), "the module kvm that is loaded there has the build ID"),
        (seen(kvm=b"\xaa" * 20, kvm_amd=OTHER), "the module kvm_amd that is loaded there"),
        (seen(kvm_intel=b"\xcc" * 20), "the module kvm_intel is loaded there, and was not given"),
        (seen(kvm_intel=None), "the module kvm_intel is loaded there, and was not given"),
    ],
)
def test_another_kernel(answer, words):
    with pytest.raises(WrongKernel, match=words):
        identify("x", EXPECTED, "6.12.1", answer)


@pytest.mark.parametrize(
    ("wanted", "answer", "reason"),
    [
        (expected(build_id="", obstacle="packed with LZO"), seen(), "packed with LZO"),
        (expected(build_id=""), seen(), "/boot/Image has no build ID"),
        (EXPECTED, seen(None), "the kernel that answers has no build ID in /sys/kernel/notes"),
        (EXPECTED, seen(kvm=None), "the module kvm has no build ID there"),
        (expected(modules={"kvm": ""}), seen(kvm=OTHER), "the module kvm has no build ID in its file"),
    ],
)
def test_unproven(wanted, answer, reason):
    """It is said, and it is no reason to refuse verdicts."""
    found = identify("x", wanted, "6.12.1", answer)
    assert (found.proof, found.reason, found.content) == (Proof.UNPROVEN, reason, "content")


def test_a_wrong_module_is_found_even_if_the_image_has_no_build_id():
    with pytest.raises(WrongKernel):
        identify("x", expected(build_id=""), "6.12.1", seen(kvm=OTHER))


@pytest.mark.parametrize(("kernel", "reason"), [(ID, ""), (None, "it has no build ID in /sys/kernel/notes")])
def test_a_kernel_that_runs_already_is_recorded(kernel, reason):
    found = identify("x", ExpectedKernel(), "6.12.1", seen(kernel, kvm=OTHER))
    assert (found.proof, found.reason, found.content) == (Proof.RECORDED, reason, "")
    assert found.modules == {"kvm": OTHER.hex()}


@pytest.mark.parametrize("kind", ["local", "ssh", "labgrid"])
def test_a_kernel_that_runs_already_is_asked(kind, world):
    spec = TargetSpec("x", "arm64", kind, address="x" if kind == "ssh" else "")
    assert OPENERS[kind](spec, world.settings, None).expected() == ExpectedKernel()


@pytest.fixture
def opener(world):
    found = world.opener()
    found.expects = expected(modules={})
    found.files = {NOTES: note(ID)}
    return found


def test_asked_first_and_once_in_a_session(world, opener):
    asker = world.asker(opener)
    facts = asker.facts()
    asker.observe(scenario("x86_64.a"))
    first, *others = (request for request, _ in opener.hosts[0].sent)
    assert NOTES.encode() in first
    assert not any(NOTES.encode() in request for request in others)
    assert (facts.identity.build_id, facts.identity.proof) == (ID.hex(), Proof.PROVEN)
    assert len(others) == 2


def test_another_kernel_gives_no_answer(world, opener):
    """Whatever is asked, by whichever way: MISS, with one boot and one incident."""
    opener.files = {NOTES: note(OTHER)}
    asker = world.asker(opener)
    for ask in (
        asker.facts,
        lambda: asker.observe(scenario("x86_64.a")),
        lambda: asker.file("/x"),
        lambda: list(asker.stream([scenario("x86_64.b")])),
    ):
        with pytest.raises(WrongKernel, match="nothing that it answers counts"):
            ask()
    assert world.observations == []
    assert len(opener.hosts) == 1
    assert [retried for _, retried in world.reasons] == [False]


def test_the_snapshot_of_another_kernel_is_discarded(world, opener):
    """It was saved when the guest had answered, before its kernel was known."""
    opener.takes_snapshots = True
    opener.files = {NOTES: note(OTHER)}
    asker = world.asker(opener)
    with pytest.raises(WrongKernel):
        asker.facts()
    assert (opener.snapshot, opener.forgotten) == (False, [HELLO])


def test_a_restored_guest_with_another_kernel_is_booted(world, opener):
    """The snapshot is discarded, and the kernel that was given answers, whatever the other one called itself."""
    opener.snapshot = True
    opener.hellos = [msgspec.structs.replace(HELLO, release="6.12.1-other")]
    wrong, right = {NOTES: note(OTHER)}, opener.files
    opener.files = wrong
    forget = opener.forget

    def discard(hello):
        opener.files = right
        return forget(hello)

    opener.forget = discard
    asker = world.asker(opener)
    assert asker.facts().identity.proof is Proof.PROVEN
    assert [host.restored for host in opener.hosts] == [True, False]
    assert "which is discarded" in world.reasons[0][0]
    assert world.observations == [("x", "x86_64.facts", "x86_64")]


def test_the_guest_that_boots_after_a_loss_is_asked_again(world, opener):
    asker = world.asker(opener)
    asker.facts()
    opener.files = {NOTES: note(OTHER)}
    # The next request.
    opener.dead = {3}
    with pytest.raises(WrongKernel):
        asker.observe(scenario("x86_64.a"))
    assert len(opener.hosts) == 2
    assert [name for _, name, _ in world.observations] == ["x86_64.facts"]


def test_a_guest_that_is_lost_before_it_is_known(world, opener):
    """As any loss: it boots once more."""
    opener.dead = {1}
    asker = world.asker(opener)
    with pytest.raises(GuestLost):
        asker.facts()
    assert len(opener.hosts) == 2


def test_an_invalid_answer(world, opener):
    opener.replies = [BadWire("cut off")]
    with pytest.raises(WrongKernel, match="which kernel answers could not be read: cut off"):
        world.asker(opener).facts()


def test_while_another_target_is_waited_for(world, opener):
    """The error is raised when this target is asked."""
    opener.files = {NOTES: note(OTHER)}
    asker = world.asker(opener)
    asker.restarts.start()
    for _ in range(3):
        asker.attend()
    with pytest.raises(WrongKernel):
        asker.facts()
    assert world.observations == []


def test_in_the_background_with_questions_in_flight(world, opener):
    """None of them is waited for: the guest was closed when it was found out."""
    opener.files = {NOTES: note(OTHER)}
    asker = world.asker(opener, options={"plan": lambda _: [Question(scenario("x86_64.a"))]})
    asker.restarts.start()
    while asker.restarts.session is not None:
        asker.attend()
    for _ in range(2):
        with pytest.raises(WrongKernel):
            asker.facts()


def test_expected_in_the_target_file(world, opener):
    """A machine that runs already has no file to compare with, but its row can name a build ID."""
    opener.expects = ExpectedKernel()
    assert (
        world.asker(opener, expect={"build_id": f"{ID.hex()[:12]}*"}).facts().identity.proof is Proof.RECORDED
    )
    with pytest.raises(WrongHost, match=r"expect\.build_id = '77'"):
        world.asker(opener, expect={"build_id": "77"}).facts()


FLAGS = {"/proc/cpuinfo\0flags\t": b"flags\t: fpu svm\n"}
NPT = "/sys/module/kvm_amd/parameters/npt"


def test_the_mode_that_a_target_file_expects(world, opener):
    """It is part of the identity. Another one, and one that no machine of this architecture has, is MISS."""
    opener.expects = ExpectedKernel()
    opener.files |= FLAGS | {NPT: b"Y\n"}
    mode = {"vendor": "amd", "npt": "on", "nested": "unknown", "page": "unknown"}
    assert world.asker(opener, expect={"npt": "on"}).facts().mode == mode
    for expect in ({"npt": "off"}, {"page": "4k"}, {"mode": "VHE"}):
        with pytest.raises(WrongHost, match=rf"expect\.{next(iter(expect))} = "):
            world.asker(opener, expect=expect).facts()


def test_why_there_is_no_kvm(world, opener):
    """The reason of the MISS is what the kernel said, on one line, and not what it could be."""
    opener.files |= {"/dev/kmsg\0;kvm": b"3,360,1,-;kvm: RT requires X\x1b\n"}
    refused = wire.Reply(wire.State.STOPPED, 0, (wire.Result(wire.Op.VM, 0, -1, 2, b""),))
    opener.replies = [None, *[refused] * 3]
    with pytest.raises(NoKvm, match=r"\(ENOENT\)\): its kernel says: kvm: RT requires X\\x1b(?:;|$)"):
        world.asker(opener).facts()


@pytest.mark.parametrize(("now", "same"), [(b"N\n", False), (None, True)], ids=["another", "unknown"])
def test_another_mode_after_a_reconnect(world, opener, now, same):
    """The machine was booted again with another command line. One that cannot be found out any more is no change."""
    opener.expects = ExpectedKernel()
    opener.files |= FLAGS | {NPT: b"Y\n"}
    asker = world.asker(opener)
    asker.facts()
    opener.files = {name: data for name, data in opener.files.items() if name != NPT}
    opener.files |= {NPT: now} if now else {}
    opener.dead = {3}
    if same:
        asker.observe(scenario("x86_64.a"))
    else:
        with pytest.raises(WrongHost, match="npt changed from 'on' to 'off'"):
            asker.observe(scenario("x86_64.a"))


def test_another_kernel_after_a_reconnect(world, opener):
    """The same release, built again."""
    opener.expects = ExpectedKernel()
    asker = world.asker(opener)
    asker.facts()
    opener.files = {NOTES: note(OTHER)}
    opener.dead = {3}
    with pytest.raises(WrongHost, match="build_id changed from"):
        asker.observe(scenario("x86_64.a"))


def test_a_kernel_that_calls_itself_another_release():
    """Claims decide by the release what a kernel must have, so it is that of the image."""
    assert identify("x", expected(release="6.12.1"), "6.12.1", seen()).proof is Proof.PROVEN
    with pytest.raises(WrongKernel, match=r"calls itself Linux 6.1.0, and /boot/Image is Linux 6.12.1"):
        identify("x", expected(release="6.12.1"), "6.1.0", seen())
