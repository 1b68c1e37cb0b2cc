#!/usr/bin/env python3
"""One organization's trouble stays its own: timeouts, retries that end, memory, a server that answers nobody."""

import fcntl
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness


def names(first, last):
    return ["org%04d" % i for i in range(first, last + 1)]


def limits(**keys):
    return "limits: { %s }\n" % ", ".join("%s: %s" % pair for pair in keys.items())


class Timeouts(harness.TestCase):
    """Each timeout ends what it is for, and its text says which it was."""

    def one_of_five(self, trouble, **keys):
        """Organization 1 has the trouble; the others must not notice. Its error and its number of requests."""
        sandbox = self.sandbox("--organizations", "5", "--events", "700", "--org", "1:" + trouble)
        document = self.sync(sandbox.config(self.directory, more=limits(**keys)), code=3)
        self.assert_all_exact(sandbox, names(2, 5))
        entry = harness.of(document, "org0001")
        return entry["error"], entry["requests"]

    def test_silence(self):
        error, requests = self.one_of_five("fault=hang:1", silence_timeout="500ms", retries=3, backoff="10ms")
        self.assertEqual(error["code"], "timeout")
        self.assertIn("nothing came for 500 ms", error["text"])
        self.assertEqual(requests, 1 + 4)  # the challenge, and a question with three retries

    def test_no_retries(self):
        error, requests = self.one_of_five("fault=hang:1", silence_timeout="3s", retries=0)
        self.assertEqual((error["code"], requests), ("timeout", 1 + 1))

    def test_the_shortest(self):
        sandbox = self.sandbox("--organizations", "1", "--events", "1", "--fault", "hang:1")
        document = self.sync(sandbox.config(self.directory, more=limits(silence_timeout="100ms", retries=0)), code=4)
        self.assertIn("nothing came for 100 ms", harness.of(document, "org0001")["error"]["text"])
        self.assertLess(harness.of(document, "org0001")["elapsed_ms"], 20000)

    def test_answer(self):
        error, _ = self.one_of_five("latency=60000", answer_timeout="4s", retries=0)
        self.assertEqual(error["code"], "timeout")
        self.assertIn("was not complete within 4000 ms", error["text"])

    def test_connect(self):
        """Somebody takes the connection and never says a word of TLS."""
        sandbox = self.sandbox("--organizations", "2", "--events", "10")
        config = sandbox.config(self.directory, more=limits(connect_timeout="150ms", retries=1, backoff="10ms"))
        with socket.socket() as mute:
            mute.bind(("127.0.0.1", 0))
            mute.listen(16)
            with open(config, encoding="utf-8") as text:
                changed = re.sub(r"base_url: .*", "base_url: https://127.0.0.1:%d" % mute.getsockname()[1],
                                 text.read())
            with open(config, "w", encoding="utf-8") as text:
                text.write(changed)
            document = self.sync(config, code=4)
        for name in names(1, 2):
            error = harness.of(document, name)["error"]
            self.assertEqual(error["code"], "timeout")
            self.assertIn("no connection within 150 ms", error["text"])


class Retries(harness.TestCase):
    """An organization that fails again and again is left after a bounded number of questions, asked one by one."""

    FAILING = {1: "fault=500:1", 2: "fault=503:1", 3: "fault=reset:1", 4: "fault=truncate:1", 5: "fault=hang:1"}

    def test_bounded(self):
        options = ["--organizations", "12", "--events", "300", "--time-scale", "3000",
                   "--nonce-life", "100000000"]
        for number, trouble in self.FAILING.items():
            options += ["--org", "%d:%s" % (number, trouble)]
        sandbox = self.sandbox(*options)
        document = self.sync(sandbox.config(self.directory, more=limits(retries=4, backoff="10ms")), code=3)
        self.assert_all_exact(sandbox, names(6, 12))
        for number in self.FAILING:
            entry, counts = harness.of(document, "org%04d" % number), sandbox.counts("org%04d" % number)
            self.assertEqual(entry["outcome"], "failed")
            self.assertLessEqual(entry["requests"], 1 + 5, entry)
            # Where a kept connection dies under the first question libcurl tries other kept ones, five at most.
            self.assertLessEqual(counts["requests"], 1 + 5 + 5, counts)
            self.assertEqual(counts["max_concurrent"], 1)
        for name, counts in sandbox.stats()["organizations"].items():
            self.assertLessEqual(counts["max_concurrent"], 1, name)


    def test_nothing_but_rubbish(self):
        """An organization of which no answer can be used: the search for what can be read has an end."""
        sandbox = self.sandbox("--organizations", "4", "--events", "300", "--no-limits", "--nonce-life", "100000000",
                               "--org", "1:fault=malformed:1")
        document = self.sync(sandbox.config(self.directory, more=limits(backoff="10ms")), code=3)
        self.assert_all_exact(sandbox, names(2, 4))
        entry = harness.of(document, "org0001")
        self.assertEqual((entry["outcome"], entry["error"]["code"]), ("failed", "page"))
        self.assertLessEqual(entry["requests"], 60)


