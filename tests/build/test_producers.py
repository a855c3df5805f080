"""The producers: which files are instrumented, and that the table has what is mutated."""

import pytest

from sysevent.arches import ARCHITECTURES
from sysevent.build import kconfig, producers
from sysevent.build.producers import PRODUCERS
from sysevent.sensitivity.places import PLACES


def test_every_architecture_has_producers():
    assert list(PRODUCERS) == list(ARCHITECTURES)
    for rows in PRODUCERS.values():
        assert len({row.path for row in rows}) == len(rows)


def test_an_object_is_named_with_and_without_its_directory():
    found = producers.instrument("x86_64")
    assert "KCOV_INSTRUMENT_svm/svm.o=y" in found
    assert "KCOV_INSTRUMENT_svm.o=y" in found
    assert found.count("KCOV_INSTRUMENT_x86.o=y") == 1
    assert found.count("CFLAGS_svm/svm.o=-g1") == 1


# The answers to KVM_CHECK_EXTENSION are the same in every sequence.
CONSTANT = ("kvm_vm_ioctl_check_extension", "kvm_vm_ioctl_check_extension_generic")


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_what_is_mutated_is_a_producer(arch):
    """Functions of `sysevent sensitivity`, except those whose answer no sequence changes."""
    known = {row.path: row for row in PRODUCERS[arch]}
    for place in PLACES[arch]:
        if place.function not in CONSTANT:
            found = [path for path in place.paths if path in known]
            assert found, place
            assert any(known[path].has(place.function) for path in found), place


@pytest.mark.parametrize("arch", ARCHITECTURES.values(), ids=lambda arch: arch.name)
def test_the_configuration_has_kcov_for_named_files_only(arch):
    lines = {line.symbol: line.text for line in kconfig.requested_lines(arch, [kconfig.COVERAGE])}
    assert lines["CONFIG_KCOV"] == "CONFIG_KCOV=y"
    assert lines["CONFIG_KCOV_INSTRUMENT_ALL"].startswith("#")
    assert lines["CONFIG_DEBUG_FS"] == "CONFIG_DEBUG_FS=y"
