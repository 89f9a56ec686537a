"""Clients that write and read while servers fail, and keep a history of what they were told."""
import random
import threading
import time

import grpc

from cluster import CHANNEL_OPTIONS, decode_position, describe
from cookix.v1 import common_pb2 as common
from cookix.v1 import object_service_pb2 as objects
from cookix_client import Cookix, error_info
from history import Read, Write

REGISTERS = [f"r/{i}" for i in range(4)]
DIMENSION = 8
WORDS = ("rain snow hail storm cloud wind river lake ocean spring valley mountain forest meadow "
         "stone sand clay iron copper silver").split()
# A server that is gone, is going, or is not reached, or that a write did not get beyond.
PASSING = {"POSITION_NOT_REACHED", "NOT_REPLICATED", "SHUTTING_DOWN", "SEEDING"}
# Another server became the primary, and went on from where it was.
PROMOTION = {"NOT_PRIMARY", "POSITION_UNKNOWN"}
BROKEN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED,
          grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL}


def entry_key(token):
    return f"e/{token}"


def refuses(error):
    """Whether an error says for certain that a conditional write did not happen and never will:
    versions do not come back."""
    info = error_info(error)
    return info is not None and info.reason == "CONDITION_FAILED"


def text_value(text):
    return common.Value(string_value=text)


class Load:
    """What all sessions of one round share. Thread-safe."""

    def __init__(self, cluster, round_number, timeout):
        self.cluster = cluster
        self.round = round_number
        self.timeout = timeout
        self.stop = threading.Event()
        self._mutex = threading.Lock()
        self._operations = []
        # Answers that nothing explains.
        self.surprises = []
        # Requests of writes whose end is not known, by token.
        self.open_requests = {}
        self.counts = {"unreached reads": 0, "repeated": 0, "replayed": 0}
        # See Round.
        self.promoted = False
        self.may_lose = False
        # When it began to go wrong, by the clock of the histories.
        self.failed_at = None

    def record(self, operation):
        with self._mutex:
            self._operations.append(operation)

    def count(self, name):
        with self._mutex:
            self.counts[name] += 1

    def operations(self):
        with self._mutex:
            return list(self._operations)

    def check_error(self, what, error):
        """Notes an error that no failure of a server or of the network explains."""
        info = error_info(error)
        if info is None:
            explained = error.code() in BROKEN
        else:
            explained = info.reason in PASSING or (self.promoted and info.reason in PROMOTION)
        if not explained:
            with self._mutex:
                self.surprises.append(f"{what}: {describe(error)}")


