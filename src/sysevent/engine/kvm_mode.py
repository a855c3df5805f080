"""In which mode the KVM of a target runs, from the files of scenario/kvm_mode.py.

What cannot be found out is UNKNOWN: a log that the kernel has overwritten, or that only root may read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from sysevent.abi import names
from sysevent.model import Answer, ExpectedKernel
from sysevent.scenario import kvm_mode as files
from sysevent.scenario.steps import File
from sysevent.text import first_line

UNKNOWN = "unknown"

# A message of the kernel itself, whose facility is 0: programs write with another one.
_RECORD = re.compile(r"^([0-7]),\d+,\d+,[^;]*;(kvm[\w ]*(?:\[\d+\])?): (.*)$", re.MULTILINE)
# What the guest's init wrote there about a module: guests/init/init.c, not_loaded().
_NOT_LOADED = re.compile(r"^14,\d+,\d+,[^;]*;(kvm\w*): not loaded: errno (\d+)$", re.MULTILINE)
# include/linux/kern_levels.h: less than this is an error or worse.
_WARNING = 4
_ARM64 = re.compile(r"(Protected |Hyp |)([nh]?VHE|)(\+NV2|) ?mode initialized successfully")
_ON = {"Y": "on", "N": "off", "0": "off"}

# Of messages that are no errors to the kernel: arch/arm64/kvm/arm.c, arch/x86/kvm, arch/riscv/kvm/main.c.
_REFUSAL = re.compile(
    r"not (?:supported|available|enabled)|no hardware|disabled|unsupported|requires|cannot|failed",
    re.IGNORECASE,
)

# Messages and bytes of them that are quoted.
_QUOTED, _QUOTED_LENGTH = 3, 100

Answers = Mapping[str, Answer]


def kvm_mode(arch: str, answers: Answers) -> dict[str, str]:
    """Return the mode of a target's KVM by the names of hosts/traits.py. What does not apply there is left out."""
    page = re.search(r"(\d+) kB", _text(answers, files.PAGE) or "")
    return {**_MODES[arch](answers), "page": f"{page[1]}k" if page else UNKNOWN}


def complaints(answers: Answers) -> str:
    """Return what KVM logged when it refused to run: "kvm: RT requires X86_FEATURE_CONSTANT_TSC"; "" for nothing.

    It may contain control characters.
    """
    found = [
        f"{who}: {message}"[:_QUOTED_LENGTH]
        for level, who, message in _records(answers)
        if int(level) < _WARNING or _REFUSAL.search(message)
    ]
    return "; ".join(found[:_QUOTED])


def why_no_kvm(
    wanted: Collection[str], expected: ExpectedKernel, loaded: Collection[str], answers: Answers
) -> str:
    """Return why there is no /dev/kvm, for the case that there is none: what KVM logged, and modules; "" if unknown.

    wanted: the modules of KVM that such a kernel may have; loaded: those that its guest has loaded. Control characters
    are escaped.
    """
    said = complaints(answers)
    reasons = [f"its kernel says: {first_line(said)}"] if said else []
    modules = [name.replace("-", "_") for name in wanted]
    given = [name for name in modules if name in expected.modules]
    absent = [name for name in given if name not in loaded]
    if absent and len(absent) == len(given):
        failed = dict(_NOT_LOADED.findall(_text(answers, files.LOG) or ""))
        why = {name: f"errno {names.errno(int(failed[name]))}" for name in absent if name in failed}
        shown = (f"{name} ({why.get(name, 'the log of the guest has the errno')})" for name in absent)
        reasons.append(f"the kernel did not load its {', '.join(shown)}")
    elif modules and not given and expected.image:
        reasons.append("no module of KVM was given: if it is not built in, --modules names its directory")
    return "; ".join(reasons)


def _records(answers: Answers) -> list[tuple[str, str, str]]:
    """Return the messages of KVM since the boot: level, "kvm [1]" or "kvm_amd", and text."""
    return _RECORD.findall(_text(answers, files.LOG) or "")


def _messages(answers: Answers) -> list[str]:
    return [message for _, _, message in _records(answers)]


def _text(answers: Answers, file: File) -> str | None:
    """Return the text of a file; None if it could not be read."""
    found = answers.get(file.label)
    return None if found is None or found.ret < 0 else found.data.decode("utf-8", "replace")


def _arm64(answers: Answers) -> dict[str, str]:
    for message in reversed(_messages(answers)):
        if found := _ARM64.fullmatch(message):
            # Before v6.4 "Hyp mode" is nVHE.
            protected = "protected " if found[1] == "Protected " else ""
            return {"mode": f"{protected}{found[2] or 'nVHE'}{found[3]}"}
    return {"mode": _arm64_without_log(answers)}


def _arm64_without_log(answers: Answers) -> str:
    """Return VHE or nVHE if the timers show it, and no parameter of the kernel asks for another mode."""
    timers, words = _text(answers, files.ARM64_TIMERS) or "", _text(answers, files.COMMAND_LINE)
    if "kvm guest ptimer" in timers:
        return "VHE"
    asked = words is None or re.search(r"kvm-arm\.mode=(?!nvhe\b)|hvhe", words)
    return "nVHE" if "kvm guest vtimer" in timers and not asked else UNKNOWN


def _riscv64(answers: Answers) -> dict[str, str]:
    messages = _messages(answers)
    tables = [found[1] for one in messages if (found := re.search(r"using (Sv\w+) G-stage", one))]
    # Printed behind the other one, and only if there is an AIA.
    aia = any("AIA available" in one for one in messages)
    return {"stage2": tables[-1] if tables else UNKNOWN, "aia": "on" if aia else "off" if tables else UNKNOWN}


def _x86_64(answers: Answers) -> dict[str, str]:
    flags = (_text(answers, files.X86_FLAGS) or "").split("\n")[0].split()
    vendor = "amd" if "svm" in flags else "intel" if "vmx" in flags else UNKNOWN
    found = {"vendor": vendor}
    module, names = files.X86_MODULES.get(vendor, ("", ()))
    for name in names:
        answer = answers.get(f"{module}.{name}")
        if answer is not None and answer.ret >= 0:
            value = answer.data.decode("ascii", "replace").strip()
            found[name] = _ON.get(value, "on" if value.isdecimal() else UNKNOWN)
        else:
            found[name] = UNKNOWN
    return found


_MODES: dict[str, Callable[[Answers], dict[str, str]]] = {
    "arm64": _arm64,
    "riscv64": _riscv64,
    "x86_64": _x86_64,
}
