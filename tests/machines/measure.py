"""Runs the commands of the README on every machine of rows.py, and prints the table of docs/machines.md.

    PYTHONPATH=tests python -m machines.measure --folder DIR --mirror URL [--suite NAME] [--only TEXT] [--command N]
        [--bind FILE] [--env NAME=VALUE] [--deadline SECONDS]

Needs root, debootstrap and overlayfs. Each machine is a chroot with mounts and processes of its own; what it writes is
below DIR, and only the bootstrapped distributions are kept there.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

from machines.rows import COMPONENTS, PACKAGES, ROWS, SUITES, Row

CLONE = Path(__file__).resolve().parents[2]
# Seconds for one command; the tests take the longest.
DEADLINE = 3600
_ENTER = """
set -e
mount -t overlay -o lowerdir={lower},upperdir={upper},workdir={work} none {root}
mount -t proc none {root}/proc
cp /etc/resolv.conf {root}/etc/resolv.conf
for file in {binds}; do
    mkdir -p {root}$(dirname $file); touch {root}$file; mount --bind $file {root}$file
done
exec chroot {root} env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \\
    TERM=dumb DEBIAN_FRONTEND=noninteractive {env} sh -c '
cd /src
{script}
cd {place}
begin=$(date +%s.%N)
status=0
timeout --kill-after=30 {deadline} {prefix} {command} </dev/null >/output 2>&1 || status=$?
echo "$status $begin $(date +%s.%N)"
'
"""


def main() -> int:
    """Return the exit code: 1 if any command failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--mirror", help="the mirror to bootstrap from", required=True)
    parser.add_argument("--only", default="", help="rows whose words contain this text")
    parser.add_argument("--suite", action="append", choices=SUITES)
    parser.add_argument("--bind", action="append", default=[], help="a file that the machines need, too")
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--deadline", type=int, default=DEADLINE, help="seconds for one command")
    parser.add_argument(
        "--command", type=int, choices=(0, 1), help="only the first command of each row, or the second"
    )
    args = parser.parse_args()
    write("| distribution | machine | command | exit | seconds | what it printed |")
    write("|---|---|---|---|---|---|")
    failed = False
    for suite in args.suite or ("bookworm", "trixie"):
        base = bootstrapped(args.folder, suite, args.mirror)
        for row in ROWS:
            if suite in row.suites and (args.only in row.words or row.first):
                failed |= measured(args, base, suite, row)
    return failed


def bootstrapped(folder: Path, suite: str, mirror: str) -> Path:
    """Return the root of a minimal distribution, with a copy of this clone in /src and without its .git."""
    root = folder / suite
    if not (root / "etc" / "os-release").exists():
        words = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}"]
        words += [f"--components={COMPONENTS.get(suite, 'main')}", suite, str(root), mirror]
        subprocess.run(words, check=True, stdout=sys.stderr)
    shutil.rmtree(root / "src", ignore_errors=True)
    (root / "src").mkdir()
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CLONE, capture_output=True, check=True)
    words = ["xargs", "-0", "cp", "-a", "--parents", "-t", str(root / "src")]
    subprocess.run(words, cwd=CLONE, input=listed.stdout, check=True)
    return root


def measured(args: argparse.Namespace, base: Path, suite: str, row: Row) -> bool:
    """Print the lines of one row; return whether a command failed."""
    kept = args.folder / f"{suite}.first"
    layer = kept if row.first else args.folder / f"{suite}.row"
    used = row.first and kept.exists()
    if used and args.only not in row.words:
        return False
    for place in (*(() if used else (layer,)), args.folder / "work", args.folder / "root"):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
    failed = False
    for number, command in enumerate(row.commands):
        if args.command not in (None, number) and not (row.first and not used):
            continue
        values = {
            "lower": base if row.first else f"{kept}:{base}",
            "upper": layer,
            "work": args.folder / "work",
            "root": args.folder / "root",
            "binds": " ".join(args.bind),
            "env": " ".join(args.env),
            # Mounts are gone after the first command, files are not.
            "script": script(row, suite, args.mirror) if args.command or not number else mounts(row),
            "place": row.place,
            "prefix": row.prefix.replace("'", "'\\''"),
            "command": command,
            "deadline": args.deadline,
        }
        words = [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "bash",
            "-c",
            _ENTER.format(**values),
        ]
        start = time.monotonic()
        ran = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        seconds, status, last = (
            time.monotonic() - start,
            f"setup failed with {ran.returncode}",
            ran.stderr[-200:],
        )
        if found := ran.stdout.split()[-3:]:
            status, seconds = found[0], float(found[2]) - float(found[1])
            last = summary((layer / "output").read_text(encoding="utf-8", errors="replace"))
            shutil.copy(
                layer / "output", args.folder / f"{suite}-{row.words[:12].strip('`/$ ')}-{number}.log"
            )
        failed |= status != "0"
        write(f"| {SUITES[suite]} | {row.words} | `{command}` | {status} | {seconds:.0f} | {last} |")
    if not row.first:
        shutil.rmtree(layer, ignore_errors=True)
    return failed


def write(line: str) -> None:
    """Write a line to stdout at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def script(row: Row, suite: str, mirror: str) -> str:
    """Return the script of a row, in quotes of the shell."""
    return row.script.replace("{mirror}", mirror).replace("{suite}", suite).replace("'", "'\\''")


def mounts(row: Row) -> str:
    """Return the part of a row's script that makes mounts."""
    return "\n".join(
        line for line in row.script.replace("; mount", "\nmount").splitlines() if "mount" in line
    )


def summary(output: str) -> str:
    """Return the line of a command's output that counts verdicts or tests; the last one if there is none."""
    lines = [line.strip("= ") for line in output.splitlines() if line.strip("= ")]
    counts = [line for line in lines if " asked: " in line or " passed" in line]
    return (counts or lines or [""])[-1]


if __name__ == "__main__":
    sys.exit(main())
