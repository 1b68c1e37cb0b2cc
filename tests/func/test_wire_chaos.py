#!/usr/bin/env python3
"""Every fault of the simulated server at 5 % each and at once, the wire's timeouts at 100 ms: one run, and the set is
exact, at no more than three times the requests of a calm run.

ORGSYNC_TEST_LONG=1 (make check-long) takes 200 organizations, some with years of history; ORGSYNC_TEST_SEED repeats a run.
"""

import os
import random
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import fleet
import harness

LONG = os.environ.get("ORGSYNC_TEST_LONG", "") not in ("", "0")
SHARE = 0.05
RATIO_MAX = 3


def kinds():
    """Every kind that the sandbox has; its own usage says which."""
    usage = harness.run([harness.program("atlas-sandbox"), "--help"]).out
    found = re.search(r"--fault KIND:PROBABILITY\s+([^;]*);", usage)
    return re.split(r",\s+", found.group(1).strip())


class Chaos(harness.TestCase):
    def both(self, seed, count, options):
        """A calm run and one with everything, over the same organizations: their numbers of requests. The calm one
        shows how slow this machine is just now: a timeout of 100 ms is one for a machine that is not."""
        requests, wire, in_flight = [], "10s", 16 if LONG else 8
        for trouble in (False, True):
            directory = os.path.join(self.directory, "%s-%s" % (seed, "chaos" if trouble else "calm"))
            os.mkdir(directory)
            faults = [option for kind in kinds() for option in ("--fault", "%s:%s" % (kind, SHARE))] if trouble else []
            # A nonce and a token live as long as the run: what is counted is faults. A hang is longer than the timeouts.
            sandbox = self.sandbox("--organizations", str(count), "--credentials", "mixed", "--seed", str(seed),
                                   "--fault-seed", str(seed), "--time-scale", "60", "--nonce-life", "10000000",
                                   "--token-life", "10000000", "--no-limits", *options, *faults)
            config = sandbox.config(directory, more="limits: { in_flight: %d, backoff: 10ms, connect_timeout: %s, "
                                    "silence_timeout: %s, answer_timeout: 10s }\n" % (in_flight, wire, wire))
            done = harness.orgsync("sync", "--json", "-q", "-c", config, timeout_s=3600)
            self.assert_code(done, 0)
            names = ["org%04d" % i for i in range(1, count + 1)]
            events = self.assert_all_exact(sandbox, names, os.path.join(directory, "archives"))
            self.assert_code(harness.orgsync("verify", "-c", config, timeout_s=3600), 0)
            stats = sandbox.stats()
            self.assertEqual((stats["credential_violations"], stats["redirects_followed"]), (0, 0))
            each = stats["organizations"].values()
            requests.append(sum(one["requests"] + one["tokens_minted"] for one in each))
            met = sum(one["faults"] for one in each)
            print("%s, timeouts of %s: %d organizations, %d events, %d requests, %d faults, %.1f s" %
                  ("chaos" if trouble else "calm", wire, count, events, requests[-1], met, done.seconds), flush=True)
            mean_ms = 1000 * done.seconds * in_flight / requests[-1]
            wire = "%dms" % max(100 * fleet.patience(), min(5 * mean_ms, 3000))
            if trouble:
                self.assertGreater(met, requests[-1] * SHARE * len(kinds()) / 2)
            sandbox.stop()
        return requests

    def test_every_fault_at_once(self):
        self.assertGreaterEqual(len(kinds()), 11)
        seed = int(os.environ.get("ORGSYNC_TEST_SEED") or random.SystemRandom().randrange(1 << 31))
        if LONG:
            count = 200
            options = ["--events", "2000..4000", "--from", "2026-09-01T00:00:00Z", "--to", "2026-11-01T00:00:00Z",
                       "--org", "every/7:burst=2026-10-05T05:05:05Z/300,order=changing", "--org", "every/5:count=wrong",
                       "--org", "every/20:from=2021-01-01T00:00:00Z",
                       "--silent-cap", "100"]
        else:
            count = 32
            options = ["--events", "500..700", "--silent-cap", "100", "--from", "2026-03-01T00:00:00Z",
                       "--to", "2026-03-09T00:00:00Z", "--org", "3:burst=2026-03-03T03:03:03Z/150"]
        print("seed %d" % seed, flush=True)
        calm, chaos = self.both(seed, count, options)
        print("%.2f times the requests of the calm run" % (chaos / calm), flush=True)
        self.assertLessEqual(chaos, RATIO_MAX * calm)


if __name__ == "__main__":
    harness.main()
