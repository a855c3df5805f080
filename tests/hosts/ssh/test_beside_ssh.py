"""Valid but unusual configurations, tried with ssh itself and with the run's own connection: both log in, or none.

Each is a text of ~/.ssh/config and one of known_hosts. In both, {path} is the directory of the test.
"""

import base64
import getpass
import os
import shutil
import subprocess

import pytest

from sysevent.errors import HostUnreachable
from sysevent.hosts.ssh import certificates, known
from sysevent.hosts.ssh.connect import Connection
from sysevent.hosts.ssh.route import route

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not installed")

COMMON = "Host labbox\n HostName 127.0.0.1\n Port {port}\n User {user}\n IdentityFile {path}/id\n"
FILE = " UserKnownHostsFile {path}/known_hosts\n"
PLAIN = COMMON + FILE
KNOWN = "[127.0.0.1]:{port} {key}\n"
ECHO = ' KnownHostsCommand /bin/echo "%H %t %K"\n'
SHELL = " KnownHostsCommand /bin/sh -c "
# fmt: off
REACHED = {
    "no port in known_hosts": (PLAIN, "127.0.0.1 {key}\n"),
    "pattern with a port": (PLAIN, "[127.0.0.*]:{port} {key}\n"),
    "pattern for all": (PLAIN, "*,!other {key}\n"),
    "alias": (PLAIN + " HostKeyAlias rack-3\n", "rack-3 {key}\n"),
    "hashed": (PLAIN, "{hashed} {key}\n"),
    "another type beside it": (PLAIN, "[127.0.0.1]:{port} ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAAQD=\n" + KNOWN),
    "file with a space": (COMMON + ' UserKnownHostsFile "{path}/a b/known"\n', ""),
    "second file": (COMMON + " UserKnownHostsFile /dev/null {path}/known_hosts\n", KNOWN),
    "global file": (COMMON + " UserKnownHostsFile none\n GlobalKnownHostsFile {path}/known_hosts\n", KNOWN),
    "quotes and equals": (PLAIN.replace("Host labbox", 'Host="labbox"').replace("HostName ", "HostName="), KNOWN),
    "line ends of another system": (PLAIN.replace("\n", "\r\n"), KNOWN),
    "match exec": ('Match originalhost labbox exec "test %n = labbox"\n' + PLAIN.split("\n", 1)[1], KNOWN),
    "match final": ("Match final host 127.0.0.1\n User {user}\n" + PLAIN, KNOWN),
    "canonical names": ("CanonicalizeHostname yes\nCanonicalDomains lab.invalid\n" + PLAIN, KNOWN),
    "included by a glob": ("Include {path}/conf.d/*.conf\n", KNOWN),
    "family": (PLAIN.replace("HostName 127.0.0.1", "HostName localhost") + " AddressFamily inet\n",
               "[localhost]:{port} {key}\n"),
    "own address": (PLAIN + " BindAddress 127.0.0.1\n", KNOWN),
    "variable": (PLAIN.replace("{path}/id", "${{LAB_PLACE}}/id"), KNOWN),
    "hash of the connection": (PLAIN.replace("{path}/id", "{path}/%C/../id") + " ControlPath /none/%C\n", KNOWN),
    "key with a space": (PLAIN.replace("{path}/id", '"{path}/a b/id"'), KNOWN),
    "key by tokens": (PLAIN.replace("{path}/id", "{path}/%n-%r"), KNOWN),
    "negated host": ("Host * !labbox\n User uploads\n" + PLAIN, KNOWN),
    "authority": (PLAIN, "@cert-authority [127.0.0.1]:{port} {ca}\n"),
    "authority without the port": (PLAIN, "@cert-authority 127.0.0.1 {ca}\n"),
    "authority for a pattern": (PLAIN + " HostKeyAlias rack-4\n", "@cert-authority rack-* {ca}\n"),
    "authority, and an old key": (PLAIN, "@cert-authority * {ca}\n[127.0.0.1]:{port} {ca}\n"),
    "authority of others, and the key": (PLAIN, "@cert-authority * {user_key}\n" + KNOWN),
    "command": (PLAIN + ' KnownHostsCommand /bin/echo "%H {key}"\n', ""),
    "command with the port": (PLAIN + ' KnownHostsCommand /bin/echo "[%h]:%p {key}"\n', ""),
    "command with tokens": (PLAIN + ' KnownHostsCommand /bin/echo "%H {key} %I %n %r %f"\n', ""),
    "command by the certificate": (PLAIN + SHELL + """'test %t != {certified} || echo "%H {key}"'\n""", ""),
    "command by the fingerprint": (PLAIN + SHELL + """'test %f != {fingerprint} || echo "%H {key}"'\n""", ""),
    "command with what is shown": (PLAIN + " HostKeyAlgorithms ssh-ed25519\n" + ECHO, ""),
    "kinds of keys": (PLAIN + " HostKeyAlgorithms -*ed25519-cert*\n", KNOWN),
    "authority that is not asked": (PLAIN + " HostKeyAlgorithms ssh-ed25519\n",
                                    "@revoked * {ca}\n@cert-authority * {ca}\n" + KNOWN),
    "command that does not exist": (PLAIN + " KnownHostsCommand /none/program\n", KNOWN),
    "command with an authority": (PLAIN + ' KnownHostsCommand /bin/echo "@cert-authority %H {ca}"\n', ""),
}
REFUSED = {
    "nothing known": (PLAIN, ""),
    "another name": (PLAIN, "[127.0.0.2]:{port} {key}\n"),
    "another port": (PLAIN, "[127.0.0.1]:1 {key}\n"),
    "excluded": (PLAIN, "!127.0.0.1,![127.0.0.1]:{port},* {key}\n"),
    "revoked": (PLAIN, "@revoked * {key}\n" + KNOWN),
    "only the alias counts": (PLAIN + " HostKeyAlias rack-3\n", KNOWN),
    "certificate for another name": (PLAIN + " HostKeyAlias rack-5\n", "@cert-authority * {ca}\n"),
    "authority of another name": (PLAIN, "@cert-authority 127.0.0.2 {ca}\n"),
    "another authority": (PLAIN, "@cert-authority * {user_key}\n"),
    "authority that is revoked": (PLAIN, "@revoked * {ca}\n@cert-authority * {ca}\n"),
    "its signature": (PLAIN + " CASignatureAlgorithms rsa-sha2-512\n", "@cert-authority * {ca}\n"),
    "command with the certificate that is shown": (PLAIN + ECHO, ""),
    "command by the type of the key": (PLAIN + SHELL + """'test %t != ssh-ed25519 || echo "%H {key}"'\n""", ""),
    "authority, and no certificate asked": (PLAIN + " HostKeyAlgorithms ssh-ed25519\n", "@cert-authority * {ca}\n"),
    "other kinds of keys": (PLAIN + " HostKeyAlgorithms rsa-sha2-512\n", KNOWN),
    "authority that is revoked, and the key": (PLAIN, "@revoked * {ca}\n" + KNOWN),
    "authority in a list of revoked ones": (PLAIN + " RevokedHostKeys {path}/one/ca.pub\n", KNOWN),
    "command that fails": (PLAIN + " KnownHostsCommand /bin/false\n", ""),
    "command that fails, and the key": (PLAIN + " KnownHostsCommand /bin/false\n", KNOWN),
    "command that fails at the key": (PLAIN + SHELL + "'test %t = NONE'\n", KNOWN),
    "command without the port": (PLAIN + SHELL + """'test %H != 127.0.0.1 || echo "%H {key}"'\n""", ""),
    "command that revokes": (PLAIN + ' KnownHostsCommand /bin/echo "@revoked * {key}"\n', KNOWN),
    "command with another key": (PLAIN + ' KnownHostsCommand /bin/echo "%H {ca}"\n', ""),
    "user of an earlier section": ("Host lab*\n User no-such-user\n" + PLAIN, KNOWN),
}
# fmt: on


