#!/usr/bin/env python3
"""The seven targets of docs/PERFORMANCE.md, each measured against its own floor in the same run.

    top_builddir=BUILD python3 tests/bench/bench.py [--rounds N] [--scale X] [--markdown] [ROW…]

ROWs: cpu latency limit many deep durable compressed; all without. --scale 0.1 takes a tenth of the data: to try a row
out, not to believe it. A row's figure is the median of its rounds; it ends with `ok` or `short`. The end is 1 where
one is short. Events are counted in what was archived, by reading the files: where one is lost or repeated, a row is
short, or everything ends.
"""

import argparse
import json
import math
import os
import platform
import re
import signal
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

PEERS = (  # name, least that orgsync has to be better by, whether it has a turn in each round, program of its folder
    ("curl --parallel", None, False, ["sh", "peers/curl-parallel/run.sh"]),
    ("xargs, curl, jq", 8, False, ["sh", "peers/shell/run.sh"]),
    ("Python requests", 5, True, ["python3", "peers/python-requests/run.py"]),
    ("dlt", None, False, ["python3", "peers/dlt/run.py"]),
)
HERE = os.path.dirname(os.path.abspath(__file__))


class Contest:
    """The same pages for everybody: from the sandbox for orgsync, from nginx for the floor and the peers. Each turn has
    a directory of its own, which stays until all is counted."""

    def __init__(self, n_orgs, each, days):
        self.room, self.expected = world.scratch(), {"org%04d" % i: each for i in range(1, n_orgs + 1)}
        self.events, self.failed, self.turns, self.beside = n_orgs * each, {}, {}, {}
        self.cert, key = world.certificate(self.room)
        self.sandbox = harness.Sandbox("--organizations", str(n_orgs), "--events", str(each), "--no-limits", "--from",
                                       "2026-01-01T00:00:00Z", "--to",
                                       time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(1767225600 + days * 86400)),
                                       "--tls-cert", self.cert, "--tls-key", key)
        root, self.urls = os.path.join(self.room, "root"), os.path.join(self.room, "urls")
        os.mkdir(root)
        paths = world.write_pages(self.sandbox, n_orgs, root)
        self.pages = len(paths)
        self.nginx = world.Nginx(self.room, root, self.cert, key, world.free_port())
        with open(self.urls, "w", encoding="ascii") as out:
            out.writelines("%s/%s\n" % (self.nginx.url, path) for path in paths)

    def stop(self):
        self.nginx.stop()
        self.sandbox.stop()
        world.discard(self.room)

    def orgsync(self):
        place = tempfile.mkdtemp(dir=self.room)
        took = sync(self.room, self.sandbox.config(place, more="limits: { in_flight: 16 }\n"))
        world.forget(place)
        self.turns.setdefault("orgsync", []).append((took, place))

    def other(self, name, command):
        """A turn of the floor or of a peer, and beside it orgsync's last one. A peer that failed gets no other."""
        if name in self.failed:
            return
        place = tempfile.mkdtemp(dir=self.room)
        with open(self.urls, encoding="ascii") as lines:
            took = world.measure(command + [self.cert, place, "16"], self.room, stdin=lines)
        if took.code != 0:
            self.failed[name] = ([line for line in took.err.split("\n") if line.strip()] or ["?"])[-1].strip()[:100]
        world.forget(place)
        self.turns.setdefault(name, []).append((took, place))
        if "orgsync" in self.turns:
            self.beside.setdefault(name, []).append(self.turns["orgsync"][-1][0])

    def count(self):
        """(lost, repeated) events by name, of all turns. Last of all: who reads what was written changes what the
        machine has in memory."""
        return {name: tuple(map(sum, zip(*(world.archived(os.path.join(place, "archives"), self.expected)
                                           if name == "orgsync" else world.fetched(place, self.events)
                                           for _, place in turns)))) for name, turns in self.turns.items()}


def hold_contest(contest, rounds):
    """Who has a limit and can be waited for takes turns with orgsync and the floor, which have five at least; who takes
    half a minute has one turn, just after one of orgsync's; the others are there for their notes."""
    peers = [(name, limit, often, command[:-1] + [os.path.join(HERE, command[-1])])
             for name, limit, often, command in PEERS
             if world.can_run(os.path.join(HERE, os.path.dirname(command[-1])))]
    for i in range(max(5, rounds)):
        contest.other("floor", [world.tool("peers/floor/floor")])
        contest.orgsync()
        for name, _, often, command in peers:
            if often and i < rounds:
                contest.other(name, command)
    for name, limit, often, command in peers:
        if not often:
            if limit is not None:
                contest.orgsync()
            contest.other(name, command)


