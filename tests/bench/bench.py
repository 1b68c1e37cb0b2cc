#!/usr/bin/env python3
"""The seven targets of docs/PERFORMANCE.md, each measured against its own floor in the same run.

    top_builddir=BUILD python3 tests/bench/bench.py [--rounds N] [--scale X] [--markdown] [ROW…]

ROWs: cpu latency limit many deep durable compressed; all without. --scale 0.1 takes a tenth of the data: to try a row
out, not to believe it. A row's figure is the median of its rounds; it ends with `ok` or `short`. The end is 1 where
one is short.
"""

import argparse
import json
import math
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time

import world
import harness

YEAR = ("--from", "2025-01-01T00:00:00Z", "--to", "2026-01-01T00:00:00Z")


class Row:
    """One measurement: figures by name, each with the most (or least) that it may be."""

    def __init__(self, name, title):
        self.name, self.title, self.figures, self.notes = name, title, [], []

    def figure(self, what, values, limit, at_least=False, unit=""):
        value = statistics.median(values)
        good = value >= limit if at_least else value <= limit
        self.figures.append((what, value, min(values), max(values), limit, at_least, unit, good))

    def note(self, text):
        self.notes.append(text)

    @property
    def ok(self):
        return all(figure[-1] for figure in self.figures)


def sync(room, config, *arguments, **options):
    """One `orgsync sync` that succeeds. The Took."""
    return world.measure([harness.program("orgsync"), "sync", "--json", "-q", "-c", config, *arguments], room,
                         **options).want()


def archive_bytes(directory):
    return sum(os.stat(os.path.join(top, name)).st_size
               for top, _, names in os.walk(directory) for name in names if "/events/" in top + "/")


# ---- 1: CPU per event --------------------------------------------------------------------------------------------

PEERS = (  # name, least that orgsync has to be better by, program of its folder
    ("curl --parallel", None, ["sh", "peers/curl-parallel/run.sh"]),
    ("xargs, curl, jq", 8, ["sh", "peers/shell/run.sh"]),
    ("Python requests", 5, ["python3", "peers/python-requests/run.py"]),
    ("dlt", None, ["python3", "peers/dlt/run.py"]),
)
HERE = os.path.dirname(os.path.abspath(__file__))


def count_events(directory, expected):
    """(lost, repeated) events among the files that a peer wrote; None where it wrote no events one a line."""
    seen, n = set(), 0
    for top, _, names in os.walk(directory):
        for name in names:
            if name.endswith(".json"):
                return None  # pages, not events
            if not name.endswith((".ndjson", ".jsonl")):
                continue
            with open(os.path.join(top, name), "rb") as lines:
                for line in lines:
                    try:
                        event = json.loads(line)
                        seen.add((event.get("orgId") or event.get("org_id"), event["id"]))
                        n += 1
                    except (ValueError, KeyError, TypeError):
                        pass
    return expected - len(seen), n - len(seen)


def row_cpu(options):
    row = Row("cpu", "CPU per event: TLS, gzip, 500 events a page")
    n_orgs, each = 8, int(50000 * options.scale)
    days = max(2, int(100 * options.scale))
    room = world.scratch()
    cert, key = world.certificate(room)
    sandbox = harness.Sandbox("--organizations", str(n_orgs), "--events", str(each), "--no-limits", "--from",
                              "2026-01-01T00:00:00Z", "--to",
                              time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(1767225600 + days * 86400)),
                              "--tls-cert", cert, "--tls-key", key)
    root, events = os.path.join(room, "root"), n_orgs * each
    os.mkdir(root)
    paths = world.write_pages(sandbox, n_orgs, root)
    nginx = world.Nginx(room, root, cert, key, world.free_port())
    urls = os.path.join(room, "urls")
    with open(urls, "w", encoding="ascii") as out:
        out.writelines("%s/%s\n" % (nginx.url, path) for path in paths)
    took = {"floor": [], "orgsync": []}
    lost, failed = {}, {}
    peers = [peer for peer in PEERS if world.can_run(os.path.join(HERE, os.path.dirname(peer[2][-1])))]

    def floor(place):
        with open(urls, encoding="ascii") as lines:
            return world.measure([world.tool("peers/floor/floor"), cert, place, "16"], room, stdin=lines).want()

    def ours(place):
        return sync(room, sandbox.config(place, more="limits: { in_flight: 16 }\n"))

    def peer_of(command, name):
        def run(place):
            with open(urls, encoding="ascii") as lines:
                done = world.measure(command[:-1] + [os.path.join(HERE, command[-1]), cert, place, "16"], room,
                                     stdin=lines)
            lost[name] = count_events(place, events)
            if done.code != 0:
                failed[name] = ([line for line in done.err.split("\n") if line.strip()] or ["?"])[-1].strip()[:100]
            return done
        return run

    try:
        for _ in range(options.rounds):
            took["floor"].append(floor(tempfile.mkdtemp(dir=room)))
            took["orgsync"].append(ours(tempfile.mkdtemp(dir=room)))
        for name, _, command in peers:
            took[name] = [peer_of(command, name)(tempfile.mkdtemp(dir=room))]
    finally:
        nginx.stop()
        sandbox.stop()
        world.discard(room)
    row.figure("of the floor's CPU", [a.cpu_s / b.cpu_s for a, b in zip(took["orgsync"], took["floor"])], 3.5)
    ours_s = statistics.median(t.cpu_s for t in took["orgsync"])
    for name, limit, _ in peers:
        if limit is not None and name in took and name not in failed:
            row.figure("times less CPU than " + name, [took[name][0].cpu_s / ours_s], limit, at_least=True)
    for name, those in took.items():
        row.note("%s: %.2f µs of CPU an event (%.2f user, %.2f system), %.1f s, %d MiB%s" % (
            name, statistics.median(t.cpu_s for t in those) / events * 1e6,
            statistics.median(t.user_s for t in those) / events * 1e6,
            statistics.median(t.system_s for t in those) / events * 1e6,
            statistics.median(t.wall_s for t in those), max(t.peak_bytes for t in those) >> 20,
            ("" if lost.get(name) is None else ", %d events lost, %d repeated" % lost[name]) +
            ("; it FAILED: " + failed[name] if name in failed else "")))
    row.note("%d events in %d pages; %d day files" % (events, len(paths), n_orgs * days))
    return row


