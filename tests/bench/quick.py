#!/usr/bin/env python3
"""Instructions an event in the scanner, the merge and the ledger, counted by callgrind, each held under a ceiling.

    top_builddir=BUILD python3 tests/bench/quick.py

The count of one binary is the same whatever else the machine does; another compiler or C library moves it by some
percent, which the ceilings leave room for. They stand a tenth above what was measured when they were written (gcc 12,
glibc 2.36, -O2): raise one only with the reason in the commit. Other optimization than -O2 is not held to them.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

# what, of what, rounds (few, many), things a round, ceiling: instructions for each
ROWS = (
    ("scan", "event of a page (copied, scanned, stripped of white space)", (4, 12), 500, 9300),
    ("merge", "event put and merged into a day file, half of them read again (all but SHA-256)", (2, 5), 1000, 13200),
    ("stage", "event put and merged into a day file, half of them staged before (all but SHA-256)", (2, 5), 1000, 10400),
    ("ledger", "day of a ledger, written and read (all but SHA-256)", (2, 6), 700, 7000),
)


def instructions(what, rounds, room):
    """Instructions that the program took for so many rounds."""
    archive = tempfile.mkdtemp(dir=room)
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
                           os.path.join(harness.BUILDDIR, "tests", "bench", "quick"), what, str(rounds), archive],
                          capture_output=True, text=True, check=False, env=harness.environment())
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or found is None:
        raise harness.Broken(done.stdout + done.stderr)
    return int(found.group(1))


def main():
    if shutil.which("valgrind") is None:
        print("valgrind is missing\n0 passed, 0 failed, %d skipped" % len(ROWS))
        sys.exit(77)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="orgsync-quick-") as room:
        for what, words, (few, many), things, ceiling in ROWS:
            each = (instructions(what, many, room) - instructions(what, few, room)) / ((many - few) * things)
            good = each <= ceiling
            failed += not good
            print("%-8s %8.0f instructions for each %s; ceiling %d: %s" % (
                what, each, words, ceiling, "ok" if good else "TOO MANY"), flush=True)
    print("%d passed, %d failed, 0 skipped" % (len(ROWS) - failed, failed))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
