"""What the user's ssh configuration says of a machine: ssh itself is asked (`ssh -G`), because it owns the language.

Without an ssh client, paramiko reads ~/.ssh/config, and a line that it would leave out or read otherwise is refused.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import paramiko

from sysevent.text import one_line

Options = Mapping[str, Sequence[str]]
"""The values of each option of ssh_config(5) by its name in lower case; the one value of most options comes first."""

# Seconds for ssh, which runs the programs of `Match exec`, and may ask the DNS.
_PATIENCE = 30
_SYSTEM = Path("/etc/ssh/ssh_config")
# Before the value of %C in what ssh prints: a hash whose definition has changed between releases. Connections are not
# shared, so the ControlPath of the configuration is not needed.
_HASH = "/sysevent/"
_LINE = re.compile(r"\s*(\w+)(?:\s*=\s*|\s+)(.*?)\s*")
# Options that paramiko reads as ssh does, or that route.py reads.
_READ = """
    host hostname port user identityfile identitiesonly userknownhostsfile hostkeyalias proxyjump proxycommand
"""
# Options that change nothing about which machine is reached, and how.
_IRRELEVANT = """
    addkeystoagent batchmode checkhostip compression connectionattempts connecttimeout controlmaster controlpath
    controlpersist escapechar forwardagent forwardx11 forwardx11timeout forwardx11trusted gssapiauthentication
    gssapidelegatecredentials hashknownhosts localforward loglevel numberofpasswordprompts remoteforward requesttty
    sendenv serveralivecountmax serveraliveinterval setenv stricthostkeychecking tcpkeepalive updatehostkeys
    visualhostkey
"""


def lookup(name: str, user: str, port: int, home: Path, ssh: str | None = "") -> Options:
    """Return what applies to a machine; user and port win over the configuration unless they are "" and 0.

    ssh: the client; "": the one on PATH; None: none. Raises ValueError with ssh's own words, or the line that is not
    understood without it, and OSError.
    """
    client = shutil.which("ssh") if ssh == "" else ssh
    if client is None:
        return _of_paramiko(name, user, port, home)
    words = [client, "-G", "-o", f"ControlPath={_HASH}%C"]
    words += [*(["-l", user] if user else []), *(["-p", str(port)] if port else [])]
    try:
        own = Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        # ssh says so in its own words.
        own = home
    if home == own:
        return _ask([*words, "--", name])
    # ssh takes the home directory of the password database. The files are included, and not given with -F, so that
    # the system's configuration applies as well.
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", errors="surrogateescape", prefix="sysevent-ssh-"
    ) as file:
        config = home / ".ssh" / "config"
        _refuse_relative_includes(config)
        file.write(f'Include "{config}"\nInclude {_SYSTEM}\n')
        file.flush()
        found = _ask([*words, "-F", file.name, "--", name])
    # Files below ~, which ssh has already replaced by the other home directory.
    known = [
        str(home / Path(file).relative_to(own))
        if Path(file).is_relative_to(own) and own != Path("/")
        else file
        for file in " ".join(found.get("userknownhostsfile", [])).split()
    ]
    return {**found, "userknownhostsfile": [" ".join(known)]}


def _ask(words: Sequence[str]) -> dict[str, list[str]]:
    try:
        ran = subprocess.run(
            words,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=False,
            env=os.environ | {"LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"`ssh -G` did not end within {_PATIENCE} s") from None
    if ran.returncode:
        said = os.fsdecode(ran.stderr).strip().splitlines()
        raise ValueError(
            f"ssh refuses it: {one_line('; '.join(said[:3]))[:400] or f'exit code {ran.returncode}'}"
        )
    found: dict[str, list[str]] = {}
    for line in os.fsdecode(ran.stdout).splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key.lower(), []).append(value)
    return found


def connection_hash(options: Options) -> str | None:
    """Return what the token %C stands for; None if ssh has not said it."""
    (path,) = options.get("controlpath", ("",))[:1]
    return path.removeprefix(_HASH) if path.startswith(_HASH) and "%" not in path else None


def _refuse_relative_includes(config: Path) -> None:
    for number, keyword, value in _lines(config):
        if keyword == "include" and any(not word.strip('"').startswith("/") for word in value.split()):
            raise ValueError(
                f"line {number}: ssh looks for {value} in the home directory of the password database, and HOME is "
                "another one: give an absolute path there"
            )


def _lines(config: Path) -> list[tuple[int, str, str]]:
    """Return number, keyword in lower case, and value of each line that is neither empty nor a comment."""
    try:
        text = config.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return []
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            match = _LINE.fullmatch(line)
            found.append((number, match[1].lower(), match[2]) if match else (number, "", line))
    return found


def _of_paramiko(name: str, user: str, port: int, home: Path) -> Options:
    lines = _lines(home / ".ssh" / "config")
    for number, keyword, value in lines:
        if keyword in _IRRELEVANT.split() or (keyword == "match" and value.lower() == "all"):
            continue
        if keyword not in _READ.split() or re.search(r"[\"'#\\]", value):
            raise ValueError(
                f"line {number}: only ssh understands `{one_line(f'{keyword} {value}')[:80]}`, and there is none on "
                "PATH: install it (the package openssh-client or openssh-clients)"
            )
    first = [f"Port {port}"] if port else []
    first += [f"User {user}"] if user else []
    # The first value of an option wins, also for the %-tokens of ProxyCommand.
    text = "\n".join(["Host *", *first, *(f"{keyword} {value}" for _, keyword, value in lines)])
    found = paramiko.SSHConfig.from_text(text).lookup(name)
    return {key: value if isinstance(value, list) else [value] for key, value in found.items()}


def expand(text: str, tokens: Mapping[str, str], home: Path) -> str:
    """Return a value with its tokens, environment variables and ~ replaced (ssh_config(5), TOKENS).

    ValueError names a token that is not in tokens, or a variable that is not set.
    """

    def replace(match: re.Match[str]) -> str:
        token, variable = match[1], match[2]
        if variable is not None:
            if variable not in os.environ:
                raise ValueError(f"{text}: the environment has no {variable}")
            return os.environ[variable]
        if token not in tokens:
            raise ValueError(f"{text}: %{token} is not supported here: write out what it stands for")
        return tokens[token]

    if text == "~" or text.startswith("~/"):
        text = f"{home}{text[1:]}"
    elif text.startswith("~"):
        text = os.path.expanduser(text)  # noqa: PTH111
    return re.sub(r"%(.?)|\$\{(\w+)\}", replace, text)


Lookup = Callable[[str, str, int, Path], Options]
"""As lookup()."""
