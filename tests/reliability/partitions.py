#!/usr/bin/python3
"""Cuts and worsens the network between servers of a replicated store while clients write.

    partitions.py COOKIXD [--partitions=200] [--seed=1] [--failover] [--json=FILE]
                  [--directory=DIR]

The servers of kill_cycles.py, each in a network namespace of its own, and the clients in one more
(network.py). In each round some of them stop hearing each other, both ways or one way, by the
packet filter, or frames between them are delayed, lost and reordered by the forwarder, or both;
in some rounds the replica that has everything is made the primary while the primary is cut off
and goes on by itself. With --failover the servers elect their primary in etcd, which is one more
node that can be cut off, and nobody promotes. Once the network is whole, replicas have to be
equal to the primary and the history must be one of a store that keeps its promises (history.py).
Ends with 0, with 1 at the first contradiction, or with 77 and a line that says so where
namespaces are not permitted.
"""
import argparse
import os
import random
import sys
import tempfile
import time

import elections
import network
import report
from cluster import Trouble
from kill_cycles import make_cluster
from rounds import Rounds

CASE = "histories and replicas without contradiction"
# The exit code where namespaces are not permitted.
NOT_PERMITTED = 77
CALL_TIMEOUT_S = 2.0
LEASE_SECONDS = 2
CLIENTS = "clients"
SERVERS = ("server0", "server1", "server2")

# Kinds of rounds, and how often they come.
KINDS = {
    "two nodes cut": 20,
    "two nodes cut one way": 20,
    "one node cut off": 15,
    "one node cut off one way": 15,
    "cut on and off": 10,
    "delay, loss and reordering": 15,
    "cut in a bad network": 10,
    "primary cut off and replaced": 15,
}
# In these rounds etcd decides.
ELECTED_KINDS = {**KINDS, "primary cut off and replaced": 0, "primary cut off from etcd": 15,
                 "primary cut off from all but clients": 15}
ETCD = "etcd"


class Saboteur:
    """What goes wrong in a round."""

    def __init__(self, net, cluster, seed, elected):
        self._net = net
        self._cluster = cluster
        self._random = random.Random(seed)
        self._elected = elected
        self._kinds = ELECTED_KINDS if elected else KINDS
        self.kind = None
        self.frames = {}

    def __call__(self, load):
        self.kind = self._random.choices(list(self._kinds), self._kinds.values())[0]
        # Whoever leads may lose its lease.
        load.promoted = self._elected
        time.sleep(self._random.uniform(0.05, 0.2))
        try:
            self._break(load)
        finally:
            self.frames = self._net.heal()
        if load.promoted and not self._elected:
            self._cluster.follow(self._cluster.servers[2])
        time.sleep(self._random.uniform(0.1, 0.4))

    def _break(self, load):
        two = self._random.sample(self._net.nodes, 2)
        if self.kind in ("delay, loss and reordering", "cut in a bad network"):
            self._worsen()
        if self.kind == "two nodes cut":
            self._cut(*two, both_ways=True)
        elif self.kind in ("two nodes cut one way", "cut in a bad network"):
            self._cut(*two, both_ways=False)
        elif self.kind.startswith("one node cut off"):
            self._cut_off(two[0], both_ways="one way" not in self.kind)
        elif self.kind == "cut on and off":
            for _ in range(self._random.randint(2, 5)):
                self._cut(*two, both_ways=self._random.random() < 0.5)
                time.sleep(self._random.uniform(0.02, 0.3))
                self._net.heal()
                time.sleep(self._random.uniform(0.02, 0.3))
        elif self.kind == "primary cut off and replaced":
            self._replace(load)
        elif self.kind == "primary cut off from etcd":
            self._cut(self._net.node(self._cluster.primary.name), self._net.node(ETCD),
                      both_ways=True)
        elif self.kind == "primary cut off from all but clients":
            self._cut_primary_off()
        # Now and then longer than it takes to notice that the other side is silent.
        time.sleep(self._random.choice((0.1, 0.3, 0.6, 1.0, 1.5, 4.0)))
        if self._elected and self._random.random() < 0.5:
            # Or longer than a lease.
            time.sleep(self._random.uniform(2, 8))

    def _cut(self, one, other, both_ways):
        self._net.cut(one, other)
        if both_ways:
            self._net.cut(other, one)

    def _cut_off(self, node, both_ways):
        """Nobody hears the node, or with one way perhaps it hears nobody."""
        deaf = self._random.random() < 0.5
        for other in self._net.nodes:
            if other is not node:
                if both_ways or deaf:
                    self._net.cut(node, other)
                if both_ways or not deaf:
                    self._net.cut(other, node)

    def _worsen(self):
        rules = {}
        for one in self._net.nodes:
            for other in self._net.nodes:
                if one is not other and self._random.random() < 0.7:
                    rules[one, other] = {"delay_ms": self._random.choice((0, 1, 5, 30)),
                                         "jitter_ms": self._random.choice((0, 2, 10, 40)),
                                         "loss": self._random.choice((0, 0.01, 0.05, 0.2))}
        self._net.worsen(rules)

    def _cut_primary_off(self):
        """The primary and the other nodes no longer hear each other; clients still reach all."""
        primary = self._net.node(self._cluster.primary.name)
        for node in self._net.nodes:
            if node is not primary and node.name != CLIENTS:
                self._cut(primary, node, both_ways=True)

    def _replace(self, load):
        self._cut_primary_off()
        time.sleep(self._random.uniform(0, 0.5))
        load.promoted = True
        self._cluster.promote(self._cluster.successor)


