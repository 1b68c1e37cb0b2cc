"""What the functional tests share: the built programs, scratch directories, a runner with a closing line.

Python's standard library only (3.9 or newer). `make check` sets top_srcdir and top_builddir; run by
hand, a test looks for the programs in the current directory.
"""

import collections
import gzip
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

SRCDIR = os.path.abspath(os.environ.get("top_srcdir") or
                         os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILDDIR = os.path.abspath(os.environ.get("top_builddir") or os.getcwd())


# What a sanitizer writes before it ends a program. It is a failure whatever the exit code was.
SANITIZER = re.compile(r"ERROR: (Address|Leak)Sanitizer|WARNING: ThreadSanitizer|: runtime error: ")
# Only an end put to hanging: nothing is waited for by time. Generous, because sanitizers are slow.
TIMEOUT_S = 180


class Done(collections.namedtuple("Done", "argv code out err seconds")):
    """What came of a program. A negative code is the signal that ended it."""

    def __str__(self):
        return "%s\nended with %s after %.1f s\n--- stdout\n%s\n--- stderr\n%s" % (
            " ".join(self.argv), self.code, self.seconds, self.out[-8000:], self.err[-8000:])


class Broken(AssertionError):
    """A program hung, or a sanitizer found something."""


def program(name):
    """The built program of that name ("orgsync", "atlas-sandbox")."""
    return os.path.join(BUILDDIR, "cmd", name, name)


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


def start(argv, cwd=None, env=None, stdout=subprocess.PIPE):
    """Starts a program without input, at the head of a process group of its own."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, cwd=cwd,
                               env=environment() if env is None else env, start_new_session=True)
    process.begun = time.monotonic()
    return process


def run(argv, timeout_s=TIMEOUT_S, **options):
    """Runs a program to its end. The Done."""
    return finish(start(argv, **options), timeout_s)


class TestCase(unittest.TestCase):
    """A test with a scratch directory of its own, removed at the end."""

    maxDiff = 4000

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="orgsync-test-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)


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
