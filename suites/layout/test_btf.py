"""What the running kernel itself was compiled with, against its headers and the offsets that programs use."""


def test_btf(running_layout, promised):
    """BTF, headers and our table agree on struct kvm_run."""
    assert promised("btf") == running_layout