def row_cpu(options):
    row = Row("cpu", "CPU per event: TLS, gzip, 500 events a page")
    days = max(2, int(100 * options.scale))
    contest = Contest(8, int(50000 * options.scale), days)
    try:
        hold_contest(contest, options.rounds)
        wrong = contest.count()
    finally:
        contest.stop()
    if "floor" in contest.failed or wrong["floor"] != (0, 0):
        raise harness.Broken("the floor: %s, %d events lost, %d repeated" %
                             (contest.failed.get("floor", "it ended well"), *wrong["floor"]))
    took = {name: [one for one, _ in turns] for name, turns in contest.turns.items()}
    row.figure("of the floor's CPU", [a.cpu_s / b.cpu_s for a, b in zip(took["orgsync"], took["floor"])], 3.5)
    for name, limit, _, _ in PEERS:
        if name not in took:
            row.note("%s: not measured, its runtime is not here" % name)
        elif limit is not None and name not in contest.failed:
            row.figure("times less CPU than " + name,
                       [a.cpu_s / b.cpu_s for a, b in zip(took[name], contest.beside[name])], limit, at_least=True)
    row.figure("events lost or repeated", [sum(wrong["orgsync"])], 0)
    for name, those in took.items():
        note_contestant(row, name, those, contest, wrong[name])
    row.note("%d events in %d pages; %d day files" % (contest.events, contest.pages, len(contest.expected) * days))
    return row


def note_contestant(row, name, those, contest, wrong):
    """What it took. Nothing is said of the cost of an event where not all were fetched."""
    def median_of(what):
        return statistics.median(getattr(took, what) for took in those)

    each_us = 1e6 / contest.events
    if name in contest.failed:
        text = "FAILED, %s; %.1f s of CPU" % (contest.failed[name], those[-1].cpu_s)
    else:
        text = "%.2f µs of CPU an event (%.2f user, %.2f system)" % (
            median_of("cpu_s") * each_us, median_of("user_s") * each_us, median_of("system_s") * each_us)
    row.note("%s: %s, %.1f s, %d MiB, %d events lost, %d repeated%s" % (
        name, text, median_of("wall_s"), max(took.peak_bytes for took in those) >> 20, *wrong,
        ", in %d turns" % len(those) if len(those) > 1 else ""))


# ---- 2: latency --------------------------------------------------------------------------------------------------

def row_latency(options):
    row = Row("latency", "1,000 organizations × 3 new pages, 100 ms an answer, digest")
    n_orgs = int(1000 * options.scale)
    for in_flight, limit in ((64, 1.10), (256, 1.25)):
        ratios, challenges, connections = [], [], []
        for _ in range(options.rounds):
            room = world.scratch(memory=True)
            sandbox = harness.Sandbox("--organizations", str(n_orgs), "--events", "110", "--silent-cap", "20",
                                      "--no-limits", "--no-gzip", "--credentials", "digest", "--latency", "100",
                                      "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-03T00:00:00Z",
                                      "--now", "2026-01-02T00:00:00Z")
            try:
                config = sandbox.config(room, "--backfill-start", "2026-01-01T00:00:00Z",
                                        more="limits: { in_flight: %d }\n" % in_flight)
                sync(room, config)  # the archives are there: what is timed is the night after
                before = sandbox.stats()
                sandbox.shift(2 * 86400)
                took = sync(room, config)
                stats = sandbox.stats()
                world.want_archived(os.path.join(room, "archives"), dict.fromkeys(stats["organizations"], 110))
            finally:
                sandbox.stop()
                world.discard(room)
            each = [{key: value - before["organizations"][name][key] for key, value in one.items() if key != "org_id"}
                    for name, one in stats["organizations"].items()]
            requests = sum(one["requests"] for one in each)
            ratios.append(took.wall_s / (requests * 0.1 / in_flight))
            challenges.append(max(one["challenges"] for one in each))
            connections.append(stats["connections"] - before["connections"] - 2)  # two are ours: figures, clock
            row.note("%d in flight: %d requests, %.2f s, %.1f s of CPU" % (in_flight, requests, took.wall_s,
                                                                           took.cpu_s))
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
                ended = time.monotonic()
                world.want_archived(os.path.join(room, "archives"), dict.fromkeys(after, pages * 500), count_only=True)
                world.discard(room)
                time.sleep(max(0, ended + 2.5 - time.monotonic())) # the buckets are full again
                if i == 0:
                    continue # the pages are prepared
                answered, allowed, limited = allowance(done, before, after)
                used.append(100.0 * sum(answered) / sum(allowed))
                refusals.append(max(limited))
                row.note("%s headers: %.2f s, the least organization %.1f %%, most 429s of one %d; of CPU %.1f s, the "
                         "server %.1f" % ("with" if headers else "without", done.wall_s,
                                          min(100.0 * a / b for a, b in zip(answered, allowed)), max(limited),
                                          done.cpu_s, served_s))
        finally:
            sandbox.stop()
        what = "" if headers else ", learnt from 429 bodies"
        row.figure("of the allowed rate used" + what, used, limit, at_least=True, unit=" %")
        row.figure("429 answers, the worst organization" + what, [max(refusals)], 1)
    return row


