"""What the functional tests share: the built programs, scratch directories, a runner with a closing line.

Python's standard library only (3.9 or newer). `make check` sets top_srcdir and top_builddir; run by
hand, a test looks for the programs in the current directory.
"""

import os
import shutil
import sys
import tempfile
import unittest

SRCDIR = os.path.abspath(os.environ.get("top_srcdir") or
                         os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
BUILDDIR = os.path.abspath(os.environ.get("top_builddir") or os.getcwd())


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
