"""PSCI SYSTEM_OFF2: the exit that a VMM reads when an arm64 guest asks to hibernate (since v6.13).

The guest executes one HVC with the function ID in x0, the type in x1 (0 and 1 both mean hibernation) and the cookie 0
in x2. KVM ends KVM_RUN with KVM_EXIT_SYSTEM_EVENT, type SHUTDOWN, and the OFF2 flag (bit 0) in data[0]. Other types and
cookies must not cause an event. Source: api.rst, KVM_EXIT_SYSTEM_EVENT; 97413cea1c48.
"""

from sysevent.abi.events import EventType, ShutdownFlag
from sysevent.abi.psci import INTERNAL_FAILURE, INVALID_PARAMETERS, Function
from sysevent.contract.arm64 import FEATURES_DOC, HIBERNATE, OFF2, guest_continues
from sysevent.contract.checks import RegisterHolds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.system_events import API, system_event
from sysevent.scenario.arm64 import FACTS, call

# Suffix of the claim's name, width of the call in bits, function ID.
WIDTHS = (("", 32, Function.SYSTEM_OFF2), ("_64", 64, Function.SYSTEM_OFF2_64))
# Suffix of the claim's name: type and cookie, of which at least one is invalid.
WRONG = {"1.1": (1, 1), "0.1": (0, 1), "2.0": (2, 0)}

CLAIMS = claims(
    *(
        ExitClaim(
            f"psci.off2{width}.{kind}",
            f"PSCI SYSTEM_OFF2, {bits}-bit call of type {kind}, exits as SHUTDOWN with the OFF2 flag in data[0].",
            asks=call(f"psci.off2{width}.{kind}", fid, kind, 0),
            gives=(
                *system_event(EventType.SHUTDOWN, ShutdownFlag.PSCI_OFF2),
                RegisterHolds("x0", INTERNAL_FAILURE),
            ),
            source=f"{API}; {HIBERNATE}",
            needs=(OFF2,),
        )
        for width, bits, fid in WIDTHS
        for kind in (0, 1)
    ),
    *(
        ExitClaim(
            f"psci.off2{width}.wrong.{name}",
            f"PSCI SYSTEM_OFF2, {bits}-bit call, with type and cookie {name} causes no event: INVALID_PARAMETERS (-2).",
            asks=call(f"psci.off2{width}.wrong.{name}", fid, *arguments),
            gives=guest_continues(INVALID_PARAMETERS),
            source=f"Arm DEN0022, SYSTEM_OFF2; {HIBERNATE}",
            needs=(OFF2,),
        )
        for width, bits, fid in WIDTHS
        for name, arguments in WRONG.items()
    ),
    *(
        ExitClaim(
            f"psci.features.off2{width}",
            f"PSCI_FEATURES allows hibernation (bit 0) by OFF2{width}, in the version that a guest gets by default.",
            asks=FACTS,
            gives=guest_continues(1, fid.fact),
            source=f"{FEATURES_DOC}; {HIBERNATE}",
            needs=(OFF2,),
        )
        for width, _, fid in WIDTHS
    ),
)


@CLAIMS.each
def test_off2(check, claim):
    """Hibernation exits as SHUTDOWN with the OFF2 flag; other types and cookies cause no event."""
    check(claim)
