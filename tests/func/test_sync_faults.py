#!/usr/bin/env python3
"""A server that fails in every way the simulated one can: what ends up in the archives is exact all the same, and what
cannot be had is reported, not hidden."""

import datetime
import hashlib
import http.server
import json
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

DAYS = ["--from", "2026-03-01T00:00:00Z", "--to", "2026-03-06T00:00:00Z"]
KINDS = ("429", "500", "503", "reset", "truncate", "malformed", "stale", "redirect", "hang", "gateway", "empty")


def iso(epoch_s):
    return datetime.datetime.fromtimestamp(epoch_s, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Faults(harness.TestCase):
    def until_exact(self, sandbox, config, names, runs):
        """Runs sync until all is up to date, at most so often. The reports."""
        reports = []
        for _ in range(runs):
            done = harness.orgsync("sync", "--json", "-q", "-c", config)
            self.assertIn(done.code, (0, 3, 4), done)
            reports.append(json.loads(done.out))
            if done.code == 0:
                break
        else:
            self.fail("not up to date after %d runs: %s" % (runs, [
                (e["name"], e["error"]) for e in reports[-1]["organizations"] if e["outcome"] != "up_to_date"]))
        self.assert_all_exact(sandbox, names)
        self.assert_code(harness.orgsync("verify", "-c", config), 0)
        stats = sandbox.stats()
        self.assertEqual((stats["credential_violations"], stats["redirects_followed"]), (0, 0))
        return reports

    def test_each_alone_and_all_together(self):
        # With this seed every one of the eleven meets its fault at least once in its first requests.
        options = ["--organizations", "16", "--events", "4000", "--credentials", "mixed", "--time-scale", "1000",
                   "--nonce-life", "100000", "--token-life", "360000", "--no-limits", "--fault-seed", "9", *DAYS]
        for i, kind in enumerate(KINDS):
            options += ["--org", "%d:fault=%s:0.15" % (i + 1, kind)]
        for number in range(12, 17):
            options += ["--org", "%d:%s" % (number, ",".join("fault=%s:0.03" % kind for kind in KINDS))]
        sandbox = self.sandbox(*options)
        names = ["org%04d" % i for i in range(1, 17)]
        self.until_exact(sandbox, sandbox.config(self.directory), names, 1)
        stats = sandbox.stats()["organizations"]
        for i, kind in enumerate(KINDS):
            self.assertGreater(stats["org%04d" % (i + 1)]["faults"], 0, kind)

    def limits(self, *options):
        return self.sandbox("--organizations", "3", "--events", "5000", "--credentials", "mixed",
                            "--capacity", "4", *DAYS, *options)

    def test_limits_that_are_announced(self):
        """Four requests, then the announced allowance is used up: no 429 is needed to see that. The server gives
        nothing back meanwhile, or a slow machine would be allowed a fifth."""
        sandbox = self.limits("--refill", "1", "--period", "3600")
        config = sandbox.config(self.directory, more="limits: { deadline: 2s }\n")
        report = self.sync(config, code=10)
        for name in ("org0001", "org0002", "org0003"):
            one = sandbox.counts(name)
            self.assertEqual((one["ok"], one["limited"]), (4, 0), one)
            self.assertEqual(harness.of(report, name)["outcome"], "deadline")

    def test_limits_without_a_word_in_the_headers(self):
        """A bucket of four, which fills within two seconds: learned from the bodies of 429 answers."""
        sandbox = self.limits("--no-limit-headers", "--refill", "4", "--period", "2")
        names = ["org0001", "org0002", "org0003"]
        self.until_exact(sandbox, sandbox.config(self.directory), names, 1)
        for name in names:
            one = sandbox.counts(name)
            self.assertGreaterEqual(one["limited"], 1, one)
            # Learned: not every answer is another refusal.
            self.assertLessEqual(one["limited"], 4, one)
            self.assertLessEqual(one["requests"], 11 + 4 + 4 + 4, one)

    def test_nonces_and_tokens_that_end_in_the_middle(self):
        sandbox = self.sandbox("--organizations", "4", "--events", "6000", "--credentials", "mixed", "--latency", "150",
                               "--nonce-life", "300", "--token-life", "600", "--time-scale", "600", "--no-limits", *DAYS)
        self.until_exact(sandbox, sandbox.config(self.directory), ["org%04d" % i for i in range(1, 5)], 1)
        self.assertGreater(sandbox.counts("org0001")["challenges"] + sandbox.counts("org0001")["unauthorized"], 1)

    def test_silent_caps_and_counts_that_lie(self):
        sandbox = self.sandbox("--organizations", "6", "--events", "2500", "--no-limits", *DAYS,
                               "--org", "1:silent-cap=100", "--org", "2:silent-cap=499", "--org", "3:count=wrong",
                               "--org", "4:silent-cap=37,count=wrong,burst=2026-03-03T00:00:00Z/300,order=changing",
                               "--org", "5:count=wrong,order=changing,burst=2026-03-03T12:00:00Z/1100",
                               "--org", "6:count=wrong,events=0")
        self.until_exact(sandbox, sandbox.config(self.directory), ["org%04d" % i for i in range(1, 7)], 1)

    def test_a_date_that_is_off_by_a_day(self):
        for skew in (-86400, 86400):
            with self.subTest(skew=skew):
                now = int(time.time())
                directory = os.path.join(self.directory, str(skew))
                os.mkdir(directory)
                sandbox = self.sandbox("--organizations", "2", "--events", "1500", "--skew", str(skew), "--live", "0.02",
                                       "--credentials", "mixed", "--from", iso(now - 5 * 86400), "--to", iso(now - 2 * 86400),
                                       "--no-limits")
                config = sandbox.config(directory)
                done = harness.orgsync("sync", "-c", config)
                self.assert_code(done, 0)
                self.assertRegex(re.sub(r"\s+", " ", done.out), "This machine's clock is .* %s the server's"
                                 % ("ahead of" if skew < 0 else "behind"))
                archives = os.path.join(directory, "archives")
                for name in ("org0001", "org0002"):
                    covered = harness.ledger(os.path.join(archives, name))["covered"][-1]["to"]
                    # Neither clock alone may say that a second has settled.
                    self.assertLess(abs(epoch(covered) - (now - 120 + min(skew, 0))), 60)
                    wrong = harness.difference(harness.archive_lines(os.path.join(archives, name)),
                                               sandbox.events_now(name, end=covered))
                    self.assertEqual(wrong, "")


class Nonsense(http.server.BaseHTTPRequestHandler):
    """Answers everything with 200 and sound JSON that means nothing."""

    asked = 0

    def do_GET(self):
        type(self).asked += 1
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "16")
        self.end_headers()
        self.wfile.write(b'{"portal": true}')

    def log_message(self, *_):
        pass


