"""One run over many organizations of a hostile server, each with a fault of its own, and the run after it, with
the faults gone. The tests of a class then look at one organization each: what a fault comes to, and that it
stays its own."""

import json
import os
import re
import shutil
import signal
import tempfile
import threading
import time

import harness
import hostile

SANITIZED = None
# Everything that an organization's directory may hold.
ALLOWED = re.compile(r"ledger\.json|\.lock|\.staging(/.*)?|quarantine(/[0-9a-f]{64}\.json)?|"
                     r"events(/\d{4}(/(\d{4})-\d\d-\d\d\.ndjson)?)?")


def is_sanitized():
    global SANITIZED
    if SANITIZED is None:
        with open(harness.program("orgsync"), "rb") as program:
            SANITIZED = re.search(rb"__(asan|tsan)_init", program.read()) is not None
    return SANITIZED


def patience():
    """How much slower everything may be."""
    return 4 if is_sanitized() else 1


def measured(directory, *arguments):
    """Runs orgsync. The Done, and its peak of memory in MiB."""
    argv = [harness.program("orgsync")] + list(arguments)
    paths = [os.path.join(directory, name) for name in ("stdout", "stderr")]
    with open(paths[0], "wb") as out, open(paths[1], "wb") as err:
        pid = os.posix_spawn(argv[0], argv, harness.environment(), setpgroup=0,
                             file_actions=[(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                                           (os.POSIX_SPAWN_DUP2, out.fileno(), 1),
                                           (os.POSIX_SPAWN_DUP2, err.fileno(), 2)])
        begun = time.monotonic()
        end = threading.Timer(harness.TIMEOUT_S, os.killpg, (pid, signal.SIGKILL))
        end.start()
        _, status, usage = os.wait4(pid, 0)
        end.cancel()
    texts = []
    for path in paths:
        with open(path, encoding="utf-8", errors="backslashreplace") as text:
            texts.append(text.read())
    code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
    done = harness.Done(argv, code, texts[0], texts[1], time.monotonic() - begun)
    if harness.SANITIZER.search(done.err) or harness.SANITIZER.search(done.out):
        raise harness.Broken(str(done))
    return done, usage.ru_maxrss // 1024


def listing(top):
    """Every path below top, links not followed."""
    found = set()
    for directory, directories, names in os.walk(top):
        for name in directories + names:
            found.add(os.path.relpath(os.path.join(directory, name), top))
    return found


class Fleet(harness.TestCase):
    """TENANTS: a function that gives the organizations."""

    LIMITS = {"retries": 1, "backoff": "10ms", "silence_timeout": "600ms", "answer_timeout": "1500ms",
              "memory": "256MiB", "organization_memory": "16MiB", "in_flight": 256}
    TENANTS = None
    KEPT_STEADY = 3

    @classmethod
    def setUpClass(cls):
        cls.tenants = {tenant.name: tenant for tenant in cls.TENANTS()}
        for i in range(cls.KEPT_STEADY): # asked and answered all the time: nobody's trouble is everybody's
            name = "steady%d" % i
            cls.tenants[name] = hostile.Tenant(name, count=120, rows=3, latency=0.02 * patience())
        cls.shared = tempfile.mkdtemp(prefix="orgsync-test-")
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.server = hostile.Server(cls.tenants.values())
        cls.addClassCleanup(cls.server.stop)
        limits = dict(cls.LIMITS)
        for key in ("silence_timeout", "answer_timeout"):
            limits[key] = "%dms" % (int(limits[key][:-2]) * patience())
        config = hostile.write_config(cls.shared, "http://127.0.0.1:%d" % cls.server.port, cls.tenants.values(), limits)
        before = listing(cls.shared)
        cls.first_done, cls.peak = measured(cls.shared, "sync", "--json", "-c", config)
        if cls.first_done.code not in (0, 3, 4):
            raise AssertionError(str(cls.first_done))
        cls.first = json.loads(cls.first_done.out)
        cls.asked = {tenant.name: tenant.asked + tenant.challenged for tenant in cls.tenants.values()}
        cls.sent = {tenant.name: tenant.sent for tenant in cls.tenants.values()}
        cls.after_first = {name: cls.lines(name) for name in cls.tenants}
        cls.covered = {name: cls.ledger(name)["covered"] for name in cls.tenants}
        cls.first_new = listing(cls.shared) - before
        cls.verified = json.loads(harness.orgsync("verify", "--json", "-c", config).out)
        cls.server.healed = True
        cls.second_done = harness.orgsync("sync", "--json", "-q", "-c", config)
        cls.second = json.loads(cls.second_done.out)
        cls.last_verified = harness.orgsync("verify", "-c", config)
        if os.environ.get("ORGSYNC_TEST_LOG"):
            print(cls.first_done.err)
        print("%d organizations, %.1f s, peak %d MiB" % (len(cls.tenants), cls.first_done.seconds, cls.peak), flush=True)

    @classmethod
    def ledger(cls, name):
        archive = os.path.join(cls.shared, "archives", name)
        return harness.ledger(archive) if os.path.exists(os.path.join(archive, "ledger.json")) else {"covered": []}

    @classmethod
    def lines(cls, name):
        return harness.archive_lines(os.path.join(cls.shared, "archives", name))

    def entry(self, name):
        return harness.of(self.first, name)

    # ---- what is to be said of one organization

    def sound(self, name):
        """Nothing of its archive is damaged, whatever came."""
        findings = harness.of(self.verified, name)["findings"]
        self.assertEqual([f for f in findings if f["path"] is not None], [], name)

    def exact_now(self, name):
        wrong = harness.difference(self.after_first[name], self.tenants[name].lines())
        self.assertEqual(wrong, "", name)

    def exact_after(self, name):
        entry = harness.of(self.second, name)
        self.assertEqual((entry["outcome"], entry["error"]), ("up_to_date", None), name)
        self.assertEqual(harness.difference(self.lines(name), self.tenants[name].lines()), "", name)

    def bounded(self, name, requests):
        """By the server's own count; it is the record's, too."""
        self.assertGreater(self.tenants[name].faults, 0, "%s met no fault" % name)
        self.assertLessEqual(self.asked[name], requests, self.entry(name))
        self.assertLessEqual(self.entry(name)["elapsed_ms"], 20000 * patience())

    def fails(self, name, code, *words, requests=8, status=None, kept=0):
        """The organization fails with this class and these words, in so many requests at most; nothing is wrong in
        its archive, and the next run makes it whole."""
        entry = self.entry(name)
        self.assertEqual(entry["outcome"], "failed", entry)
        self.assertEqual(entry["error"]["code"], code, entry)
        for word in words:
            self.assertIn(word, entry["error"]["text"] + " / " + entry["error"].get("hint", ""), name)
        self.assertGreater(len(entry["error"].get("hint", "")), 20, "no word on what to do: %s" % entry)
        self.assertNotIn(self.tenants[name].secret, self.first_done.err + self.first_done.out)
        if status is not None:
            self.assertEqual(entry["error"].get("http_status"), status, entry)
        self.assertEqual(len(self.after_first[name]), kept, name)
        self.bounded(name, requests)
        self.sound(name)
        self.exact_after(name)

    def recovers(self, name, requests=8):
        """The fault passes, and the organization is exact in the same run."""
        entry = self.entry(name)
        self.assertEqual((entry["outcome"], entry["error"]), ("up_to_date", None), entry)
        self.exact_now(name)
        self.bounded(name, requests)
        self.sound(name)

    def transient(self, name, code, *words, **options):
        """Both: where it stays and where it passes."""
        self.fails(name, code, *words, **options)
        self.recovers(name + "_once", requests=options.get("requests", 8) + 2)

    # ---- what holds for all of them

    def test_every_healthy_one_is_exact(self):
        honest = [name for name, tenant in self.tenants.items() if tenant.fault is None and not tenant.bad]
        self.assertGreaterEqual(len(honest), self.KEPT_STEADY)
        for name in honest:
            with self.subTest(name=name):
                self.assertEqual(self.entry(name)["outcome"], "up_to_date", self.entry(name))
                self.exact_now(name)

    def test_exit_codes_and_credentials(self):
        self.assertEqual(self.first_done.code, 3, self.first_done)
        self.assertEqual(self.last_verified.code, 0, self.last_verified)
        self.assertEqual(self.server.problems, [])
        self.assertNotIn("the server answers nobody; the run ends", self.first_done.err)

    def test_nothing_is_written_elsewhere(self):
        strange = []
        for path in self.first_new:
            parts = path.split("/", 2)
            if path in ("archives", "stdout", "stderr") or parts[:2] == ["archives", ".orgsync"]:
                continue
            if parts[0] != "archives" or parts[1] not in self.tenants or \
                    (len(parts) > 2 and not ALLOWED.fullmatch(parts[2])):
                strange.append(path)
        self.assertEqual(strange, [])

    def test_memory_stays_below_its_cap(self):
        self.assertGreater(self.peak, 5)
        if not is_sanitized():
            self.assertLess(self.peak, 256)
