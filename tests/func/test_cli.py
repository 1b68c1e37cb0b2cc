#!/usr/bin/env python3
"""The command line as a person meets it: mistakes, help, configuration, and every reading command on
archives that were never run. No server is needed here."""

import json
import os
import re
import stat
import subprocess
import sys
import unicodedata

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import harness

COMMANDS = ("sync", "plan", "status", "verify", "test", "list", "config", "help")
READING = ("plan", "status", "verify", "list")
SECRET = "s3cret-that-nobody-may-see"


def organization(name, number, *lines):
    return ["  - name: %s" % name, "    org_id: %024x" % number, "    public_key: abcdefgh",
            "    private_key: %s" % SECRET] + ["    " + line for line in lines]


class Cli(harness.TestCase):
    def orgsync(self, *arguments, **options):
        options.setdefault("cwd", self.directory)
        options.setdefault("env", harness.environment(HOME=self.directory, XDG_CONFIG_HOME=None))
        done = harness.run([harness.program("orgsync")] + list(arguments), **options)
        self.assertNotIn(SECRET, done.out + done.err)
        return done

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def configuration(self, *organizations, name="orgsync.yaml"):
        lines = ["version: 1", "atlas: { base_url: http://127.0.0.1:9 }",
                 "output: { directory: %s/archive }" % self.directory, "organizations:"]
        return self.write(name, "\n".join(sum(organizations, lines)) + "\n")

    def three(self, **options):
        return self.configuration(
            organization("acme", 1, "tags: [prod, eu]", "backfill_start_time: 2026-01-01T00:00:00Z"),
            organization("globex", 2, "tags: [prod]", "backfill_start_time: all"),
            organization("gone", 3, "tags: [eu]", "disabled: contract ended"),
            organization("a-name-that-is-as-long-as-names-may-be-and-then-some-more-of-it", 4), **options)

    def fails(self, arguments, *words, code=2, lines=2):
        done = self.orgsync(*arguments)
        self.assertEqual(done.code, code, str(done))
        self.assertEqual(done.out, "", str(done))
        self.assertLessEqual(len(done.err.splitlines()), lines, str(done))
        for word in words:
            self.assertIn(word, done.err, str(done))

    def fits(self, text):
        for line in text.splitlines():
            self.assertLessEqual(len(line), 80, line)
            self.assertEqual(line, line.rstrip())
            for letter in line:
                self.assertNotEqual(unicodedata.category(letter), "Cc", repr(line))