class Later(Nonsense):
    """Asks for a pause of eleven days."""

    status = 429

    def do_GET(self):
        type(self).asked += 1
        self.send_response(self.status)
        self.send_header("Retry-After", "999999")
        self.send_header("Content-Length", "0")
        self.end_headers()


class Elsewhere(harness.TestCase):
    def test_a_pause_of_days_is_not_waited_for(self):
        """Without a deadline such a run would hold its lock for as long, and nobody would hear of it."""
        sandbox = self.sandbox("--organizations", "2", "--events", "5")
        config = sandbox.config(self.directory)
        port = self.serve(Later)
        self.edit(config, (r'base_url: "[^"]*"', 'base_url: "http://127.0.0.1:%d"' % port))
        for Later.status in (429, 503):
            Later.asked = 0
            report = self.sync(config, code=4)
            self.assertEqual(Later.asked, 2)
            for entry in report["organizations"]:
                self.assertIn("hour", entry["error"]["hint"])

    def test_a_server_that_is_none(self):
        """Such an answer is no matter of one bad second: it ends soon, and not second by second."""
        sandbox = self.sandbox("--organizations", "2", "--events", "5")
        config = sandbox.config(self.directory)
        port = self.serve(Nonsense)
        self.edit(config, (r'base_url: "[^"]*"', 'base_url: "http://127.0.0.1:%d"' % port))
        report = self.sync(config, code=4)
        self.assertLessEqual(Nonsense.asked, 2 * 6)
        for entry in report["organizations"]:
            self.assertEqual(entry["error"]["code"], "page")
            self.assertIn("base_url", entry["error"]["hint"])
        # Nor is it a credential that works.
        done = harness.orgsync("test", "-c", config)
        self.assert_code(done, 4)

    def test_a_server_that_is_not_there(self):
        """It is tried for a while; the deadline ends a wait, too."""
        sandbox = self.sandbox("--organizations", "2", "--events", "5")
        config = sandbox.config(self.directory, more="limits: { deadline: 2s }\n")
        sandbox.stop()
        done = harness.orgsync("sync", "-c", config)
        self.assert_code(done, 10)
        self.assertLess(done.seconds, 6)
        self.assertIn("no good answer; trying again", done.err)


