"""What a claim is judged on, by the kind of claim: exits of a guest, its log, headers, or a running kernel's BTF."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sysevent.abi.capabilities import Capability
from sysevent.arches import ABIS, ARCHITECTURES, Abi, native
from sysevent.contract.claim import Claim
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.layout_claim import HeaderFacts, LayoutClaim, Layouts
from sysevent.contract.log_claim import LogClaim
from sysevent.decode.structs import Layout
from sysevent.engine.asker import Asker
from sysevent.errors import HarnessError, NotApplicable, UsageError
from sysevent.model import Verdict
from sysevent.plugin import kernel_logs, options
from sysevent.plugin.case import Case, HeadersOf
from sysevent.plugin.run import Run


def gather(claim: Claim[Any], case: Case, request: pytest.FixtureRequest, run: Run) -> None:
    """Fill a case with the evidence that its claim is judged on, or with the verdict if there can be none.

    NotApplicable when the claim does not apply to this kernel, or cannot be asked here.
    """
    if isinstance(claim, ExitClaim):
        _exits(claim, case, request)
    elif isinstance(claim, LogClaim):
        guest: Asker = request.getfixturevalue("guest")
        case.kernel = guest.facts().release
        case.evidence = kernel_logs.gather(claim, case.abi, guest, options.terms(request.config))
    elif isinstance(claim, LayoutClaim) and claim.asks is Layouts.RUNNING_KERNEL:
        case.evidence = _running_kernel(case, request, run)
    elif isinstance(claim, LayoutClaim):
        headers: HeaderFacts = request.getfixturevalue("headers")
        case.evidence, case.kernel = headers, headers.version
    else:
        raise HarnessError(f"{claim.name}: there is no way to gather evidence for a {type(claim).__name__}")


def _exits(claim: ExitClaim, case: Case, request: pytest.FixtureRequest) -> None:
    """Run the claim's scenario on the target. A kernel without the feature is not asked."""
    guest: Asker = request.getfixturevalue("guest")
    facts, terms = guest.facts(), options.terms(request.config)
    case.kernel = facts.release
    abi = claim.abi or case.abi
    found = claim.evidence(facts, terms, lambda: guest.observe(claim.asks, abi))
    if isinstance(found, Verdict):
        case.verdict = found
        return
    case.seconds = guest.seconds(claim.asks, abi)
    case.evidence = found


def header_facts(headers: HeadersOf, run: Run) -> HeaderFacts:
    """What one kernel's headers mean to one ABI.

    NotApplicable when the kernel is an image, which brings no headers along, or had no KVM there.
    """
    return _of_headers(headers.kernel, headers.userspace, run)


def _of_headers(kernel: str, userspace: Abi, run: Run) -> HeaderFacts:
    # Not at the top: it reads the modules for Debian packages, which a run without layouts does not use.
    from sysevent.headers import compiled, resolve

    try:
        found = resolve.find(kernel, ARCHITECTURES[userspace.arch], run.settings, run.progress)
    except UsageError:
        raise NotApplicable(
            f"{kernel} brings no headers along; a track (debian:6.12) or a tree (tree:PATH) does"
        ) from None
    own = native(userspace.arch)
    both = compiled.layouts(found, {userspace, own}, run.settings, run.progress)
    return HeaderFacts(kernel, found.version, userspace, both[userspace.name], both[own.name])


def _running_kernel(case: Case, request: pytest.FixtureRequest, run: Run) -> HeaderFacts:
    """What a booted target's kernel, and its headers for the ABI of the VMM, say of struct kvm_run."""
    guest: Asker = request.getfixturevalue("guest")
    btf: Layout = request.getfixturevalue("btf")
    userspace, facts = ABIS[case.abi], guest.facts()
    case.kernel = facts.release
    try:
        if not guest.spec.booted:
            raise NotApplicable(f"the headers of the kernel that runs on {guest.spec.name} are not known")
        found = _of_headers(guest.spec.kernel, userspace, run)
    except NotApplicable:
        if userspace is not native(userspace.arch):
            raise
        # Without headers, the kernel is compared with our table alone.
        data = Capability.SYSTEM_EVENT_DATA
        has_data = facts.capabilities.get(data.on_vm, 0) > 0
        itself = msgspec.structs.replace(
            btf, constants={"KVM_CAP_SYSTEM_EVENT_DATA": data.value} if has_data else {}
        )
        kernel = guest.spec.kernel if guest.spec.booted else facts.release
        found = HeaderFacts(kernel, facts.release, userspace, itself, itself)
    return msgspec.structs.replace(found, version=facts.release, btf=btf)
