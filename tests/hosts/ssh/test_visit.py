"""`sysevent targets --check` reports what a run would report."""

from sysevent.hosts.ssh import visit


def test_usable(sshd, lab):
    server = sshd("one")
    lab.knows(server)
    assert visit.obstacle(lab.spec(server)) == ""
    assert lab.left() == []


def test_unknown_key(sshd, lab):
    assert "is not in" in visit.obstacle(lab.spec(sshd("one")))


def test_refused_login(sshd, lab):
    server = sshd("one")
    lab.knows(server)
    (server.folder / "authorized_keys").write_text("")
    assert "does not let" in visit.obstacle(lab.spec(server))


def test_unexpected_traits(sshd, lab):
    server = sshd("one")
    lab.knows(server)
    assert "expect.kernel = '2.4.*'" in visit.obstacle(lab.spec(server, expect={"kernel": "2.4.*"}))


def test_no_kvm(sshd, lab):
    server = sshd("one")
    lab.knows(server)
    lab.kvm.unlink()
    assert "there is no /dev/kvm" in visit.obstacle(lab.spec(server))


def test_several_in_parallel(sshd, lab):
    server = sshd("one")
    lab.knows(server)
    usable, down = lab.spec(server), lab.spec(None, name="down")
    found = visit.obstacles([usable, down])
    assert found["lab"] == ""
    assert "connection refused" in found["down"]
