#!/usr/bin/env python3
"""Interruptions: signals, two runs at once, and a disk that fails (kills: test_kill.py). Whatever happens, what was
read is kept, the ledger claims nothing untrue, and the next run makes the archive exact."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

# A day file costs a few fsyncs: enough of them, and not more.
DAYS = ["--from", "2026-03-01T00:00:00Z", "--to", "2026-03-07T00:00:00Z"]


def start_sync(config, *arguments, **options):
    return harness.start([harness.program("orgsync"), "sync", "-q", "--json", "-c", config] + list(arguments), **options)


class Interrupted(harness.TestCase):
    def check_kept(self, sandbox, names):
        """What is on disk is a part of the truth, whole wherever the ledger says it is covered; verify agrees."""
        for name in names:
            archive = os.path.join(self.archives, name)
            lines, truth = harness.archive_lines(archive), sandbox.events(name)
            some = set(lines)
            self.assertEqual(harness.difference(lines, [line for line in truth if line in some]), "")
            if not os.path.exists(os.path.join(archive, "ledger.json")):
                continue
            ledger = harness.ledger(archive)
            self.assertEqual(ledger["staging"], [])
            for covered in ledger["covered"]:
                inside = {line for line in some if covered["from"] <= json.loads(line)["created"] < covered["to"]}
                self.assertEqual(inside, set(sandbox.events(name, "--between", covered["from"], covered["to"])))

    def check_finished(self, sandbox, config, names):
        self.sync(config)
        self.assert_all_exact(sandbox, names)
        self.assert_code(harness.orgsync("verify", "-c", config), 0)
        for name in names:
            archive = os.path.join(self.archives, name)
            self.assertLessEqual(set(os.listdir(archive)), {"events", "ledger.json", ".lock", ".staging", "quarantine"})
            staging = os.path.join(archive, ".staging")
            self.assertEqual(os.listdir(staging) if os.path.isdir(staging) else [], [])


class Signals(Interrupted):
    def drains(self, number):
        sandbox = self.sandbox("--organizations", "6", "--events", "9000", "--latency", "30", "--credentials", "mixed",
                               "--no-limits", *DAYS)
        names = ["org%04d" % i for i in range(1, 7)]
        config = sandbox.config(self.directory)
        process = start_sync(config)
        harness.wait_until(lambda: sum(one["rows"] for one in sandbox.stats()["organizations"].values()) > 12000,
                           "twelve thousand rows sent")
        process.send_signal(number)
        done = harness.finish(process)
        self.assert_code(done, 128 + number)
        report = json.loads(done.out)
        self.assertEqual(report["exit_code"], 128 + number)
        self.assertEqual(report["totals"]["failed"], 0, report)
        self.assertGreater(report["totals"]["stopped"], 0)
        # What was read is kept: each answer has all its rows but those of its oldest second.
        self.assertGreater(report["totals"]["events_new"], 12000 * 0.9)
        self.assertEqual(report["totals"]["events_new"],
                         sum(len(harness.archive_lines(os.path.join(self.archives, name))) for name in names))
        self.check_kept(sandbox, names)
        self.assert_code(harness.orgsync("verify", "-c", config), 0)
        before = sum(one["rows"] for one in sandbox.stats()["organizations"].values())
        self.check_finished(sandbox, config, names)
        after = sum(one["rows"] for one in sandbox.stats()["organizations"].values())
        self.assertLess(after - before, 6 * 9000 - report["totals"]["events_new"] + 6 * 300, "read twice")

    def test_term_drains(self):
        self.drains(signal.SIGTERM)

    def test_int_drains(self):
        self.drains(signal.SIGINT)

    def test_a_second_one_ends_it_at_once(self):
        sandbox = self.sandbox("--organizations", "2", "--events", "3000", "--latency", "60000", "--no-limits")
        config = sandbox.config(self.directory)
        process = harness.start([harness.program("orgsync"), "sync", "-c", config])
        harness.wait_until(lambda: sandbox.counts("org0001")["requests"] > 0, "a request")
        process.send_signal(signal.SIGTERM)
        said = b""
        while b"once more stops at once" not in said:
            line = process.stderr.readline()
            self.assertNotEqual(line, b"", said)
            said += line
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        done = harness.finish(process)
        self.assert_code(done, 130)
        self.assertLess(time.monotonic() - begun, 3)

    def test_a_drain_has_an_end(self):
        sandbox = self.sandbox("--organizations", "2", "--events", "3000", "--latency", "600000", "--no-limits")
        config = sandbox.config(self.directory)
        process = start_sync(config)
        harness.wait_until(lambda: sandbox.counts("org0001")["requests"] > 0, "a request")
        process.send_signal(signal.SIGTERM)
        done = harness.finish(process, 30)
        self.assert_code(done, 143)
        self.assertEqual(json.loads(done.out)["totals"]["stopped"], 2)

    def test_waiting_organizations_stop_too(self):
        """One that waits for its rate limit must not hold up the end."""
        sandbox = self.sandbox("--organizations", "2", "--events", "9000", "--capacity", "1", "--refill", "1",
                               "--period", "600")
        config = sandbox.config(self.directory)
        process = start_sync(config)
        harness.wait_until(lambda: sandbox.counts("org0001")["limited"] + sandbox.counts("org0002")["limited"] > 0
                           or sandbox.counts("org0001")["ok"] > 0, "an answer")
        process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        self.assert_code(harness.finish(process), 143)
        self.assertLess(time.monotonic() - begun, 8)


class Pauses(Interrupted):
    """An organization that has to wait longer than a commit may be put off makes it before: killed meanwhile, it has
    lost nothing of what it had read."""

    def waits(self, count, more, limits, stopped=False):
        sandbox = self.sandbox("--organizations", str(count), "--events", "9000", "--no-gzip", *more, *DAYS)
        names = ["org%04d" % i for i in range(1, count + 1)]
        process = harness.start([harness.program("orgsync"), "sync", "-c",
                                 sandbox.config(self.directory, more="limits: { %s }\n" % limits)])
        ledgers = [os.path.join(self.archives, name, "ledger.json") for name in names]
        try:
            harness.wait_until(lambda: all(one["rows"] >= 1500 for one in sandbox.stats()["organizations"].values()),
                               "three pages each")
            if stopped:
                sandbox.process.send_signal(signal.SIGSTOP)
            harness.wait_until(lambda: all(os.path.exists(path) and harness.ledger(os.path.dirname(path))["covered"]
                                           for path in ledgers), "what was read is in the ledgers", timeout_s=20)
            self.assertIsNone(process.poll())
        finally:
            process.kill()
            said = harness.finish(process).err
            sandbox.process.send_signal(signal.SIGCONT)
        for name in names:
            archive = os.path.join(self.archives, name)
            kept = harness.archive_lines(archive)
            for staged in harness.ledger(archive)["staging"]:
                with open(os.path.join(archive, ".staging", staged["file"]), "rb") as lines:
                    kept += lines.read().splitlines()
            truth = sandbox.events(name)
            self.assertGreater(len(kept), 1400)
            self.assertEqual(sorted(kept), sorted(truth[len(truth) - len(kept):]))
        return said

    def test_for_a_limit(self):
        self.assertIn("rate limited; waiting", self.waits(2, ["--capacity", "4", "--refill", "1", "--period", "60",
                                                              "--no-limit-headers"], "in_flight: 2"))

    def test_for_a_server_that_answers_nobody(self):
        said = self.waits(12, ["--no-limits", "--latency", "200"], "in_flight: 12, outage_wait: 1m, "
                          "silence_timeout: 1s, backoff: 3s, retries: 9", stopped=True)
        self.assertIn("the server answers nobody; waiting for it", said)
        self.assertNotIn("level=error", said)


class TwoRuns(Interrupted):
    def test_the_second_leaves_locked_organizations_alone(self):
        sandbox = self.sandbox("--organizations", "3", "--events", "600", "--no-limits", *DAYS,
                               "--org", "1:latency=600000")
        config = sandbox.config(self.directory)
        first = start_sync(config, "org0001")
        try:
            harness.wait_until(lambda: sandbox.counts("org0001")["requests"] > 0, "a question")
            requests = sandbox.counts("org0001")["requests"]
            done = harness.orgsync("sync", "-c", config)
            self.assert_code(done, 11)
            self.assertRegex(done.out, r"(?m)^Locked, because another run is at work on them\. [^:]*--lock-wait[^:]*:\n  org0001$")
            report = harness.last_report(self.archives)
            self.assertEqual(harness.of(report, "org0001")["outcome"], "locked")
            self.assertEqual(report["totals"]["up_to_date"], 2)
            self.assert_all_exact(sandbox, ["org0002", "org0003"])
            self.assertEqual(sandbox.counts("org0001")["requests"], requests)
        finally:
            first.kill()
            harness.finish(first)

    def test_the_lock_goes_with_its_process(self):
        sandbox = self.sandbox("--organizations", "1", "--events", "600", "--no-limits", "--latency", "100", *DAYS)
        config = sandbox.config(self.directory)
        first = start_sync(config)
        harness.wait_until(lambda: sandbox.counts("org0001")["requests"] > 0, "a request")
        first.kill()
        harness.finish(first)
        self.check_finished(sandbox, config, ["org0001"])


class Disk(Interrupted):
    def run_with(self, break_it, options=(), code=3, **popen):
        """Syncs three organizations of which break_it(archive of org0002) has spoiled one; the others have to
        complete. The error of org0002 and what the table said."""
        sandbox = self.sandbox("--organizations", "3", "--events", "3000", "--no-limits", *DAYS, *options)
        config = sandbox.config(self.directory)
        os.makedirs(self.archives, mode=0o700, exist_ok=True)
        break_it(os.path.join(self.archives, "org0002"))
        done = harness.orgsync("sync", "-c", config, **popen)
        self.assert_code(done, code)
        report = harness.last_report(self.archives)
        self.assertEqual(report["totals"]["up_to_date"], 2)
        self.assert_all_exact(sandbox, ["org0001", "org0003"])
        error = harness.of(report, "org0002")["error"]
        self.assertIn("org0002", error["text"])
        self.assertTrue(error["hint"])
        return sandbox, config, error, done

    def test_a_file_in_the_place_of_a_directory(self):
        def spoil(archive):
            with open(archive, "w", encoding="utf-8") as out:
                out.write("in the way\n")
        _, _, error, _ = self.run_with(spoil)
        self.assertEqual(error["code"], "io")
        with open(os.path.join(self.archives, "org0002"), encoding="utf-8") as text:
            self.assertEqual(text.read(), "in the way\n")

    def test_a_link_in_the_place_of_a_directory(self):
        elsewhere = os.path.join(self.directory, "elsewhere")
        os.mkdir(elsewhere)
        self.run_with(lambda archive: os.symlink(elsewhere, archive))
        self.assertEqual(os.listdir(elsewhere), [])

    def test_a_directory_that_cannot_be_written(self):
        options = {}
        if os.geteuid() == 0:
            options = {"user": 65534, "group": 65534, "extra_groups": []}
            probe = subprocess.run([harness.program("orgsync"), "--version"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, **options) \
                if self.others_may_run() else None
            if probe is None or probe.returncode != 0:
                self.skipTest("root writes everywhere, and nobody else may run the program here")

        def spoil(archive):
            os.mkdir(archive)
            if options:
                for directory, _, names in os.walk(self.directory):
                    os.chown(directory, 65534, 65534)
                    for name in names:
                        os.chown(os.path.join(directory, name), 65534, 65534)
            os.chmod(archive, 0o500)
        _, _, error, _ = self.run_with(spoil, **options)
        self.assertEqual(error["code"], "io")
        self.assertIn("Permission denied", error["text"])

    @staticmethod
    def others_may_run():
        path = harness.program("orgsync")
        while path != "/":
            if not os.stat(path).st_mode & 0o001:
                return False
            path = os.path.dirname(path)
        return True

    def test_a_full_disk(self):
        if os.geteuid() != 0 or shutil.which("mount") is None:
            self.skipTest("needs root, to mount a small file system")

        def spoil(archive):
            os.mkdir(archive, 0o700)
            if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=700", "none", archive],
                              stderr=subprocess.DEVNULL, check=False).returncode != 0:
                self.skipTest("mounting is not allowed here")
            self.addCleanup(subprocess.run, ["umount", archive], check=True)
        sandbox, config, error, done = self.run_with(spoil)
        self.assertEqual(error["code"], "io")
        self.assertIn("No space left on device", error["text"])
        self.assertRegex(re.sub(r"\s+", " ", done.out), r"what to do: make room")
        self.check_kept(sandbox, ["org0002"])
        # With room it goes on where it was.
        subprocess.run(["mount", "-o", "remount,size=64m", os.path.join(self.archives, "org0002")], check=True)
        self.check_finished(sandbox, config, ["org0001", "org0002", "org0003"])

    def test_a_directory_that_vanishes(self):
        sandbox = self.sandbox("--organizations", "2", "--events", "9000", "--no-limits", "--latency", "20", *DAYS)
        config = sandbox.config(self.directory)
        process = start_sync(config)
        harness.wait_until(lambda: sandbox.counts("org0002")["rows"] > 2000, "two thousand rows")
        shutil.rmtree(os.path.join(self.archives, "org0002"), ignore_errors=True)
        shutil.rmtree(os.path.join(self.archives, "org0002"), ignore_errors=True)
        done = harness.finish(process)
        self.assert_code(done, 3)
        report = json.loads(done.out)
        self.assertEqual(harness.of(report, "org0002")["error"]["code"], "io")
        self.assert_all_exact(sandbox, ["org0001"])
        self.check_finished(sandbox, config, ["org0001", "org0002"])

    def test_an_output_directory_that_cannot_be(self):
        sandbox = self.sandbox("--organizations", "1", "--events", "5")
        config = sandbox.config(self.directory)
        with open(self.archives, "w", encoding="utf-8"):
            pass
        done = harness.orgsync("sync", "-c", config)
        self.assert_code(done, 1)
        self.assertIn(self.archives, done.err)
        self.assertEqual(sandbox.counts("org0001")["requests"], 0)


if __name__ == "__main__":
    harness.main()