def run(flags, directory):
    """The report and whether all was well."""
    figures = report.Report("partitions", {"partitions": flags.partitions, "seed": flags.seed,
                                           "failover": flags.failover})
    names = (*SERVERS, ETCD) if flags.failover else SERVERS
    net = network.Network((CLIENTS, *names), flags.seed)
    hosts = [net.node(name).address for name in names]
    namespaces = [net.node(name).process for name in names]
    if flags.failover:
        cluster = elections.make_cluster(flags.cookixd, directory, hosts, LEASE_SECONDS, namespaces)
    else:
        cluster = make_cluster(flags.cookixd, directory, hosts, namespaces)
    saboteur = Saboteur(net, cluster, flags.seed, flags.failover)
    rounds = Rounds(cluster, flags.seed, CALL_TIMEOUT_S)
    try:
        cluster.start()
        rounds.prepare()
        while figures.rounds < flags.partitions:
            result = rounds.run(saboteur)
            figures.add(saboteur.kind, result)
            if figures.rounds % 20 == 0:
                print(figures.line(), flush=True)
        cluster.stop()
    except Trouble as trouble:
        print(f"round {figures.rounds + 1} of seed {flags.seed}, {saboteur.kind}: {trouble}\n"
              f"kept: {directory}", file=sys.stderr)
        return figures, False
    finally:
        for name, count in saboteur.frames.items():
            figures.set(f"frames {name}", count)
        cluster.abandon()
        net.close()
    cluster.remove()
    return figures, True


def main():
    parser = argparse.ArgumentParser(description="Cuts the network between servers.")
    parser.add_argument("cookixd")
    parser.add_argument("--partitions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--failover", action="store_true",
                        help="servers elect their primary in etcd")
    parser.add_argument("--json", help="where to write the figures")
    parser.add_argument("--directory", help="where to put the stores; a temporary one otherwise")
    parser.add_argument("--skip_if_not_permitted", action="store_true",
                        help="counts as skipped where namespaces are not permitted")
    flags = parser.parse_args()
    try:
        network.enter()
    except network.NotPermitted as refusal:
        print(f"network namespaces are not permitted here: {refusal}")
        return report.skip("partitions", CASE) if flags.skip_if_not_permitted else NOT_PERMITTED
    directory = tempfile.mkdtemp(prefix="partitions-",
                                 dir=flags.directory or os.environ.get("TEST_TMPDIR"))
    figures, passed = run(flags, directory)
    figures.print(flags.json)
    return report.finish("partitions", CASE, passed)


if __name__ == "__main__":
    sys.exit(main())
