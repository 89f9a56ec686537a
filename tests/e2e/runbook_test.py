"""Runs the recipes of a runbook: runbook_test.py RUNBOOK COOKIXD COOKIX MAKE_CERTIFICATES.

Each section with shell commands has a function here that brings the trouble about, lets the
commands of the section run, unchanged but for the addresses of the servers, and checks that the
trouble is over. A section without a function fails the test, and so does a function without one.
"""
import datetime
import os
import re
import subprocess
import sys
import tempfile
import threading

import script_cases
from machines import NAMES, Machines

NOWHERE = "127.0.0.1:1"


def parse(text):
    """{heading: commands} of a page; those before the first section under ""."""
    sections = {}
    heading = ""
    block = None
    for line in text.splitlines():
        if block is not None:
            if line == "```":
                sections[heading] = sections.get(heading, "") + "\n".join(block) + "\n"
                block = None
            else:
                block.append(line)
        elif line == "```sh":
            block = []
        elif line.startswith("## "):
            heading = line[3:]
    return sections


class Recipe:
    """One section against three servers of its own."""

    def __init__(self, machines, preface, commands):
        self.machines = machines
        self._preface = preface
        self._commands = commands

    def follow(self, commands=None):
        """Runs the section's commands, those of the page's beginning before them."""
        preface = self._preface.replace("/etc/cookix", os.path.join(self.machines.root, "admin"))
        text = preface + (commands or self._commands)
        for name in NAMES:
            text = text.replace(name + ":7625", self.machines.address[name])
        # What takes a second between two looks at a server takes less here.
        return self.machines.run(text.replace("sleep 1;", "sleep 0.1;")
                                 .replace("sleep 1\n", "sleep 0.1\n"))

    def at(self, name, command, check=True):
        return self.machines.run(f"cookix --server {self.machines.address[name]} {command}",
                                 check=check)

    def await_following(self, name):
        self.follow(f"await {name}:7625\n")

    def expect(self, condition, what):
        if not condition:
            raise AssertionError(what)

    def expect_refused(self, name, command, reason):
        result = self.at(name, command + " --json", check=False)
        self.expect(result.returncode != 0 and reason in result.stderr,
                    f"{command} at {name} should be refused with {reason}: {result.stderr}")

    def expect_role(self, name, role):
        status = self.at(name, "replication status --json")
        self.expect(re.search(f'"role": *"{role}"', status), f"{name} is no {role}: {status}")

    def expect_object(self, name, key):
        """There, at the latest when the server has what the primary has."""
        self.await_following(name)
        self.at(name, f"get {key}")


def first_look(recipe):
    shown = recipe.follow()
    recipe.expect("primary" in shown and "replica" in shown, shown)


def lags(recipe):
    recipe.await_following("db2")
    recipe.at("db2", f"replication follow {NOWHERE}")
    recipe.at("db1", "put new")
    recipe.follow()
    recipe.expect_object("db2", "new")


def receives_a_copy(recipe):
    recipe.at("db1", "put kept")
    recipe.await_following("db2")
    data = recipe.machines.path("db2", "/var/lib/cookix/data")
    for file in os.listdir(data):
        if file.startswith("MANIFEST"):
            os.truncate(os.path.join(data, file), 0)
    recipe.follow()
    recipe.at("db2", "get kept")
    recipe.expect(not os.path.exists(data + ".damaged"), "the damaged directory is still there")


def primary_lost(recipe):
    recipe.at("db1", "put kept")
    for name in ("db2", "db3"):
        recipe.await_following(name)
    recipe.machines.kill("db1")
    recipe.follow()
    recipe.expect_role("db1", "primary")
    recipe.machines.run("cookix put after")
    for name in ("db2", "db3"):
        recipe.expect_role(name, "replica")
        recipe.expect_object(name, "kept")
        recipe.expect_object(name, "after")


