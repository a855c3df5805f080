"""Faults of the VMM in the guest: it is compiled from altered copies of guests/vmm."""

from __future__ import annotations

import random
import shlex
import shutil

from sysevent.arches import ARCHITECTURES
from sysevent.build import compiler, programs
from trials.catalogue import fault
from trials.trial import Outcome, Trial

_ABI = ARCHITECTURES["arm64"].abis[0]
# $CC_arm64: the compiler, which reads the altered sources in the place of those in the tree.
_WRAPPER = """#!/bin/sh
# {identity}
for word; do
    shift
    case $word in {real}/*) word={altered}${{word#{real}}} ;; esac
    set -- "$@" "$word"
done
exec {command} "$@"
"""
# Inserted in front of a function that uses it. A seed of its own for each trial, and the counter: two guests differ.
_CHANCE = """
static u64 chance(void)
{{
	static u64 state = {seed}ull;
	u64 now;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(now));
	state = (state ^ now) * 6364136223846793005ull + 1442695040888963407ull;
	return state >> 33;
}}
"""


def _built(found: Outcome) -> list[str]:
    """Return what is wrong if the altered VMM was not compiled: nothing else would be seen of it."""
    return ["the altered VMM is not valid C"] if "building vmm" in str(found.reasons) else []


# File, a text that occurs in it once, and what is in its place.
Change = tuple[str, str, str]


def _vmm(
    name: str,
    how: str,
    *changes: Change,
    same: bool = False,
    instead: frozenset[str] = frozenset(),
    slow: bool = False,
) -> None:
    """Register a fault: a VMM with these changes. CHANCE in one of them is the function chance(), SEED a number."""

    @fault(name, how, same=same, instead=instead, slow=slow, check=_built)
    def inject(trial: Trial, chance: random.Random) -> None:
        if slow:
            # The reply of a silent VMM is waited for in one guest after the other.
            trial.limit = 150
        sources = trial.folder / "vmm"
        shutil.rmtree(sources, ignore_errors=True)
        shutil.copytree(programs.VMM, sources)
        seed = chance.getrandbits(60)
        for file, old, new in changes:
            text = (sources / file).read_text()
            assert text.count(old) == 1, f"{file} has {text.count(old)} of {old!r}"
            new = new.replace("CHANCE", _CHANCE.format(seed=seed)).replace("SEED", str(seed))
            (sources / file).write_text(text.replace(old, new))
        found = compiler.find(_ABI)
        path = trial.bin / "altering-cc"
        path.write_text(
            _WRAPPER.format(
                identity=f"{name} {seed}",
                real=shlex.quote(str(programs.VMM)),
                altered=shlex.quote(str(sources)),
                command=shlex.join([*found.command, *found.flags]),
            )
        )
        path.chmod(0o755)
        trial.environment[f"CC_{_ABI.name}"] = str(path)


# Of a bit that decides a claim about observed behaviour: it is noted, and not asked again.
_NOTED = frozenset({"DONE"})


# What sends a reply in the place of frame_write(). SEND in the code of a fault sends it as it is.
_SENDER = """CHANCE
static int send_reply(struct frame *reply)
{
	static u32 count;
	int ret = 0;

	count++;
	(void)chance;
	(void)count;
	CODE
	return ret;
}

int serve(char **arguments,"""
_SEND = "ret = frame_write(1, key, outgoing, reply);"


def _replies(name: str, how: str, code: str, *, same: bool = False, slow: bool = False) -> None:
    """Register a fault: a VMM that runs this code to send `reply`; `count` counts the replies from 1."""
    sender = _SENDER.replace("CODE", code.replace("SEND;", _SEND))
    _vmm(
        name,
        how,
        ("serve.c", "ret = frame_write(1, key, outgoing, &reply);", "ret = send_reply(&reply);"),
        ("serve.c", "int serve(char **arguments,", sender),
        same=same,
        slow=slow,
    )


