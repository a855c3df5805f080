"""The rows of the table in docs/machines.md: what differs from a fresh machine, as a script that makes it so.

A script runs as root in the chroot, in /src, before the commands. Machines of one distribution share what the first row
left there: the packages that --install-deps installed, and the virtual environment.
"""

from __future__ import annotations

from dataclasses import dataclass

SUITES = {
    "bookworm": "Debian 12",
    "trixie": "Debian 13",
    "forky": "Debian testing",
    "noble": "Ubuntu 24.04",
}
# Parts of the archive that an installer of the distribution sets up, where they are more than main.
COMPONENTS = {"noble": "main,universe"}
# What a machine must have before the first command: README.md. minbase has neither git, ps nor a pseudo terminal.
PACKAGES = "python3,ca-certificates"
RUN = "./sysevent run"
TEST = "./sysevent test"
_USER = "useradd --create-home me; chown -R me: /src"
# As a cloud image of Debian has it.
_CLOUD = """
mkdir -p /etc/apt/mirrors
echo {mirror} > /etc/apt/mirrors/debian.list
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
cat > /etc/apt/sources.list.d/debian.sources <<END
Types: deb deb-src
URIs: mirror+file:///etc/apt/mirrors/debian.list
Suites: {suite} {suite}-updates {suite}-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
"""


@dataclass(frozen=True)
class Row:
    """A machine: how it differs from a fresh one, and what is typed there."""

    words: str
    # In the chroot, as root; {mirror} and {suite} are replaced.
    script: str = ""
    # What the shell that runs the commands is started with.
    prefix: str = ""
    # The directory where the commands are typed.
    place: str = "/src"
    commands: tuple[str, ...] = (RUN, TEST)
    # True for the row whose state the others start from.
    first: bool = False
    suites: tuple[str, ...] = ("bookworm", "trixie")


ROWS = (
    Row(
        "fresh: root, no git, no `ps`, no `/dev/pts`",
        commands=(f"{RUN} --install-deps", TEST, f"{TEST} tests/system"),
        first=True,
        suites=tuple(SUITES),
    ),
    Row("apt as in a cloud image: deb822, `mirror+file:`", script=_CLOUD + "rm -rf ~/.cache/sysevent"),
    Row("not root", script=_USER, prefix="setpriv --reuid=me --regid=me --clear-groups env HOME=/home/me"),
    Row(
        "read-only checkout, not root",
        script="useradd --create-home me; mount --bind /src /src; mount -o remount,bind,ro /src",
        prefix="setpriv --reuid=me --regid=me --clear-groups env HOME=/home/me",
    ),
    Row("`$HOME` that is not that of passwd", script="mkdir /elsewhere", prefix="env HOME=/elsewhere"),
    Row("ASCII locale", prefix="env LC_ALL=POSIX PYTHONUTF8=0 PYTHONCOERCECLOCALE=0"),
    Row("`/tmp` mounted `noexec`", script="mount -t tmpfs -o noexec,nosuid,nodev none /tmp"),
    Row(
        "all of these at once",
        script="useradd --create-home me; mkdir /elsewhere; chown me /elsewhere\n"
        "mount -t tmpfs -o noexec,nosuid,nodev none /tmp\n"
        "mount --bind /src /src; mount -o remount,bind,ro /src",
        prefix="setpriv --reuid=me --regid=me --clear-groups "
        "env HOME=/elsewhere LC_ALL=POSIX PYTHONUTF8=0 PYTHONCOERCECLOCALE=0",
    ),
    Row("one CPU", prefix="taskset 1"),
    Row(
        "2 GB of memory",
        script="mkdir -p /limit && mount -t cgroup -o memory none /limit && mkdir -p /limit/sysevent-2g\n"
        "echo 2G > /limit/sysevent-2g/memory.limit_in_bytes",
        prefix="sh -c 'echo $$ > /limit/sysevent-2g/tasks; exec \"$@\"' sh",
    ),
    Row(
        "a wheel, installed outside of the clone",
        script="/src/.venv/bin/pip wheel -q --no-deps --no-index --no-build-isolation -w /wheel /src\n"
        "cp -a /src/.venv /opt/venv; /opt/venv/bin/python -m pip uninstall -qy sysevent\n"
        "/opt/venv/bin/python -m pip install -q --no-deps --no-index /wheel/*.whl; mv /src /src.away; mkdir /src",
        place="/root",
        commands=("/opt/venv/bin/python -m sysevent run", "/opt/venv/bin/python -m sysevent doctor"),
    ),
)
