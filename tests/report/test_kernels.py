"""Which kernels answered: a line for each target."""

import msgspec
import sample_records

from sysevent.model import Proof
from sysevent.report import kernels, records


def changed(**fields):
    return msgspec.structs.replace(sample_records.TARGET, **fields)


def test_lines():
    run = [
        sample_records.RUN,
        sample_records.TARGET,
        changed(name="b", identity=Proof.UNPROVEN, identity_reason="packed with LZO"),
        changed(name="c", build_id="", identity=Proof.RECORDED, identity_reason="it has none"),
    ]
    assert kernels.lines(run) == [
        f"arm64-tcg: Linux 6.1.0, build ID {'ab' * 20} (proven)",
        f"b: Linux 6.1.0, build ID {'ab' * 20} (unproven: packed with LZO)",
        "c: Linux 6.1.0, build ID unknown (recorded: it has none)",
    ]


def test_older_runs_have_none():
    old = changed(build_id="", module_build_ids={}, identity=None)
    assert kernels.lines([old]) == []
    assert old.facts().identity is None


def test_a_record_is_read_back():
    found = msgspec.json.decode(msgspec.json.encode(sample_records.TARGET), type=records.Target)
    identity = found.facts().identity
    assert (identity.build_id, identity.modules) == ("ab" * 20, {"kvm": "cd" * 20})
    assert identity.proof is Proof.PROVEN
