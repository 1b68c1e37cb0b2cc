#!/usr/bin/env python3
"""What one organization costs the others: the makespan of 49 alone, and beside one that hangs, is slow, sends pages
of 100 MB, is refused, or answers with nothing but rubbish. The bound is 5 %.

    top_srcdir=SOURCE top_builddir=BUILD python3 tests/bench/isolation.py [ROUNDS]          (or: make bench-isolation)

A round runs the 49 alone, then each case, then the 49 alone again; what a case costs is its time against the mean
of the two, and the median over the rounds is what counts. So what else the machine does falls on all of them; on
one that is busy with other things the figures say little all the same, and the load is printed with them.

The simulated server runs on the same machine and is part of what is measured: a page of 100 MB has to be made and
sent before it can be read, with processor time that the 49 would have had. It is made by filling memory, which is
as cheap as it can be, and the server is nice(1)d, so that orgsync goes before it. Archives go to /dev/shm where
there is one: a disk's moods are not what is measured.
"""

import json
import os
import shutil
import statistics
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

OTHERS = 49
BOUND_PERCENT = 5.0
COMMON = ["--organizations", str(OTHERS + 1), "--events", "6000", "--latency", "600", "--no-limits", "--no-gzip"]
LIMITS = "limits: { silence_timeout: 2s, retries: 3, backoff: 500ms, in_flight: 64 }\n"
CASES = (
    ("hangs", "1:fault=hang:1"),
    ("takes 20 s for an answer", "1:latency=20000,events=400"),
    ("sends pages of 100 MB", "1:event-bytes=200000,events=1500"),
    ("is refused", "1:refuse=bad-key"),
    ("answers with rubbish", "1:fault=malformed:1"),
)
# The slow one is still waited for when the others are long done: the run may end without it.
SLOW = {"takes 20 s for an answer": "limits: { silence_timeout: 60s, deadline: 60s, in_flight: 64 }\n"}


def measure(sandbox, limits, *arguments):
    """(milliseconds until the last of the 49 ended, what came of the first)."""
    room = tempfile.mkdtemp(prefix="orgsync-bench-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        done = harness.orgsync("sync", "--json", "-q", "-c", sandbox.config(room, more=limits), *arguments)
        document = json.loads(done.out)
        others = [entry for entry in document["organizations"] if entry["name"] != "org0001"]
        if len(others) != OTHERS or any(entry["outcome"] != "up_to_date" for entry in others):
            raise harness.Broken(str(done))
        first = [entry for entry in document["organizations"] if entry["name"] == "org0001"]
        return (max(entry["elapsed_ms"] for entry in others),
                first[0]["outcome"].replace("_", " ") + ", %d requests" % first[0]["requests"] if first else "")
    finally:
        shutil.rmtree(room)


def alone(sandbox):
    return measure(sandbox, LIMITS, "--exclude", "org0001")[0]


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    nice = lambda: os.nice(5)
    plain = harness.Sandbox(*COMMON, preexec_fn=nice)
    sandboxes = {name: harness.Sandbox(*COMMON, "--org", trouble, preexec_fn=nice) for name, trouble in CASES}
    bases, shares, seen = [], {name: [] for name, _ in CASES}, {}
    load = os.getloadavg()[0]
    try:
        for _ in range(rounds):
            before, times = alone(plain), {}
            for name, sandbox in sandboxes.items():
                times[name], seen[name] = measure(sandbox, SLOW.get(name, LIMITS))
            after = alone(plain)
            bases += [before, after]
            for name, elapsed in times.items():
                shares[name].append(200.0 * elapsed / (before + after) - 100.0)
    finally:
        for sandbox in (plain, *sandboxes.values()):
            sandbox.stop()
    short = False
    print("%d organizations alone: %d ms (%d to %d)" % (OTHERS, statistics.median(bases), min(bases), max(bases)))
    print("%-28s %8s %8s %8s        %s" % ("beside one that", "median", "least", "most", "what came of it"))
    for name, those in shares.items():
        median = statistics.median(those)
        short |= median >= BOUND_PERCENT
        print("%-28s %+7.1f%% %+7.1f%% %+7.1f%%  %-5s %s" % (name, median, min(those), max(those),
              "ok" if median < BOUND_PERCENT else "short", seen[name]))
    print("%d rounds on %d cores, load %.1f before and %.1f after; below %.0f %% is asked for: %s" %
          (rounds, os.cpu_count(), load, os.getloadavg()[0], BOUND_PERCENT, "short" if short else "ok"))
    sys.exit(1 if short else 0)


if __name__ == "__main__":
    main()
