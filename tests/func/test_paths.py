#!/usr/bin/env python3
"""What somebody else may have put into an archive: symbolic links at every place that a run opens, directories of
another owner or that others may write to. The organization is refused with a text that says what to do, nothing outside is
touched, read or made, and the others come out exact."""

import hashlib
import json
import os
import re
import shutil
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

DAYS = ["--from", "2025-12-28T00:00:00Z", "--to", "2026-01-03T00:00:00Z"]
BEFORE = "2026-01-01T12:00:00Z" # inside a day: its file is merged into by the next run
POISON = "2025-12-30T10:00:00Z"
NOBODY = 65534


class Paths(harness.TestCase):
    def begin(self, count, *options):
        """Archives that hold their last days already; a run with self.config opens every place there is."""
        self.names = ["org%04d" % i for i in range(1, count + 1)]
        self.box = self.sandbox("--organizations", str(count), "--events", "150", "--no-limits",
                                "--credentials", "mixed", *DAYS, *options)
        late = self.box.config(self.directory, "--backfill-start", BEFORE, name="late.yaml")
        self.config = self.box.config(self.directory)
        self.sync(late)
        self.outside = os.path.join(self.directory, "outside")
        os.mkdir(self.outside, 0o700)

    def seen(self):
        """All that can be told of what is outside, reading times left out."""
        found = []
        for directory, names, files in os.walk(self.outside):
            for name in sorted(names + files):
                path = os.path.join(directory, name)
                st = os.lstat(path)
                found.append((path, st.st_ino, st.st_mode, st.st_uid, st.st_size, st.st_mtime_ns, st.st_nlink))
        return sorted(found) + [os.stat(self.outside).st_mtime_ns]

    def plant(self, path, directory=False):
        """Makes path, below the archives, a link to something outside that looks right: what stood there, or an empty
        file or directory."""
        path = os.path.join(self.archives, path)
        target = os.path.join(self.outside, hashlib.sha256(path.encode()).hexdigest()[:16])
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        if os.path.lexists(path):
            os.rename(path, target)
        elif directory:
            os.mkdir(target, 0o700)
        else:
            with open(os.open(target, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8"):
                pass
        os.symlink(target, path)

    LINKS = ( # below the organization's directory; what the error has to name
        ("", True, r"^{}: a symbolic link"),
        ("events", True, r"^{}/events: a symbolic link"),
        ("events/2026", True, r"^{}/events/2026: a symbolic link"),
        ("events/2025", True, r"^{}/events/2025: a symbolic link"),
        ("events/2026/2026-01-01.ndjson", False, r"^{}/events/2026/2026-01-01.ndjson: a symbolic link"),
        ("events/2025/2025-12-30.ndjson", False, r"^{}/events/2025/2025-12-30.ndjson: .*the ledger does not know it"),
        ("ledger.json", False, r"^{}/ledger.json: a symbolic link"),
        ("ledger.json.tmp", False, r"^{}/ledger.json.tmp: a symbolic link"),
        (".staging", True, r"^{}/.staging: a symbolic link"),
        (".staging/000001.ndjson", False, r"^{}/.staging: a symbolic link"),
        (".staging/2025-12-29.ndjson.tmp", False, r"^{}/.staging: a symbolic link"),
        (".lock", False, r"^{}/.lock: a symbolic link"),
        ("quarantine", True, r"^{}/quarantine: a symbolic link"),
        ("quarantine/{hash}.json", False, r"^{}/quarantine/{hash}.json: it is there, and not what was put there"),
        ("quarantine/{hash}.json.tmp", False, r"^{}/quarantine/{hash}.json: a symbolic link"),
    )

    def test_links_in_an_organization(self):
        n = len(self.LINKS)
        self.begin(n + 2, *[word for i in range(n) if "quarantine" in self.LINKS[i][0]
                            for word in ("--org", "%d:poison=no-id@%s" % (i + 1, POISON))])
        texts = []
        for name, (path, directory, text) in zip(self.names, self.LINKS):
            poison = self.box.poison(name)
            kept = hashlib.sha256(poison[0][1]).hexdigest() if poison else ""
            self.plant(os.path.join(name, path.replace("{hash}", kept)) if path else name, directory)
            texts.append(text.replace("{hash}", kept).replace("{}", name))
        before = self.seen()
        document = self.sync(self.config, code=3)
        self.assertEqual(self.seen(), before)
        for name, text, (path, _, _) in zip(self.names, texts, self.LINKS):
            error = harness.of(document, name)["error"]
            with self.subTest(place=path):
                self.assertIsNotNone(error)
                self.assertIn(error["code"], ("io", "damage"))
                self.assertRegex(error["text"], text)
                self.assertRegex(error["hint"], "look at who|set the file aside")
        self.assert_all_exact(self.box, self.names[n:])
        # The commands that only read touch nothing outside either, and do not call this sound.
        for command in ("verify", "status", "plan", "list"):
            done = harness.orgsync(command, "-c", self.config)
            self.assertEqual(self.seen(), before, command)
            if command == "verify":
                self.assertIn(done.code, (3, 13), done)
        # With the links out of the way, and what they had taken back in its place, it is as if nothing had been.
        for name, (path, _, _) in zip(self.names, self.LINKS):
            poison = self.box.poison(name)
            kept = hashlib.sha256(poison[0][1]).hexdigest() if poison else ""
            place = os.path.join(self.archives, name, path.replace("{hash}", kept)).rstrip("/")
            target = os.readlink(place)
            os.unlink(place)
            if os.path.isdir(target) or os.path.getsize(target) > 0:
                os.rename(target, place)
        self.sync(self.config, code=3 if any("quarantine" in place for place, _, _ in self.LINKS) else 0)
        self.assert_all_exact(self.box, self.names)
        self.assert_code(harness.orgsync("verify", "-q", "-c", self.config), 0)

    def test_links_in_the_list_of_organizations(self):
        self.begin(3)
        org_id = harness.ledger(os.path.join(self.archives, "org0002"))["org_id"]
        self.plant(".orgsync/organizations/" + org_id)
        before = self.seen()
        document = self.sync(self.config, code=3)
        self.assertEqual(self.seen(), before)
        self.assertRegex(harness.of(document, "org0002")["error"]["text"],
                         r"^\.orgsync/organizations/%s: a symbolic link" % org_id)
        self.assert_all_exact(self.box, ["org0001", "org0003"])

    def test_links_in_what_belongs_to_the_run(self):
        """Without these no organization can be run: it ends before the first request."""
        self.begin(2)
        asked = self.box.counts("org0001")["requests"]
        for path in (".orgsync", ".orgsync/tokens", ".orgsync/runs", ".orgsync/organizations"):
            with self.subTest(place=path):
                self.plant(path, True)
                before = self.seen()
                done = harness.orgsync("sync", "-c", self.config)
                self.assert_code(done, 4 if path.endswith("organizations") else 1)
                self.assertIn("%s: a symbolic link" % path, re.sub(r"\s+", " ", done.err + done.out))
                self.assertIn("look at who put it there", re.sub(r"\s+", " ", done.err + done.out))
                self.assertEqual(self.seen(), before)
                target = os.readlink(os.path.join(self.archives, path))
                os.unlink(os.path.join(self.archives, path))
                os.rename(target, os.path.join(self.archives, path))
        self.assertEqual(self.box.counts("org0001")["requests"], asked)
        self.sync(self.config)
        self.assert_all_exact(self.box, self.names)

    def test_the_output_directory_itself(self):
        self.begin(2)
        os.rename(self.archives, os.path.join(self.outside, "archives"))
        os.symlink(os.path.join(self.outside, "archives"), self.archives)
        before = self.seen()
        done = harness.orgsync("sync", "-c", self.config)
        self.assert_code(done, 1)
        self.assertIn("a symbolic link", done.err)
        self.assertEqual(self.seen(), before)

    def test_a_link_in_the_place_of_a_token(self):
        """It is passed over and said; the token is had anew, and the link replaced by a file."""
        self.begin(2)
        tokens = os.path.join(self.archives, ".orgsync", "tokens")
        kept = os.listdir(tokens)
        self.assertEqual(len(kept), 1) # org0002 has a service account
        self.plant(os.path.join(".orgsync/tokens", kept[0]))
        before = self.seen()
        done = harness.orgsync("sync", "--json", "-c", self.config)
        self.assert_code(done, 0)
        self.assertRegex(done.err, "org=org0002 .*token ignored: .*symbolic link")
        self.assertEqual(harness.of(json.loads(done.out), "org0002")["tokens_minted"], 1)
        self.assertEqual(self.seen(), before)
        self.assertTrue(stat.S_ISREG(os.lstat(os.path.join(tokens, kept[0])).st_mode))
        self.assert_all_exact(self.box, self.names)

    OPEN = ("", "events", "events/2026", ".staging")

    def test_directories_that_others_may_write(self):
        self.begin(2 * len(self.OPEN) + 1)
        for i, name in enumerate(self.names[:-1]):
            os.chmod(os.path.join(self.archives, name, self.OPEN[i // 2]), 0o770 if i % 2 == 0 else 0o702)
        before = {name: harness.tree(os.path.join(self.archives, name)) for name in self.names[:-1]}
        document = self.sync(self.config, code=3)
        for i, name in enumerate(self.names[:-1]):
            error = harness.of(document, name)["error"]
            self.assertRegex(error["text"], r"^%s: group or others may write to the directory \(mode 07[07][02]\)"
                             % os.path.join(name, self.OPEN[i // 2]).rstrip("/"))
            self.assertIn("chmod go-w", error["hint"])
            after = harness.tree(os.path.join(self.archives, name))
            self.assertEqual({path: after[path] for path in before[name]}, before[name], name)
        self.assert_exact(self.box, self.names[-1])
        for i, name in enumerate(self.names[:-1]):
            os.chmod(os.path.join(self.archives, name, self.OPEN[i // 2]), 0o700)
        self.sync(self.config)
        self.assert_all_exact(self.box, self.names)
        for path in (".orgsync", ".orgsync/tokens", ".orgsync/runs"):
            os.chmod(os.path.join(self.archives, path), 0o770)
            done = harness.orgsync("sync", "-c", self.config)
            self.assert_code(done, 1)
            self.assertIn("%s: group or others may write" % path, done.err)
            os.chmod(os.path.join(self.archives, path), 0o700)

    def test_directories_of_another_owner(self):
        if os.geteuid() != 0:
            self.skipTest("only root can give a directory away")
        self.begin(len(self.OPEN) + 1)
        for name, place in zip(self.names, self.OPEN):
            os.chown(os.path.join(self.archives, name, place), NOBODY, NOBODY)
        document = self.sync(self.config, code=3)
        for name, place in zip(self.names, self.OPEN):
            error = harness.of(document, name)["error"]
            self.assertRegex(error["text"], r"^%s: the directory belongs to user %d, not to this one \(0\)"
                             % (os.path.join(name, place).rstrip("/"), NOBODY))
            self.assertIn("chown", error["hint"])
        self.assert_exact(self.box, self.names[-1])
        for name, place in zip(self.names, self.OPEN):
            os.chown(os.path.join(self.archives, name, place), 0, 0)
        self.sync(self.config)
        self.assert_all_exact(self.box, self.names)

    def test_names_that_lead_elsewhere(self):
        self.begin(1)
        for name in ("../outside", "..", ".", "a/b", ".orgsync", "-x", "a" * 65, "a\\tb", "é"):
            shutil.copy(self.config, self.config + ".names")
            self.edit(self.config + ".names", (r"name: org0001", lambda _, name=name: 'name: "%s"' % name))
            before = self.seen()
            done = harness.orgsync("sync", "-c", self.config + ".names")
            self.assert_code(done, 2)
            self.assertIn("name", done.err)
            self.assertEqual(self.seen(), before)


class Sources(harness.TestCase):
    """That no place was forgotten above: the calls that take a path, in all that touches an archive."""

    ROOMS = ("lib/base", "lib/store", "lib/sync", "lib/atlas", "workers", "cmd/orgsync")
    CALL = re.compile(r"(?<![\w.>])(open|creat|fopen|freopen|opendir|rename|mkdir|rmdir|unlink|remove|link|symlink|"
                      r"stat|lstat|access|chmod|chown|truncate|mkstemp|mkdtemp|scandir|nftw|glob|openat|fstatat|"
                      r"faccessat|linkat|fchmodat|fchownat|utimensat|renameat|mkdirat|unlinkat|symlinkat|readlinkat|"
                      r"scandirat)\(([^;]*)")
    COMMENT = re.compile(r"/\*.*?\*/|\"(?:[^\"\\\n]|\\.)*\"", re.DOTALL) # or a string, which may look like one
    # What follows no link by its nature: it makes a new entry, or takes away or moves the entry itself.
    ENTRIES = {"renameat", "mkdirat", "unlinkat"}
    # The operator's own: the output directory as the configuration names it, and files of his.
    EXEMPT = {("lib/base/file.c", "openat(dirfd, parent,"), ("cmd/orgsync/archive.c", "lstat(conf->directory,"),
              ("cmd/orgsync/cmd_config.c", "open(path,"), ("cmd/orgsync/cmd_config.c", "unlink(path)"),
              ("cmd/orgsync/main.c", 'open("/dev/null",'), ("cmd/orgsync/session.c", "access(all[i],")}

    def calls(self):
        for room in self.ROOMS:
            for directory, _, names in os.walk(os.path.join(harness.SRCDIR, room)):
                for name in sorted(names):
                    path = os.path.join(directory, name)
                    if not name.endswith(".c"):
                        continue
                    with open(path, encoding="utf-8") as source:
                        text = self.COMMENT.sub(lambda m: m.group(0) if m.group(0)[0] == '"' else " ", source.read())
                    for match in self.CALL.finditer(text):
                        yield os.path.relpath(path, harness.SRCDIR), match.group(1), match.group(0), text

    def test_no_call_follows_a_link(self):
        seen, bad = 0, []
        for path, call, text, source in self.calls():
            seen += 1
            if any(path == where and text.startswith(what) for where, what in self.EXEMPT) or call in self.ENTRIES:
                continue
            flags = re.search(r"int flags = ([^;]*);", source)
            said = text + (flags.group(1) if flags and re.search(r"\bflags\b", text) else "")
            if call == "openat" and ("O_NOFOLLOW" in said or ', ".", ' in said):
                continue
            if call == "linkat" and re.match(r"linkat\([^()]*, 0\)", text): # without AT_SYMLINK_FOLLOW: the link itself
                continue
            if call in ("fstatat", "faccessat") and "AT_SYMLINK_NOFOLLOW" in said:
                continue
            bad.append("%s: %s" % (path, text[:80]))
        self.assertEqual(bad, [])
        self.assertGreater(seen, 30)


if __name__ == "__main__":
    harness.main()
