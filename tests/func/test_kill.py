#!/usr/bin/env python3
"""kill -9 at random moments of a run's whole life, again and again, against a server that is faulty and alive: events
come all the time, some of them late. No kill may make a ledger claim what is not there; after all of them one run that
is let be ends with archives equal to the server's set, byte for byte, and nothing left over.

ORGSYNC_TEST_LONG=1: 200 kills. ORGSYNC_TEST_SEED=N: of the moments."""

import datetime
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

LONG = os.environ.get("ORGSYNC_TEST_LONG") == "1"
SEED = int(os.environ.get("ORGSYNC_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
KILLS, ORGANIZATIONS = (200, 40) if LONG else (16, 12)
LATE_S, OVERLAP_S = 20, 60
KINDS = ("429", "500", "503", "reset", "truncate", "malformed", "stale", "hang")


def iso(epoch_s):
    return datetime.datetime.fromtimestamp(epoch_s, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Killed(harness.TestCase):
    def setUp(self):
        super().setUp()
        self.rng = random.Random(SEED)
        self.names = ["org%04d" % i for i in range(1, ORGANIZATIONS + 1)]

    def archive(self, name):
        return os.path.join(self.archives, name)

    def claimed(self, sandbox, name):
        """Whatever a kill left: what the ledger claims stands in day files or in staging that the ledger names,
        and there is nothing else. Events that may have come after the question are left out."""
        archive = self.archive(name)
        if not os.path.exists(os.path.join(archive, "ledger.json")):
            return
        ledger = harness.ledger(archive)
        lines = harness.archive_lines(archive, killed=True)
        for staged in ledger["staging"]:
            with open(os.path.join(archive, ".staging", staged["file"]), "rb") as file:
                lines += file.read(staged["bytes"]).split(b"\n")[:-1]
        truth = {line: epoch(json.loads(line)["created"]) for line in sandbox.events_now(name)}
        have = set(lines)
        self.assertEqual(have - set(truth), set(), name)
        for covered in ledger["covered"]:
            end = epoch(covered["to"])
            if "overlap" not in covered: # asked once, all of it: late ones may have come since
                end = min(end, epoch(covered["as_of"]) - LATE_S)
            else:
                self.assertGreaterEqual(covered["overlap"], LATE_S)
            missing = [line for line, created in truth.items()
                       if epoch(covered["from"]) <= created < end and line not in have]
            self.assertEqual(missing, [], "%s: %s" % (name, covered))

    def in_a_commit(self, process):
        """Waits until some organization stages events, or the run ends."""
        while process.poll() is None:
            name = self.rng.choice(self.names)
            try:
                if os.listdir(os.path.join(self.archive(name), ".staging")):
                    return
            except FileNotFoundError:
                pass

    def kill_one(self, config, moment):
        """Starts a run and kills it; True where it had not ended by itself."""
        process = harness.start([harness.program("orgsync"), "sync", "-q", "--json", "-c", config])
        if moment == "commit":
            self.in_a_commit(process)
        try:
            process.wait({"start": self.rng.uniform(0, 0.03), "any": self.rng.uniform(0, self.whole_s),
                          "commit": self.rng.uniform(0, 0.004)}[moment])
        except subprocess.TimeoutExpired:
            process.kill()
        done = harness.finish(process)
        self.assertIn(done.code, (0, 3, -signal.SIGKILL), done)
        if done.code != -signal.SIGKILL: # how long runs are now
            self.whole_s = (self.whole_s + done.seconds) / 2
        return done.code == -signal.SIGKILL

    def finished(self, sandbox, config):
        sandbox.shift(LATE_S + 1) # what is late has appeared
        done = harness.orgsync("sync", "--json", "-q", "-c", config)
        self.assert_code(done, 0)
        wrong, total = [], 0
        for name in self.names:
            covered = harness.ledger(self.archive(name))["covered"]
            self.assertEqual(len({one["to"] for one in covered} - {one["from"] for one in covered}), 1, covered)
            lines = harness.archive_lines(self.archive(name))
            text = harness.difference(lines, sandbox.events_now(name, end=covered[-1]["to"]))
            total += len(lines)
            if text:
                wrong.append("%s: %s" % (name, text))
            self.assertEqual(os.listdir(os.path.join(self.archive(name), ".staging")), [], name)
            self.assertLessEqual(set(os.listdir(self.archive(name))),
                                 {"events", "ledger.json", ".lock", ".staging", "quarantine"})
        self.assertEqual(wrong, [])
        self.assert_code(harness.orgsync("verify", "-c", config), 0)
        stats = sandbox.stats()
        self.assertEqual(stats["credential_violations"], 0)
        return total, sum(one["faults"] for one in stats["organizations"].values())

    def test_kill_at_any_moment(self):
        now = int(time.time())
        options = ["--organizations", str(ORGANIZATIONS), "--events", "200..1500", "--credentials", "mixed",
                   "--from", iso(now - 3 * 86400), "--to", iso(now - 3600), "--live", "0.5",
                   "--late", "0.2:%d" % LATE_S, "--latency", "3", "--no-limits", "--time-scale", "1000",
                   "--nonce-life", "100000", "--token-life", "360000", "--fault-seed", str(SEED % 1000),
                   "--org", "2:burst=%s/1200,order=changing" % iso(now - 2 * 86400)]
        for kind in KINDS:
            options += ["--fault", kind + ":0.01"]
        sandbox = self.sandbox(*options)
        configs = [sandbox.config(self.directory, name=kind + ".yaml", output="compression: " + kind,
                                  more="limits: { backoff: 20ms, retries: 8 }\n"
                                       "defaults: { settle: 1s, overlap: %ds }\n" % OVERLAP_S)
                   for kind in ("none", "gzip", "zstd")]
        # How long a run is, from its start to its end: the moments are spread over all of it.
        begun = time.monotonic()
        self.sync(configs[0])
        self.whole_s = time.monotonic() - begun
        killed = dict.fromkeys(("start", "any", "commit"), 0)
        for i in range(2 * KILLS):
            if sum(killed.values()) == KILLS:
                break
            if i % 3 == 0: # some begin anew, so that there is always a first run under way
                for name in self.rng.sample(self.names, ORGANIZATIONS // 3):
                    shutil.rmtree(self.archive(name), ignore_errors=True)
            moment = ("any", "commit", "any", "start", "any", "commit")[i % 6]
            killed[moment] += self.kill_one(configs[i // 4 % 3], moment)
            for name in self.names if i % 6 == 5 else self.rng.sample(self.names, 2):
                self.claimed(sandbox, name)
        total, faults = self.finished(sandbox, self.rng.choice(configs))
        print("%d runs killed (%s), a whole one takes %.2f s; %d events in %d organizations, %d faults; seed %d"
              % (sum(killed.values()), ", ".join("%s %d" % one for one in killed.items()), self.whole_s, total,
                 ORGANIZATIONS, faults, SEED), flush=True)
        self.assertEqual(sum(killed.values()), KILLS)
        self.assertGreater(min(killed.values()), 0)
        self.assertGreater(faults, 0)


if __name__ == "__main__":
    harness.main()
