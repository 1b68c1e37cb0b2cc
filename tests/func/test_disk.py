#!/usr/bin/env python3
"""A disk and a clock that fail under the real program (tests/support/disk_faults.c makes them; a really full disk, a
vanished and a read-only directory are in test_sync_signals.py). The organization that is struck stops with a text that
names the file, what happened and what to do; the others come out exact; nothing recorded before is damaged; and the
next run, the fault gone, brings everything to the exact set."""

import datetime
import json
import os
import re
import resource
import shutil
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

LIBRARY = os.path.join(harness.BUILDDIR, "tests", "support", "disk_faults.so")
# Over the turn of a year, so that a run has directories to make.
DAYS = ["--from", "2025-12-28T00:00:00Z", "--to", "2026-01-03T00:00:00Z"]
BEFORE = "2026-01-01T12:00:00Z" # inside a day: its file is merged into


def iso(epoch_s):
    return datetime.datetime.fromtimestamp(epoch_s, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def faulty(**variables):
    """An environment in which the library is loaded; it comes before a sanitizer's, which has to be told."""
    options = os.environ.get("ASAN_OPTIONS", "")
    return harness.environment(LD_PRELOAD=LIBRARY, ASAN_OPTIONS=options + ":verify_asan_link_order=0", **variables)


SLOW_S = 300 # a busy machine's runs take less
LONG = os.environ.get("ORGSYNC_TEST_LONG") == "1"


class Disk(harness.TestCase):
    def begin(self, count, compression="none", *options):
        """Archives of so many organizations that hold their last days already, and a configuration that wants all."""
        self.names = ["org%04d" % i for i in range(1, count + 1)]
        self.box = self.sandbox("--organizations", str(count), "--events", "140", "--no-limits", "--latency", "2",
                                "--credentials", "mixed", *DAYS, *options)
        limits = "limits: { organization_memory: 16MiB }\n"
        late = self.box.config(self.directory, "--backfill-start", BEFORE, name="late.yaml", more=limits)
        self.config = self.box.config(self.directory, output="compression: " + compression, more=limits)
        self.log = os.path.join(self.directory, "log")
        self.sync(late)
        self.recorded = {name: harness.archive_lines(self.archive(name)) for name in self.names}
        shutil.copytree(self.archives, self.archives + ".begun")

    def begin_again(self):
        shutil.rmtree(self.archives)
        shutil.copytree(self.archives + ".begun", self.archives)
        if os.path.exists(self.log):
            os.unlink(self.log)

    def archive(self, name):
        return os.path.join(self.archives, name)

    def steps(self):
        """What was done to the disk by the run before: [(call, path, errno or 0)]."""
        with open(self.log, encoding="utf-8") as log:
            return [(line.split(" ")[0], line.split(" ")[1], -int(line.split(" ")[2])) for line in log]

    def run_faulty(self, rules, *arguments, code=3):
        done = harness.orgsync("sync", "--json", "-q", "-c", self.config, *arguments,
                               env=faulty(FAULTS=" ".join(rules), FAULTS_LOG=self.log))
        self.assert_code(done, code)
        return harness.last_report(self.archives), done

    def nothing_after(self, name, steps):
        """After the first failure nothing is written to the organization any more, and what was not made durable
        once is not made durable again: only what was being written aside is removed."""
        mine = [step for step in steps if "/%s/" % name in step[1] or step[1].endswith("/" + name)]
        first = next(i for i, step in enumerate(mine) if step[2] != 0)
        after = [step for step in mine[first + 1:] if step[0] not in ("unlink", "open")]
        self.assertEqual(after, [], mine[first])

    def repaired(self):
        """Nothing recorded is damaged, and the next run ends exact. What could not be made durable once it does not
        take for durable: a file that is still there is removed before anything of that name is written."""
        failed = [path for call, path, error in self.steps() if call == "fsync" and error and os.path.isfile(path)]
        os.unlink(self.log)
        self.assert_code(harness.orgsync("verify", "-q", "-c", self.config), 0)
        for name in self.names:
            lines = set(harness.archive_lines(self.archive(name), killed=True))
            self.assertEqual([line for line in self.recorded[name] if line not in lines], [], name)
        self.sync(self.config, env=faulty(FAULTS_LOG=self.log))
        steps = self.steps()
        for path in failed:
            self.assertEqual([call for call, where, _ in steps if where == path][:1], ["unlink"], path)
        self.assert_all_exact(self.box, self.names)
        self.assert_code(harness.orgsync("verify", "-q", "-c", self.config), 0)
        for name in self.names:
            self.assertEqual(os.listdir(os.path.join(self.archive(name), ".staging")), [], name)
        return len(failed)

    CASES = (  # the rule below the organization's directory, and what has to be said
        ("write=EIO@{}/.staging/0", r"{}/\.staging/\d+\.ndjson: cannot write: Input/output error"),
        ("write=ENOSPC@{}/.staging/2025-12-28", r"{}/events/202\d/[-0-9]+\.ndjson: cannot write: No space left on device"),
        ("write=EIO@{}/ledger.json", r"{}/ledger\.json: cannot write: Input/output error"),
        ("write=EDQUOT@{}/", r"{}/\.staging/\d+\.ndjson: cannot write: Disk quota exceeded"),
        ("fsync=EIO@{}/.staging/0#1!", r"{}/\.staging/\d+\.ndjson: cannot make it durable \(fsync\): Input/output"),
        ("fsync=EIO@{}/.staging/2025#1!", r"{}/events/2025/\S+\.ndjson: cannot make it durable \(fsync\): Input/output"),
        ("fsync=EIO@{}/ledger.json.tmp#1!", r"{}/ledger\.json: cannot make it durable \(fsync\): Input/output error"),
        ("fsync=EIO@/{}$#1!", r"{}/ledger\.json: cannot make it durable \(fsync\): Input/output error"),
        ("fsync=EIO@{}/events/2025$#1!", r"{}/events/2025: cannot make it durable \(fsync\): Input/output error"),
        ("rename=EIO@{}/ledger.json", r"{}/ledger\.json: cannot rename the new file into place: Input/output error"),
        ("rename=ENOSPC@{}/events/", r"{}/events/202\d/[-0-9]+\.ndjson: cannot rename .*: No space left on device"),
        ("mkdir=ENOSPC@{}/events/2025", r"{}/events/2025: cannot make the directory: No space left on device"),
        ("open=EMFILE@{}/", r"{}/\S*: cannot open the \S+: Too many open files"),
        ("open=ENFILE@{}/events", r"{}/events\S*: cannot open the directory: Too many open files in system"),
        ("open=EROFS@{}/.staging/0", r"{}/\.staging/\d+\.ndjson: cannot make the file: Read-only file system"),
        ("read=EIO@{}/ledger.json", r"{}/ledger\.json: cannot read: Input/output error"),
        ("read=EIO@{}/events/2026/2026-01-01.ndjson", r"{}/events/2026/2026-01-01\.ndjson: cannot read: Input/output"),
        ("unlink=EIO@{}/.staging/0", r"{}/\.staging/\d+\.ndjson: cannot remove the file: Input/output error"),
        ("open=EACCES@/organizations/{id}", r"\.orgsync/organizations/[0-9a-f]{24}: cannot open .*Permission denied"),
    )
    DO = {"ENOSPC": "make room", "EDQUOT": "make room", "EMFILE": "ulimit -n", "ENFILE": "open files"}

    def test_each_fault_strikes_one_organization(self):
        n = len(self.CASES)
        # Large events and small pages: each commits inside a day, and what waits for the rest of it is staged.
        self.begin(n + 3, "none", "--event-bytes", "3500", "--silent-cap", "20")
        rules = []
        for name, (rule, _) in zip(self.names, self.CASES):
            org_id = harness.ledger(self.archive(name))["org_id"]
            rules.append(rule.replace("{}", name).replace("{id}", org_id))
        rules.append("write=short@%s/" % self.names[n]) # what is written by halves is written
        report, _ = self.run_faulty(rules)
        self.assertEqual(report["totals"]["failed"], n, report)
        steps = self.steps()
        for name, rule, (_, text) in zip(self.names, rules, self.CASES):
            error = harness.of(report, name)["error"]
            with self.subTest(rule=rule):
                self.assertEqual(error["code"], "io")
                self.assertRegex(error["text"], text.replace("{}", name))
                wanted = self.DO.get(re.search(r"=(\w+)@", rule).group(1), "check the output directory")
                self.assertIn(wanted, error["hint"])
                if "/organizations/" not in rule:
                    self.nothing_after(name, steps)
                # What is called new was recorded, and the other way round.
                days = harness.ledger(self.archive(name))["days"].values()
                self.assertEqual(harness.of(report, name)["events_new"],
                                 sum(day["events"] for day in days) - len(self.recorded[name]))
        self.assert_all_exact(self.box, self.names[n:])
        self.assertGreater(self.repaired(), 0)

    def test_each_step_fails_once(self):
        """The k-th write, fsync, rename of the k-th organization fails, once: what is tried again would succeed."""
        self.begin(50 if LONG else 16, "gzip")
        cases = 0
        calls = (("fsync", "EIO"), ("write", "EIO"), ("rename", "ENOSPC"))
        more = (("open", "EMFILE"), ("read", "EIO"), ("mkdir", "ENOSPC"), ("write", "ENOSPC"))
        for call, error in calls + more if LONG else calls:
            self.begin_again()
            report, _ = self.run_faulty(["%s=%s@/%s/#%d!" % (call, error, name, k + 1)
                                         for k, name in enumerate(self.names)])
            steps = self.steps()
            struck = 0
            for name in self.names:
                failed = [step for step in steps if step[2] != 0 and "/%s/" % name in step[1]]
                struck += len(failed)
                one = harness.of(report, name)
                self.assertEqual(one["outcome"], "failed" if failed else "up_to_date", one)
                if failed:
                    self.assertEqual(one["error"]["code"], "io", one)
                    self.nothing_after(name, steps)
            self.assertGreater(struck, 0 if call == "mkdir" else 3, call)
            cases += struck
            self.repaired()
        print("%d steps failed" % cases, flush=True)

    def one_fails(self, rule, text, *options):
        """A first run of one organization whose disk fails so, and which then has nothing in its ledger; it does not
        wait for anything. Mended, the next run is exact."""
        box = self.sandbox("--organizations", "1", "--no-gzip", *DAYS, *options)
        done = harness.orgsync("sync", "--json", "-q", "-c", box.config(self.directory), timeout_s=30,
                               env=faulty(FAULTS=rule))
        self.assert_code(done, 4)
        error = harness.last_report(self.archives)["organizations"][0]["error"]
        self.assertEqual(error["code"], "io")
        self.assertRegex(error["text"], text)
        self.assertFalse(os.path.exists(os.path.join(self.archives, "org0001", "ledger.json")))
        return box

    def test_before_a_pause(self):
        """The commit that is made before a limit lets the question go: it fails, and the question is not asked."""
        box = self.one_fails("fsync=EIO@org0001/ledger.json.tmp#1!", r"^org0001/ledger\.json: cannot make it durable",
                             "--events", "9000", "--capacity", "4", "--refill", "1", "--period", "60",
                             "--no-limit-headers")
        self.assertEqual(box.counts("org0001")["limited"], 1)

    def test_quarantine(self):
        """What cannot be filed cannot be kept either: its second is not covered."""
        box = self.one_fails("fsync=EIO@org0001/quarantine", r"^org0001/quarantine/\w+\.json: cannot make it durable",
                             "--events", "40", "--no-limits", "--org", "1:poison=no-id@2025-12-30T01:02:03Z")
        self.sync(box.config(self.directory), code=3)
        self.assert_exact(box, "org0001")
        self.assertEqual(len(os.listdir(os.path.join(self.archives, "org0001", "quarantine"))), 1)

    def test_everything_vanishes(self):
        """The output directory is removed under a run: every organization says so, and the next run begins anew."""
        names = ["org%04d" % i for i in range(1, 4)]
        sandbox = self.sandbox("--organizations", "3", "--events", "4000", "--no-limits", "--latency", "30", *DAYS)
        config = sandbox.config(self.directory)
        process = harness.start([harness.program("orgsync"), "sync", "--json", "-q", "-c", config])
        harness.wait_until(lambda: min(sandbox.counts(name)["rows"] for name in names) > 500, "some rows of each")
        os.rename(self.archives, self.archives + ".away")
        shutil.rmtree(self.archives + ".away")
        done = harness.finish(process)
        self.assert_code(done, 4)
        self.assertIn("report.json", done.err)
        for name in names:
            error = harness.of(json.loads(done.out), name)["error"]
            self.assertEqual(error["code"], "io")
            self.assertRegex(error["text"], "^%s.*: No such file or directory" % name)
            self.assertIn("check the output directory", error["hint"])
        self.sync(config)
        self.assert_all_exact(sandbox, names)

    def test_what_belongs_to_the_run(self):
        """Where a token cannot be kept, or the record not be written, the archives come out all the same."""
        self.begin(2)
        done = harness.orgsync("sync", "-c", self.config,
                               env=faulty(FAULTS="write=ENOSPC@/.orgsync/tokens/ open=EACCES@/.orgsync/tokens/"))
        self.assert_code(done, 0)
        self.assert_all_exact(self.box, self.names)
        self.begin_again()
        done = harness.orgsync("sync", "-c", self.config, env=faulty(FAULTS="write=ENOSPC@/.orgsync/runs/"))
        self.assert_code(done, 1)
        self.assertIn("report.json", done.err)
        self.assertIn("No space left on device", done.err)
        self.assert_all_exact(self.box, self.names)


class Files(harness.TestCase):
    """Limits that anybody can set: nothing is faked here."""

    def test_a_file_that_may_not_be_so_large(self):
        """The limit on file sizes strikes one organization, and does not end the process (SIGXFSZ)."""
        sandbox = self.sandbox("--organizations", "4", "--events", "50", "--no-limits", *DAYS,
                               "--org", "2:events=6000")
        names = ["org%04d" % i for i in range(1, 5)]
        config = sandbox.config(self.directory)
        done = harness.orgsync("sync", "--json", "-q", "-c", config,
                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, 1 << 18)))
        self.assert_code(done, 3)
        error = harness.of(json.loads(done.out), "org0002")["error"]
        self.assertRegex(error["text"], r"^org0002/\S+: cannot write: File too large$")
        self.assertIn("ulimit -f", error["hint"])
        self.assert_all_exact(sandbox, ["org0001", "org0003", "org0004"])
        self.assert_code(harness.orgsync("verify", "-q", "-c", config), 0)
        self.sync(config)
        self.assert_all_exact(sandbox, names)

    def limited(self, files, more=""):
        sandbox = self.sandbox("--organizations", "30", "--events", "60", "--no-limits", "--latency", "5",
                               "--credentials", "mixed", *DAYS)
        done = harness.orgsync("sync", "-q", "-c", sandbox.config(self.directory, more=more),
                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files)))
        return sandbox, done

    def test_few_files_are_made_do_with(self):
        sandbox, done = self.limited(40, "limits: { workers: 32, in_flight: 200 }\n")
        self.assert_code(done, 0)
        self.assert_all_exact(sandbox, ["org%04d" % i for i in range(1, 31)])

    def test_too_few_files_are_told_at_once(self):
        sandbox, done = self.limited(14)
        self.assert_code(done, 1)
        self.assertIn("files", done.err)
        self.assertIn("ulimit -n", done.err)
        self.assertLess(done.seconds, 30)
        self.assertEqual(sum(one["requests"] for one in sandbox.stats()["organizations"].values()), 0)


