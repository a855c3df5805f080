"""The names and dimensions of a configuration."""

from sysevent.scenario.configuration import DEFAULT, Configuration, Peers


def test_the_default_has_no_dimensions():
    assert (DEFAULT.dimensions, DEFAULT.title("psci.off")) == ({}, "psci.off")


def test_each_dimension_is_in_the_title():
    where = Configuration(irqchip="gicv3", vcpus=4, caller=3, peers=Peers.ASLEEP, cpu="real")
    assert where.title("psci.off") == "psci.off.gicv3.vcpu3of4.asleep.real"
    assert where.dimensions == {
        "irqchip": "gicv3",
        "caller": "3 of 4",
        "peers": "asleep",
        "cpu": "real",
    }


def test_the_first_of_two_vcpus_is_a_dimension():
    """With a peer, vCPU 0 calls in another situation than alone."""
    assert Configuration(vcpus=2).dimensions == {"caller": "0 of 2"}