class Usage(Cli):
    def test_mistakes_are_told_in_a_line_or_two(self):
        self.three()
        for arguments, *words in (
                ([], "which command"),
                (["snyc"], "snyc", 'did you mean "sync"'),
                (["veryfi"], 'did you mean "verify"'),
                (["xyzzy"], "xyzzy", "orgsync help"),
                (["sync", "--jsno"], "--jsno", "did you mean --json"),
                (["sync", "--tga=prod"], "--tga", "did you mean --tag"),
                (["sync", "--frobnicate"], "--frobnicate"),
                (["sync", "--ver"], "--ver", "one of several"),
                (["sync", "-x"], "-x"),
                (["sync", "-vx"], "-x"),
                (["sync", "--tag"], "--tag", "wants a value"),
                (["sync", "-c"], "--config", "wants a value"),
                (["sync", "--json=yes"], "--json", "takes no value"),
                (["sync", "--max-lag", "1h"], "--max-lag", "status"),
                (["config", "validate", "--json"], "--json", "list"),
                (["status", "--max-lag", "soon"], "soon", "1d12h"),
                (["status", "-q", "-v"], "contradict"),
                (["config"], "validate|show|init"),
                (["config", "vaildate"], 'did you mean "config validate"'),
                (["config", "validate", "x.yaml"], "x.yaml", "--config"),
                (["config", "init", "a", "b"], '"b"'),
                (["help", "snyc"], 'did you mean "sync"'),
                (["help", "sync", "plan"], '"plan"'),
                (["-c", "a", "list", "-c", "b"], "twice"),
                (["sn\033[2Jyc"], "sn?[2Jyc")):
            with self.subTest(arguments=arguments):
                self.fails(arguments, *words)

    def test_selections_that_match_nothing(self):
        self.three()
        for command in COMMANDS[:-2]:
            with self.subTest(command=command):
                self.fails([command, "acmee"], "acmee")
                self.fails([command, "x*"], "x*")
                self.fails([command, "--tag", "nowhere"], "nowhere")
        for command in ("sync", "plan", "status", "verify", "test"):
            with self.subTest(command=command):
                self.fails([command, "gone"], "gone", "disabled")
        self.assertFalse(os.path.exists(os.path.join(self.directory, "archive")))

    def test_no_configuration_names_the_places(self):
        done = self.orgsync("status")
        self.assertEqual((done.code, done.out), (2, ""), str(done))
        for place in ("./orgsync.yaml", self.directory + "/.config/orgsync/orgsync.yaml",
                      "/etc/orgsync/orgsync.yaml", "orgsync config init"):
            self.assertIn(place, done.err)

    def test_the_configuration_is_found(self):
        one = "version: 1\noutput: { directory: archive }\norganizations:\n" + "\n".join(organization("%s", 1)) + "\n"
        home = harness.environment(HOME=self.directory, XDG_CONFIG_HOME=None)
        xdg = harness.environment(HOME=self.directory, XDG_CONFIG_HOME=self.directory + "/xdg")
        odd = harness.environment(HOME=self.directory, XDG_CONFIG_HOME="xdg")
        self.write(".config/orgsync/orgsync.yaml", one % "home")
        self.write("xdg/orgsync/orgsync.yaml", one % "xdg")
        self.assertIn("home", self.orgsync("list", env=home).out)
        self.assertIn("xdg", self.orgsync("list", env=xdg).out)
        self.assertIn("home", self.orgsync("list", env=odd).out)
        self.write("orgsync.yaml", one % "here")
        self.assertIn("here", self.orgsync("list", env=xdg).out)
        named = self.write("named.yaml", one % "named")
        self.assertIn("named", self.orgsync("list", "-c", named).out)
        self.assertIn("named", self.orgsync("--config=" + named, "list").out)
        self.fails(["list", "-c", "missing.yaml"], "missing.yaml")

    def test_help(self):
        top = self.orgsync("--help")
        self.assertEqual((top.code, top.err), (0, ""))
        self.fits(top.out)
        for command in COMMANDS:
            self.assertRegex(top.out, r"(?m)^  %s +\S" % command)
            with self.subTest(command=command):
                done = self.orgsync(command, "--help")
                self.assertEqual((done.code, done.err), (0, ""))
                self.fits(done.out)
                self.assertIn("Usage: orgsync " + command, done.out)
                self.assertEqual(self.orgsync("help", command).out, done.out)
                self.assertEqual(self.orgsync("-h", command).out, done.out)
        self.assertEqual(self.orgsync("help").out, top.out)
        self.assertRegex(self.orgsync("--version").out, r"\Aorgsync \d+\.\d+\.\d+\n\Z")
        # The codes are a contract: the help, and so the manual, must name each.
        for code in ("0", "1", "2", "3", "4", "10", "11", "12", "13", "130, 143"):
            self.assertRegex(top.out, r"(?m)^  %s +\S" % code)

    def test_help_names_what_works_and_nothing_else(self):
        """Every option in a command's help is taken by it, and every other one refused."""
        self.three()
        values = {"--tag": "prod", "--exclude": "globex", "--max-lag": "9999d", "--config": "orgsync.yaml",
                  "--lock-wait": "1s"}
        beside = {("verify", "--lock-wait"): ["--repair"]}
        every = set()
        helps = {}
        for command in READING:
            helps[command] = set(re.findall(r"--[a-z][a-z-]+", self.orgsync(command, "--help").out.split(
                "Options:")[1].split("\n\n")[0])) - {"--help", "--version"}
            every |= helps[command]
        self.assertGreater(len(every), 6)
        for command in READING:
            for option in sorted(every):
                argument = [option] + ([values[option]] if option in values else [])
                with self.subTest(command=command, option=option):
                    done = self.orgsync(command, *argument, *beside.get((command, option), []))
                    if option in helps[command]:
                        self.assertIn(done.code, (0, 4), str(done))
                    else:
                        self.assertEqual(done.code, 2, str(done))

    def test_waiting_for_a_lock_that_is_not_needed(self):
        self.three()
        done = self.orgsync("verify", "--lock-wait", "1s")
        self.assertEqual((done.code, done.out), (2, ""))
        self.assertIn("only with --repair", done.err)
        for word in ("", "5", "-1s", "1.5h", "soon"):
            done = self.orgsync("sync", "--lock-wait", word)
            self.assertEqual((done.code, done.out), (2, ""), word)
            self.assertIn("is no duration", done.err)

    def test_results_that_cannot_be_written(self):
        self.three()
        for command in READING:
            with self.subTest(command=command), open("/dev/full", "wb") as full:
                done = subprocess.run([harness.program("orgsync"), command], cwd=self.directory, stdout=full,
                                      env=harness.environment(HOME=self.directory), stderr=subprocess.PIPE,
                                      timeout=60, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn(b"cannot write the results: No space left", done.stderr)

    def test_closed_standard_streams(self):
        """A stream that the caller closed must not become a file of ours."""
        self.three()
        for closed in (">&-", "2>&-", "<&-", "<&- >&- 2>&-"):
            with self.subTest(closed=closed):
                done = subprocess.run(["sh", "-c", '"$0" status --json %s' % closed, harness.program("orgsync")],
                                      cwd=self.directory, env=harness.environment(HOME=self.directory),
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)


class Config(Cli):
    def test_init(self):
        printed = self.orgsync("config", "init")
        self.assertEqual((printed.code, printed.err), (0, ""))
        made = self.orgsync("config", "init", "made.yaml")
        self.assertEqual((made.code, made.err), (0, ""), str(made))
        path = os.path.join(self.directory, "made.yaml")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), printed.out)
        self.fails(["config", "init", "made.yaml"], "made.yaml", "there already")
        self.fails(["config", "init", "no/such/place.yaml"], "no/such/place.yaml")
        os.symlink("elsewhere.yaml", os.path.join(self.directory, "link.yaml"))
        self.fails(["config", "init", "link.yaml"], "link.yaml")
        self.assertFalse(os.path.exists(os.path.join(self.directory, "elsewhere.yaml")))
        done = self.orgsync("config", "validate", "-c", "made.yaml")
        self.assertEqual((done.code, done.err), (0, ""), str(done))
        self.assertIn("no error", done.out)
        self.assertEqual(self.orgsync("-q", "config", "validate", "-c", "made.yaml").out, "")

    def test_validate_names_every_mistake(self):
        path = self.configuration(organization("acme", 1, "tgas: [x]"), organization("acme", 2, "settle: soon"))
        done = self.orgsync("config", "validate", "--config", path)
        self.assertEqual((done.code, done.out), (2, ""), str(done))
        for pattern in (r":9:\d+: error: .*tgas.*tags", r":10:\d+: error: .*acme", r":14:\d+: error: .*settle"):
            self.assertRegex(done.err, re.escape(path) + pattern)
        for command in COMMANDS[:-2]:
            with self.subTest(command=command):
                again = self.orgsync(command)
                self.assertEqual((again.code, again.out), (2, ""), str(again))
                self.assertIn("tgas", again.err)
        self.assertFalse(os.path.exists(os.path.join(self.directory, "archive")))

    def test_show_is_a_configuration_without_secrets(self):
        self.three()
        shown = self.orgsync("config", "show")
        self.assertEqual((shown.code, shown.err), (0, ""), str(shown))
        again = self.write("shown.yaml", shown.out)
        self.assertEqual(self.orgsync("config", "show", "-c", again).out, shown.out)

    def test_schema(self):
        schema = json.loads(self.orgsync("config", "schema").out)
        self.assertIn("draft-07", schema["$schema"])


