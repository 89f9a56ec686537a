#!/usr/bin/python3
"""Kills servers of a replicated store while clients write, again and again.

    kill_cycles.py COOKIXD [--cycles=10] [--seed=1] [--asynchronous | --failover] [--json=FILE]
                   [--directory=DIR]

A primary, a replica that every write waits for (sync_replicas=1, sync_mode=full), and one that
none waits for (sync_mode=normal); with --asynchronous no write waits for any. In each cycle
sessions increment registers and read anywhere; SIGKILL hits the primary, a replica, several or
all of them at a random moment, sometimes again while they recover; some dead primaries are
replaced by the replica and come back as replicas of it. Then all servers run, replicas have to be
equal to the primary, and the history of the cycle must be one of a store that keeps its promises
(history.py): no acknowledged write is lost, not even with its primary. With --asynchronous the
end of what a replaced primary acknowledged may be lost, and is counted. With --failover the
servers elect their primary in etcd, and nobody promotes; leaders are killed or paused, and etcd
is killed (elections.py). Ends with 0, or with 1 at the first contradiction, keeping the data.
"""
import argparse
import os
import random
import shutil
import socket
import sys
import tempfile
import time

import elections
import report
from cluster import PORT, Cluster, Server, Trouble
from rounds import Rounds, seconds_without_writes

CASE = "histories and replicas without contradiction"
SYNC_TIMEOUT_MS = 400
CALL_TIMEOUT_S = 2.0

# Kinds of cycles, and how often they come.
KINDS = {
    "primary killed": 40,
    "primary killed and replaced": 15,
    "synchronous replica killed": 15,
    "asynchronous replica killed": 10,
    "primary and synchronous replica killed": 10,
    "all killed": 10,
}


def make_cluster(binary, directory, hosts, namespaces=(None, None, None), sync_replicas=1):
    """A primary, the replica that it waits for, and one that it does not wait for."""
    servers = []
    for i, (host, namespace) in enumerate(zip(hosts, namespaces)):
        flags = (["--sync_mode=normal"] if i == 2 else
                 ["--sync_mode=full", f"--sync_replicas={sync_replicas}",
                  f"--sync_timeout_ms={SYNC_TIMEOUT_MS}"])
        if i > 0:
            flags.append(f"--replica_of={hosts[0]}:{PORT}")
        if namespace is not None:
            # The address is no loopback one, and the network ends at this machine all the same.
            flags += ["--insecure", "--allow_plaintext"]
        servers.append(Server(f"server{i}", binary, os.path.join(directory, f"server{i}"), host,
                              flags, namespace))
    return Cluster(servers, directory)


def loopback_addresses(count):
    """Some that no other run uses at the same time, each with a port that servers keep."""
    # Of the system: runs of one seed, in sandboxes with equal process ids, go on side by side.
    system = random.SystemRandom()
    while True:
        prefix = f"127.{system.randint(1, 254)}.{system.randint(1, 254)}"
        hosts = [f"{prefix}.{i + 1}" for i in range(count)]
        if all(is_free(host) for host in hosts):
            return hosts


def is_free(host):
    with socket.socket() as probe:
        try:
            probe.bind((host, PORT))
        except OSError:
            return False
    return True


