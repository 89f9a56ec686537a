#!/usr/bin/python3
"""Passes Ethernet frames between interfaces of this network namespace, well or badly.

    forwarder.py PORT=HARDWARE_ADDRESS,... SEED

A frame that comes in at a port goes out at the port whose node has its destination address.
Standard input takes one JSON object a line, which replaces all rules:
{"port1>port2": {"delay_ms": 20, "jitter_ms": 30, "loss": 0.05}}. Each line is answered, once it
holds, with the frames {"passed", "delayed", "lost", "overtaken"} so far. Ends with its standard
input.
"""
import heapq
import json
import os
import random
import select
import socket
import sys
import time

_ETH_P_ALL = 3
_PACKET_OUTGOING = 4
_LARGEST_FRAME = 65_536


class Forwarder:
    """All ports and the frames that wait."""

    def __init__(self, ports, seed):
        self._random = random.Random(seed)
        self._rules = {}
        self._sockets = {}
        self._by_address = {}
        self._waiting = []
        self._number = 0
        # By rule: when the last frame that was sent had come.
        self._last_sent = {}
        self.counts = {"passed": 0, "delayed": 0, "lost": 0, "overtaken": 0}
        for name, address in ports.items():
            port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
            port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            port.bind((name, 0))
            port.setblocking(False)
            self._sockets[port.fileno()] = (name, port)
            self._by_address[bytes.fromhex(address.replace(":", ""))] = (name, port)

    def run(self):
        poll = select.poll()
        poll.register(sys.stdin.fileno(), select.POLLIN)
        for number in self._sockets:
            poll.register(number, select.POLLIN)
        while True:
            for number, _ in poll.poll(self._milliseconds_to_wait()):
                if number == sys.stdin.fileno():
                    if not self._take_rules():
                        return
                else:
                    self._receive(*self._sockets[number])
            self._send_due()

    def _take_rules(self):
        line = sys.stdin.buffer.raw.read(65_536)
        if not line:
            return False
        self._rules = json.loads(line)
        os.write(sys.stdout.fileno(), json.dumps(self.counts).encode() + b"\n")
        return True

    def _milliseconds_to_wait(self):
        if not self._waiting:
            return None
        return max(0, (self._waiting[0][0] - time.monotonic()) * 1000)

    def _receive(self, name, port):
        while True:
            try:
                frame, source = port.recvfrom(_LARGEST_FRAME)
            except BlockingIOError:
                return
            target = self._by_address.get(frame[:6])
            if source[2] == _PACKET_OUTGOING or target is None:
                continue
            way = f"{name}>{target[0]}"
            rule = self._rules.get(way)
            if rule is None:
                self._send(target[1], frame)
                continue
            if self._random.random() < rule.get("loss", 0):
                self.counts["lost"] += 1
                continue
            now = time.monotonic()
            due = now + (rule.get("delay_ms", 0)
                         + self._random.uniform(0, rule.get("jitter_ms", 0))) / 1000
            self._number += 1
            self.counts["delayed"] += 1
            heapq.heappush(self._waiting, (due, self._number, way, target[1], frame))

    def _send_due(self):
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            _, number, way, port, frame = heapq.heappop(self._waiting)
            if number < self._last_sent.get(way, 0):
                self.counts["overtaken"] += 1
            self._last_sent[way] = max(number, self._last_sent.get(way, 0))
            self._send(port, frame)

    def _send(self, port, frame):
        self.counts["passed"] += 1
        try:
            port.send(frame)
        except OSError:
            # The port's queue is full, or its node is going: networks lose frames.
            self.counts["lost"] += 1


def main():
    ports = dict(port.split("=") for port in sys.argv[1].split(","))
    Forwarder(ports, int(sys.argv[2])).run()


if __name__ == "__main__":
    main()