class NeverRun(Cli):
    def test_nothing_is_made(self):
        self.three()
        for command in READING:
            for options in ([], ["--json"], ["-v"]):
                with self.subTest(command=command, options=options):
                    done = self.orgsync(command, *options)
                    self.assertEqual((done.code, done.err), (0, ""), str(done))
                    if "--json" not in options:
                        self.fits(done.out)
        self.assertEqual(os.listdir(self.directory), ["orgsync.yaml"])

    def test_the_reading_commands_agree_on_who_is_selected(self):
        self.three()
        long_name = "a-name-that-is-as-long-as-names-may-be-and-then-some-more-of-it"
        for arguments, names in (
                ([], ["acme", "globex", long_name]), (["acme"], ["acme"]), (["AC*"], ["acme"]),
                (["--tag", "prod"], ["acme", "globex"]), (["--tag", "prod+eu"], ["acme"]),
                (["--tag", "prod", "--exclude", "glob*"], ["acme"]), (["globex", "acme"], ["acme", "globex"])):
            for command in ("plan", "status", "verify"):
                with self.subTest(command=command, arguments=arguments):
                    done = json.loads(self.orgsync(command, "--json", *arguments).out)
                    self.assertEqual([o["name"] for o in done["organizations"]], names)

    def test_a_monitor_needs_no_secrets(self):
        self.write("orgsync.yaml", "\n".join([
            "version: 1", "atlas: { base_url: http://127.0.0.1:9 }",
            "output: { directory: %s/archive }" % self.directory, "organizations:", "  - name: acme",
            "    org_id: %024x" % 1, "    public_key: abcdefgh",
            "    private_key: { env: NOT_SET_HERE }"]) + "\n")
        for command in READING:
            done = self.orgsync(command)
            self.assertEqual(done.code, 0, str(done))
        for command in (("sync",), ("test",), ("config", "validate"), ("config", "show")):
            self.fails(command, "NOT_SET_HERE")

    def test_list(self):
        self.three()
        done = self.orgsync("list")
        self.assertIn("disabled: contract ended", done.out)
        self.assertIn("4 organizations, 1 disabled", done.out)
        document = json.loads(self.orgsync("list", "--json").out)
        self.assertEqual((document["read"], document["disabled"]), (4, 1))
        gone = [o for o in document["organizations"] if o["name"] == "gone"][0]
        self.assertEqual((gone["disabled"], gone["tags"], gone["credential"]), ("contract ended", ["eu"], "api_key"))
        self.assertIn("gone", self.orgsync("list", "--tag", "eu").out)
        self.assertEqual([o["start"] for o in document["organizations"]],
                         ["2026-01-01T00:00:00Z", "all", "first_run", "first_run"])

    def test_plan(self):
        self.three()
        document = json.loads(self.orgsync("plan", "--json").out)
        acme, globex, long_name = document["organizations"]
        self.assertEqual(acme["ranges"][0]["from"], "2026-01-01T00:00:00Z")
        self.assertEqual(acme["ranges"][0]["why"], "new")
        self.assertEqual((acme["pages_guess"], acme["pages_at_least"]), (1, True))
        self.assertEqual((len(globex["ranges"]), globex["begins_with_first_sync"]), (1, False))
        self.assertEqual((long_name["ranges"], long_name["begins_with_first_sync"]), ([], True))
        out = self.orgsync("plan").out
        self.assertIn("2026-01-01 00:00", out)
        self.assertIn("the beginning", out)
        self.assertIn("its first sync", out)

    def test_status(self):
        self.three()
        done = self.orgsync("status")
        self.assertEqual(done.out.count("never run"), 4, done.out) # three rows and the closing line
        self.assertEqual(self.orgsync("status", "--max-lag", "9999d").code, 4)
        acme = json.loads(self.orgsync("status", "--json", "--max-lag", "1h", "acme").out)["organizations"][0]
        self.assertEqual((acme["never_run"], acme["covered"], acme["over_max_lag"], acme["last_success"]),
                         (True, [], True, None))

    def test_every_organization_disabled(self):
        self.configuration(organization("gone", 1, "disabled: contract ended"))
        for command in ("plan", "status", "verify"):
            with self.subTest(command=command):
                done = self.orgsync(command)
                self.assertEqual(done.code, 0, str(done))
                self.assertIn("every organization is disabled", done.err)

    def test_a_directory_that_cannot_be_trusted(self):
        self.three()
        archive = os.path.join(self.directory, "archive")
        os.mkdir(archive)
        os.chmod(archive, 0o777)
        for command in ("plan", "status", "verify", "sync"):
            with self.subTest(command=command):
                done = self.orgsync(command)
                self.assertEqual((done.code, done.out), (1, ""), str(done))
                self.assertIn("chmod go-w", done.err)
        os.rmdir(archive)
        os.symlink(self.directory, archive)
        for command in ("plan", "status", "verify", "sync"):
            with self.subTest(command=command):
                done = self.orgsync(command)
                self.assertEqual((done.code, done.out), (1, ""), str(done))
                self.assertIn("symbolic link", done.err)


if __name__ == "__main__":
    harness.main()
