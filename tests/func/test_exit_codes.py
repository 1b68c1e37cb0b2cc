#!/usr/bin/env python3
"""The exit codes of the running commands, what they print beside them, and the record they leave: the
contract that timers and monitoring build on, with the real programs."""

import fcntl
import json
import os
import re
import signal
import stat
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness


class ExitCodes(harness.TestCase):
    def configured(self, *options, more="", start="2026-10-01T00:00:00Z"):
        sandbox = self.sandbox(*options)
        self.path = sandbox.config(self.directory, "--backfill-start", start, more=more)
        return sandbox

    def orgsync(self, command, *arguments):
        done = harness.orgsync(command, "-c", self.path, *arguments)
        for line in done.out.splitlines():
            if "--json" not in arguments:
                self.assertLessEqual(len(line), 80, line)
        return done

    def recorded_sync(self, *arguments):
        """A sync with --json: its exit code must be the document's, and the document the record."""
        done = self.orgsync("sync", "--json", *arguments)
        document = json.loads(done.out)
        self.assertEqual(document["exit_code"], done.code, done)
        path = os.path.join(self.archives, ".orgsync", "runs", document["run"], "report.json")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path, encoding="utf-8") as record:
            self.assertEqual(json.load(record), document)
        totals = document["totals"]
        self.assertEqual(totals["selected"], sum(totals[outcome] for outcome in (
            "up_to_date", "failed", "locked", "deadline", "stopped", "not_begun")))
        self.assertEqual(totals["selected"], len(document["organizations"]))
        return done.code, document

    def outcomes(self, document):
        return {o["name"]: o["outcome"] for o in document["organizations"]}

    def test_up_to_date(self):
        sandbox = self.configured("--organizations", "4", "--credentials", "mixed", "--events", "700")
        self.assert_code(self.orgsync("test"), 0)
        self.assertFalse(os.path.exists(self.archives), "test left something behind")
        code, document = self.recorded_sync()
        self.assertEqual(code, 0)
        self.assertEqual(set(self.outcomes(document).values()), {"up_to_date"})
        self.assertEqual(document["totals"]["events_new"], sum(
            len(harness.archive_lines(os.path.join(self.archives, "org%04d" % i))) for i in (1, 2, 3, 4)))
        self.assertGreater(document["totals"]["events_new"], 0)
        for i in (1, 2, 3, 4):
            self.assert_exact(sandbox, "org%04d" % i, None, "--between", "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z")
        before = harness.tree(os.path.join(self.archives, "org0001", "events"))
        again = self.orgsync("sync")
        self.assert_code(again, 0)
        self.assertIn("4 organizations up to date\n0 new events", again.out)
        self.assertIn("4 organizations read, 0 disabled, 4 selected", again.err)
        self.assertEqual(harness.tree(os.path.join(self.archives, "org0001", "events")), before)
        for command in ("plan", "verify"):
            self.assert_code(self.orgsync(command), 0)
        status = json.loads(self.orgsync("status", "--json", "--max-lag", "1h").out)
        for organization in status["organizations"]:
            self.assertFalse(organization["over_max_lag"])
            self.assertEqual((organization["gaps"], organization["last_error"]), (0, None))
            self.assertIsNotNone(organization["last_success"])
            self.assertEqual(organization["covered"][0]["from"], "2026-10-01T00:00:00Z")
        self.assertEqual(status["totals"]["events"], document["totals"]["events_new"])

    def test_some_and_all_failed(self):
        self.configured("--organizations", "6", "--events", "50", "--org", "1:refuse=bad-key", "--org",
                        "2:refuse=access-list", "--org", "3:refuse=suspended")
        code, document = self.recorded_sync()
        self.assertEqual(code, 3)
        codes = {o["name"]: (o["error"] or {}).get("code") for o in document["organizations"]}
        self.assertEqual(codes, {"org0001": "credential", "org0002": "access_list", "org0003": "tenant",
                                 "org0004": None, "org0005": None, "org0006": None})
        self.assertEqual(document["totals"]["credentials"], 2)
        for arguments, expected in ((["org0001"], 12), (["org0001", "org0002"], 12), (["org0003"], 4),
                                    (["org000[123]"], 4), (["org0001", "org0004"], 3), (["org0004"], 0)):
            for command in ("sync", "test"):
                with self.subTest(command=command, arguments=arguments):
                    self.assert_code(self.orgsync(command, *arguments), expected)
        table = self.orgsync("sync", "org000[14]")
        self.assertRegex(table.out, r"(?s)Failed:\n  org0001\n    .*401.*what to do: ")
        self.assertIn("1 organization up to date · 1 failed", table.out)
        status = self.orgsync("status", "org000[14]")
        self.assertRegex(status.out, r"(?s)org0001 +nothing yet .*401.*what to do: ")
        self.assert_code(status, 0)
        self.assert_code(self.orgsync("status", "--max-lag", "1h", "org000[14]"), 3)
        self.assert_code(self.orgsync("status", "--max-lag", "1h", "org000[123]"), 4)

    def test_a_secret_that_cannot_be_had(self):
        self.configured("--organizations", "2", "--events", "50")
        with open(self.path, encoding="utf-8") as file:
            text = file.read()
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(re.sub(r"private_key: \{[^}]*org0001[^}]*\}", "private_key: { command: [\"false\"] }", text))
        done = self.orgsync("test", "org0001")
        self.assert_code(done, 12)
        self.assert_code(self.orgsync("sync"), 3)

    def test_something_to_look_at(self):
        self.configured("--organizations", "2", "--events", "50", "--org",
                        "1:poison=no-id@2026-10-10T10:00:00Z")
        done = self.orgsync("sync")
        self.assert_code(done, 3)
        self.assertRegex(done.out, r"(?s)To look at:\n  org0001\n    1 event could not be filed")
        self.assertIn("2 organizations up to date\n", done.out)
        status = self.orgsync("status")
        self.assertIn("1 event in org0001/quarantine/", status.out)
        code, document = self.recorded_sync()
        self.assertEqual(code, 0, "an event that was put away before is told by status, not by every run")
        self.assertEqual(document["totals"]["quarantined"], 0)

    def test_locked(self):
        self.configured("--organizations", "2", "--events", "50")
        self.assert_code(self.orgsync("sync"), 0)
        with open(os.path.join(self.archives, "org0001", ".lock"), "rb+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            code, document = self.recorded_sync("org0001")
            self.assertEqual((code, self.outcomes(document)), (11, {"org0001": "locked"}))
            code, document = self.recorded_sync()
            self.assertEqual((code, self.outcomes(document)), (11, {"org0001": "locked", "org0002": "up_to_date"}))
            for command in ("status", "plan", "verify"):
                self.assert_code(self.orgsync(command), 0)
        self.assert_code(self.orgsync("sync"), 0)

    def slow(self, **options):
        """Organizations that take a minute or two, one page after the other."""
        return self.configured("--organizations", "3", "--events", "100000", "--latency", "150", start="all", **options)

    def test_deadline(self):
        self.slow(more="limits: { deadline: 2s }\n")
        begun = time.monotonic()
        code, document = self.recorded_sync()
        self.assertEqual((code, set(self.outcomes(document).values())), (10, {"deadline"}))
        self.assertLess(time.monotonic() - begun, 30)
        self.assertGreater(document["totals"]["events_new"], 0, "what was read is kept")
        self.assert_code(self.orgsync("verify"), 0)

    def begin(self):
        """A sync that has read something and is far from its end."""
        process = harness.start([harness.program("orgsync"), "sync", "-c", self.path])
        self.addCleanup(process.kill)
        staging = os.path.join(self.archives, "org0001")
        while process.poll() is None and not os.path.exists(staging):
            time.sleep(0.02)
        time.sleep(0.5)
        return process

    def test_signals_drain(self):
        for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
            with self.subTest(code=code):
                self.slow()
                process = self.begin()
                process.send_signal(number)
                done = harness.finish(process, 60)
                self.assert_code(done, code)
                self.assertIn(number.name, done.err)
                self.assertIn("stopped", done.out)
                runs = os.path.join(self.archives, ".orgsync", "runs")
                (run,) = os.listdir(runs)
                with open(os.path.join(runs, run, "report.json"), encoding="utf-8") as record:
                    document = json.load(record)
                self.assertEqual(document["exit_code"], code)
                self.assertEqual(set(self.outcomes(document).values()), {"stopped"})
                self.assert_code(self.orgsync("verify"), 0)
                os.rename(self.archives, self.archives + "-%d" % code)

    def test_a_second_signal_ends_at_once(self):
        sandbox = self.configured("--organizations", "3", "--events", "500", "--latency", "20000")
        process = harness.start([harness.program("orgsync"), "sync", "-c", self.path])
        self.addCleanup(process.kill)
        def asked():
            return any(o["requests"] for o in sandbox.stats()["organizations"].values())
        while process.poll() is None and not asked():
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        self.assertIn(b"3 selected", process.stderr.readline())
        self.assertIn(b"SIGTERM", process.stderr.readline())
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(10), 130)
        self.assertLess(time.monotonic() - begun, 2)

    def test_verify_finds_damage(self):
        self.configured("--organizations", "2", "--events", "5000")
        self.assert_code(self.orgsync("sync"), 0)
        good = self.orgsync("verify")
        self.assert_code(good, 0)
        self.assertIn("nothing wrong was found", good.out)
        victim = harness.day_files(os.path.join(self.archives, "org0001"))[3]
        with open(victim, "rb+") as file:
            file.seek(30)
            byte = file.read(1)
            file.seek(30)
            file.write(bytes([byte[0] ^ 1]))
        bad = self.orgsync("verify")
        self.assert_code(bad, 13)
        self.assertIn(os.path.relpath(victim, self.archives), bad.out.replace("\n    ", ""))
        document = json.loads(self.orgsync("verify", "--json").out)
        self.assertEqual([len(o["findings"]) > 0 for o in document["organizations"]], [True, False])
        self.assert_code(self.orgsync("verify", "org0002"), 0)
        os.remove(victim)
        self.assert_code(self.orgsync("verify"), 13)
        with open(os.path.join(self.archives, "org0002", "ledger.json"), "r+b") as ledger:
            ledger.truncate(40)
        done = self.orgsync("verify", "org0002")
        self.assert_code(done, 13)
        self.assertIn("org0002/ledger.json", done.out)
        self.assert_code(self.orgsync("status", "org0002"), 4)
        self.assert_code(self.orgsync("plan", "org0002"), 4)
        self.assert_code(self.orgsync("sync", "org0002"), 4)

    def test_output_that_cannot_be_made(self):
        self.configured("--organizations", "1", "--events", "5")
        with open(self.archives, "w", encoding="utf-8"):
            pass
        done = self.orgsync("sync")
        self.assert_code(done, 1)
        self.assertEqual(done.out, "")
        self.assertIn(self.archives, done.err)

    def test_plan_and_sync_agree(self):
        """After a plan, a sync leaves nothing of it; a start time moved back is older history."""
        sandbox = self.configured("--organizations", "1", "--events", "3000")
        self.assert_code(self.orgsync("sync"), 0)
        self.path = sandbox.config(self.directory, "--backfill-start", "2026-08-01T00:00:00Z")
        (organization,) = json.loads(self.orgsync("plan", "--json").out)["organizations"]
        older = organization["ranges"][0]
        self.assertEqual((older["why"], older["from"], older["to"]),
                         ("older_history", "2026-08-01T00:00:00Z", "2026-10-01T00:00:00Z"))
        between = sandbox.ids("org0001", "--between", "2026-08-01T00:00:00Z", "2026-10-01T00:00:00Z")
        self.assertGreater(older["events_guess"], len(between) / 2)
        self.assertLess(older["events_guess"], len(between) * 2)
        code, document = self.recorded_sync()
        self.assertEqual((code, document["totals"]["events_new"]), (0, len(between)))
        (organization,) = json.loads(self.orgsync("plan", "--json").out)["organizations"]
        self.assertLessEqual({r["why"] for r in organization["ranges"]}, {"provisional", "new"})


if __name__ == "__main__":
    harness.main()
