"""What the functional tests share: the built programs, a simulated Atlas, archives to compare, scratch
directories, a runner with a closing line.

Python's standard library only (3.9 or newer). `make check` sets top_srcdir and top_builddir; run by
hand, a test looks for the programs in the current directory.
"""

import collections
import gzip
import hashlib
import http.server
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

SRCDIR = os.path.abspath(os.environ.get("top_srcdir") or
                         os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILDDIR = os.path.abspath(os.environ.get("top_builddir") or os.getcwd())


# What a sanitizer writes before it ends a program. It is a failure whatever the exit code was.
SANITIZER = re.compile(r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|: runtime error: ")
# Only an end put to hanging: nothing is waited for by time. Generous, because sanitizers are slow.
TIMEOUT_S = 180


class Done:
    """What came of a program. A negative code is the signal that ended it."""

    def __init__(self, argv, code, out, err, seconds):
        self.argv, self.code, self.out, self.err, self.seconds = argv, code, out, err, seconds

    def __str__(self):
        return "%s\nended with %s after %.1f s\n--- stdout\n%s\n--- stderr\n%s" % (
            " ".join(self.argv), self.code, self.seconds, self.out[-8000:], self.err[-8000:])


class Broken(AssertionError):
    """A program hung, or a sanitizer found something."""


def program(name):
    """The built program of that name ("orgsync", "atlas-sandbox")."""
    path = os.path.join(BUILDDIR, "cmd", name, name)
    return path if os.path.exists(path) else os.path.join(BUILDDIR, name)


def is_sanitized(kinds="asan|tsan"):
    """Whether orgsync was built with one of the sanitizers, which have memory of their own and take their time."""
    with open(program("orgsync"), "rb") as binary:
        return re.search(rb"__(%s)_init" % kinds.encode(), binary.read()) is not None


def environment(**changes):
    """The environment for a program: ours without what would change its behaviour, with the changes;
    a change to None takes a variable away."""
    result = {name: value for name, value in os.environ.items()
              if not name.lower().endswith("_proxy") and not name.startswith(("ORGSYNC_", "XDG_"))}
    result.update(NO_COLOR="1", LC_ALL="C.UTF-8", TZ="UTC")
    for name, value in changes.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = value
    return result


def _text(data):
    return data.decode("utf-8", "backslashreplace")


def finish(process, timeout_s=TIMEOUT_S):
    """Waits for a process of start() to end. The Done."""
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        # Ours alone: start() put it at the head of a process group of its own.
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise Broken("hung:\n%s" % Done(process.args, process.returncode, _text(out), _text(err),
                                        time.monotonic() - process.begun)) from None
    done = Done(process.args, process.returncode, _text(out), _text(err), time.monotonic() - process.begun)
    if SANITIZER.search(done.err) or SANITIZER.search(done.out):
        raise Broken(str(done))
    return done


def start(argv, env=None, stdout=subprocess.PIPE, **options):
    """Starts a program without input, at the head of a process group of its own; further options are
    subprocess.Popen's."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
                               env=environment() if env is None else env, start_new_session=True, **options)
    process.begun = time.monotonic()
    return process


def run(argv, timeout_s=TIMEOUT_S, **options):
    """Runs a program to its end. The Done."""
    return finish(start(argv, **options), timeout_s)


def wait_until(condition, what, timeout_s=TIMEOUT_S):
    """Asks again and again until the condition holds. What it gave."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.005)
    raise Broken("it did not come to this: " + what)


def orgsync(*arguments, **options):
    """Runs orgsync with the arguments. The Done."""
    return run([program("orgsync")] + list(arguments), **options)


class Sandbox:
    """A running atlas-sandbox. Options are its own ("--organizations", "3", …), those with names are
    subprocess.Popen's; end it with stop()."""

    def __init__(self, *options, **popen):
        self.options = list(options)
        self.process = start([program("atlas-sandbox")] + self.options, **popen)
        line = self.process.stdout.readline().decode("ascii", "replace")
        match = re.match(r"listening on (https?://\S+)$", line)
        if not match:
            self.process.kill()
            raise Broken("no address in %r\n%s" % (line, finish(self.process)))
        self.url = match.group(1)

    def stop(self, violations=0):
        """Ends the sandbox as a user would; it has to end cleanly, and to have counted just so many requests with
        another organization's credential. Calling it again does nothing."""
        if self.process is None:
            return
        process, self.process = self.process, None
        process.send_signal(signal.SIGTERM)
        done = finish(process)
        said = re.search(r"^requests \d+, with another organization's credential (\d+)$", done.out, re.M)
        if done.code != 0 or not said or int(said.group(1)) != violations:
            raise Broken(str(done))

    def _print(self, *arguments):
        done = subprocess.run([program("atlas-sandbox")] + self.options + ["--print"] + list(arguments),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=environment(), timeout=TIMEOUT_S, check=False)
        if done.returncode != 0:
            raise Broken(_text(done.stderr))
        return done.stdout

    def config(self, directory, *options, more="", atlas="", output="", orgs=None, name="orgsync.yaml"):
        """Writes directory/orgsync.yaml (secrets beside it, the archives in directory/archives) with the
        text `more` put before the organizations, further lines ("key: value") of the sections atlas and
        output, and of organizations by name ({"org0001": "priority: 1\\ntags: [x]"}; "*" is every one);
        the options are those of --print config. The path."""
        text = self._print("config", "--url", self.url, "--secrets-dir", os.path.join(directory, "secrets"),
                           "--directory", os.path.join(directory, "archives"), *options).decode()
        head, organizations = text.split("\norganizations:\n")
        head = head.replace("\natlas:\n", "\natlas:\n" + _indent(atlas, 2), 1)
        head = head.replace("\noutput:\n", "\noutput:\n" + _indent(output, 2), 1)
        blocks = re.split(r"(?m)^(?=  - name: )", organizations)
        for i, block in enumerate(blocks):
            found = re.match(r"  - name: (\S+)\n", block)
            for key in ("*", found.group(1)) if found and orgs else ():
                block += _indent(orgs.get(key, ""), 4)
            blocks[i] = block
        path = os.path.join(directory, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(head + "\n" + more + "organizations:\n" + "".join(blocks))
        return path

    def events(self, name, *options):
        """The lines (bytes) that the archive of the organization has to hold, in order; options such as
        "--between", A, B or "--raw", "false"."""
        return self._print("events", name, *options).split(b"\n")[:-1]

    def ids(self, name, *options):
        return self._print("ids", name, *options).decode().split()

    def _open(self, path, **options):
        request = urllib.request.Request(self.url + "/_sandbox/" + path, **options)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            return answer.read()

    def events_now(self, name, begin=None, end=None, raw=True):
        """As events(), but asked of the running server, whose clock may have been moved."""
        return self._open("events/%s?raw=%s%s%s" % (name, "true" if raw else "false",
                                                    "&from=" + begin if begin else "",
                                                    "&to=" + end if end else "")).split(b"\n")[:-1]

    def poison(self, name, *options):
        """The bytes of the events that no archive may hold, by kind: [(kind, bytes), …]."""
        return [tuple(line.split(b" ", 1)) for line in self._print("poison", name, *options).split(b"\n")[:-1]]

    def stats(self):
        """What the sandbox counted (plain http only)."""
        return json.loads(self._open("stats"))

    def counts(self, name):
        """What the sandbox counted of one organization."""
        return self.stats()["organizations"][name]

    def shift(self, seconds):
        """Moves the sandbox's clock on."""
        return json.loads(self._open("shift?seconds=%s" % seconds, method="POST"))


def _indent(text, width):
    return "".join(" " * width + line + "\n" for line in text.split("\n") if line)


def last_report(archives):
    """The record of the newest run, as made last."""
    runs = os.path.join(archives, ".orgsync", "runs")
    paths = [os.path.join(runs, name, "report.json") for name in os.listdir(runs)]
    newest = max((path for path in paths if os.path.exists(path)), key=lambda path: os.stat(path).st_mtime_ns)
    with open(newest, encoding="utf-8") as report:
        return json.load(report)


def of(document, name):
    """The entry of one organization in what a command printed with --json, or in a run's record."""
    return next(entry for entry in document["organizations"] if entry["name"] == name)


def ledger(archive):
    """An organization's ledger."""
    with open(os.path.join(archive, "ledger.json"), encoding="utf-8") as text:
        return json.load(text)


def write_ledger(archive, document):
    """Writes an organization's ledger anew, with the checksum that it then has to have."""
    body = json.dumps({key: value for key, value in document.items() if key != "sha256"}, indent=1)[:-1].rstrip()
    with open(os.path.join(archive, "ledger.json"), "w", encoding="utf-8") as out:
        out.write('%s,\n "sha256": "%s"}\n' % (body, hashlib.sha256(body.encode()).hexdigest()))


def day_files(archive):
    """The day files below one organization's directory, oldest first."""
    return sorted(os.path.join(directory, name)
                  for directory, _, names in os.walk(os.path.join(archive, "events")) for name in names)


def archive_lines(archive, killed=False):
    """Every line (bytes) of an organization's day files, oldest first. Zstd needs the zstd program. killed: files
    that were being written aside may lie among them until the next run."""
    lines = []
    for path in day_files(archive):
        if killed and path.endswith(".tmp"):
            continue
        if path.endswith(".gz"):
            with gzip.open(path, "rb") as day:
                data = day.read()
        elif path.endswith(".zst"):
            data = subprocess.run(["zstd", "-dcq", path], stdout=subprocess.PIPE, check=True).stdout
        elif path.endswith(".ndjson"):
            with open(path, "rb") as day:
                data = day.read()
        else:
            raise Broken("no day file: " + path)
        if not data.endswith(b"\n"):
            raise Broken("no whole lines: " + path)
        lines += data.split(b"\n")[:-1]
    return lines


def tree(top):
    """Every file below top: its path, inode and SHA-256. Equal trees: nothing was even rewritten."""
    found = {}
    for directory, _, names in os.walk(top):
        for name in names:
            path = os.path.join(directory, name)
            with open(path, "rb") as data:
                found[os.path.relpath(path, top)] = (os.stat(path).st_ino, hashlib.sha256(data.read()).hexdigest())
    return found


def difference(lines, expected):
    """What distinguishes an archive's lines from the expected ones, in words; "" where nothing does."""
    if lines == expected:
        return ""
    have, want = collections.Counter(lines), collections.Counter(expected)
    missing, extra = list((want - have).elements()), list((have - want).elements())
    text = "%d lines, expected %d: %d missing, %d too many" % (len(lines), len(expected), len(missing), len(extra))
    if not missing and not extra:
        where = next(i for i, pair in enumerate(zip(lines, expected)) if pair[0] != pair[1])
        text += "; the order differs from line %d on" % (where + 1)
    for word, those in (("missing", missing), ("too many", extra)):
        for line in those[:3]:
            text += "\n%s: %s" % (word, _text(line)[:400])
    return text


class TestCase(unittest.TestCase):
    """A test with a scratch directory of its own, removed at the end."""

    maxDiff = 4000

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="orgsync-test-")
        self.archives = os.path.join(self.directory, "archives")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def sandbox(self, *options):
        """A sandbox that ends with the test."""
        sandbox = Sandbox(*options)
        self.addCleanup(sandbox.stop)
        return sandbox

    def serve(self, handler):
        """An HTTP server of the test's own on the loopback, which ends with the test. Its port."""
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server.server_address[1]

    @staticmethod
    def edit(path, *changes):
        """Changes a text file by (pattern, replacement) pairs; each has to be found."""
        with open(path, encoding="utf-8") as text:
            text = text.read()
        for pattern, replacement in changes:
            text, n = re.subn(pattern, replacement, text)
            assert n > 0, "%s is not in %s" % (pattern, path)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)

    def sync(self, config, *arguments, code=0, **options):
        """One `orgsync sync --json` that has to end with the code. Its document (None after exit 2)."""
        done = orgsync("sync", "--json", "-q", "-c", config, *arguments, **options)
        self.assert_code(done, code)
        return json.loads(done.out) if done.out else None

    def assert_code(self, done, code):
        self.assertEqual(done.code, code, done)

    def assert_exact(self, sandbox, name, archives=None, *options):
        """The archive holds just what the sandbox says the organization holds, byte for byte. Returns the
        number of events."""
        archive = os.path.join(archives or self.archives, name)
        expected = sandbox.events(name, *options)
        wrong = difference(archive_lines(archive), expected)
        if wrong:
            self.fail("%s: %s" % (name, wrong))
        return len(expected)

    def assert_all_exact(self, sandbox, names, archives=None, **options):
        """As assert_exact() for each of the names, asked of the running server. The number of events."""
        total, wrong = 0, []
        for name in names:
            expected = sandbox.events_now(name, **options)
            text = difference(archive_lines(os.path.join(archives or self.archives, name)), expected)
            total += len(expected)
            if text:
                wrong.append("%s: %s" % (name, text))
        if wrong:
            self.fail("%d of them\n%s" % (len(wrong), "\n".join(wrong[:5])))
        return total


class _Result(unittest.TextTestResult):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.broken = set()

    def _note(self, test):
        self.broken.add(test.id())

    def addError(self, test, err):
        super().addError(test, err)
        self._note(test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._note(test)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._note(test)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._note(test)


def main():
    """Runs the tests of the calling program (all, or those named in its arguments), prints the closing
    line `N passed, N failed, N skipped` and ends with 0 where nothing failed, 77 where all was skipped
    (automake's sign for that), 1 otherwise."""
    names = sys.argv[1:]
    loader = unittest.defaultTestLoader
    module = sys.modules["__main__"]
    suite = loader.loadTestsFromNames(names, module) if names else loader.loadTestsFromModule(module)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=_Result).run(suite)
    failed = len(result.broken)
    skipped = len(result.skipped)
    passed = result.testsRun - len([1 for name in result.broken if "setUpClass" not in name]) - skipped
    if result.testsRun == 0 and failed == 0 and skipped == 0:
        failed = 1
        print("there is no test in this program")
    print("%d passed, %d failed, %d skipped" % (max(passed, 0), failed, skipped), flush=True)
    sys.exit(1 if failed else 77 if passed <= 0 else 0)
