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


# Actions of vCPU 0 that must come in this order, with any others between them.
CHAIN = ("get_state", "init", "call") * 4


def reached(sequence):
    """How far a sequence gets in the chain."""
    depth = 0
    for action in sequence.actions:
        if depth < len(CHAIN) and (action.kind, action.vcpu) == (CHAIN[depth], 0):
            depth += 1
    return depth


def deepest(seed, *, guided, size=32, most=320):
    """How far the deepest of so many sequences gets: drawn ones, or every other batch made of the deepest."""
    contract = CONTRACTS["arm64"](FACTS["arm64"])
    kept, asked = {}, 0
    while asked < most:
        seed += 1
        drawn = [generate.batch(contract, seed, size)]
        if guided and kept:
            drawn.append(change.batch(contract, seed, size, sorted(kept, key=kept.get, reverse=True)))
        for one in (one for batch in drawn for one in batch):
            asked += 1
            if reached(one) > max(kept.values(), default=0):
                kept[one] = reached(one)
    return max(kept.values())


def test_changes_get_further_than_as_many_new_sequences():
    """Of code that only several actions in order reach."""
    guided, unguided = ([deepest(1000 * n, guided=how) for n in (1, 2, 3)] for how in (True, False))
    assert sum(guided) > sum(unguided)