def allowance(done, before, after):
    """What was answered, what may be answered in the time it took, and 429s: each a list, by organization."""
    answered, allowed, limited = [], [], []
    for entry in json.loads(done.out)["organizations"]:
        one = {key: value - before[entry["name"]][key] for key, value in after[entry["name"]].items()
               if isinstance(value, int)}
        answered.append(one["requests"] - one["challenges"] - one["limited"])
        allowed.append(50 + 25 * entry["elapsed_ms"] / 1000.0)
        limited.append(one["limited"])
    return answered, allowed, limited


# ---- 4: many -----------------------------------------------------------------------------------------------------

def night(n_orgs, options, memory, floors=None):
    """[Took] of nightly runs of so many organizations that have archives, and 0 to 20 events since. floors: takes the
    seconds of CPU of the floor, which asks the same questions with the same keys."""
    nights = []
    for _ in range(options.rounds):
        room = world.scratch(memory=memory)
        sandbox = harness.Sandbox("--organizations", str(n_orgs), "--events", "0..40", "--no-limits", "--credentials",
                                  "digest", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-03T00:00:00Z",
                                  "--now", "2026-01-02T00:02:00Z")
        try:
            config = sandbox.config(room, "--backfill-start", "2026-01-01T00:00:00Z",
                                    more="limits: { in_flight: 64 }\n")
            sync(room, config)
            sandbox.shift(86400)
            if floors is None:
                nights.append(sync(room, config))
            else:
                both = beside_floor(sandbox, config, room)
                nights.append(both[0])
                floors.append(both[1].cpu_s)
            # The last of them is two minutes old, which is as old as events have to be by default.
            world.want_archived(os.path.join(room, "archives"), world.events_asked(sandbox))
        finally:
            sandbox.stop()
            world.discard(room)
    return nights


def beside_floor(sandbox, config, room):
    """The Tooks of the night and of the floor, which is given as many rows, or it was not asked the same."""
    def rows():
        return sum(one["rows"] for one in sandbox.stats()["organizations"].values())

    plan = harness.orgsync("plan", "--json", "-c", config)
    if plan.code != 0:
        raise harness.Broken(str(plan))
    place = os.path.join(room, "floor")
    os.mkdir(place)
    seen = [rows()]
    ours = sync(room, config)
    seen.append(rows())
    with open(world.digest_lines(sandbox, config, json.loads(plan.out), room), encoding="ascii") as lines:
        floor = world.measure([world.tool("peers/floor/floor"), "-", place, "64"], room, stdin=lines).want()
    seen.append(rows())
    if seen[1] - seen[0] != seen[2] - seen[1]:
        raise harness.Broken("the night was given %d rows, the floor %d" % (seen[1] - seen[0], seen[2] - seen[1]))
    return ours, floor


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
    floor_ms = statistics.median(floors) / max(sizes) * 1000
    row.note("CPU: " + ", ".join("%d: %.2f s" % pair for pair in cpu.items()) +
             "; the floor %.2f ms an organization" % floor_ms)
    on_disk(row, options, min(2000, max(sizes)), floor_ms)
    return row


def on_disk(row, options, n_orgs, floor_ms):
    """The same night on a disk, where most of the CPU is the system's: what the calls of a commit take, bare, is no
    more ours to save than the fetching is."""
    disk = night(n_orgs, options, False)
    bare = [small_commits(2000) for _ in disk]
    row.figure("ms on a disk, beyond the floor and a commit's bare calls",
               [one.cpu_s / n_orgs * 1000 - floor_ms - calls.bare_cpu_ms for one, calls in zip(disk, bare)], 0.6)
    for one, calls in zip(disk, bare):
        row.note("%d archives on a disk: %.2f ms of CPU an organization (%.2f user, %.2f system); the bare calls of a "
                 "commit %.2f ms" % (n_orgs, one.cpu_s / n_orgs * 1000, one.user_s / n_orgs * 1000,
                                     one.system_s / n_orgs * 1000, calls.bare_cpu_ms))


