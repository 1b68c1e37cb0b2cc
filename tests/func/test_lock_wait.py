#!/usr/bin/env python3
"""Two runs at once: the second leaves the organizations of the first alone, or waits for them with --lock-wait, while
it does the others. A lock dies with its process."""

import contextlib
import fcntl
import json
import os
import resource
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

DAYS = ["--from", "2026-03-01T00:00:00Z", "--to", "2026-03-04T00:00:00Z", "--no-limits"]


class Locks(harness.TestCase):
    def begin(self, count, *options, **config):
        self.server = self.sandbox("--organizations", str(count), *options, *DAYS)
        self.names = ["org%04d" % i for i in range(1, count + 1)]
        self.config = self.server.config(self.directory, **config)

    def path(self, *names):
        return os.path.join(self.archives, *names)

    @contextlib.contextmanager
    def held(self, *names):
        """Holds the organizations' locks as another run would."""
        with contextlib.ExitStack() as stack:
            for name in names:
                os.makedirs(self.path(name), mode=0o700, exist_ok=True)
                lock = stack.enter_context(open(self.path(name, ".lock"), "ab"))
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def start(self, *arguments, **options):
        return harness.start([harness.program("orgsync"), *arguments, "-c", self.config], **options)

    def start_sync(self, *arguments, **options):
        return self.start("sync", "-q", "--json", *arguments, **options)

    def finish(self, process, code):
        done = harness.finish(process)
        self.assert_code(done, code)
        return json.loads(done.out)

    def outcomes(self, report):
        return {one["name"]: one["outcome"] for one in report["organizations"]}

    def wait_for_ledgers(self, names):
        """Until these organizations are done: their ledgers cover something and nothing is staged."""
        def done():
            for name in names:
                if not os.path.exists(self.path(name, "ledger.json")):
                    return False
                ledger = harness.ledger(self.path(name))
                if not ledger["covered"] or ledger["staging"] or ledger["becoming"]:
                    return False
            return True
        harness.wait_until(done, "the organizations that nobody holds are done")