# ---- 2: latency --------------------------------------------------------------------------------------------------

def row_latency(options):
    row = Row("latency", "1,000 organizations × 3 new pages, 100 ms an answer, digest")
    n_orgs = int(1000 * options.scale)
    for in_flight, limit in ((64, 1.10), (256, 1.25)):
        ratios, challenges, connections = [], [], []
        for _ in range(options.rounds):
            room = world.scratch(memory=True)
            sandbox = harness.Sandbox("--organizations", str(n_orgs), "--events", "110", "--silent-cap", "20", "--no-limits", "--no-gzip",
                                      "--credentials", "digest", "--latency", "100", "--from",
                                      "2026-01-01T00:00:00Z", "--to", "2026-01-03T00:00:00Z", "--now",
                                      "2026-01-02T00:00:00Z")
            try:
                config = sandbox.config(room, "--backfill-start", "2026-01-01T00:00:00Z",
                                        more="limits: { in_flight: %d }\n" % in_flight)
                sync(room, config)  # the archives are there: what is timed is the night after
                before = sandbox.stats()
                sandbox.shift(2 * 86400)
                took = sync(room, config)
                stats = sandbox.stats()
            finally:
                sandbox.stop()
                world.discard(room)
            each = [{key: value - before["organizations"][name][key] for key, value in one.items() if key != "org_id"}
                    for name, one in stats["organizations"].items()]
            requests = sum(one["requests"] for one in each)
            ratios.append(took.wall_s / (requests * 0.1 / in_flight))
            challenges.append(max(one["challenges"] for one in each))
            connections.append(stats["connections"] - before["connections"] - 2)  # two are ours: figures, clock
            row.note("%d in flight: %d requests, %.2f s, %.1f s of CPU" % (in_flight, requests, took.wall_s, took.cpu_s))
        row.figure("of the ideal, %d in flight" % in_flight, ratios, limit)
        row.figure("challenges an organization, %d in flight" % in_flight, challenges, 1)
        row.figure("connections, %d in flight" % in_flight, connections, in_flight)
    return row


# ---- 3: limits ---------------------------------------------------------------------------------------------------

def row_limit(options):
    row = Row("limit", "20 organizations × 200 pages; capacity 50, refill 25 a second")
    n_orgs, pages = 20, max(70, int(200 * options.scale))
    for headers, limit in ((True, 97), (False, 90)):
        used, refusals = [], []
        sandbox = harness.Sandbox("--organizations", str(n_orgs), "--events", str(pages * 500), "--prepared", "4000",
                                  "--credentials", "digest", "--capacity", "50", "--refill", "25", "--period", "1",
                                  *YEAR, *([] if headers else ["--no-limit-headers"]))
        try:
            for i in range(options.rounds + 1):
                room = world.scratch(memory=True)
                before, before_s = sandbox.stats()["organizations"], world.cpu_of(sandbox.process.pid)
                done = sync(room, sandbox.config(room))
                after, served_s = sandbox.stats()["organizations"], world.cpu_of(sandbox.process.pid) - before_s
                world.discard(room)
                time.sleep(2.5) # the buckets are full again
                if i == 0:
                    continue # the pages are prepared
                least = len(used)
                for entry in json.loads(done.out)["organizations"]:
                    one = {key: value - before[entry["name"]][key] for key, value in after[entry["name"]].items()
                           if isinstance(value, int)}
                    allowed = 50 + 25 * entry["elapsed_ms"] / 1000.0
                    used.append(100.0 * (one["requests"] - one["challenges"] - one["limited"]) / allowed)
                    refusals.append(one["limited"])
                row.note("%s headers: %.2f s, least %.1f %%, most 429s of one organization %d; of CPU %.1f s, the "
                         "server %.1f" % ("with" if headers else "without", done.wall_s, min(used[least:]),
                                          max(refusals[least:]), done.cpu_s, served_s))
        finally:
            sandbox.stop()
        what = "" if headers else ", learnt from 429 bodies"
        row.figure("of the allowed rate used" + what, used, limit, at_least=True, unit=" %")
        if headers:
            row.figure("429 answers, the worst organization", [max(refusals)], 1)
    return row