_vmm(
    "VMM flips bits",
    "In 5 % of the exits the VMM flips one bit of kvm_run, before the checksum.",
    ("steps.c", "static int do_wait(", "CHANCE\nstatic int do_wait("),
    (
        "steps.c",
        "memcpy(fixed_at, fixed, sizeof(fixed));",
        "memcpy(fixed_at, fixed, sizeof(fixed));\n\tif (chance() % 20 == 0)\n"
        "\t\tfixed_at[sizeof(fixed) + chance() % RUN_HEAD] ^= (u8)(1u << chance() % 8);",
    ),
    instead=_NOTED,
)
_vmm(
    "VMM flips bits of the union",
    "In 20 % of the exits the VMM flips one bit of the members that claims are about (bytes 8 to 56).",
    ("steps.c", "static int do_wait(", "CHANCE\nstatic int do_wait("),
    (
        "steps.c",
        "memcpy(fixed_at, fixed, sizeof(fixed));",
        "memcpy(fixed_at, fixed, sizeof(fixed));\n\tif (chance() % 5 == 0)\n"
        "\t\tfixed_at[sizeof(fixed) + 8 + chance() % 48] ^= (u8)(1u << chance() % 8);",
    ),
    instead=_NOTED,
)
_vmm(
    "VMM always kicked",
    "The VMM says of each KVM_RUN that its watchdog ended it.",
    ("steps.c", "vcpu->kicked ? EXIT_KICKED : 0;", "EXIT_KICKED;"),
)
_replies("VMM sends twice", "The VMM sends each reply twice.", "SEND; if (ret == 0) { SEND; }", same=True)
_replies(
    "VMM cuts replies",
    "10 % of the replies have a random length.",
    "if (chance() % 10 == 0) reply->length = (u32)(chance() % (reply->length * 2)) % WIRE_BODY_MAX; SEND;",
)
_replies(
    "VMM sends the wrong number",
    "5 % of the replies have the number of the request before.",
    "if (chance() % 20 == 0) reply->sequence--; SEND;",
    slow=True,
)
_replies(
    "VMM sends later numbers",
    "Every eighth reply has the number of the request behind it, whose own reply follows.",
    "if (count % 8 == 0) reply->sequence++; SEND;",
    slow=True,
)
_replies(
    "VMM sends out of order",
    "Of every four replies two are swapped.",
    "{ static u8 kept[FRAME_BUFFER]; static struct frame other; if (count % 4 == 1) { memcpy(kept, outgoing, "
    "sizeof(kept)); other = *reply; ret = 0; } else { SEND; if (count % 4 == 2 && ret == 0) { other.body = kept + "
    "WIRE_HEADER; ret = frame_write(1, key, kept, &other); } } }",
    slow=True,
)
_replies(
    "VMM stops answering",
    "The VMM sleeps without end after a random number of replies.",
    "if (count > 1 + (u32)(SEEDull % 100)) sys_sleep(1000000); SEND;",
    slow=True,
)
_replies(
    "VMM stops after one reply",
    "The VMM answers one request of each guest.",
    "if (count > 1) sys_sleep(1000000); SEND;",
    slow=True,
)
_replies(
    "VMM exits",
    "The VMM exits after a random number of replies.",
    "if (count > 1 + (u32)(SEEDull % 100)) sys_exit(0); SEND;",
)
_replies(
    "VMM floods",
    "The VMM sends a reply without end from its tenth request on.",
    "do { SEND; } while (ret == 0 && count > 9);",
    slow=True,
)
_replies(
    "VMM writes noise",
    "The VMM writes 10 KB of random bytes in front of every reply.",
    "static u32 noise[2500]; for (u32 at = 0; at < 2500; at++) noise[at] = (u32)chance(); "
    "sys_write(1, noise, sizeof(noise)); SEND;",
    same=True,
)
_replies(
    "VMM forges frames",
    "In front of each reply the VMM sends an altered one, whose key is wrong in one byte.",
    "key[3] ^= 1; reply->body[60] ^= 1; SEND; reply->body[60] ^= 1; key[3] ^= 1; SEND;",
    same=True,
)
_replies(
    "VMM forges frames without a key",
    "In front of each reply the VMM sends an altered one with the key that frames have before a key is known.",
    "{ struct frame forged = *reply; reply->body[60] ^= 1; ret = frame_write(1, no_key, outgoing, &forged); "
    "reply->body[60] ^= 1; SEND; }",
    same=True,
)
_replies(
    "VMM damages frames",
    "5 % of the frames have a wrong checksum.",
    "if (chance() % 20 == 0) { u8 bad[40]; memset(bad, 7, sizeof(bad)); memcpy(bad, key, 16); sys_write(1, bad, 40); } "
    "else SEND;",
    slow=True,
)
_vmm(
    "VMM gives another release",
    "HELLO has another release than the kernel.",
    (
        "serve.c",
        "memcpy(hello.body + 8, names.release, 65);",
        'memcpy(names.release, "6.1.0", 6);\n\tmemcpy(hello.body + 8, names.release, 65);',
    ),
)
_vmm(
    "VMM gives another build",
    "HELLO has the build ID of another VMM.",
    (
        "serve.c",
        "memcpy(hello.body + 138, BUILD_ID, text_length(BUILD_ID));",
        "memcpy(hello.body + 138, BUILD_ID, text_length(BUILD_ID));\n\thello.body[138] ^= 1;",
    ),
)
_vmm(
    "VMM gives another version",
    "HELLO has another version of the wire.",
    ("serve.c", "u32 version = WIRE_VERSION,", "u32 version = WIRE_VERSION + 1,"),
)
_vmm(
    "VMM gives another kernel",
    "The VMM alters /sys/kernel/notes as if another kernel had answered.",
    (
        "files.c",
        "\tout->used += got;",
        '\tif (text_equal(path, "/sys/kernel/notes"))\n\t\tfor (u32 at = 0; at + 24 < got; at++)\n'
        '\t\t\tif (memcmp(to + at, "GNU", 4) == 0)\n\t\t\t\tto[at + 4] ^= 1;\n\tout->used += got;',
    ),
)
_vmm(
    "VMM hides the kernel's notes",
    "The VMM gives an empty /sys/kernel/notes.",
    (
        "files.c",
        "\tout->used += got;",
        '\tif (text_equal(path, "/sys/kernel/notes"))\n\t\tgot = 0;\n\tout->used += got;',
    ),
)
_vmm(
    "worker dies",
    "Every worker of the VMM is ended by a signal in a random scenario.",
    ("main.c", "static int work(void)", "CHANCE\nstatic int work(void)"),
    (
        "main.c",
        "\t\tspent = scenario_run",
        "\t\tif (chance() % 40 == 0)\n\t\t\t__builtin_trap();\n\t\tspent = scenario_run",
    ),
)
_vmm(
    "worker hangs",
    "A worker of the VMM sleeps in a random scenario.",
    ("main.c", "static int work(void)", "CHANCE\nstatic int work(void)"),
    (
        "main.c",
        "\t\tspent = scenario_run",
        "\t\tif (chance() % 60 == 0)\n\t\t\tsys_sleep(1000000);\n\t\tspent = scenario_run",
    ),
)
