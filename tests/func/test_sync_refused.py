#!/usr/bin/env python3
"""Organizations that refuse: the others complete, each is named with its reason and what to do, and a refused
key is not tried over and over."""

import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

REQUESTS_MAX = 6

# number: (what the server does, the error's code, its reason, what to do); odd numbers are keys, even ones
# service accounts (--credentials mixed).
REFUSED = {
    8: ("bad-key", "credential", r"no access token is given", r"check client_id and client_secret"),
    21: ("bad-key", "credential", r"credential is refused: status 401", r"the key or the service account"),
    41: ("access-list", "access_list", r"address 127\.0\.0\.1 is not on the API access list",
         r"add 127\.0\.0\.1 to the API access list"),
    60: ("access-list", "access_list", r"address 127\.0\.0\.1 is not on", r"add 127\.0\.0\.1"),
    81: ("unknown", "org_unknown", r"no such organization: status 404 \(ORG_NOT_FOUND\)", r"check org_id"),
    100: ("suspended", "tenant", r"suspended or closed this organization: status 402", r"pay what is due"),
    121: ("role", "role", r"may not read this organization's events: status 403", r"Organization Member"),
    140: ("role-401", "role", r"may not read .*status 401", r"Organization Member"),
    161: ("inactive", "tenant", r"status 400 \(INACTIVE_ORG\)", r"have the organization reactivated"),
    181: ("bad-key", "credential", r"credential is refused: status 401", r"its secret is the right one"),
}


def said(text):
    """Wrapped text as one line."""
    return re.sub(r"\s+", " ", text)


def failed_part(out):
    """What the closing table says of each failed organization: {name: text}."""
    part = re.split(r"(?m)^Failed:\n", out)[1]
    part = part[:part.index("\n\n")]
    blocks = re.split(r"(?m)^  (?! )", part)[1:]
    return {block.split("\n", 1)[0]: said(block.split("\n", 1)[1]) for block in blocks}