def disk_fills(recipe):
    recipe.at("db1", "put old")
    recipe.at("db1", "checkpoint before-upgrade")
    # A mark that no disk is above: the server takes this one for full.
    recipe.machines.settings("db1", {"low_disk_mb": "1000000000"})
    recipe.machines.run("ssh db1 systemctl restart cookixd")
    recipe.follow("until cookix --server db1:7625 info; do sleep 1; done\n")
    recipe.expect_refused("db1", "put new", "DISK_LOW")
    recipe.follow()
    recipe.at("db1", "put new")


def backup_restored(recipe):
    recipe.at("db1", "put kept")
    recipe.at("db1", "backup create")
    recipe.at("db1", "put later")
    moment = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    recipe.at("db1", "delete kept")
    for name in ("db2", "db3"):
        recipe.await_following(name)
    recipe.expect(recipe.at("db2", "get kept", check=False).returncode == 3, "it is not deleted")
    commands, count = re.subn(r"^moment=\S+$", "moment=" + moment, recipe._commands,
                              flags=re.MULTILINE)
    recipe.expect(count == 1, "the recipe sets no moment")
    recipe.follow(commands)
    for name in NAMES:
        recipe.at(name, "get kept")
        recipe.at(name, "get later")


def certificate_expired(recipe):
    root = recipe.machines.root
    os.makedirs(os.path.join(root, "new"))
    tls = recipe.machines.path("db1", "/etc/cookix/tls/")
    for file in ("server.crt", "server.key"):
        subprocess.run(["cp", tls + file, os.path.join(root, "new", file)], check=True)
    expire(os.path.join(root, "certificates"), tls + "server.crt")
    client = f"cookix --server {recipe.machines.address['db1']} info"
    recipe.machines.run(f"while {client} 2> /dev/null; do sleep 0.1; done")
    # A replica that has to connect anew.
    recipe.machines.run("ssh db2 systemctl restart cookixd")
    recipe.follow()
    recipe.expect_role("db2", "replica")


def expire(authority, certificate):
    """Replaces a certificate by one of the same key that ended long ago."""
    with tempfile.TemporaryDirectory() as directory:
        def path(name):
            return os.path.join(directory, name)
        with open(path("ca.cnf"), "w", encoding="ascii") as file:
            file.write("[ca]\ndefault_ca=a\n[a]\npolicy=p\ndefault_md=sha256\nunique_subject=no\n"
                       f"database={path('index')}\nserial={path('serial')}\n"
                       f"new_certs_dir={directory}\n[p]\ncommonName=supplied\n"
                       "[e]\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n")
        for name, text in (("index", ""), ("serial", "01\n")):
            with open(path(name), "w", encoding="ascii") as file:
                file.write(text)
        quiet = {"check": True, "stderr": subprocess.DEVNULL}
        subprocess.run(["openssl", "req", "-new", "-key", os.path.join(authority, "server.key"),
                        "-subj", "/CN=cookix", "-out", path("request")], **quiet)
        subprocess.run(["openssl", "ca", "-batch", "-notext", "-config", path("ca.cnf"),
                        "-extensions", "e", "-cert", os.path.join(authority, "ca.crt"),
                        "-keyfile", os.path.join(authority, "ca.key"), "-in", path("request"),
                        "-startdate", "20200101000000Z", "-enddate", "20200102000000Z",
                        "-out", certificate], **quiet)


def leader_lost(recipe):
    recipe.at("db1", "put kept")
    recipe.machines.kill("db1")
    recipe.follow()
    for name in NAMES:
        recipe.at(name, "get kept")
    recipe.expect_role("db1", "replica")
    recipe.machines.run("cookix put after")