def fitted(points):
    """The exponent of y = c · x^k through the points, by least squares of the logarithms."""
    xs, ys = [math.log(x) for x in points], [math.log(y) for y in points.values()]
    x0, y0 = statistics.mean(xs), statistics.mean(ys)
    return sum((x - x0) * (y - y0) for x, y in zip(xs, ys)) / sum((x - x0) ** 2 for x in xs)


# ---- 5: deep -----------------------------------------------------------------------------------------------------

class Deep:
    """An archive of one organization's history, by one run or by two: what they took together."""

    def __init__(self, place, tooks, requests):
        self.place, self.requests = place, requests
        self.cpu_s, self.user_s, self.wall_s, self.written_bytes = (
            sum(getattr(took, what) for took in tooks) for what in ("cpu_s", "user_s", "wall_s", "written_bytes"))
        self.peak_bytes = max(took.peak_bytes for took in tooks)

    @property
    def archives(self):
        return os.path.join(self.place, "archives")


def requests_of(sandbox):
    return sum(one["requests"] for one in sandbox.stats()["organizations"].values())


def deep_whole(sandbox, room):
    """One run. Its directory stays: see world.discard()."""
    place, before = tempfile.mkdtemp(dir=room), requests_of(sandbox)
    took = sync(room, sandbox.config(place))
    world.forget(place)
    return Deep(place, [took], requests_of(sandbox) - before)


def deep_ended(sandbox, room, whole, number):
    """A run that a signal ends when half of the questions were asked, and the one that goes on."""
    place, before = tempfile.mkdtemp(dir=room), requests_of(sandbox)
    config = sandbox.config(place)
    process, wait = world.start([harness.program("orgsync"), "sync", "-q", "-c", config], room)
    while requests_of(sandbox) - before < whole.requests / 2:
        if process.poll() is not None:
            wait().want(128 + number)
        time.sleep(0.05)
    world.signal_child(process, number)
    first = wait().want(128 + number)
    tooks = [first, sync(room, config)]
    world.forget(place)
    return Deep(place, tooks, requests_of(sandbox) - before)


def row_deep(options):
    row = Row("deep", "one organization, 5 million events over two years")
    sizes, runs, peaks, wrong = sorted({100000, 700000, int(5000000 * options.scale)}), {}, [], 0
    for events in sizes:
        room, ended = world.scratch(), {}
        sandbox = harness.Sandbox("--organizations", "1", "--events", str(events), "--no-limits", "--no-gzip", "--from",
                                  "2024-01-01T00:00:00Z", "--to", "2026-01-01T00:00:00Z")
        try:
            # A second of work is measured three times, half a minute of it once.
            runs[events] = [deep_whole(sandbox, room) for _ in range(1 if events == sizes[-1] else 3)]
            if events == sizes[-1]:
                ended = {what: deep_ended(sandbox, room, runs[events][0], number)
                         for what, number in (("interrupted and resumed", signal.SIGTERM),
                                              ("killed and run again", signal.SIGKILL))}
            all_runs = runs[events] + list(ended.values())
            wrong += sum(sum(world.archived(run.archives, {"org0001": events})) for run in all_runs)
            peaks.append(max(run.peak_bytes for run in all_runs))
            note_deep(row, events, runs[events], peaks[-1])
        finally:
            sandbox.stop()
            world.discard(room)
    whole = runs[sizes[-1]][0]
    row.figure("MB at most", [max(peaks) / 1e6], 64)
    row.figure("bytes written over the archive's", [whole.written_bytes / archive_bytes(whole.archives)], 2.2)
    for what, attribute in (("CPU", "cpu_s"), ("elapsed time", "wall_s")):
        row.figure("exponent of %s over events" % what,
                   [fitted({n: statistics.median(getattr(run, attribute) for run in those)
                            for n, those in runs.items()})], 1.05)
    row.figure("CPU when interrupted and resumed", [ended["interrupted and resumed"].cpu_s / whole.cpu_s], 1.02)
    for what, run in ended.items():
        # These are nearly the same in each run, as CPU is not: they show what was done twice.
        row.figure("requests when " + what, [run.requests / whole.requests], 1.02)
        row.figure("bytes written when " + what, [run.written_bytes / whole.written_bytes], 1.02)
        row.note("%s: %.1f s, %.3f of the CPU, %d requests instead of %d, %.0f MB written instead of %.0f" % (
            what, run.wall_s, run.cpu_s / whole.cpu_s, run.requests, whole.requests, run.written_bytes / 1e6,
            whole.written_bytes / 1e6))
    row.figure("events lost or repeated", [wrong], 0)
    return row