# Runs a program and writes what the kernel says of its memory when it is over (wait4): nothing is missed.
MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
with open(sys.argv[1], "w") as out:
    out.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""


class Memory(harness.TestCase):
    """What organizations send, the process stays below its cap, and nothing is lost by that."""

    def setUp(self):
        super().setUp()
        if harness.is_sanitized("tsan"):
            self.skipTest("of memory it says nothing, and the threads are tests/unit/test_run's")

    def peak(self, config, code=0):
        """One sync that has to end with the code: its document, and its peak in MiB."""
        path = os.path.join(self.directory, "peak")
        result = harness.run([sys.executable, "-c", MEASURE, path, harness.program("orgsync"), "sync", "--json", "-q",
                              "-c", config])
        self.assert_code(result, code)
        with open(path, encoding="ascii") as kib:
            peak = int(kib.read()) // 1024
        print("peak %d MiB, %.1f s" % (peak, result.seconds), end=" ", flush=True)
        self.said = result.err
        return json.loads(result.out), peak

    def check_peak(self, peak, cap):
        self.assertGreater(peak, 5)
        if not harness.is_sanitized():
            self.assertLess(peak, cap)

    def test_pages_of_100_megabytes(self):
        options = ["--organizations", "15", "--events", "600", "--no-limits", "--no-gzip"]
        for number in (1, 2, 3):
            options += ["--org", "%d:event-bytes=200000,events=520" % number]
        sandbox = self.sandbox(*options)
        document, peak = self.peak(sandbox.config(self.directory, more=limits(memory="256MiB")))
        self.check_peak(peak, 256)
        self.assertEqual(self.assert_all_exact(sandbox, names(1, 15)), document["totals"]["events_new"])
        # Only those three were asked for less at a time, and the others were done before any of them.
        huge = [harness.of(document, name) for name in names(1, 3)]
        for name in names(4, 15):
            entry = harness.of(document, name)
            self.assertEqual(entry["retries"], 0)
            self.assertLess(entry["elapsed_ms"], min(one["elapsed_ms"] for one in huge))
        for entry in huge:
            self.assertLessEqual(entry["requests"], 40)

    def test_the_cap_of_an_organization_is_what_binds(self):
        """The same history of 52 MB under two caps, with room enough in the process for all of it."""
        if harness.is_sanitized():
            self.skipTest("a sanitizer has memory of its own")
        sandbox = self.sandbox("--organizations", "1", "--events", "260", "--event-bytes", "200000", "--no-limits",
                               "--no-gzip")
        peaks = []
        for cap in ("16MiB", "256MiB"):
            config = sandbox.config(self.directory, more=limits(memory="1GiB", organization_memory=cap))
            _, peak = self.peak(config)
            self.assertEqual(self.assert_all_exact(sandbox, names(1, 1)), 260)
            shutil.rmtree(self.archives)
            peaks.append(peak)
        self.assertLess(peaks[0], 16 + 48)  # with the program itself
        self.assertGreater(peaks[1], 100)   # or the smaller one would have bound nothing

    def test_more_than_there_is_memory_for(self):
        """Events of 400 MB in ordinary answers, and answers a little too large for that."""
        sandbox = self.sandbox("--organizations", "70", "--events", "1500", "--event-bytes", "2700", "--no-limits",
                               "--no-gzip", "--org", "every/10:event-bytes=6000")
        document, peak = self.peak(sandbox.config(self.directory, more=limits(memory="256MiB", in_flight=256)))
        self.check_peak(peak, 256)
        self.assertEqual(self.assert_all_exact(sandbox, names(1, 70)), document["totals"]["events_new"])

    def test_an_organization_over_its_cap(self):
        """A second that is larger than an answer may be cannot be read; its neighbours can."""
        sandbox = self.sandbox("--organizations", "3", "--events", "100", "--no-limits", "--no-gzip",
                               "--org", "1:event-bytes=300000,burst=2026-03-03T00:00:00Z/20")
        config = sandbox.config(self.directory, more=limits(memory="256MiB", organization_memory="16MiB"))
        document, peak = self.peak(config, code=3)
        self.check_peak(peak, 256)
        entry = harness.of(document, "org0001")
        # The seconds beside it are kept and not claimed: a question shows their neighbour too.
        self.assertIn(entry["lost_seconds"], (1, 2, 3))
        self.assertEqual(entry["events_new"], 100)
        self.assertIn("larger than the 4194304 bytes it may have", self.said)
        self.assert_all_exact(sandbox, names(2, 3))
        # With room for it the next run reads it.
        with open(config, encoding="utf-8") as text:
            changed = text.read().replace("16MiB", "64MiB")
        with open(config, "w", encoding="utf-8") as text:
            text.write(changed)
        self.peak(config)
        self.assert_all_exact(sandbox, names(1, 3))