def all_in_sync_lost(recipe):
    recipe.at("db1", "put kept")
    for name in ("db2", "db3"):
        recipe.await_following(name)
    recipe.machines.kill("db3")
    # More than it may lack.
    for number in range(3):
        recipe.at("db1", f"put lost{number}")
    recipe.machines.await_status("db1", '"in_sync": *\\["db[12]","db[12]"\\]')
    for name in ("db1", "db2"):
        recipe.machines.kill(name)
    recipe.machines.start("db3")
    recipe.machines.await_status("db3", "it may lack what was acknowledged")
    recipe.follow()
    recipe.expect_role("db3", "primary")
    recipe.machines.run("cookix put after")
    for name in ("db1", "db2"):
        recipe.expect_object(name, "kept")
        recipe.expect_object(name, "after")
        recipe.expect(recipe.at(name, "get lost2", check=False).returncode == 3, "it is not lost")


def promoted_outside(recipe):
    recipe.at("db1", "put kept")
    recipe.await_following("db3")
    recipe.machines.run("ssh db3 systemctl stop cookixd")
    recipe.machines.elect("db3", False)
    recipe.machines.start("db3")
    recipe.at("db3", "replication promote --force")
    recipe.at("db3", "put outside")
    recipe.machines.run("ssh db3 systemctl stop cookixd")
    recipe.machines.elect("db3", True)
    recipe.machines.start("db3")
    recipe.machines.await_status("db3", '"state": *"failed".*this one has seen epoch')
    recipe.follow()
    recipe.expect_object("db3", "kept")
    recipe.expect(recipe.at("db3", "get outside", check=False).returncode == 3,
                  "what was written outside is still there")
    recipe.machines.await_status("db1", '"in_sync": *\\["db[123]","db[123]","db[123]"\\]')


def rolling_upgrade(recipe):
    for name in ("db2", "db3"):
        recipe.await_following(name)
    failures = []
    written = []
    over = threading.Event()

    def write():
        while not over.is_set():
            key = f"k{len(written)}"
            result = recipe.machines.run(f"cookix put {key}", check=False)
            if result.returncode != 0:
                failures.append(result.stderr)
                return
            written.append(key)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        recipe.follow()
    finally:
        over.set()
        writer.join()
    recipe.expect(not failures, f"a write failed: {failures}")
    recipe.expect(len(written) > 3, f"only {len(written)} writes")
    recipe.expect_role("db2", "primary")
    for name in ("db1", "db3"):
        for key in (written[0], written[-1]):
            recipe.expect_object(name, key)


# Where the servers elect their primary.
ELECTED = {leader_lost, all_in_sync_lost, promoted_outside}

RECIPES = {
    "Before anything else": first_look,
    "A replica lags": lags,
    "A replica receives a copy again": receives_a_copy,
    "The primary is lost": primary_lost,
    "The leader of an election is lost": leader_lost,
    "All members in sync are lost": all_in_sync_lost,
    "A member was promoted outside the election": promoted_outside,
    "A disk fills": disk_fills,
    "A backup must be restored": backup_restored,
    "A certificate expired": certificate_expired,
    "A rolling upgrade": rolling_upgrade,
}


def main(runbook, *programs):
    with open(runbook, encoding="utf-8") as file:
        sections = parse(file.read())
    preface = sections.pop("")
    output = []
    for heading in sorted(RECIPES.keys() ^ sections.keys()):
        output.append(f"not ok {heading}: " + ("is not tested" if heading in sections
                                               else "is not in the runbook"))
    for heading, commands in sections.items():
        if heading not in RECIPES:
            continue
        with tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR")) as root:
            machines = Machines(root, *programs, elects=RECIPES[heading] in ELECTED)
            begun = len(output)
            try:
                with machines:
                    RECIPES[heading](Recipe(machines, preface, commands))
                output.append(f"ok {heading}")
            except (AssertionError, subprocess.SubprocessError) as error:
                output.append(f"not ok {heading}")
                output += str(error).splitlines()
                for name in NAMES:
                    if os.path.exists(machines.path(name, "journal")):
                        output += [f"--- {name}"] + machines.journal(name).splitlines()
        print("\n".join(output[begun:]), flush=True)
    text = "\n".join(output)
    return 0 if script_cases.report("runbook", script_cases.parse(text), text) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