def note_deep(row, events, runs, peak_bytes):
    size = archive_bytes(runs[0].archives)
    row.note("%d events: %.1f s, %.1f s of CPU (%.1f user), %.0f MB of memory, %.2f × %.0f MB written" % (
        events, *(statistics.median(getattr(run, what) for run in runs) for what in ("wall_s", "cpu_s", "user_s")),
        peak_bytes / 1e6, statistics.median(run.written_bytes for run in runs) / size, size / 1e6))


# ---- 6: durability -----------------------------------------------------------------------------------------------

class Commits:
    """What the tool `durable` says of so many commits: seconds of them and of their bare calls, and of the bare calls
    of one commit the CPU."""

    def __init__(self, text):
        found = re.match(r"([\d.]+) ([\d.]+) seconds .*; of CPU [\d.]+ and ([\d.]+) ms a commit", text)
        if not found:
            raise harness.Broken("durable: " + text)
        self.text = text.strip()
        self.ours_s, self.bare_s, self.bare_cpu_ms = (float(word) for word in found.groups())


def small_commits(n):
    room = world.scratch()
    try:
        # Both trees in one directory: beside each other on the disk, whatever else is there.
        return Commits(world.measure([world.tool("durable"), tempfile.mkdtemp(dir=room), str(n)], room).want().out)
    finally:
        world.discard(room)


def row_durable(options):
    row = Row("durable", "10,000 small commits")
    # An fsync takes what the disk makes of it: one measurement alone has been 0.74, and 1.33.
    those = [small_commits(int(10000 * options.scale)) for _ in range(max(5, options.rounds))]
    row.figure("times as long as the bare system calls", [one.ours_s / one.bare_s for one in those], 1.3)
    for one in those:
        row.note("%.2f: %s" % (one.ours_s / one.bare_s, one.text))
    return row


# ---- 7: compressed -----------------------------------------------------------------------------------------------

def row_compressed(options):
    row = Row("compressed", "output.compression: zstd against none")
    n_orgs, each, took, places = 8, int(25000 * options.scale), {"none": [], "zstd": []}, []
    room = world.scratch()
    sandbox = harness.Sandbox("--organizations", str(n_orgs), "--events", str(each), "--no-limits", "--from",
                              "2026-01-01T00:00:00Z", "--to", "2026-02-20T00:00:00Z")

    def run(kind):
        places.append(tempfile.mkdtemp(dir=room))
        done = sync(room, sandbox.config(places[-1], output="compression: " + kind))
        world.forget(places[-1])
        return done

    try:
        run("zstd") # whoever is first pays for what nobody has used yet
        # A pair is a second or two, and one alone is noise. Who is second finds the disk busy with the first.
        for i in range(max(5, options.rounds)):
            for kind in ("none", "zstd") if i % 2 == 0 else ("zstd", "none"):
                took[kind].append(run(kind))
        for place in places:
            world.want_archived(os.path.join(place, "archives"), {"org%04d" % i: each for i in range(1, n_orgs + 1)})
    finally:
        sandbox.stop()
        world.discard(room)
    more = {what: [(getattr(b, what) - getattr(a, what)) / (n_orgs * each) * 1e6
                   for a, b in zip(took["none"], took["zstd"])] for what in ("cpu_s", "user_s")}
    row.figure("µs of CPU an event more", more["cpu_s"], 2.5)
    row.note("of user CPU alone %.2f µs (%.2f to %.2f); each pair, all CPU: %s" % (
        statistics.median(more["user_s"]), min(more["user_s"]), max(more["user_s"]),
        ", ".join("%.2f" % one for one in more["cpu_s"])))
    row.note("µs of CPU an event: none %.2f, zstd %.2f" % tuple(
        statistics.median(one.cpu_s for one in those) / (n_orgs * each) * 1e6 for those in took.values()))
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
                 "%s %s" % ("≥" if at_least else "≤", number(limit)),
                 "ok" if good else "**short**" if markdown else "SHORT")
        print("| " + " | ".join(cells) + " |" if markdown else
              "%-10s %-60s %10s  (%s)  %s  %s" % ((row.name,) + cells[1:]))
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