class Neighbours(harness.TestCase):
    """The others do not wait for one that keeps everybody waiting. (What it costs them in time is measured by
    tests/bench/isolation.py.)"""

    def has_ended(self, name):
        """Its archive is there, and nobody holds its lock."""
        archive = os.path.join(self.archives, name)
        if not os.path.exists(os.path.join(archive, "ledger.json")) or not harness.ledger(archive)["covered"]:
            return False
        with open(os.path.join(archive, ".lock"), encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def beside(self, trouble):
        """Two questions at once, and the first organization's is out for as long as the run lasts."""
        sandbox = self.sandbox("--organizations", "12", "--events", "700", "--no-limits", "--org", "1:" + trouble)
        config = sandbox.config(self.directory, more=limits(in_flight=2, workers=1, silence_timeout="10m"),
                                orgs={"org0001": "priority: 100"})
        process = harness.start([harness.program("orgsync"), "sync", "-q", "-c", config])
        try:
            harness.wait_until(lambda: process.poll() is not None or
                               all(self.has_ended(name) for name in names(2, 12)), "the others end", 60)
            self.assertFalse(self.has_ended("org0001"))
        finally:
            process.send_signal(signal.SIGKILL)
            harness.finish(process)
        self.assert_all_exact(sandbox, names(2, 12))

    def test_one_that_hangs(self):
        self.beside("fault=hang:1")

    def test_one_that_takes_its_time(self):
        self.beside("latency=3000000")


class Held(harness.TestCase):
    """What is refused is asked for once a run: no run remembers it, so that a mended credential needs nothing but the
    next run, and none tries it over and over."""

    REFUSED = {1: ("bad-key", "credential"), 2: ("bad-key", "credential"), 3: ("access-list", "access_list"),
               4: ("suspended", "tenant"), 5: ("unknown", "org_unknown"), 6: ("role", "role")}

    def test_run_after_run(self):
        options = ["--organizations", "9", "--events", "40", "--credentials", "mixed"]
        troubles = [part for number, (refusal, _) in self.REFUSED.items()
                    for part in ("--org", "%d:refuse=%s" % (number, refusal))]
        sandbox = harness.Sandbox(*options, *troubles)
        self.addCleanup(sandbox.stop)
        config, before = sandbox.config(self.directory), {}
        for run in range(3):
            document = self.sync(config, code=3)
            for number, (_, code) in self.REFUSED.items():
                name = "org%04d" % number
                entry, now = harness.of(document, name), sandbox.counts(name)
                self.assertEqual((entry["error"]["code"], entry["retries"]), (code, 0), entry)
                # A challenge and an answer to it; with a service account a token, its use, and once more with a
                # fresh token where the kept one is refused.
                self.assertLessEqual(now["requests"] - before.get(name, 0), 2, (run, name))
                self.assertLessEqual(entry["requests"], 4)
                before[name] = now["requests"]
        port = sandbox.url.rsplit(":", 1)[1]
        sandbox.stop()
        mended = self.sandbox(*options, "--port", port)
        self.sync(config)
        self.assert_all_exact(mended, names(1, 9))

    def test_one_that_fails_run_after_run(self):
        """Each run gives it a first try and its retries, and no more."""
        sandbox = self.sandbox("--organizations", "4", "--events", "40", "--nonce-life", "100000000",
                               "--org", "1:fault=500:1")
        config, before = sandbox.config(self.directory, more=limits(retries=2, backoff="10ms")), 0
        for _ in range(3):
            entry = harness.of(self.sync(config, code=3), "org0001")
            self.assertEqual((entry["error"]["code"], entry["retries"]), ("server", 3))
            now = sandbox.counts("org0001")["requests"]
            self.assertLessEqual(now - before, 1 + 3)
            before = now


class FewFiles(harness.TestCase):
    """With few files allowed fewer organizations are open at once, and that is all."""

    def test_few_files(self):
        sandbox = self.sandbox("--organizations", "60", "--events", "30")
        config = sandbox.config(self.directory)
        for most in (32, 200):
            document = self.sync(config, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (most, most)))
            self.assertEqual((document["totals"]["up_to_date"], document["totals"]["retries"]), (60, 0))
            self.assert_all_exact(sandbox, names(1, 60))
            shutil.rmtree(self.archives)