# ---- 4: many -----------------------------------------------------------------------------------------------------

def night(n_orgs, options, memory, floors=None):
    """[Took] of nightly runs of so many organizations that have archives, and 0 to 20 events since. floors: takes the
    seconds of CPU of the floor, which asks the same questions with the same keys."""
    nights = []
    for _ in range(options.rounds if memory else 1):
        room = world.scratch(memory=memory)
        sandbox = harness.Sandbox("--organizations", str(n_orgs), "--events", "0..40", "--no-limits", "--credentials",
                                  "digest", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-03T00:00:00Z",
                                  "--now", "2026-01-02T00:02:00Z")
        try:
            config = sandbox.config(room, "--backfill-start", "2026-01-01T00:00:00Z",
                                    more="limits: { in_flight: 64 }\n")
            sync(room, config)
            sandbox.shift(86400)
            nights.append(sync(room, config))
            if floors is not None:
                os.mkdir(os.path.join(room, "floor"))
                with open(world.digest_lines(sandbox, config, room), encoding="ascii") as lines:
                    floors.append(world.measure([world.tool("peers/floor/floor"), "-", os.path.join(room, "floor"),
                                                 "64"], room, stdin=lines).want().cpu_s)
        finally:
            sandbox.stop()
            world.discard(room)
    return nights


def row_many(options):
    row = Row("many", "10,000 organizations, 0 to 20 new events each: a nightly run")
    sizes, floors = [100, 1000, max(2000, int(10000 * options.scale))], []
    nights = {n: night(n, options, True, floors if n == max(sizes) else None) for n in sizes}
    cpu = {n: statistics.median(one.cpu_s for one in those) for n, those in nights.items()}
    most = nights[max(sizes)]
    row.figure("MB at most", [max(one.peak_bytes for one in most) / 1e6], 160)
    row.figure("ms of CPU an organization beyond the floor",
               [(one.cpu_s - floor) / max(sizes) * 1000 for one, floor in zip(most, floors)], 0.6)
    row.figure("exponent of CPU over organizations", [fitted(cpu)], 1.05)
    row.note("CPU: " + ", ".join("%d: %.2f s" % pair for pair in cpu.items()) +
             "; the floor %.2f ms an organization" % (statistics.median(floors) / max(sizes) * 1000))
    n_disk = min(2000, max(sizes))
    disk = night(n_disk, options, False)[0]
    row.note("%d archives on the disk: %.2f ms of CPU an organization (%.2f user, %.2f system); see the row durable" %
             (n_disk, disk.cpu_s / n_disk * 1000, disk.user_s / n_disk * 1000, disk.system_s / n_disk * 1000))
    return row


def fitted(points):
    """The exponent of y = c · x^k through the points, by least squares of the logarithms."""
    xs, ys = [math.log(x) for x in points], [math.log(y) for y in points.values()]
    x0, y0 = statistics.mean(xs), statistics.mean(ys)
    return sum((x - x0) * (y - y0) for x, y in zip(xs, ys)) / sum((x - x0) ** 2 for x in xs)


# ---- 5: deep -----------------------------------------------------------------------------------------------------

