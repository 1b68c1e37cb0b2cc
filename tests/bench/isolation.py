#!/usr/bin/env python3
"""What one organization costs the others: the makespan of 49 alone, beside one that hangs, and beside one whose
pages are of 100 MB.

    top_builddir=BUILD python3 tests/bench/isolation.py [ROUNDS]

Each round runs the three once, one after the other, so that what else the machine does falls on all of them; the
medians are compared. The simulated server runs on the same machine: what it takes to make a page of 100 MB it
takes from the others, too, so that of a machine with few cores the third row says more about the server than
about orgsync. Archives go to /dev/shm where there is one: a disk's moods are not what is measured.
"""

import json
import os
import resource
import shutil
import statistics
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

OTHERS = 49
COMMON = ["--organizations", str(OTHERS + 1), "--events", "4000", "--latency", "400", "--no-limits", "--no-gzip"]
LIMITS = "limits: { silence_timeout: 1s, retries: 3, backoff: 500ms, in_flight: 64 }\n"
CASES = (
    ("49 alone", [], ["--exclude", "org0001"]),
    ("and one that hangs", ["--org", "1:fault=hang:1"], []),
    ("and one of 100 MB pages", ["--org", "1:event-bytes=200000,events=1500"], []),
)


def measure(sandbox, arguments):
    """(milliseconds until the last of the 49 ended, what came of the first)."""
    room = tempfile.mkdtemp(prefix="orgsync-bench-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        config = sandbox.config(room, more=LIMITS)
        done = harness.orgsync("sync", "--json", "-q", "-c", config, *arguments)
        document = json.loads(done.out)
        others = [entry for entry in document["organizations"] if entry["name"] != "org0001"]
        if len(others) != OTHERS or any(entry["outcome"] != "up_to_date" for entry in others):
            raise harness.Broken(str(done))
        first = [entry for entry in document["organizations"] if entry["name"] == "org0001"]
        return (max(entry["elapsed_ms"] for entry in others),
                first[0]["outcome"].replace("_", " ") + ", %d requests" % first[0]["requests"] if first else "-")
    finally:
        shutil.rmtree(room)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    sandboxes = [harness.Sandbox(*COMMON, *options) for _, options, _ in CASES]
    times, seen = [[] for _ in CASES], [""] * len(CASES)
    try:
        for _ in range(rounds):
            for i, (_, _, arguments) in enumerate(CASES):
                elapsed, seen[i] = measure(sandboxes[i], arguments)
                times[i].append(elapsed)
    finally:
        for sandbox in sandboxes:
            sandbox.stop()
    base = statistics.median(times[0])
    print("%-26s %10s %10s %10s %8s  %s" % ("makespan of the 49, ms", "median", "least", "most", "against", "the other"))
    for (name, _, _), those, what in zip(CASES, times, seen):
        median = statistics.median(those)
        print("%-26s %10d %10d %10d %+7.1f%%  %s" % (name, median, min(those), max(those),
                                                     100.0 * (median - base) / base, what))
    print("%d rounds; load %.1f on %d cores; %.1f s of CPU" %
          (rounds, os.getloadavg()[0], os.cpu_count(), sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])))


if __name__ == "__main__":
    main()