class Outage(harness.TestCase):
    """A server that answers nobody costs a few questions, not every organization's retries, and ends the run in
    bounded time; one that comes back is noticed."""

    COUNT = 120

    def nowhere(self, **keys):
        """The configuration of a sandbox that is gone, and its port."""
        sandbox = harness.Sandbox("--organizations", str(self.COUNT), "--events", "40")
        config = sandbox.config(self.directory, more=limits(in_flight=8, backoff="50ms", **keys))
        sandbox.stop()
        return config, sandbox.url.rsplit(":", 1)[1]

    def check_given_up(self, document, err, reason, requests_max):
        self.assertEqual(document["totals"]["failed"], self.COUNT)
        self.assertLessEqual(document["totals"]["requests"], requests_max)
        alike = [entry for entry in document["organizations"] if "answers none of the organizations" in
                 entry["error"]["text"]]
        # Eight find it out; each of the other three workers may just then have another answer in its hands.
        self.assertGreaterEqual(len(alike), self.COUNT - 8 - 3)
        for entry in alike:
            self.assertRegex(entry["error"]["text"], reason)
        said = re.findall(r"level=error .*the server answers nobody.*", err)
        self.assertEqual(len(said), 1, err)
        waiting = int(re.search(r"organizations_waiting=(\d+)", said[0]).group(1))
        self.assertGreaterEqual(waiting, self.COUNT - 8 - 3)
        self.assertLessEqual(err.count("\n"), 40)

    def test_nobody_there(self):
        config, port = self.nowhere(outage_wait="1s", retries=5)
        done = harness.orgsync("sync", "--json", "-q", "-c", config, timeout_s=30)
        self.assert_code(done, 4)
        # 8 on the way, and probes after 50, 100, 200, 400 ms and at the end; a few that were just being sent.
        self.check_given_up(json.loads(done.out), done.err, "127.0.0.1:%s: connection refused" % port, 8 + 8 + 8)
        # People are told once, not 120 times.
        done = harness.orgsync("sync", "-q", "-c", config, timeout_s=30)
        self.assert_code(done, 4)
        self.assertEqual(done.out.count("answers none of"), 1, done.out)

    def test_the_test_command_ends_too(self):
        config, _ = self.nowhere(outage_wait="1s")
        done = harness.orgsync("test", "-q", "-c", config, timeout_s=30)
        self.assert_code(done, 4)

    def test_no_retries(self):
        config, port = self.nowhere(outage_wait="100ms", retries=0)
        done = harness.orgsync("sync", "--json", "-q", "-c", config, timeout_s=30)
        self.assert_code(done, 4)
        self.check_given_up(json.loads(done.out), done.err, ":%s" % port, 8 + 8 + 4)

    def test_name_that_is_none(self):
        config, _ = self.nowhere(outage_wait="500ms")
        with open(config, encoding="utf-8") as text:
            changed = re.sub(r"base_url: .*", "base_url: https://atlas.invalid", text.read())
        with open(config, "w", encoding="utf-8") as text:
            text.write(changed)
        done = harness.orgsync("sync", "--json", "-q", "-c", config, timeout_s=60)
        self.assert_code(done, 4)
        self.check_given_up(json.loads(done.out), done.err, "its name cannot be resolved", 8 + 8 + 8)

    def test_trouble_everywhere(self):
        """5xx for everybody, some as web pages."""
        sandbox = self.sandbox("--organizations", str(self.COUNT), "--events", "40", "--fault", "500:0.5",
                               "--fault", "503:0.5")
        config = sandbox.config(self.directory, more=limits(in_flight=8, backoff="50ms", outage_wait="1s"))
        done = harness.orgsync("sync", "--json", "-q", "-c", config, timeout_s=30)
        self.assert_code(done, 4)
        # Each question is two requests: its challenge first.
        self.check_given_up(json.loads(done.out), done.err, "the server has trouble: status 50", 2 * (8 + 8 + 8))

    def test_certificate_of_nobody(self):
        """Waiting does not help: it ends at once."""
        if not shutil.which("openssl"):
            self.skipTest("no openssl command")
        key, cert = os.path.join(self.directory, "key.pem"), os.path.join(self.directory, "cert.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=sandbox",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, stderr=subprocess.DEVNULL)
        sandbox = self.sandbox("--organizations", str(self.COUNT), "--events", "40", "--tls-cert", cert,
                               "--tls-key", key)
        config = sandbox.config(self.directory, more=limits(in_flight=8, outage_wait="1d"))
        with open(config, encoding="utf-8") as text:
            changed = re.sub(r"ca_file: .*", "", text.read())
        with open(config, "w", encoding="utf-8") as text:
            text.write(changed)
        done = harness.orgsync("sync", "--json", "-q", "-c", config, timeout_s=30)
        self.assert_code(done, 4)
        document = json.loads(done.out)
        self.check_given_up(document, done.err, "could not prove who it is", 8 + 8)

    def test_it_comes_back(self):
        """The run goes on where it was, and nobody has failed."""
        config, port = self.nowhere(outage_wait="1h", retries=2)
        log = os.path.join(self.directory, "log")
        with open(log, "wb") as to:
            process = subprocess.Popen([harness.program("orgsync"), "sync", "-c", config], stderr=to,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       env=harness.environment(), start_new_session=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        def says(what):
            with open(log, encoding="utf-8") as text:
                return what in text.read()
        harness.wait_until(lambda: says("waiting for it"), "the outage is noticed", 30)
        sandbox = self.sandbox("--organizations", str(self.COUNT), "--events", "40", "--port", port)
        self.assertEqual(process.wait(timeout=60), 0)
        self.assertTrue(says("the server answers again"))
        self.assert_all_exact(sandbox, names(1, self.COUNT))

    def test_those_that_fail_alone_are_no_outage(self):
        """Eight of forty get nothing but 500: they are left after their retries, and the word is not used."""
        sandbox = self.sandbox("--organizations", "40", "--events", "40", "--org", "every/5:fault=500:1")
        config = sandbox.config(self.directory, more=limits(backoff="20ms", retries=3, outage_wait="1h"))
        done = harness.orgsync("sync", "--json", "-q", "-c", config, timeout_s=60)
        self.assert_code(done, 3)
        self.assertNotIn("answers nobody", done.err)
        self.assert_all_exact(sandbox, [name for i, name in enumerate(names(1, 40), 1) if i % 5 != 0])

    def test_signal_and_deadline_during_an_outage(self):
        config, _ = self.nowhere(outage_wait="1h", deadline="1s")
        done = harness.orgsync("sync", "-q", "-c", config, timeout_s=30)
        self.assert_code(done, 10)


if __name__ == "__main__":
    harness.main()
