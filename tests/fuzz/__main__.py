"""python -m fuzz [PARSER|all] [COUNT] [SEED] [DIRECTORY]: a long run; inputs that are defects go to the directory."""

import hashlib
import sys
import time
from pathlib import Path

from fuzz import run
from fuzz.parsers import PARSERS


def _say(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(name="all", count="10000", seed="0", directory="."):
    failures = 0
    for parser in PARSERS.values() if name == "all" else [PARSERS[name]]:
        begin, known, slowest = time.monotonic(), {}, 0.0
        for number, data in enumerate(run.mutations(parser, seed, int(count))):
            started = time.process_time()
            before = run.peak()
            found = run.defect(parser, data)
            slowest = max(slowest, time.process_time() - started)
            if not found and run.peak() - before > run.MEMORY_MAX:
                found = f"took {(run.peak() - before) >> 20} MB"
            # The same words mean the same defect, mostly.
            if found and found[:60] not in known:
                path = Path(directory) / f"{parser.name}-{hashlib.sha256(data).hexdigest()[:12]}"
                path.write_bytes(data)
                known[found[:60]] = path
                _say(f"{parser.name}: input {number}, {path} ({len(data)} bytes): {found}")
        failures += len(known)
        _say(
            f"{parser.name}: {count} inputs, {len(known)} defects, {time.monotonic() - begin:.0f} s, "
            f"slowest {slowest:.2f} s, {run.peak() >> 20} MB",
        )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
