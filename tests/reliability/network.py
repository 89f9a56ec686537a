"""A network of namespaces on one machine, which can be cut and made bad.

Every node has a network namespace of its own with one interface, whose other end is a port of the
forwarder (forwarder.py). Cuts are rules of the packet filter in the node that no longer hears
another one; delay, loss and reordering are the forwarder's. This process must have namespaces of
its own that end with it (`enter`); what it makes in them needs no cleaning up.
"""
import array
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time

_INSIDE = "COOKIX_TEST_INSIDE_NAMESPACES"
_TOOLS = ("unshare", "nsenter", "setpriv", "ip", "nft", "sleep")

_SIOCETHTOOL = 0x8946
# Checksums, segmentation and their kin, which are otherwise left to hardware: frames would pass
# the forwarder unfinished and too large.
_ETHTOOL_OFFLOADS = (0x16, 0x18, 0x1F, 0x24, 0x2C)  # rx, sg, tso, gso, gro
_ETHTOOL_STXCSUM = 0x17


class NotPermitted(Exception):
    """This machine does not let namespaces be made."""


def enter():
    """Runs this program again in network, process and mount namespaces of its own, which end
    with it. Returns only inside."""
    if os.environ.get(_INSIDE):
        os.environ.pop(_INSIDE)
        return
    missing = [tool for tool in _TOOLS if shutil.which(tool, path=_path()) is None]
    if missing:
        raise NotPermitted(f"{', '.join(missing)} not installed (see tools/packages.txt)")
    command = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    environment = {**os.environ, "PATH": _path()}
    probe = ("ip link add p0 type veth peer name p1 && nft add table inet probe && "
             "unshare --net true")
    tried = subprocess.run([*command, "sh", "-c", probe], env=environment, check=False,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT)
    if tried.returncode != 0:
        raise NotPermitted(tried.stdout.decode("utf-8", "replace").strip().replace("\n", "; "))
    environment[_INSIDE] = "1"
    os.execvpe("unshare", [*command, sys.executable, *sys.argv], environment)


def _path():
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class Node:
    """One participant. `process` is the one whose namespace it is; None = this process's."""

    def __init__(self, number, name, process):
        self.number = number
        self.name = name
        self.address = f"10.77.0.{number}"
        self.hardware = f"02:00:00:00:00:{number:02x}"
        self.interface = f"node{number}"
        self.port = f"port{number}"
        self.process = process


class Network:
    """Used by one thread."""

    def __init__(self, names, seed):
        """The first name is this process's own node."""
        _run("ip", "link", "set", "lo", "up")
        self._holders = []
        self.nodes = []
        for number, name in enumerate(names, 1):
            process = None if number == 1 else self._hold_namespace()
            self.nodes.append(Node(number, name, process))
        for node in self.nodes:
            self._attach(node)
        for node in self.nodes:
            self._introduce(node)
        ports = ",".join(f"{node.port}={node.hardware}" for node in self.nodes)
        self._forwarder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", sys.executable,
             os.path.join(os.path.dirname(os.path.abspath(__file__)), "forwarder.py"), ports,
             str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._order({})

    def node(self, name):
        return next(node for node in self.nodes if node.name == name)

    def cut(self, deaf, silent):
        """From now on `deaf` hears nothing of `silent`."""
        _nft(deaf, f"add rule inet cuts in ip saddr {silent.address} drop")

    def worsen(self, rules):
        """What the forwarder does to frames: {(from, to): {"delay_ms", "jitter_ms", "loss"}}.
        Jitter delays each frame on its own, so that some overtake others."""
        self._order({f"{a.port}>{b.port}": rule for (a, b), rule in rules.items()})

    def heal(self):
        for node in self.nodes:
            _nft(node, "flush chain inet cuts in")
        return self._order({})

    def close(self):
        for process in (self._forwarder, *self._holders):
            process.kill()
            process.wait()

    def _hold_namespace(self):
        """A process that does nothing, in a network namespace of its own."""
        mine = os.readlink("/proc/self/ns/net")
        holder = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sleep",
                                   "infinity"], stdin=subprocess.DEVNULL)
        self._holders.append(holder)
        while os.readlink(f"/proc/{holder.pid}/ns/net") == mine:
            time.sleep(0.001)
        return holder.pid

    def _attach(self, node):
        _run("ip", "link", "add", node.interface, "address", node.hardware, "type", "veth",
             "peer", "name", node.port)
        for interface in (node.interface, node.port):
            _run("ip", "link", "set", interface, "addrgenmode", "none")
        _finish_frames_in_software(node.interface)
        if node.process is not None:
            _run("ip", "link", "set", node.interface, "netns", str(node.process))
        _run_in(node, "ip", "address", "add", f"{node.address}/24", "dev", node.interface)
        for name in ("lo", node.interface):
            _run_in(node, "ip", "link", "set", name, "up")
        _run("ip", "link", "set", node.port, "up")
        _nft(node, "add table inet cuts")
        _nft(node, "add chain inet cuts in { type filter hook input priority 0; }")

    def _introduce(self, node):
        """Everyone knows everyone's hardware address, so that only what is tested is lost."""
        for other in self.nodes:
            if other is not node:
                _run_in(node, "ip", "neighbour", "add", other.address, "lladdr", other.hardware,
                        "dev", node.interface, "nud", "permanent")

    def _order(self, rules):
        """Tells the forwarder, and waits until it does so; its counts of frames."""
        self._forwarder.stdin.write(json.dumps(rules).encode() + b"\n")
        self._forwarder.stdin.flush()
        return json.loads(self._forwarder.stdout.readline())


def _run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout.decode('utf-8', 'replace')}")


def _run_in(node, *command):
    if node.process is None:
        _run(*command)
    else:
        _run("nsenter", f"--net=/proc/{node.process}/ns/net", *command)


def _nft(node, command):
    _run_in(node, "nft", command)


def _finish_frames_in_software(interface):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in (_ETHTOOL_STXCSUM, *_ETHTOOL_OFFLOADS):
            value = array.array("I", [command, 0])
            request = struct.pack("16sP8x", interface.encode(), value.buffer_info()[0])
            try:
                fcntl.ioctl(control, _SIOCETHTOOL, request)
            except OSError:
                # What the interface cannot do it need not be told to leave.
                if command == _ETHTOOL_STXCSUM:
                    raise