class Clock(harness.TestCase):
    """docs/SYNC.md: now is the earlier of our clock and the answer's Date. What has not happened is never covered."""

    def begin(self):
        now = int(time.time())
        self.passed_s = 0 # time passes by moving both clocks: the server's and, in what is faked, ours
        self.names = ["org%04d" % i for i in range(1, 5)]
        self.box = self.sandbox("--organizations", "4", "--events", "400", "--live", "1", "--no-limits",
                                "--credentials", "mixed", "--from", iso(now - 2 * 86400), "--to", iso(now - 60))
        self.config = self.box.config(self.directory, more="defaults: { settle: 1s, overlap: 10s }\n")
        # One without a start time: the second at which it begins is one that has been, too.
        self.edit(self.config, (r"(?s)(- name: org0004.*?)    backfill_start_time: \S+\n", r"\1"))

    def true_time(self):
        return time.time() + self.passed_s

    def with_clock(self, off_s):
        """One run with a clock that is wrong by so much. The words of the log."""
        self.passed_s += 30
        self.box.shift(30)
        done = harness.orgsync("sync", "--json", "-c", self.config, env=faulty(FAULTS_CLOCK=str(off_s + self.passed_s)))
        self.assert_code(done, 0)
        for name in self.names:
            ledger = harness.ledger(os.path.join(self.archives, name))
            for covered in ledger["covered"]:
                self.assertLessEqual(epoch(covered["to"]), self.true_time(), name)
                self.assertLessEqual(epoch(covered["as_of"]), self.true_time() + 1, name)
            if ledger["since"] is not None:
                self.assertLessEqual(epoch(ledger["since"]), self.true_time())
            # It is said, whether the server was asked or the ledger shows it; a run takes a while.
            self.assertLessEqual(abs(harness.of(json.loads(done.out), name)["clock_difference_s"] - off_s), SLOW_S, done)
        self.assertEqual(len(re.findall("clock and the server's differ", done.err)), len(self.names), done.err)

    def finished(self):
        self.passed_s += 30
        self.box.shift(30)
        env = faulty(FAULTS_CLOCK=str(self.passed_s))
        document = self.sync(self.config, env=env)
        for name in self.names:
            ledger = harness.ledger(os.path.join(self.archives, name))
            end = ledger["covered"][-1]["to"]
            self.assertEqual(harness.difference(harness.archive_lines(os.path.join(self.archives, name)),
                                                self.box.events_now(name, begin=ledger["since"], end=end)), "", name)
            self.assertGreater(epoch(end), self.true_time() - SLOW_S)
            self.assertLess(abs(harness.of(document, name)["clock_difference_s"]), SLOW_S)
        self.assert_code(harness.orgsync("verify", "-q", "-c", self.config), 0)
        # The last run that status speaks of is this one, whatever the clock said at another.
        done = harness.orgsync("status", "--json", "-c", self.config, env=env)
        self.assert_code(done, 0)
        for one in json.loads(done.out)["organizations"]:
            self.assertLess(abs(epoch(one["last_success"]) - self.true_time()), SLOW_S, one)

    def test_an_hour_back(self):
        self.begin()
        self.with_clock(-3600)
        self.finished()
        lines = {name: harness.archive_lines(os.path.join(self.archives, name)) for name in self.names}
        # And once more, over archives that reach further than the clock does.
        self.with_clock(-3600)
        for name in self.names:
            self.assertEqual(harness.archive_lines(os.path.join(self.archives, name)), lines[name], name)
        self.finished()

    def test_a_year_forward(self):
        self.begin()
        self.with_clock(365 * 86400)
        self.finished()
        self.with_clock(365 * 86400)
        self.finished()