def row_deep(options):
    row = Row("deep", "one organization, 5 million events over two years")
    sizes = [100000, 700000, int(5000000 * options.scale)]
    cpu, peak, written, resumed = {}, [], [], []
    for events in sorted(set(sizes)):
        room = world.scratch()
        sandbox = harness.Sandbox("--organizations", "1", "--events", str(events), "--no-limits", "--no-gzip", "--from",
                                  "2024-01-01T00:00:00Z", "--to", "2026-01-01T00:00:00Z")
        try:
            # A second of work is measured three times, half a minute of it once.
            for _ in range(1 if events == max(sizes) else 3):
                place = tempfile.mkdtemp(dir=room)
                config = sandbox.config(place)
                done = sync(room, config)
                cpu.setdefault(events, []).append((done.cpu_s, done.user_s))
                peak.append(done.peak_bytes / 1e6)
            size = archive_bytes(os.path.join(place, "archives"))
            written.append(done.written_bytes / size)
            row.note("%d events: %.1f s, %.1f s of CPU (%.1f user), %.0f MB of memory, %.2f × %.0f MB written" % (
                events, done.wall_s, *statistics.median_low(cpu[events]), done.peak_bytes / 1e6, written[-1], size / 1e6))
            if events == max(sizes):
                whole = done.cpu_s
                shutil.rmtree(os.path.join(place, "archives"))
                resumed.append(interrupted(room, config, done.wall_s) / whole)
        finally:
            sandbox.stop()
            world.discard(room)
    row.figure("MB at most", [max(peak)], 64)
    row.figure("bytes written over the archive's", [written[-1]], 2.2)
    row.figure("exponent of CPU over events",
               [fitted({n: statistics.median_low(those)[0] for n, those in cpu.items()})], 1.05)
    row.figure("CPU when interrupted and resumed", resumed, 1.02)
    return row


def interrupted(room, config, whole_s):
    """Seconds of CPU of a run that is stopped half way, and of the one that goes on."""
    import signal
    process, wait = world.start([harness.program("orgsync"), "sync", "-q", "-c", config], room)
    time.sleep(whole_s / 2)
    process.send_signal(signal.SIGTERM)
    first = wait().want(143)
    return first.cpu_s + sync(room, config).cpu_s


# ---- 6: durability -----------------------------------------------------------------------------------------------

def row_durable(options):
    row = Row("durable", "10,000 small commits")
    ratios = []
    for _ in range(options.rounds):
        room = world.scratch()
        try:
            # Both trees in one directory: beside each other on the disk, whatever else is there.
            done = world.measure([world.tool("durable"), tempfile.mkdtemp(dir=room), str(int(10000 * options.scale))],
                                 room).want()
        finally:
            world.discard(room)
        ours_s, bare_s = (float(word) for word in done.out.split()[:2])
        ratios.append(ours_s / bare_s)
        row.note(done.out.strip())
    row.figure("times as long as the bare system calls", ratios, 1.3)
    return row


# ---- 7: compressed -----------------------------------------------------------------------------------------------

def row_compressed(options):
    row = Row("compressed", "output.compression: zstd against none")
    n_orgs, each, more = 8, int(25000 * options.scale), []
    room = world.scratch()
    sandbox = harness.Sandbox("--organizations", str(n_orgs), "--events", str(each), "--no-limits", "--from",
                              "2026-01-01T00:00:00Z", "--to", "2026-02-20T00:00:00Z")
    try:
        for _ in range(options.rounds):
            cpu = {}
            for kind in ("none", "zstd"):
                place = tempfile.mkdtemp(dir=room)
                cpu[kind] = sync(room, sandbox.config(place, output="compression: " + kind)).cpu_s
            more.append((cpu["zstd"] - cpu["none"]) / (n_orgs * each) * 1e6)
    finally:
        sandbox.stop()
        world.discard(room)
    row.figure("µs of CPU an event more", more, 2.5)
    return row


ROWS = {"cpu": row_cpu, "latency": row_latency, "limit": row_limit, "many": row_many, "deep": row_deep,
        "durable": row_durable, "compressed": row_compressed}


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                  if line.startswith("model name")), platform.machine())
    return "%s, %d cores, Linux %s, %s" % (model, os.cpu_count(), platform.release(), time.strftime("%Y-%m-%d"))


def number(value):
    return "%.0f" % value if abs(value) >= 100 or value == int(value) else "%.2f" % value


def show(row, markdown):
    for what, value, least, most, limit, at_least, unit, good in row.figures:
        cells = (row.title, what, number(value) + unit, "%s–%s" % (number(least), number(most)),
                 "%s %s" % ("≥" if at_least else "≤", number(limit)), "ok" if good else "**short**" if markdown else "SHORT")
        print(("| " + " | ".join(cells) + " |") if markdown else "%-10s %-52s %10s  (%s)  %s  %s" % ((row.name,) + cells[1:]))
    if not markdown:
        for note in row.notes:
            print("           " + note)
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("rows", nargs="*", default=list(ROWS), metavar="ROW")
    options = parser.parse_args()
    print(machine())
    if options.markdown:
        print("\n| row | figure | median | range | target | |\n|---|---|---|---|---|---|")
    good, rows = True, []
    for name in options.rows:
        row = ROWS[name](options)
        rows.append(row)
        show(row, options.markdown)
        good = good and row.ok
    if options.markdown:
        print()
        for row in rows:
            for note in row.notes:
                print("- %s: %s" % (row.name, note))
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
