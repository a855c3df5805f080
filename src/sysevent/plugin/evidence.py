"""What a claim is judged on, by the kind of claim: exits of a guest, its log, headers, or a running kernel's BTF."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from sysevent.abi.capabilities import Capability
from sysevent.arches import ABIS, ARCHITECTURES, Abi, native
from sysevent.cache import Cache
from sysevent.contract.claim import Claim
from sysevent.contract.confirmation import Sighting, sighting
from sysevent.contract.exit_claim import ExitClaim
from sysevent.contract.layout_claim import HeaderFacts, LayoutClaim, Layouts
from sysevent.contract.log_claim import LogClaim
from sysevent.contract.terms import Terms
from sysevent.decode.structs import Layout
from sysevent.engine.asker import Asker
from sysevent.engine.btf import kvm_run
from sysevent.errors import HarnessError, NotApplicable, UsageError
from sysevent.plugin import kernel_logs, vmms
from sysevent.plugin.case import Case, HeadersOf
from sysevent.plugin.run import Run
from sysevent.remembered import remembered


class Source(Protocol):
    """Where evidence comes from: the guest of a target, or the headers of a kernel."""

    def guest(self) -> Asker:
        """The target's guest."""

    def btf(self) -> Layout:
        """struct kvm_run, and what it holds, in the BTF of that guest's kernel."""

    def headers(self) -> HeaderFacts:
        """What the kernel's headers mean to the ABI of the test."""


def gather(claim: Claim[Any], case: Case, source: Source, terms: Terms, run: Run) -> Sighting:
    """The verdict on a claim, with its evidence; fills in which kernel it is about, and how long it took.

    NotApplicable when the claim does not apply to this kernel, or cannot be asked here.
    """
    if isinstance(claim, ExitClaim):
        return _exits(claim, case, source.guest(), terms)
    if isinstance(claim, LogClaim):
        guest = source.guest()
        case.kernel = guest.facts().release
        logs = kernel_logs.gather(claim, case.abi, guest, terms)
        return Sighting(claim.judge(logs), logs)
    if not isinstance(claim, LayoutClaim):
        raise HarnessError(f"{claim.name}: there is no way to gather evidence for a {type(claim).__name__}")
    if claim.asks is Layouts.RUNNING_KERNEL:
        found = _running_kernel(case, source, run)
    else:
        found = source.headers()
        case.kernel = found.version
    return Sighting(claim.judge(found), found)


def _exits(claim: ExitClaim, case: Case, guest: Asker, terms: Terms) -> Sighting:
    """Run the claim's scenario on the target. A kernel without the feature is not asked."""
    facts = guest.facts()
    case.kernel = facts.release
    if claim.asks.runs_programs:
        vmms.require(guest)
    abi = claim.abi or case.abi
    found = sighting(claim, facts, terms, lambda: guest.observe(claim.asks, abi))
    if found.evidence is not None:
        case.seconds = guest.seconds(claim.asks, abi)
    return found


def btf(guest: Asker, cache: Cache | None) -> Layout:
    """struct kvm_run, and what it holds, in the BTF of the running kernel, or of its module kvm.

    NotApplicable if it has none. cache: None: the kernel is asked in any case.
    """
    try:
        found = kvm_run(guest, cache)
    except NotApplicable as error:
        raise NotApplicable(
            f"{error}: it takes CONFIG_DEBUG_INFO_BTF, for a module CONFIG_DEBUG_INFO_BTF_MODULES"
        ) from error
    if not found.structs:
        raise NotApplicable("the running kernel's BTF has no struct kvm_run")
    return found


def header_facts(headers: HeadersOf, run: Run, *, cached: bool = True) -> HeaderFacts:
    """What one kernel's headers mean to one ABI. cached: False: compile them again.

    NotApplicable when the kernel is an image, which brings no headers along, or had no KVM there.
    """
    return _of_headers(headers.kernel, headers.userspace, run, cached=cached)


def _of_headers(kernel: str, userspace: Abi, run: Run, *, cached: bool = True) -> HeaderFacts:
    if not cached:
        return _compiled(kernel, userspace, run, cached=False)
    known = run.header_facts
    return remembered(known, (kernel, userspace.name), lambda: _compiled(kernel, userspace, run, cached=True))


def _compiled(kernel: str, userspace: Abi, run: Run, *, cached: bool) -> HeaderFacts:
    # Not at the top: it reads the modules for Debian packages, which a run without layouts does not use.
    from sysevent.headers import compiled, resolve

    try:
        found = resolve.find(kernel, ARCHITECTURES[userspace.arch], run.settings, run.progress)
    except UsageError:
        raise NotApplicable(
            f"{kernel} brings no headers along; a track (debian:6.12) or a tree (tree:PATH) does"
        ) from None
    own = native(userspace.arch)
    both = compiled.layouts(found, {userspace, own}, run.settings, run.progress, cached=cached)
    return HeaderFacts(kernel, found.version, userspace, both[userspace.name], both[own.name])


def _running_kernel(case: Case, source: Source, run: Run) -> HeaderFacts:
    """What a booted target's kernel, and its headers for the ABI of the VMM, say of struct kvm_run."""
    guest, layout = source.guest(), source.btf()
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
            layout, constants={"KVM_CAP_SYSTEM_EVENT_DATA": data.value} if has_data else {}
        )
        kernel = guest.spec.kernel if guest.spec.booted else facts.release
        found = HeaderFacts(kernel, facts.release, userspace, itself, itself)
    return msgspec.structs.replace(found, version=facts.release, btf=layout)