class Comparison(harness.TestCase):
    def test_what_was_set_aside_cannot_be_opened_just_then(self):
        """Then it is compared by the next run: what the server no longer gives is said all the same."""
        box = self.sandbox("--organizations", "1", "--events", "200", "--from", "2026-03-01T00:00:00Z", "--to",
                           "2026-03-04T00:00:00Z", "--no-limits")
        config = box.config(self.directory)
        self.sync(config)
        archive = os.path.join(self.archives, "org0001")
        with open(os.path.join(archive, "events", "2026", "2026-03-02.ndjson"), "ab") as day:
            day.write(json.dumps({"id": "%024x" % 1, "created": "2026-03-02T23:59:59Z",
                                  "orgId": harness.ledger(archive)["org_id"]}).encode() + b"\n")
        self.assert_code(harness.orgsync("verify", "--repair", "-c", config), 13)
        for name in ("EMFILE", "EACCES", "EIO"):
            rules = "open=%s@/quarantine/damaged/2026-03-02.1/2026" % name
            entry = harness.of(self.sync(config, code=4, env=faulty(FAULTS=rules)), "org0001")
            self.assertEqual(entry["error"]["code"], "io", entry)
            self.assertEqual(len(harness.ledger(archive)["repairs"]), 1)
        self.assertEqual(harness.of(self.sync(config, code=3), "org0001")["events_gone"], 1)
        self.assert_exact(box, "org0001")


if __name__ == "__main__":
    harness.main()