class Killer:
    """What goes wrong in a cycle."""

    def __init__(self, cluster, seed, may_lose):
        self._cluster = cluster
        self._random = random.Random(seed)
        self._may_lose = may_lose
        self.kind = None
        # Of the last cycle.
        self.figures = {}

    def __call__(self, load):
        self.kind = self._random.choices(list(KINDS), KINDS.values())[0]
        self.figures = {}
        time.sleep(self._random.uniform(0.02, 0.4))
        load.failed_at = time.monotonic()
        for server in self._victims():
            server.kill()
        killed_at = time.monotonic()
        if "replaced" in self.kind:
            self._replace(load)
        time.sleep(self._random.uniform(0, 0.1))
        self._recover()
        time.sleep(self._random.uniform(0.05, 0.25))
        if "primary" in self.kind:
            self.figures = {f"writes again after: {self.kind}":
                            [seconds_without_writes(load, killed_at)]}
            time.sleep(self._random.uniform(0, 0.1))

    def _victims(self):
        cluster = self._cluster
        return {
            "primary killed": [cluster.primary],
            "primary killed and replaced": [cluster.primary],
            "synchronous replica killed": [cluster.successor],
            "asynchronous replica killed": [cluster.servers[2]],
            "primary and synchronous replica killed": [cluster.primary, cluster.successor],
            "all killed": self._random.sample(cluster.servers, 3),
        }[self.kind]

    def _replace(self, load):
        """Makes the replica that has everything the primary, and the third one follow it."""
        load.promoted = True
        load.may_lose = self._may_lose
        self._cluster.promote(self._cluster.successor)
        self._cluster.follow(self._cluster.servers[2])

    def _recover(self):
        """Starts what is dead; one time in five it dies once more first."""
        dead = [server for server in self._cluster.servers if not server.running]
        if self._random.random() < 0.2:
            for server in dead:
                server.launch()
            time.sleep(self._random.uniform(0, 0.15))
            for server in dead:
                server.kill()
        self._cluster.restart_dead()


def main():
    parser = argparse.ArgumentParser(description="Kills servers under load.")
    parser.add_argument("cookixd")
    parser.add_argument("--cycles", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--asynchronous", action="store_true",
                        help="no write waits for a replica")
    parser.add_argument("--failover", action="store_true",
                        help="servers elect their primary in etcd")
    parser.add_argument("--lease_seconds", type=int, default=5, help="with --failover")
    parser.add_argument("--skip_without_etcd", action="store_true",
                        help="counts as skipped where etcd is not installed")
    parser.add_argument("--json", help="where to write the figures")
    parser.add_argument("--directory", help="where to put the stores; a temporary one otherwise")
    flags = parser.parse_args()
    if flags.failover and shutil.which("etcd") is None:
        print("etcd is not installed (see tools/packages.txt)")
        return report.skip("kill_cycles", CASE) if flags.skip_without_etcd else 2
    directory = tempfile.mkdtemp(prefix="kills-",
                                 dir=flags.directory or os.environ.get("TEST_TMPDIR"))
    settings = {"cycles": flags.cycles, "seed": flags.seed}
    if flags.failover:
        settings["lease_seconds"] = flags.lease_seconds
        cluster = elections.make_cluster(flags.cookixd, directory, loopback_addresses(4),
                                         flags.lease_seconds)
        killer = elections.LeaderKiller(cluster, flags.seed, flags.lease_seconds)
    else:
        settings["sync_replicas"] = 0 if flags.asynchronous else 1
        cluster = make_cluster(flags.cookixd, directory, loopback_addresses(3),
                               sync_replicas=settings["sync_replicas"])
        killer = Killer(cluster, flags.seed, flags.asynchronous)
    figures = report.Report("kill_cycles", settings)
    rounds = Rounds(cluster, flags.seed, CALL_TIMEOUT_S)
    try:
        cluster.start()
        rounds.prepare()
        for cycle in range(1, flags.cycles + 1):
            result = rounds.run(killer)
            figures.add(killer.kind, {**result, **killer.figures})
            if cycle % 50 == 0:
                print(figures.line(), flush=True)
        cluster.stop()
    except Trouble as trouble:
        print(f"cycle {figures.rounds + 1} of seed {flags.seed}, {killer.kind}: {trouble}\n"
              f"kept: {directory}", file=sys.stderr)
        return report.finish("kill_cycles", CASE, False)
    finally:
        figures.set("kills", sum(server.kills for server in cluster.servers))
        figures.print(flags.json)
        cluster.abandon()
    cluster.remove()
    return report.finish("kill_cycles", CASE, True)


if __name__ == "__main__":
    sys.exit(main())