class Refused(harness.TestCase):
    def of_two_hundred(self, refused):
        options = ["--organizations", "200", "--seed", "12", "--events", "0..60", "--credentials", "mixed"]
        for number, entry in refused.items():
            options += ["--org", "%d:refuse=%s" % (number, entry[0])]
        return self.sandbox(*options)

    def check_requests(self, sandbox, report, names):
        """What the server counted, and what orgsync itself says: that counts token requests too."""
        stats = sandbox.stats()
        self.assertEqual(stats["credential_violations"], 0)
        for name in names:
            one, ours = stats["organizations"][name], harness.of(report, name)
            self.assertLessEqual(one["requests"] + one["tokens_minted"], REQUESTS_MAX, name)
            self.assertLessEqual(ours["requests"], REQUESTS_MAX, name)
            self.assertGreaterEqual(ours["requests"], max(1, one["requests"] + one["tokens_minted"]), name)

    def test_ten_of_two_hundred(self):
        sandbox = self.of_two_hundred(REFUSED)
        config = sandbox.config(self.directory)
        done = harness.orgsync("sync", "-c", config)
        self.assert_code(done, 3)
        report = harness.last_report(self.archives)
        bad = {"org%04d" % number: entry for number, entry in REFUSED.items()}
        good = [entry["name"] for entry in report["organizations"] if entry["name"] not in bad]
        self.assertEqual((len(good), report["totals"]["up_to_date"], report["totals"]["failed"]), (190, 190, 10))
        self.assertEqual(report["exit_code"], 3)
        self.assertEqual(report["totals"]["events_new"], self.assert_all_exact(sandbox, good))
        table = failed_part(done.out)
        self.assertEqual(sorted(table), sorted(bad))
        for name, (_, code, reason, hint) in bad.items():
            entry = harness.of(report, name)
            self.assertEqual((entry["outcome"], entry["error"]["code"]), ("failed", code), entry)
            self.assertRegex(entry["error"]["text"], reason)
            self.assertRegex(entry["error"]["hint"], hint)
            self.assertRegex(table[name], reason)
            self.assertRegex(table[name], "what to do: .*" + hint)
            self.assertEqual(harness.day_files(os.path.join(self.archives, name)), [])
        self.check_requests(sandbox, report, bad)
        status = harness.orgsync("status", "--json", "-c", config)
        self.assert_code(status, 0)
        for name, (_, code, _, _) in bad.items():
            self.assertEqual(harness.of(json.loads(status.out), name)["last_error"]["code"], code)
        # `test` asks one cheap question and finds the same ten.
        done = harness.orgsync("test", "--json", "-c", config)
        self.assert_code(done, 3)
        entries = json.loads(done.out)["organizations"]
        self.assertEqual({e["name"]: e["error"]["code"] for e in entries if not e["works"]},
                         {name: entry[1] for name, entry in bad.items()})

    def test_one_of_many(self):
        sandbox = self.sandbox("--organizations", "30", "--events", "5", "--org", "17:refuse=bad-key")
        report = self.sync(sandbox.config(self.directory), code=3)
        self.assertEqual(report["totals"]["credentials"], 1)

    def test_all_by_their_credentials(self):
        sandbox = self.sandbox("--organizations", "4", "--events", "5", "--credentials", "mixed",
                               "--org", "every/1:refuse=bad-key")
        config = sandbox.config(self.directory)
        self.check_requests(sandbox, self.sync(config, code=12), ["org%04d" % i for i in range(1, 5)])
        self.assert_code(harness.orgsync("test", "-c", config), 12)

    def test_all_for_reasons_of_their_own(self):
        sandbox = self.sandbox("--organizations", "4", "--events", "5", "--credentials", "mixed",
                               "--org", "every/1:refuse=unknown", "--org", "2:refuse=bad-key")
        self.sync(sandbox.config(self.directory), code=4)

    def test_all_failed_for_another_reason(self):
        sandbox = self.sandbox("--organizations", "2", "--events", "5", "--org", "every/1:refuse=suspended")
        self.sync(sandbox.config(self.directory), code=4)

    def test_a_secret_that_others_can_read(self):
        sandbox = self.sandbox("--organizations", "2", "--events", "5")
        config = sandbox.config(self.directory)
        for name in os.listdir(os.path.join(self.directory, "secrets")):
            os.chmod(os.path.join(self.directory, "secrets", name), 0o644)
        # The configuration says so before anything is attempted.
        done = harness.orgsync("sync", "-c", config)
        self.assert_code(done, 2)
        self.assertRegex(done.err, r"orgsync\.yaml:\d+:\d+: error: .*chmod 600 .*org0001\.private_key")
        self.assertEqual(sandbox.counts("org0001")["requests"], 0)

    def test_a_secret_that_cannot_be_had(self):
        sandbox = self.sandbox("--organizations", "3", "--events", "5")
        config = sandbox.config(self.directory)
        with open(config, encoding="utf-8") as text:
            broken = re.sub(r"private_key: \{ file: .*org0002.*\}", "private_key: { command: [\"false\"] }", text.read())
        with open(config, "w", encoding="utf-8") as text:
            text.write(broken)
        report = self.sync(config, code=3)
        self.assertEqual(harness.of(report, "org0002")["error"]["code"], "secret")
        self.assertEqual(sandbox.counts("org0002")["requests"], 0)
        self.assert_all_exact(sandbox, ["org0001", "org0003"])

    def test_a_key_that_is_revoked_after_it_worked(self):
        """The kept token and the known key are tried, and that is all."""
        options = ["--organizations", "2", "--events", "50", "--credentials", "mixed"]
        sandbox = self.sandbox(*options)
        config = sandbox.config(self.directory)
        self.sync(config)
        port = sandbox.url.rsplit(":", 1)[1]
        sandbox.stop()
        sandbox = self.sandbox(*options, "--port", port, "--org", "every/1:refuse=bad-key")
        report = self.sync(config, code=12)
        self.check_requests(sandbox, report, ["org0001", "org0002"])
        self.assertEqual(os.listdir(os.path.join(self.archives, ".orgsync", "tokens")), [])
        # What was read before stands.
        self.assert_all_exact(sandbox, ["org0001", "org0002"])


if __name__ == "__main__":
    harness.main()