class Session(threading.Thread):
    """One client. It increments registers, each time on the condition that nobody else did
    meanwhile, and reads anywhere, mostly asking for what it has seen."""

    def __init__(self, load, number, seed):
        super().__init__(name=f"session {number}")
        self._load = load
        self._random = random.Random(seed)
        self._number = number
        self._generation = 0
        self._writes = 0
        # The highest position seen, as token and decoded.
        self._seen = b""
        self._seen_position = None
        self._clients = {}

    def run(self):
        try:
            while not self._load.stop.is_set():
                if self._random.random() < 0.6:
                    self._increment()
                else:
                    self._read_anywhere()
                # Pauses, so that machines of few cores show more than one order of things.
                time.sleep(self._random.uniform(0, 0.004))
        finally:
            for client in self._clients.values():
                client.close()

    @property
    def _session(self):
        return f"{self._load.round}.{self._number}.{self._generation}"

    def _client(self, server):
        if server.name not in self._clients:
            self._clients[server.name] = Cookix(server.target, timeout=self._load.timeout,
                                                channel_options=CHANNEL_OPTIONS)
        return self._clients[server.name]

    def _saw(self, token):
        position = decode_position(token)
        if self._seen_position is None or self._seen_position < position:
            self._seen, self._seen_position = token, position
        return position

    def _failed(self, what, server, error):
        self._load.check_error(f"session {self._session} {what} at {server.name}", error)
        info = error_info(error)
        if info is None and server.name in self._clients:
            # The connection is gone: a new one is not held back by what this one went through.
            self._clients.pop(server.name).close()
        if info is not None and info.reason == "POSITION_UNKNOWN":
            # What it saw is no part of the history any more: it begins again.
            self._seen, self._seen_position = b"", None
            self._generation += 1

    def _read_anywhere(self):
        server = self._random.choice(self._load.cluster.servers)
        self._read(server, self._random.choice(REGISTERS), self._random.random() < 0.7)

    def _read(self, server, register, ask_for_seen):
        """(version, counter, token) of a register, or None."""
        request = objects.GetObjectRequest(ref=common.ObjectRef(key=register))
        floor = None
        if ask_for_seen and self._seen_position is not None:
            floor = self._seen_position
            request.options.min_position = self._seen
            request.options.wait_ms = self._random.choice((50, 200, 1000))
        name = self._session
        fresh = server is self._load.cluster.primary
        started = time.monotonic()
        try:
            answer = self._client(server).object.GetObject(request)
        except grpc.RpcError as error:
            self._load.count("unreached reads")
            self._failed(f"read {register}", server, error)
            return None
        properties = answer.object.properties
        read = Read(name, register, server.name, started, time.monotonic(),
                    decode_position(answer.position), answer.object.version,
                    properties["token"].string_value, floor,
                    fresh and server is self._load.cluster.primary)
        self._load.record(read)
        self._saw(answer.position)
        return answer.object.version, properties["counter"].int_value, read.token

    def _increment(self):
        server = self._load.cluster.primary
        register = self._random.choice(REGISTERS)
        read = self._read(server, register, True)
        if read is None:
            return
        version, counter, previous = read
        self._writes += 1
        token = f"{self._load.round:06d}.{self._number}.{self._writes}"
        request = self._request(register, token, version, counter + 1, previous)
        write = Write(self._session, register, token, version, time.monotonic())
        self._load.open_requests[token] = request
        self._send(server, write, request)
        write.ended = time.monotonic()
        self._load.record(write)

    def _send(self, server, write, request):
        """Sends a write, and some of them again until they are answered."""
        repeats = self._random.random() < 0.7
        while True:
            try:
                answer = self._client(server).object.Write(request)
            except grpc.RpcError as error:
                if refuses(error):
                    write.outcome = "refused"
                    del self._load.open_requests[write.token]
                    return
                self._failed(f"write {write.token}", server, error)
                if not repeats or self._load.stop.is_set():
                    return
                self._load.count("repeated")
                time.sleep(self._random.uniform(0.005, 0.05))
                server = self._load.cluster.primary
                continue
            write.outcome = "ok"
            del self._load.open_requests[write.token]
            write.position = self._saw(answer.result.position)
            if answer.result.replayed:
                self._load.count("replayed")
            return

    def _request(self, register, token, version, counter, previous):
        """Replaces a register and puts an entry that says so, both or neither."""
        request = objects.WriteRequest(options=common.WriteOptions(request_id=token))
        change = request.mutations.add().put_object
        change.object.ref.key = register
        change.object.properties["token"].CopyFrom(text_value(token))
        change.object.properties["counter"].int_value = counter
        change.object.content = self._text()
        change.condition.version = version
        entry = request.mutations.add().put_object
        entry.object.ref.key = entry_key(token)
        entry.object.properties["register"].CopyFrom(text_value(register))
        entry.object.properties["replaces"].int_value = version
        entry.object.properties["counter"].int_value = counter
        entry.object.content = self._text()
        entry.object.vectors["likeness"].values.extend(
            self._random.gauss(0, 1) for _ in range(DIMENSION))
        entry.condition.exists = False
        for relation, target in (("replaces", entry_key(previous)), ("of", register)):
            edge = entry.edges.add(relation=relation, weight=self._random.uniform(0.1, 2))
            edge.target.key = target
        return request

    def _text(self):
        return " ".join(self._random.choices(WORDS, k=self._random.randint(3, 12)))
