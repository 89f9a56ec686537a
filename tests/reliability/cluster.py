"""Real servers that replicate one store: started, killed, promoted, and asked how they are."""
import os
import shutil
import signal
import subprocess
import time

import grpc

from cookix.v1 import replication_service_pb2 as replication
from cookix_client import Cookix, error_info
from history import Position

PORT = 7625
# Each channel has connections of its own, which no failure before has set back.
CHANNEL_OPTIONS = (("grpc.use_local_subchannel_pool", 1),)


class Trouble(Exception):
    """A promise was broken, or a server does not do what it should."""


def decode_position(token):
    """The Position in a token; see storage/position.h."""
    numbers, value, shift = [], 0, 0
    for byte in token[17:-4]:
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value, shift = 0, 0
    return Position(*numbers)


def describe(error):
    """An error of a call on one line."""
    info = error_info(error)
    reason = f" {info.reason}" if info is not None else ""
    return f"{error.code().name}{reason}: {error.details()}"


def launch(command, log_path, namespace):
    """Starts a program that dies with this process, in the network namespace of the process
    `namespace` if one is named."""
    command = ["setpriv", "--pdeathsig", "KILL", *command]
    if namespace is not None:
        command = ["nsenter", f"--net=/proc/{namespace}/ns/net", *command]
    environment = {k: v for k, v in os.environ.items()
                   if not k.startswith(("COOKIX", "ETCD"))}
    with open(log_path, "ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                env=environment)


class Server:
    """One cookixd, in the network namespace of the process `namespace` if one is named."""

    def __init__(self, name, binary, directory, host, flags, namespace=None):
        self.name = name
        self.host = host
        self.target = f"{host}:{PORT}"
        self.flags = list(flags)
        self.kills = 0
        self._binary = binary
        self._namespace = namespace
        self._directory = directory
        self._process = None
        os.makedirs(directory)

    @property
    def running(self):
        return self._process is not None

    def launch(self):
        """Starts the process and does not wait."""
        self._forget_port()
        command = [self._binary, f"--listen={self.target}", f"--advertise_address={self.target}",
                   f"--replica_name={self.name}", "--metrics_listen=",
                   f"--data_dir={self._directory}/data", f"--port_file={self._port_file()}",
                   "--view_checkpoint_mb=1", "--view_checkpoint_seconds=1", *self.flags]
        self._process = launch(command, self._log_file(), self._namespace)

    def wait_until_listening(self, seconds=60.0):
        deadline = time.monotonic() + seconds
        while not os.path.exists(self._port_file()):
            if self._process.poll() is not None:
                raise Trouble(f"{self.name} ended with {self._process.returncode}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise Trouble(f"{self.name} does not listen:\n{self.tail()}")
            time.sleep(0.005)

    def kill(self):
        """SIGKILL, and waits until the process is gone."""
        if self._process is None:
            return
        if self._process.poll() is not None:
            raise Trouble(f"{self.name} had ended with {self._process.returncode}:\n{self.tail()}")
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None
        self.kills += 1

    def pause(self):
        """SIGSTOP: it does nothing, and its connections stay open."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        self._process.send_signal(signal.SIGCONT)

    def abandon(self):
        """SIGKILL, if it still runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def terminate(self, seconds=60.0):
        """SIGTERM; the exit code."""
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(seconds)
        self._process = None
        return code

    def connect(self, timeout=10.0):
        return Cookix(self.target, timeout=timeout, channel_options=CHANNEL_OPTIONS)

    def status(self, timeout=2.0):
        with self.connect(timeout) as cookix:
            return cookix.replication.GetReplicationStatus(
                replication.GetReplicationStatusRequest())

    def tail(self, size=4000):
        """The end of what it wrote."""
        with open(self._log_file(), "rb") as file:
            file.seek(max(0, os.path.getsize(self._log_file()) - size))
            return file.read().decode("utf-8", "replace")

    def _log_file(self):
        return os.path.join(self._directory, "log")

    def _port_file(self):
        return os.path.join(self._directory, "port")

    def _forget_port(self):
        if os.path.exists(self._port_file()):
            os.remove(self._port_file())


class Cluster:
    """A primary and its replicas, which an operator gives their parts. The first two servers wait
    for the disk with every commit, so that either may take over from the other; more servers
    follow without being waited for.

    Used by one thread, except for `primary`.
    """

    def __init__(self, servers, directory):
        self.servers = servers
        self.primary = servers[0]
        self._directory = directory

    @property
    def replicas(self):
        return [server for server in self.servers if server is not self.primary]

    @property
    def successor(self):
        """The replica that has everything that was acknowledged."""
        return self.servers[1] if self.primary is self.servers[0] else self.servers[0]

    def start(self):
        for server in self.servers:
            server.launch()
        for server in self.servers:
            server.wait_until_listening()

    def restart_dead(self):
        dead = [server for server in self.servers if not server.running]
        for server in dead:
            server.launch()
        for server in dead:
            server.wait_until_listening()

    def promote(self, server, seconds=20.0):
        """Makes a replica the primary although the one before does not answer."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                with server.connect(5.0) as cookix:
                    cookix.replication.Promote(replication.PromoteRequest(force=True))
                break
            except grpc.RpcError as error:
                if time.monotonic() > deadline:
                    raise Trouble(f"{server.name} cannot be promoted: {describe(error)}") from error
                time.sleep(0.05)
        self.primary = server

    def follow(self, server, seconds=20.0):
        """Points a replica at the primary."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                with server.connect(5.0) as cookix:
                    cookix.replication.Follow(
                        replication.FollowRequest(address=self.primary.target))
                return
            except grpc.RpcError as error:
                if time.monotonic() > deadline:
                    raise Trouble(f"{server.name} cannot be told to follow: "
                                  f"{describe(error)}") from error
                time.sleep(0.05)

    def wait_until_equal(self, seconds=60.0):
        """Waits until all replicas follow the primary and have what it has; the seconds it took.
        Nobody writes meanwhile."""
        begin = time.monotonic()
        last = "nothing"
        while time.monotonic() - begin < seconds:
            last = self._difference()
            if last is None:
                return time.monotonic() - begin
            time.sleep(0.02)
        tails = "\n".join(f"--- {server.name}\n{server.tail(1500)}" for server in self.servers)
        raise Trouble(f"not equal after {seconds:.0f} s: {last}\n{tails}")

    def _difference(self):
        """What keeps replicas from being equal to the primary; None when nothing does."""
        try:
            primary = self.primary.status()
            if primary.role != replication.REPLICATION_ROLE_PRIMARY:
                return f"{self.primary.name} is no primary"
            for server in self.replicas:
                status = server.status()
                if (status.role != replication.REPLICATION_ROLE_REPLICA
                        or status.state != replication.REPLICA_STATE_FOLLOWING
                        or status.position != primary.position):
                    return (f"{server.name} at {status.epoch}/{status.commit}, "
                            f"{replication.ReplicaState.Name(status.state)} "
                            f"'{status.last_error}', and {self.primary.name} at "
                            f"{primary.epoch}/{primary.commit}")
        except grpc.RpcError as error:
            return describe(error)
        return None

    def stop(self):
        """SIGTERM to all; each must end well."""
        for server in self.servers:
            if server.running:
                code = server.terminate()
                if code != 0:
                    raise Trouble(f"{server.name} ended with {code} when it was asked to stop:\n"
                                  + server.tail())

    def abandon(self):
        """Ends what still runs, in whatever state it is."""
        for server in self.servers:
            server.abandon()

    def remove(self):
        shutil.rmtree(self._directory, ignore_errors=True)
