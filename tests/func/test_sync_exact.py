#!/usr/bin/env python3
"""The main job: what is in the archives is what the server holds, to the byte, and a second run leaves it
alone."""

import datetime
import json
import os
import re
import stat
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

# Each organization's time span ends well before now, so that nothing is in motion but where a test says so.
PRECISIONS = ("cut", "round", "ms", "us")


def iso(epoch_s):
    return datetime.datetime.fromtimestamp(epoch_s, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def created(line):
    """`created` of an event as a pair that compares: the whole seconds' text, the fraction's digits."""
    text = json.loads(line)["created"]
    second, _, fraction = text.rstrip("Z").partition(".")
    return second, fraction.ljust(9, "0")


class ManyOrganizations(harness.TestCase):
    def test_two_hundred(self):
        count = 200
        options = ["--organizations", str(count), "--seed", "11", "--events", "0..260",
                   "--from", "2026-03-01T00:00:00Z", "--to", "2026-03-04T00:00:00Z",
                   "--credentials", "mixed", "--no-limits"]
        for i, precision in enumerate(PRECISIONS):
            options += ["--org", "every/%d:created=%s" % (i + 2, precision)]
        for number, setting in SPECIAL.items():
            options += ["--org", "%d:%s" % (number, setting)]
        sandbox = self.sandbox(*options)
        config = sandbox.config(self.directory)
        names = ["org%04d" % i for i in range(1, count + 1)]
        report = self.sync(config)
        events = self.assert_all_exact(sandbox, names)
        self.assertEqual(report["totals"]["events_new"], events)
        self.assertEqual(report["totals"]["up_to_date"], count)
        self.check_form(names)
        self.check_requests(sandbox, names)
        self.check_second_run(sandbox, config)

    def check_form(self, names):
        """Names of the day files, order, ids and modes."""
        for name in names:
            seen, last = set(), (("", ""), "")
            for path in harness.day_files(os.path.join(self.archives, name)):
                day = re.fullmatch(r".*/events/(\d{4})/((\d{4})-\d\d-\d\d)\.ndjson", path)
                self.assertTrue(day and day.group(1) == day.group(3), path)
                with open(path, "rb") as lines:
                    for line in lines:
                        event_id, key = json.loads(line)["id"], created(line)
                        self.assertEqual(key[0][:10], day.group(2), path)
                        self.assertLess(last, (key, event_id), path)
                        last = (key, event_id)
                        self.assertNotIn(event_id, seen)
                        seen.add(event_id)
        for directory, _, files in os.walk(self.archives):
            self.assertEqual(stat.S_IMODE(os.stat(directory).st_mode), 0o700, directory)
            for name in files:
                path = os.path.join(directory, name)
                self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600, path)

    def check_requests(self, sandbox, names):
        """Not many more questions than pages, one challenge a key and one token an account."""
        stats = sandbox.stats()
        self.assertEqual(stats["credential_violations"], 0)
        self.assertEqual(stats["redirects_followed"], 0)
        for name in names:
            one = stats["organizations"][name]
            events = len(harness.archive_lines(os.path.join(self.archives, name)))
            self.assertLessEqual(one["challenges"], 1, name)
            self.assertLessEqual(one["tokens_minted"], 1, name)
            self.assertEqual(one["challenges"] + one["tokens_minted"], 1, name)
            if int(name[3:]) not in SPECIAL:
                self.assertEqual(one["ok"], 1, (name, one))
            # A burst whose order changes from call to call is read until the readings agree, at most
            # eleven times; everything else a page at a time, or what the server gives as one.
            setting = SPECIAL.get(int(name[3:]), "")
            rows = int((re.search(r"silent-cap=(\d+)", setting) or [0, 500])[1])
            most = 3 + 2 * (events // rows)
            self.assertLessEqual(one["ok"], 11 * most if "changing" in setting else most, (name, one))

    def check_second_run(self, sandbox, config):
        before = {path: entry for path, entry in harness.tree(self.archives).items()
                  if "/events/" in path or path.startswith(".orgsync/tokens/")}
        times = {path: os.stat(os.path.join(self.archives, path)).st_mtime_ns for path in before}
        minted = sum(one["tokens_minted"] for one in sandbox.stats()["organizations"].values())
        report = self.sync(config)
        self.assertEqual(report["totals"]["events_new"], 0)
        after = {path: entry for path, entry in harness.tree(self.archives).items() if path in before}
        self.assertEqual(after, before)
        self.assertEqual({path: os.stat(os.path.join(self.archives, path)).st_mtime_ns for path in before}, times)
        stats = sandbox.stats()["organizations"]
        self.assertEqual(sum(one["tokens_minted"] for one in stats.values()), minted)
        self.assertGreater(minted, 50)


# Settings of organizations by number; what a burst adds comes to the 0 to 260 others where not said otherwise.
SPECIAL = {
    3: "burst=2026-03-02T10:00:00Z/1700",
    5: "burst=2026-03-02T10:00:00Z/1700,order=changing",
    6: "burst=2026-03-02T10:00:00.000Z/1700,created=ms,order=changing",
    8: "burst=2026-03-02T10:00:00.000Z/1700,created=round,order=changing",
    9: "burst=2026-03-01T23:59:59Z/1000,burst=2026-03-02T00:00:00Z/1000",
    10: "burst=2026-03-01T23:59:59Z/1000,burst=2026-03-02T00:00:00Z/1000,order=changing,created=us",
    11: "burst=2026-03-01T23:59:59Z/1000,burst=2026-03-02T00:00:00Z/1000,created=round",
    12: "events=499",
    14: "events=500",
    15: "events=501",
    16: "events=0",
    18: "events=0,burst=2026-03-02T10:00:00Z/499",
    20: "events=0,burst=2026-03-02T10:00:00Z/500",
    21: "events=0,burst=2026-03-02T10:00:00Z/501,order=changing",
    22: "events=0,burst=2026-03-02T10:00:00Z/500/1",
    24: "events=0,burst=2026-03-02T10:00:00.000Z/500/1,burst=2026-03-02T10:00:01.000Z/500/1",
    25: "events=0,burst=2026-03-02T23:59:59.500Z/600,created=round",
    26: "events=1000,silent-cap=100",
    27: "events=1000,count=wrong",
    28: "events=1000,json=compact",
}


class Beginning(harness.TestCase):
    def test_without_a_start_the_first_run_fetches_nothing_and_the_next_what_came_since(self):
        # The sandbox's clock stands in the future of the first run; what counts is the earlier of the two
        # clocks, so the sandbox begins an hour ago and is moved on to now.
        now = int(time.time())
        sandbox = self.sandbox("--organizations", "3", "--events", "200", "--credentials", "mixed", "--live", "1",
                               "--from", iso(now - 86400), "--to", iso(now - 7200), "--now", iso(now - 3600),
                               "--no-limits")
        config = sandbox.config(self.directory, "--backfill-start", "none", more="defaults: { settle: 0s }\n")
        report = self.sync(config)
        self.assertEqual(report["totals"]["events_new"], 0)
        names = [entry["name"] for entry in report["organizations"]]
        since = {}
        for name in names:
            self.assertEqual(harness.day_files(os.path.join(self.archives, name)), [])
            since[name] = harness.ledger(os.path.join(self.archives, name))["since"]
            # By the server's clock, which is the earlier one.
            self.assertLess(abs(datetime.datetime.fromisoformat(since[name].replace("Z", "+00:00")).timestamp()
                                - (now - 3600)), 60, since[name])
        sandbox.shift(1800)
        report = self.sync(config)
        self.assertGreater(report["totals"]["events_new"], 3 * 1700)
        for name in names:
            covered = harness.ledger(os.path.join(self.archives, name))["covered"]
            self.assert_all_exact(sandbox, [name], begin=since[name], end=covered[-1]["to"])
            self.assertEqual(covered[0]["from"], since[name])

    def test_a_start_moved_back_fetches_just_the_gap(self):
        sandbox = self.sandbox("--organizations", "2", "--events", "4000", "--from", "2026-03-01T00:00:00Z",
                               "--to", "2026-03-05T00:00:00Z", "--credentials", "mixed", "--no-limits")
        names = ["org0001", "org0002"]
        config = sandbox.config(self.directory, "--backfill-start", "2026-03-04T00:00:00Z")
        self.sync(config)
        self.assert_all_exact(sandbox, names, begin="2026-03-04T00:00:00Z")
        kept = {path: entry for path, entry in harness.tree(self.archives).items() if path.endswith("03-04.ndjson")}
        self.assertEqual(len(kept), 2)
        before = sandbox.stats()["organizations"]
        config = sandbox.config(self.directory, "--backfill-start", "2026-03-03T00:00:00Z")
        plan = harness.orgsync("plan", "--json", "-c", config)
        self.assert_code(plan, 0)
        for name in names:
            ranges = [r for r in harness.of(json.loads(plan.out), name)["ranges"] if r["why"] == "older_history"]
            self.assertEqual([(r["from"], r["to"]) for r in ranges],
                             [("2026-03-03T00:00:00Z", "2026-03-04T00:00:00Z")])
        self.sync(config)
        self.assert_all_exact(sandbox, names, begin="2026-03-03T00:00:00Z")
        for name in names:
            after, events = sandbox.counts(name), len(sandbox.events(name, "--between", "2026-03-03T00:00:00Z",
                                                                     "2026-03-04T00:00:00Z"))
            # Each page's oldest second is read again with the next page, and no more.
            self.assertLess(after["rows"] - before[name]["rows"], events + 100)
            self.assertLessEqual(after["ok"] - before[name]["ok"], events // 500 + 4)
        after = harness.tree(self.archives)
        self.assertEqual({path: after[path] for path in kept}, kept)

    def test_all_is_everything(self):
        sandbox = self.sandbox("--organizations", "1", "--events", "1300", "--from", "2013-01-01T00:00:00Z",
                               "--to", "2026-03-05T00:00:00Z", "--no-limits")
        report = self.sync(sandbox.config(self.directory, "--backfill-start", "all"))
        self.assertEqual(report["totals"]["events_new"], 1300)
        self.assert_all_exact(sandbox, ["org0001"])
        self.assertLessEqual(sandbox.counts("org0001")["ok"], 5)


class Live(harness.TestCase):
    def test_read_while_it_grows_with_late_events(self):
        now = int(time.time())
        sandbox = self.sandbox("--organizations", "2", "--events", "800", "--live", "3", "--late", "0.2:600",
                               "--from", iso(now - 90000), "--to", iso(now - 4000), "--now", iso(now - 3600),
                               "--order", "changing", "--no-limits")
        config = sandbox.config(self.directory, more="defaults: { settle: 10s, overlap: 20m }\n")
        names = ["org0001", "org0002"]
        for _ in range(4):
            self.sync(config)
            sandbox.shift(700)
        self.sync(config)
        for name in names:
            final = harness.ledger(os.path.join(self.archives, name))["covered"]
            self.assertEqual(len(final) >= 1, True)
        # All that the server shows up to ten minutes ago has appeared by now.
        end = sandbox.stats()["now_ms"] // 1000 - 640
        for name in names:
            lines = [line for line in harness.archive_lines(os.path.join(self.archives, name))
                     if created(line)[0] + "Z" < iso(end)]
            self.assertEqual(harness.difference(lines, sandbox.events_now(name, end=iso(end))), "")


if __name__ == "__main__":
    harness.main()
