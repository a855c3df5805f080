"""What `targets --check` says of a lab machine is what a run would say of it."""

from sysevent.hosts.ssh import visit


def test_one_that_can_be_asked(sshd, lab):
    server = sshd("one")
    lab.knows(server)
    assert visit.unusable(lab.spec(server)) == ""
    assert lab.left() == []


def test_a_key_that_nobody_knows(sshd, lab):
    assert "is not in" in visit.unusable(lab.spec(sshd("one")))


def test_a_user_who_is_not_let_in(sshd, lab):
    server = sshd("one")
    lab.knows(server)
    (server.folder / "authorized_keys").write_text("")
    assert "does not let" in visit.unusable(lab.spec(server))


def test_not_what_is_expected(sshd, lab):
    server = sshd("one")
    lab.knows(server)
    assert "expect.kernel = '2.4.*'" in visit.unusable(lab.spec(server, expect={"kernel": "2.4.*"}))


def test_no_kvm(sshd, lab):
    server = sshd("one")
    lab.knows(server)
    lab.kvm.unlink()
    assert "there is no /dev/kvm" in visit.unusable(lab.spec(server))


def test_several_at_once(sshd, lab):
    server = sshd("one")
    lab.knows(server)
    well, nobody = lab.spec(server), lab.spec(None, name="nobody")
    found = visit.all_at_once([well, nobody])
    assert found["lab"] == ""
    assert "nothing listens there" in found["nobody"]
