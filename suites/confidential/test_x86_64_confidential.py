"""Events of confidential guests: SEV-ES (since v5.19) and TDX (since v6.16).

The host cannot read the registers of such a guest, so the guest's reason for its end is in data[]. Not run yet: no
target can launch such a guest, and its scenario is not written. Each claim is a SKIP that says what it requires.
"""

from sysevent.abi.events import EventType
from sysevent.abi.exits import ExitReason
from sysevent.contract.checks import Exits, Holds
from sysevent.contract.claim import claims
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.system_events import API
from sysevent.contract.terms import Need
from sysevent.scenario.x86_64 import FACTS

SEV_ES = Need(
    "SEV-ES guest",
    None,
    "sev_es",
    requires="an AMD EPYC with SEV-ES enabled in the firmware, kvm_amd.sev_es=1, and a scenario that launches one "
    "through /dev/sev, which is not written",
)
TDX = Need(
    "TDX guest",
    None,
    "tdx",
    requires="an Intel CPU with TDX enabled in the firmware, Linux 6.16 with kvm_intel.tdx=1, and a scenario that "
    "launches a trust domain, which is not written",
)

# FACTS stands in for the scenarios. No target has the facts sev_es and tdx, so it is never judged.
CLAIMS = claims(
    ExitClaim(
        "sev_term",
        "A termination request of an SEV-ES guest exits as SEV_TERM with the GHCB MSR in data[0].",
        asks=FACTS,
        gives=(Exits(ExitReason.SYSTEM_EVENT), Holds("type", EventType.SEV_TERM), Holds("ndata", 1)),
        source=f"{API}; arch/x86/kvm/svm/sev.c, sev_handle_vmgexit_msr_protocol; c24a950ec7d6, v5.19",
        needs=(SEV_ES,),
    ),
    ExitClaim(
        "tdx_fatal",
        "TDG.VP.VMCALL<ReportFatalError> of a trust domain exits as TDX_FATAL with 16 registers in data[].",
        asks=FACTS,
        gives=(Exits(ExitReason.SYSTEM_EVENT), Holds("type", EventType.TDX_FATAL), Holds("ndata", 16)),
        source=f"{API}; arch/x86/kvm/vmx/tdx.c, tdx_report_fatal_error; 79462faa2b2a, v6.16",
        needs=(TDX,),
    ),
)


@CLAIMS.each
def test_termination(check, claim):
    """The guest's reason for its end is in data[]."""
    check(claim)
