"""Servers that elect their primary in etcd, and what goes wrong with them."""
import os
import random
import threading
import time

import grpc

from cluster import Cluster, Server, Trouble, launch
from cookix.v1 import replication_service_pb2 as replication
from rounds import seconds_without_writes

ETCD_PORT = 2379
ETCD_PEER_PORT = 2380
# How often who leads is looked at.
LOOK_SECONDS = 0.1

# Kinds of cycles, and how often they come.
KINDS = {
    "leader killed": 20,
    "leader killed and kept away": 35,
    "leader paused": 15,
    "replica killed": 10,
    "leader and a replica killed": 10,
    "all killed": 5,
    "etcd killed": 5,
}


class Etcd:
    """One member of etcd, the only one of its cluster."""

    def __init__(self, directory, host, namespace=None):
        self.target = f"{host}:{ETCD_PORT}"
        self._host = host
        self._directory = directory
        self._namespace = namespace
        self._process = None
        os.makedirs(directory)

    def start_and_wait(self, seconds=30.0):
        """Starts it, and waits until it answers."""
        self.start()
        channel = grpc.insecure_channel(self.target)
        try:
            grpc.channel_ready_future(channel).result(seconds)
        except grpc.FutureTimeoutError:
            raise Trouble(f"etcd does not answer for {seconds:.0f} s") from None
        finally:
            channel.close()

    def start(self):
        peer = f"http://{self._host}:{ETCD_PEER_PORT}"
        client = f"http://{self.target}"
        self._process = launch(
            ["etcd", "--name=one", f"--data-dir={self._directory}/data",
             f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
             f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}",
             f"--initial-cluster=one={peer}"],
            os.path.join(self._directory, "log"), self._namespace)

    def kill(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class ElectedCluster(Cluster):
    """`primary` is whoever was last seen to lead; a thread keeps looking."""

    def __init__(self, servers, directory, etcd):
        super().__init__(servers, directory)
        self.etcd = etcd
        self._stop = threading.Event()
        self._watcher = threading.Thread(target=self._watch)

    def start(self):
        self.etcd.start_and_wait()
        super().start()
        self._watcher.start()
        self.wait_for_leader()

    def leader(self):
        """Whoever leads now, with a lease that is good; None when nobody does."""
        leaders = {}
        for server in self.servers:
            try:
                status = server.status(1.0) if server.running else None
            except grpc.RpcError:
                continue
            if (status is not None and status.role == replication.REPLICATION_ROLE_PRIMARY
                    and status.cluster.lease_ms > 0):
                leaders[status.epoch] = server
        return leaders[max(leaders)] if leaders else None

    def wait_for_leader(self, seconds=60.0):
        deadline = time.monotonic() + seconds
        while (leader := self.leader()) is None:
            if time.monotonic() > deadline:
                raise Trouble(f"nobody leads after {seconds:.0f} s")
            time.sleep(0.05)
        self.primary = leader

    def _difference(self):
        leader = self.leader()
        if leader is None:
            return "nobody leads"
        self.primary = leader
        return super()._difference()

    def abandon(self):
        self._stop.set()
        if self._watcher.is_alive():
            self._watcher.join()
        super().abandon()
        self.etcd.kill()

    def _watch(self):
        while not self._stop.wait(LOOK_SECONDS):
            self.primary = self.leader() or self.primary


class LeaderKiller:
    """What goes wrong in a cycle of kill_cycles.py --failover."""

    def __init__(self, cluster, seed, lease_seconds):
        self._cluster = cluster
        self._random = random.Random(seed)
        self._lease_seconds = lease_seconds
        self.kind = None
        # Of the last cycle.
        self.figures = {}

    def __call__(self, load):
        self.kind = self._random.choices(list(KINDS), KINDS.values())[0]
        self.figures = {}
        # Whoever leads may lose its lease meanwhile.
        load.promoted = True
        time.sleep(self._random.uniform(0.05, 0.5))
        load.failed_at = time.monotonic()
        leader = self._cluster.primary
        if self.kind == "etcd killed":
            self._cluster.etcd.kill()
            time.sleep(self._random.uniform(0, 2 * self._lease_seconds))
            self._cluster.etcd.start_and_wait()
            # A lease that could not be renewed ends in this cycle, not in the next one.
            time.sleep(self._lease_seconds)
        elif self.kind == "leader paused":
            leader.pause()
            time.sleep(self._random.uniform(0.5, 2) * self._lease_seconds)
            leader.resume()
        else:
            self._kill(leader)
        failed_for = seconds_without_writes(load, load.failed_at)
        self.figures = {f"writes again after: {self.kind}": [failed_for]}
        self._cluster.restart_dead()
        time.sleep(self._random.uniform(0.1, 0.5))

    def _kill(self, leader):
        others = [server for server in self._cluster.servers if server is not leader]
        self._random.shuffle(others)
        victims = {"leader killed": [leader], "leader killed and kept away": [leader],
                   "replica killed": others[:1],
                   "leader and a replica killed": [leader, others[0]],
                   "all killed": [leader, *others]}[self.kind]
        for server in victims:
            server.kill()
        if self.kind != "leader killed and kept away":
            time.sleep(self._random.uniform(0, 0.5))
            self._cluster.restart_dead()


def make_cluster(binary, directory, hosts, lease_seconds, namespaces=(None, None, None, None)):
    """Three servers of equal rank, each write on two of them, and etcd at the last host."""
    etcd = Etcd(os.path.join(directory, "etcd"), hosts[3], namespaces[3])
    servers = []
    for i, (host, namespace) in enumerate(zip(hosts[:3], namespaces)):
        flags = ["--sync_mode=full", "--sync_replicas=1", "--sync_timeout_ms=1000",
                 f"--etcd_endpoints={etcd.target}", f"--lease_seconds={lease_seconds}",
                 f"--lease_margin_ms={lease_seconds * 200}"]
        if i == 0:
            flags.append("--found_cluster")
        if namespace is not None:
            flags += ["--insecure", "--allow_plaintext"]
        servers.append(Server(f"server{i}", binary, os.path.join(directory, f"server{i}"), host,
                              flags, namespace))
    return ElectedCluster(servers, directory, etcd)
