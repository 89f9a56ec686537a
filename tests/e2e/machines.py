"""Three machines with a server each, as docs/runbook.md has them, below one directory.

A machine is a directory tree (etc, var, usr) and a daemon. The commands that reach machines and
their services - ssh, scp, sudo, systemctl, journalctl - are small programs here, which do to these
trees and daemons what the real ones do to machines; cookix and cookixd are the real programs.
"""
import os
import re
import signal
import socket
import subprocess
import time

NAMES = ("db1", "db2", "db3")

# What commands on a machine see of its tree.
PATHS = ("/etc/cookix", "/var/lib/cookix", "/var/backups/cookix", "/usr/local/bin/", "/opt/cookix")

SSH = r"""#!/bin/bash
export MACHINE="$1"; shift
tree="$MACHINES/$MACHINE"
command="$*"
for path in {paths}; do command="${{command//$path/$tree$path}}"; done
export PATH="$tree/usr/local/bin:$PATH"
cd "$tree" && exec bash -c "$command"
"""

SCP = r"""#!/bin/bash
set -e
target="${@: -1}"
cp "${@:1:$#-1}" "$MACHINES/${target%%:*}${target#*:}"
"""

SUDO = r"""#!/bin/bash
if [ "$1" = -u ]; then shift 2; fi
exec "$@"
"""

# Started, a daemon belongs to nobody; stopping waits for its end, as systemd does.
SYSTEMCTL = r"""#!/bin/bash
tree="$MACHINES/$MACHINE"
stop() {
  [ -s "$tree/pid" ] || return 0
  pid="$(cat "$tree/pid")"
  kill -TERM "$pid" 2> /dev/null
  while kill -0 "$pid" 2> /dev/null; do sleep 0.02; done
  rm "$tree/pid"
}
start() {
  setsid "$tree/usr/local/bin/cookixd" --config="$tree/etc/cookix/cookix.yaml" \
    >> "$tree/journal" 2>&1 < /dev/null &
  echo $! > "$tree/pid"
}
[ "$2" = cookixd ] || exit 4
case "$1" in
  stop) stop ;;
  start) start ;;
  restart) stop; start ;;
  *) exit 4 ;;
esac
"""

JOURNALCTL = r"""#!/bin/bash
[ "$1 $2 $3" = "-u cookixd -n" ] || exit 4
tail -n "$4" "$MACHINES/$MACHINE/journal"
"""