class Poison(harness.TestCase):
    AT = "2026-03-03T10:00:00Z"

    def test_a_second_that_is_always_malformed(self):
        sandbox = self.sandbox("--organizations", "3", "--events", "1200", "--credentials", "mixed", "--no-limits", *DAYS,
                               "--org", "2:malformed=" + self.AT)
        config = sandbox.config(self.directory)
        for _ in range(2):
            done = harness.orgsync("sync", "-c", config)
            self.assert_code(done, 3)
            report = harness.last_report(self.archives)
            one = harness.of(report, "org0002")
            # Its neighbours cannot be proved complete: their questions hold the bad second too.
            self.assertLessEqual(1, one["lost_seconds"])
            self.assertLessEqual(one["lost_seconds"], 3)
            self.assertTrue(one["reported"])
            self.assertRegex(re.sub(r"\s+", " ", done.out), r"To look at: org0002 \d second")
            self.assertIn("second=" + self.AT, done.err)
        self.assert_all_exact(sandbox, ["org0001", "org0003"])
        covered = harness.ledger(os.path.join(self.archives, "org0002"))["covered"]
        holes = [(a["to"], b["from"]) for a, b in zip(covered, covered[1:]) if a["to"] < b["from"]]
        self.assertTrue(any(begin <= self.AT < end for begin, end in holes), holes)
        self.assertLessEqual(sum(epoch(end) - epoch(begin) for begin, end in holes), 3)
        truth = [line for line in sandbox.events_now("org0002") if json.loads(line)["created"] != self.AT]
        have = [line for line in harness.archive_lines(os.path.join(self.archives, "org0002"))
                if json.loads(line)["created"] != self.AT]
        self.assertEqual(harness.difference(have, truth), "")
        verify = harness.orgsync("verify", "--json", "-c", config)
        self.assert_code(verify, 13)
        findings = harness.of(json.loads(verify.out), "org0002")["findings"]
        self.assertTrue(all(f["path"] is None for f in findings), findings)
        self.assertTrue(any(f["from"] <= self.AT < f["to"] for f in findings), findings)

    def test_events_that_cannot_be_filed(self):
        kinds = ("no-id", "no-created", "odd-date", "bad-utf8", "duplicate-keys")
        options = ["--organizations", "7", "--events", "1200", "--no-limits", "--json", "compact", *DAYS]
        for i, kind in enumerate(kinds):
            options += ["--org", "%d:poison=%s@%s" % (i + 1, kind, self.AT)]
        options += ["--org", "6:poison=path-id@" + self.AT]
        sandbox = self.sandbox(*options)
        config = sandbox.config(self.directory)
        report = self.sync(config, code=3)
        for i, kind in enumerate(kinds):
            name = "org%04d" % (i + 1)
            one, archive = harness.of(report, name), os.path.join(self.archives, "org%04d" % (i + 1))
            self.assertEqual((one["outcome"], one["quarantined"], one["reported"]), ("up_to_date", 1, True), kind)
            kept = []
            for entry in os.listdir(os.path.join(archive, "quarantine")):
                with open(os.path.join(archive, "quarantine", entry), "rb") as data:
                    kept.append(data.read())
                self.assertEqual(entry, hashlib.sha256(kept[-1]).hexdigest() + ".json")
            self.assertEqual(kept, [data for said, data in sandbox.poison(name) if said.decode() == kind], kind)
            covered = harness.ledger(archive)["covered"]
            self.assertEqual([a["to"] for a in covered[:-1]], [b["from"] for b in covered[1:]], kind)
        self.assertEqual(harness.of(report, "org0006")["quarantined"], 0)
        self.assert_all_exact(sandbox, ["org%04d" % i for i in range(1, 8)])
        self.assert_code(harness.orgsync("verify", "-c", config), 0)
        # An id that looks like a path is text and nothing else.
        self.assertEqual([n for n in os.listdir("/tmp") if n.startswith("atlas-sandbox-")], [])
        # Covered is covered: the next run has nothing to report.
        self.sync(config)

    def test_verbatim_with_its_white_space(self):
        sandbox = self.sandbox("--organizations", "1", "--events", "50", "--no-limits", *DAYS,
                               "--org", "1:poison=no-id@" + self.AT)
        self.sync(sandbox.config(self.directory), code=3)
        (entry,) = os.listdir(os.path.join(self.archives, "org0001", "quarantine"))
        with open(os.path.join(self.archives, "org0001", "quarantine", entry), "rb") as data:
            kept = data.read()
        ((_, expected),) = sandbox.poison("org0001")
        self.assertEqual(json.loads(kept), json.loads(expected))

    def test_an_event_of_another_organization(self):
        sandbox = self.sandbox("--organizations", "3", "--events", "1200", "--no-limits", *DAYS,
                               "--org", "2:poison=foreign@" + self.AT)
        config = sandbox.config(self.directory)
        report = self.sync(config, code=3)
        one = harness.of(report, "org0002")
        self.assertEqual((one["outcome"], one["error"]["code"]), ("failed", "foreign_event"))
        self.assertIn("check org_id", one["error"]["hint"])
        self.assert_all_exact(sandbox, ["org0001", "org0003"])
        ((_, foreign),) = sandbox.poison("org0002")
        foreign_id = json.loads(foreign)["id"].encode()
        for directory, _, names in os.walk(self.archives):
            for name in names:
                with open(os.path.join(directory, name), "rb") as data:
                    self.assertNotIn(foreign_id, data.read(), os.path.join(directory, name))
        # What is newer than the page it stands on was read before it, and is right.
        lines, truth = harness.archive_lines(os.path.join(self.archives, "org0002")), sandbox.events_now("org0002")
        self.assertLessEqual(set(lines), set(truth))
        for covered in harness.ledger(os.path.join(self.archives, "org0002"))["covered"]:
            self.assertGreater(covered["from"], self.AT)


if __name__ == "__main__":
    harness.main()
