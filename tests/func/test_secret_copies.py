#!/usr/bin/env python3
"""What is left of a secret in the memory of the running program: its own memory is searched, as only root may, at a
moment at which one organization has ended and another one's question is still out. Nothing of the program is
changed for that."""

import base64
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness


def writable(pid):
    """The process's own memory: (name, first address, bytes) of every part it can write to."""
    with open("/proc/%d/maps" % pid, encoding="utf-8") as maps, open("/proc/%d/mem" % pid, "rb", 0) as memory:
        for line in maps:
            found = re.match(r"(\w+)-(\w+) rw\S+ \S+ \S+ \S+ *(.*)$", line)
            if not found or found.group(3).startswith(("[vvar", "/dev/")):
                continue
            begin, end = int(found.group(1), 16), int(found.group(2), 16)
            try:
                memory.seek(begin)
                yield found.group(3) or "memory", begin, memory.read(end - begin)
            except (OSError, ValueError):
                continue  # it went away meanwhile


def copies(pid, wanted):
    """Where each of the wanted ({what: bytes}) stands: {what: [place, …]}."""
    found = {what: [] for what in wanted}
    for name, begin, data in writable(pid):
        for what, secret in wanted.items():
            at = data.find(secret)
            while at >= 0:
                found[what].append("%s at %x: %r" % (name, begin + at, data[max(0, at - 40):at + 8]))
                at = data.find(secret, at + 1)
    return found


class Copies(harness.TestCase):
    """Organizations 1 (a key) and 2 (a service account) end; 3 and 4, of the same kinds, wait for an answer."""

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("only root may look into the program's memory")
        if harness.is_sanitized():
            self.skipTest("a sanitizer keeps freed memory, and terabytes of its own")

    def secrets_of(self, config, name):
        with open(config, encoding="utf-8") as text:
            found = re.search(r"name: %s\n.*\n    (public_key|client_id): (\S+)\n" % name, text.read())
        kind, user = found.groups()
        suffix = "private_key" if kind == "public_key" else "client_secret"
        with open(os.path.join(self.directory, "secrets", "%s.%s" % (name, suffix)), encoding="utf-8") as text:
            secret = text.read().rstrip("\n")
        wanted = {name + " secret": secret.encode()}
        if kind == "public_key":
            sum_of = hashlib.md5(("%s:MMS Public API:%s" % (user, secret)).encode()).hexdigest()
            wanted[name + " HA1"] = sum_of.encode()
            wanted[name + " HA1, bytes"] = bytes.fromhex(sum_of)
        else:
            # Without its end, which may be another character where something follows.
            wanted[name + " basic"] = base64.b64encode(("%s:%s" % (user, secret)).encode())[:-4]
        return wanted

    def token_of(self, config, name):
        with open(config, encoding="utf-8") as text:
            client = re.search(r"name: %s\n.*\n    client_id: (\S+)\n" % name, text.read()).group(1)
        tokens = os.path.join(self.archives, ".orgsync", "tokens")
        for entry in os.listdir(tokens):
            with open(os.path.join(tokens, entry), encoding="utf-8") as text:
                kept = json.load(text)
            if kept["client_id"] == client:
                return {name + " token": kept["access_token"].encode()}
        return {}

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

    def search(self, config, **variables):
        """Where copies of what must be gone stand: {what: [place, …]}, at the end of the time they have to go."""
        process = harness.start([harness.program("orgsync"), "sync", "-q", "-c", config],
                                env=harness.environment(**variables))
        found = {}
        try:
            harness.wait_until(lambda: self.has_ended("org0001") and self.has_ended("org0002"), "two have ended", 60)
            try:
                with open("/proc/%d/mem" % process.pid, "rb"):
                    pass
            except OSError as error:
                self.skipTest("root may not look into the program's memory here: %s" % error)
            # Those whose questions are out: a search that did not find them would prove nothing.
            needed = {what: secret for what, secret in self.secrets_of(config, "org0003").items() if "HA1" not in what}
            harness.wait_until(lambda: all(copies(process.pid, needed).values()), "what is needed is found", 30)
            gone = {**self.secrets_of(config, "org0001"), **self.secrets_of(config, "org0002"),
                    **self.token_of(config, "org0002")}
            self.assertEqual(len(gone), 6)

            def are_gone():
                found.update(copies(process.pid, gone))
                return not any(places for what, places in found.items() if "HA1" in what or "basic" in what)
            try:
                harness.wait_until(are_gone, "they go", 3)
            except harness.Broken:
                pass  # the caller says which
            return found
        finally:
            process.send_signal(signal.SIGKILL)
            harness.finish(process)

    def check(self, found, secret_1=0, secret_2=0):
        """Further copies of the two secrets themselves, where the configuration is what holds them."""
        print({what: len(places) for what, places in found.items()}, end=" ", flush=True)
        for what in ("org0001 HA1", "org0001 HA1, bytes", "org0002 basic"):
            self.assertEqual(found[what], [], what)
        # libcurl keeps the name and password that a connection was last used with while the connection is kept. The
        # client secret was sent once, over one of them; org0004's may have gone over another. Of four connections
        # two wait for an answer to others.
        self.assertIn(len(found["org0002 secret"]), (secret_2, secret_2 + 1), found["org0002 secret"])
        self.assertLessEqual(len(found["org0001 secret"]), secret_1 + 2, found["org0001 secret"])
        self.assertLessEqual(len(found["org0002 token"]), 2, found["org0002 token"])

    OPTIONS = ("--organizations", "4", "--events", "700", "--credentials", "mixed", "--no-limits",
               "--org", "3:fault=hang:1", "--org", "4:fault=hang:1")
    LIMITS = "limits: { workers: 1, in_flight: 4 }\n"

    def test_secrets_in_files(self):
        sandbox = self.sandbox(*self.OPTIONS)
        self.check(self.search(sandbox.config(self.directory, more=self.LIMITS)))

    def test_over_tls(self):
        if not shutil.which("openssl"):
            self.skipTest("no openssl command")
        key, cert = os.path.join(self.directory, "key.pem"), os.path.join(self.directory, "cert.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=sandbox",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, stderr=subprocess.DEVNULL)
        sandbox = self.sandbox(*self.OPTIONS, "--tls-cert", cert, "--tls-key", key)
        self.check(self.search(sandbox.config(self.directory, more=self.LIMITS)))

    def test_secrets_in_the_configuration_and_in_the_environment(self):
        """One copy each stays where it was put: with the configuration, and with the environment."""
        sandbox = self.sandbox(*self.OPTIONS)
        config, secrets = sandbox.config(self.directory, more=self.LIMITS), []
        for name in ("org0001.private_key", "org0002.client_secret"):
            with open(os.path.join(self.directory, "secrets", name), encoding="utf-8") as text:
                secrets.append(text.read().rstrip("\n"))
        self.edit(config, (r"private_key: \{ file: \S+org0001\S+ \}", 'private_key: "%s"' % secrets[0]),
                  (r"client_secret: \{ file: \S+org0002\S+ \}", "client_secret: { env: SECRET_2 }"))
        os.chmod(config, 0o600)
        self.check(self.search(config, SECRET_2=secrets[1]), secret_1=1, secret_2=1)


if __name__ == "__main__":
    harness.main()