def _write(path, text, mode=0o600):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Etcd:
    """One member, the only one of its cluster."""

    def __init__(self, root):
        self.target = f"127.0.0.1:{_free_port()}"
        self._directory = os.path.join(root, "etcd")
        peer = f"http://127.0.0.1:{_free_port()}"
        os.makedirs(self._directory)
        with open(os.path.join(self._directory, "log"), "wb") as log:
            self._process = subprocess.Popen(
                ["etcd", "--name=one", f"--data-dir={self._directory}/data",
                 f"--listen-client-urls=http://{self.target}",
                 f"--advertise-client-urls=http://{self.target}",
                 f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
                 f"--initial-cluster=one={peer}", "--log-level=error"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        self._process.kill()
        self._process.wait()


class Machines:
    """Use in a with block: the daemons are gone after it. With `elects` db1 is the first that the
    servers elect, in an etcd beside them; else it is the primary of the others."""

    def __init__(self, root, cookixd, cookix, make_certificates, elects=False):
        self.root = root
        self.address = {}
        self._elects = elects
        self._etcd = None
        self._programs = {"cookixd": cookixd, "cookix": cookix}
        self._make_certificates = make_certificates

    def path(self, name, path):
        return os.path.join(self.root, name, path.lstrip("/"))

    def __enter__(self):
        programs = {"ssh": SSH.format(paths=" ".join(PATHS)), "scp": SCP, "sudo": SUDO,
                    "systemctl": SYSTEMCTL, "journalctl": JOURNALCTL}
        for name, text in programs.items():
            _write(os.path.join(self.root, "bin", name), text, 0o700)
        os.symlink(self._programs["cookix"], os.path.join(self.root, "bin", "cookix"))
        certificates = os.path.join(self.root, "certificates")
        subprocess.run([self._make_certificates, certificates], check=True,
                       stdout=subprocess.DEVNULL)
        for name in NAMES:
            self._build(name, certificates)
        try:
            self._begin(certificates)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        for name in NAMES:
            self.kill(name)
        if self._etcd is not None:
            self._etcd.kill()

    def _build(self, name, certificates):
        for path in PATHS + ("/var/lib/cookix/checkpoints",):
            os.makedirs(self.path(name, path), exist_ok=True)
        for path in ("/usr/local/bin/", "/opt/cookix/"):
            for program, source in self._programs.items():
                os.symlink(source, self.path(name, path) + program)
        for file in ("server.crt", "server.key", "ca.crt"):
            with open(os.path.join(certificates, file), encoding="ascii") as source:
                _write(self.path(name, "/etc/cookix/tls/" + file), source.read())

    def settings(self, name, values):
        """Rewrites these lines of a machine's settings, or adds them."""
        path = self.path(name, "/etc/cookix/cookix.yaml")
        lines = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                lines = dict(line.rstrip("\n").split(": ", 1) for line in file)
        lines.update(values)
        _write(path, "".join(f"{key}: {value}\n" for key, value in lines.items()))

    def _begin(self, certificates):
        admin = os.path.join(self.root, "admin")
        os.makedirs(admin)
        with open(os.path.join(certificates, "ca.crt"), encoding="ascii") as source:
            _write(os.path.join(admin, "ca.crt"), source.read())
        for name in NAMES:
            self.settings(name, {
                "listen": "127.0.0.1:0",
                "metrics_listen": '""',
                "data_dir": self.path(name, "/var/lib/cookix/data"),
                "checkpoint_dir": self.path(name, "/var/lib/cookix/checkpoints"),
                "backup_dir": self.path(name, "/var/backups/cookix"),
                "tls_cert": self.path(name, "/etc/cookix/tls/server.crt"),
                "tls_key": self.path(name, "/etc/cookix/tls/server.key"),
                "tls_reload_seconds": "1",
                "replication_tls_ca": self.path(name, "/etc/cookix/tls/ca.crt"),
                "replication_key_file": self.path(name, "/etc/cookix/replica.key"),
                "replica_name": name,
                "auth": "on",
                "sync_mode": "full" if self._elects else "normal",
                "memory_budget_mb": "64",
                "adjacency_mb": "64",
                "low_disk_mb": "0",
                "port_file": self.path(name, "port"),
            })
        if self._elects:
            self._etcd = Etcd(self.root)
        for name in NAMES:
            self.elect(name, self._elects)
        self.settings("db1", {"bootstrap_admin_key_file": os.path.join(admin, "admin.key"),
                              "found_cluster": "true" if self._elects else "false"})
        self.start("db1")
        self.await_status("db1", '"role": *"primary"')
        secret = self.run("cookix keys create replicas --grant '*:replica'")
        for name in NAMES:
            _write(self.path(name, "/etc/cookix/replica.key"), secret)
        for name in NAMES[1:]:
            if not self._elects:
                self.settings(name, {"replica_of": self.address["db1"]})
            self.start(name)
        self.settings("db1", {"bootstrap_admin_key_file": '""', "found_cluster": "false"})
        if self._elects:
            self.await_status("db1", '"in_sync": *\\["db[123]","db[123]","db[123]"\\]')

    def elect(self, name, elects):
        """Whether this server takes part in elections, from its next start on."""
        if not elects:
            self.settings(name, {"etcd_endpoints": '""'})
            return
        address = self.address.get(name, f"127.0.0.1:{_free_port()}")
        self.settings(name, {"listen": address, "advertise_address": address,
                             "etcd_endpoints": self._etcd.target, "lease_seconds": "2",
                             "lease_margin_ms": "500", "failover_max_lag": "1"})

    def await_status(self, name, pattern):
        """Until what a server says of itself has this in it."""
        deadline = time.monotonic() + 60
        while True:
            result = self.run(f"cookix --server {self.address[name]} replication status --json",
                              check=False)
            if re.search(pattern, result.stdout):
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"{name} does not say {pattern}: {result.stdout}"
                                     f"{result.stderr}\n{self.journal(name)}")
            time.sleep(0.05)

    def environment(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("COOKIX")}
        environment.update({
            "MACHINES": self.root,
            "PATH": os.path.join(self.root, "bin") + ":/usr/bin:/bin",
            "COOKIX_API_KEY_FILE": os.path.join(self.root, "admin", "admin.key"),
            "COOKIX_CA": os.path.join(self.root, "admin", "ca.crt"),
            "COOKIX_SERVER": ",".join(self.address.values()),
        })
        return environment

    def run(self, script, timeout=60, check=True):
        """Runs a script at the operator's machine; its standard output."""
        result = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=self.root,
                                env=self.environment(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                                text=True, check=False)
        if check and result.returncode != 0:
            raise AssertionError(f"exit code {result.returncode}: {script}\n{result.stdout}"
                                 f"{result.stderr}")
        return result.stdout if check else result

    def start(self, name):
        """Waits for the port, and keeps it from then on."""
        port_file = self.path(name, "port")
        if os.path.exists(port_file):
            os.remove(port_file)
        self.run(f"ssh {name} systemctl start cookixd")
        deadline = time.monotonic() + 60
        port = ""
        while not port.endswith("\n"):
            if time.monotonic() > deadline:
                raise AssertionError(f"{name} does not listen:\n{self.journal(name)}")
            time.sleep(0.01)
            if os.path.exists(port_file):
                with open(port_file, encoding="ascii") as file:
                    port = file.read()
        self.address[name] = "127.0.0.1:" + port.strip()
        self.settings(name, {"listen": self.address[name]})

    def kill(self, name):
        """SIGKILL."""
        try:
            with open(self.path(name, "pid"), encoding="ascii") as file:
                pid = int(file.read())
        except (FileNotFoundError, ValueError):
            return
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        # It is nobody's child: wait until it is gone.
        while os.path.exists(f"/proc/{pid}") and not self._is_zombie(pid):
            time.sleep(0.01)

    @staticmethod
    def _is_zombie(pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                return file.read().rsplit(")", 1)[1].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    def journal(self, name):
        with open(self.path(name, "journal"), encoding="utf-8", errors="replace") as file:
            return file.read()[-4000:]