class Sync(Locks):
    def test_without_waiting(self):
        """As ever: left alone, the rest done, exit 11."""
        self.begin(3, "--events", "300")
        with self.held("org0002"):
            report = self.sync(self.config, code=11)
        self.assertEqual(self.outcomes(report), {"org0001": "up_to_date", "org0002": "locked", "org0003": "up_to_date"})
        self.assertEqual(self.server.counts("org0002")["requests"], 0)
        with self.held("org0002"):
            self.sync(self.config, "--lock-wait", "0s", code=11)
        with self.held(*self.names):
            self.assertEqual(set(self.outcomes(self.sync(self.config, code=11)).values()), {"locked"})
        self.sync(self.config)
        self.assert_all_exact(self.server, self.names)

    def test_the_second_run_waits_for_the_first(self):
        self.begin(3, "--events", "2500", "--latency", "60")
        first = self.start_sync()
        harness.wait_until(lambda: all(self.server.counts(name)["requests"] > 0 for name in self.names), "requests")
        second = self.start_sync("--lock-wait", "2m")
        one = self.finish(first, 0)
        two = self.finish(second, 0)
        self.assertEqual(one["totals"]["events_new"], 3 * 2500)
        self.assertEqual((two["totals"]["up_to_date"], two["totals"]["events_new"]), (3, 0))
        self.assert_all_exact(self.server, self.names)
        self.assertGreaterEqual(two["ended"], one["ended"])

    def test_the_others_are_done_meanwhile(self):
        """One worker, one request at a time, two organizations open at once: those that are held are in nobody's way,
        and no thread waits for them."""
        self.begin(24, "--events", "50", more="limits: { workers: 1, in_flight: 1 }\n")
        held = self.names[:20]
        few = (80,) * 2
        with self.held(*held):
            process = self.start_sync("--lock-wait", "5m",
                                      preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, few))
            self.wait_for_ledgers(self.names[20:])
            self.assertIsNone(process.poll())
            self.assertEqual(sum(self.server.counts(name)["requests"] for name in held), 0)
            self.assertLess(len(os.listdir("/proc/%d/task" % process.pid)), 20)
        report = self.finish(process, 0)
        self.assertEqual(set(self.outcomes(report).values()), {"up_to_date"})
        self.assert_all_exact(self.server, self.names)

    def test_it_gives_up(self):
        self.begin(2, "--events", "300")
        with self.held("org0001"):
            begun = time.monotonic()
            report = self.sync(self.config, "--lock-wait", "1s", code=11)
            took = time.monotonic() - begun
        self.assertEqual(self.outcomes(report), {"org0001": "locked", "org0002": "up_to_date"})
        self.assertEqual(harness.of(report, "org0001")["error"]["code"], "locked")
        self.assertGreaterEqual(took, 1)
        self.assertLess(took, 20)

    def test_a_signal_ends_the_waiting(self):
        self.begin(2, "--events", "300")
        with self.held("org0001"):
            process = self.start_sync("--lock-wait", "1h")
            self.wait_for_ledgers(["org0002"])
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            report = self.finish(process, 143)
            self.assertLess(time.monotonic() - begun, 20)
        self.assertEqual(self.outcomes(report), {"org0001": "stopped", "org0002": "up_to_date"})

    def test_the_deadline_ends_the_waiting(self):
        self.begin(2, "--events", "300", more="limits: { deadline: 2s }\n")
        with self.held("org0001"):
            report = self.sync(self.config, "--lock-wait", "1h", code=10)
        self.assertEqual(self.outcomes(report), {"org0001": "deadline", "org0002": "up_to_date"})
        self.assertEqual(self.server.counts("org0001")["requests"], 0)

    def test_a_lock_dies_with_its_process(self):
        self.begin(2, "--events", "6000", "--latency", "100")
        first = self.start_sync()
        harness.wait_until(lambda: all(self.server.counts(name)["requests"] > 1 for name in self.names), "requests")
        self.assertEqual(set(self.outcomes(self.sync(self.config, code=11)).values()), {"locked"})
        waiting = self.start_sync("--lock-wait", "1h")
        first.kill()
        harness.finish(first)
        self.assertEqual(self.outcomes(self.finish(waiting, 0)), dict.fromkeys(self.names, "up_to_date"))
        self.assert_all_exact(self.server, self.names)
        # And without waiting, the moment the holder is gone.
        self.server.shift(3600)
        last = self.start_sync()
        harness.wait_until(lambda: self.server.counts("org0001")["requests"] > 0, "requests")
        last.kill()
        harness.finish(last)
        self.sync(self.config)
        self.assert_all_exact(self.server, self.names)


class Repair(Locks):
    DAY = "events/2026/2026-03-02.ndjson"

    def setUp(self):
        super().setUp()
        self.begin(2, "--events", "300")
        self.sync(self.config)
        for name in self.names:
            os.unlink(self.path(name, self.DAY))

    def test_waits(self):
        with self.held("org0001"):
            process = self.start("verify", "--repair", "--json", "--lock-wait", "5m")
            harness.wait_until(lambda: "2026-03-02" not in harness.ledger(self.path("org0002"))["days"],
                               "the other one is repaired")
            self.assertIn("2026-03-02", harness.ledger(self.path("org0001"))["days"])
        document = self.finish(process, 13)
        for name in self.names:
            entry = harness.of(document, name)
            self.assertEqual((len(entry["repaired"]), entry["error"]), (1, None))
        self.sync(self.config)
        self.assert_all_exact(self.server, self.names)

    def test_gives_up(self):
        with self.held(*self.names):
            begun = time.monotonic()
            document = self.finish(self.start("verify", "--repair", "--json", "--lock-wait", "1s"), 11)
            self.assertGreaterEqual(time.monotonic() - begun, 1)
        self.assertEqual(document["totals"]["locked"], 2)
        self.assertEqual([one["error"]["code"] for one in document["organizations"]], ["locked"] * 2)


if __name__ == "__main__":
    harness.main()