@pytest.mark.parametrize(
    ("config", "lines"), [*REACHED.values(), *REFUSED.values()], ids=[*REACHED, *REFUSED]
)
def test_as_ssh(sshd, lab, monkeypatch, request, config, lines):
    """ssh is the reference: where it logs in, this does, and nowhere else."""
    monkeypatch.setenv("LAB_PLACE", str(lab.path))
    server = sshd("one", certify="127.0.0.1,rack-4")
    words = {
        "port": server.port,
        "user": getpass.getuser(),
        "path": lab.path,
        "key": server.key,
        "ca": server.authority,
        "certified": server.key.split()[0] + certificates.SUFFIX,
        "fingerprint": known.fingerprint(base64.b64decode(server.key.split()[1])),
        "user_key": " ".join((lab.path / "id.pub").read_text().split()[:2]),
        "hashed": _hashed(lab.path, f"[127.0.0.1]:{server.port} {server.key}\n"),
    }
    text = config.format(**words)
    lab.known.write_text(lines.format(**words))
    for place in ("a b", "conf.d"):
        (lab.path / place).mkdir()
    (lab.path / "a b" / "known").write_text(server.known)
    (lab.path / "conf.d" / "one.conf").write_text(PLAIN.format(**words))
    for copy in ("a b/id", f"labbox-{getpass.getuser()}"):
        shutil.copy(lab.path / "id", lab.path / copy)
    (lab.home / ".ssh" / "config").write_text(text, newline="")
    if "%C" in text:
        (lab.path / _hash_of(lab, text)).mkdir()
    options = ["-F", str(lab.home / ".ssh" / "config"), "-o", "BatchMode=yes", "-o", "ControlPath=none"]
    by_ssh = subprocess.run(
        ["ssh", *options, "labbox", "true"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60
    )
    spec = lab.spec(server, address="labbox", port=0, user="", identity="", known_hosts="")
    connection = Connection("lab", route(spec, lab.home), 20)
    try:
        connection.open()
        reached, why = True, ""
    except HostUnreachable as error:
        reached, why = False, str(error)
    finally:
        connection.close()
    assert reached is not bool(by_ssh.returncode), why + os.fsdecode(by_ssh.stderr)
    assert reached is (request.node.callspec.id in REACHED), why


def _hashed(path, line):
    """Return the name of a line as `ssh-keygen -H` writes it."""
    file = path / "to-hash"
    file.write_text(line)
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True, timeout=60)
    return file.read_text().split()[0]


def _hash_of(lab, text):
    """Return what %C stands for, as ssh expands it."""
    file = lab.path / "hash"
    file.write_text(text)
    words = ["ssh", "-G", "-F", file, "-o", "ControlPath=/%C", "labbox"]
    said = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout
    return next(line.split("/")[1] for line in said.splitlines() if line.startswith("controlpath "))
