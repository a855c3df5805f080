"""Changes of sequences that are kept."""

from conformance.model_kernels import FACTS

from sysevent.conformance.contracts import CONTRACTS
from sysevent.explore import change, generate
from sysevent.explore.validity import valid


def test_changes_are_sequences_of_the_model():
    for arch in CONTRACTS:
        contract = CONTRACTS[arch](FACTS[arch])
        kept = generate.batch(contract, 1, 12)
        found = change.batch(contract, 2, 40, kept)
        assert len(found) > 20
        assert all(valid(contract, one) for one in found)
        # Each has at most one wait more for each vCPU.
        assert all(len(one.actions) <= generate.LONGEST + 4 for one in found)
        assert {one.made for one in found} <= {one.made for one in kept}


def test_they_begin_as_what_is_kept_and_go_on_in_other_ways():
    contract = CONTRACTS["arm64"](FACTS["arm64"])
    (kept,) = [max(generate.batch(contract, 5, 20), key=lambda one: len(one.actions))]
    found = change.batch(contract, 3, 40, [kept])
    begun = [one for one in found if one.actions[:3] == kept.actions[:3]]
    assert len(begun) > 10
    # No two are the same.
    assert len(set(found)) == len(found) > 20


def test_the_same_seed_changes_the_same():
    contract = CONTRACTS["riscv64"](FACTS["riscv64"])
    kept = generate.batch(contract, 1, 12)
    drawn = [change.batch(contract, seed, 20, kept) for seed in (7, 7, 8)]
    assert drawn[0] == drawn[1] != drawn[2]
