#!/usr/bin/env python3
"""One organization's trouble stays its own: timeouts, retries that end, memory, a server that answers nobody."""

import os
import re
import socket
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
        error, requests = self.one_of_five("fault=hang:1", silence_timeout="200ms", retries=3, backoff="10ms")
        self.assertEqual(error["code"], "timeout")
        self.assertIn("nothing came for 200 ms", error["text"])
        self.assertEqual(requests, 1 + 4)  # the challenge, and a question with three retries

    def test_no_retries(self):
        error, requests = self.one_of_five("fault=hang:1", silence_timeout="100ms", retries=0)
        self.assertEqual((error["code"], requests), ("timeout", 1 + 1))

    def test_answer(self):
        error, _ = self.one_of_five("latency=5000", answer_timeout="400ms", retries=1, backoff="10ms")
        self.assertEqual(error["code"], "timeout")
        self.assertIn("was not complete within 400 ms", error["text"])

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


if __name__ == "__main__":
    harness.main()
