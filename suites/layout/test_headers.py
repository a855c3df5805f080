"""What a kernel's headers mean in bytes to every userspace that includes them. Nothing is booted."""


def test_kvm_run(layout, promised):
    """The members of struct kvm_run that every exit uses lie where programs have them compiled in."""
    assert promised("kvm_run") == layout


def test_system_event(layout, promised):
    """system_event is type, ndata, data[16]; before v5.18 type and flags, which i386 alone has at 36."""
    assert promised("system_event") == layout


def test_union(layout, promised):
    """Every exit stays within the union's 256 bytes."""
    assert promised("union") == layout


def test_constants(layout, promised):
    """Exit reasons, event types, flags, capabilities and ioctls keep their numbers."""
    assert promised("constants") == layout


def test_hazards(foreign_layout, promised):
    """No structure means other bytes to this ABI than to the kernel, but those that are known."""
    assert promised("hazards") == foreign_layout
