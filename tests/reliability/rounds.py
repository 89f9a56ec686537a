"""One round: clients work, something fails and heals, and then everything is compared."""
import random
import threading
import time

import grpc

from cluster import Trouble, decode_position, describe
from cookix.v1 import catalog_service_pb2 as catalog
from cookix.v1 import object_service_pb2 as objects
from cookix_client import error_info
from equality import compare
from history import Entry, Register, Round, Write, lost, vanished, violations
from sessions import DIMENSION, REGISTERS, Load, Session, entry_key, refuses, text_value

SESSIONS = 6
DELETES_IN_A_WRITE = 40


class Rounds:
    """Runs rounds over a cluster, one after the other."""

    def __init__(self, cluster, seed, timeout):
        self.cluster = cluster
        self._random = random.Random(seed)
        self._timeout = timeout
        self._number = 0
        # Registers as they were at the end of the last round, by name.
        self._registers = {}
        # Keys of the entries of the last round.
        self._old_entries = []
        self.reseeds = 0

    def prepare(self):
        """The collection's fields and the registers."""
        request = catalog.UpdateCollectionRequest()
        field = request.put_vector_fields.add(name="likeness", dimension=DIMENSION)
        field.metric = catalog.VECTOR_METRIC_L2
        field.index = catalog.VECTOR_INDEX_KIND_HNSW
        self._until_answered("preparing", lambda cookix: cookix.catalog.UpdateCollection(request))
        for name in REGISTERS:
            put = objects.PutObjectRequest()
            put.write.object.ref.key = name
            put.write.object.properties["token"].CopyFrom(text_value(f"{name}:new"))
            put.write.object.properties["counter"].int_value = 0
            put.options.request_id = f"new {name}"
            answer = self._until_answered("preparing", lambda cookix: cookix.object.PutObject(put))
            self._registers[name] = Register(answer.result.commit, f"{name}:new")
        self.cluster.wait_until_equal()

    def run(self, fail):
        """`fail(load)` lets things fail and heal while sessions work, then all must be well.
        Returns what happened, as a dictionary of numbers."""
        self._number += 1
        load = Load(self.cluster, self._number, self._timeout)
        sessions = [Session(load, i, self._random.random()) for i in range(SESSIONS)]
        sweeper = threading.Thread(target=self._sweep, args=(load, list(self._old_entries)))
        for thread in (*sessions, sweeper):
            thread.start()
        try:
            fail(load)
        finally:
            load.stop.set()
            for thread in (*sessions, sweeper):
                thread.join()
        heal_seconds = self.cluster.wait_until_equal()
        self._sweep(None, self._old_entries)
        operations = load.operations()
        self._settle(load, [op for op in operations if isinstance(op, Write)])
        self.cluster.wait_until_equal()
        return self._check(load, operations, heal_seconds)

    def _until_answered(self, what, call, seconds=30.0):
        """`call(client)` at the primary, until its answer is no error that passes. Raises the error
        that refuses a conditional write, and others as Trouble."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                with self.cluster.primary.connect(30.0) as cookix:
                    return call(cookix)
            except grpc.RpcError as error:
                if refuses(error):
                    raise
                info = error_info(error)
                # Elected servers may still be about to change places.
                passing = (info is None or info.metadata.get("retryable") == "true"
                           or info.reason == "NOT_PRIMARY")
                if not passing or time.monotonic() > deadline:
                    raise Trouble(f"{what}: {describe(error)}") from error
                time.sleep(0.05)

    def _sweep(self, load, keys):
        """Deletes the entries of the round before: under `load` as far as it gets, and all of
        them without."""
        for begin in range(0, len(keys), DELETES_IN_A_WRITE):
            part = keys[begin:begin + DELETES_IN_A_WRITE]
            request = objects.WriteRequest()
            for key in part:
                request.mutations.add().delete_object.ref.key = key
            if load is None:
                self._until_answered("deleting", lambda cookix: cookix.object.Write(request))
            while load is not None and not load.stop.is_set():
                try:
                    with self.cluster.primary.connect(self._timeout) as cookix:
                        cookix.object.Write(request)
                    break
                except grpc.RpcError as error:
                    load.check_error("deleting", error)
                    time.sleep(0.02)

    def _settle(self, load, writes):
        """Sends half of the writes without an answer once more: each happens once in all."""
        for write in writes:
            if write.outcome != "unknown" or self._random.random() < 0.5:
                continue
            request = load.open_requests[write.token]
            try:
                answer = self._until_answered(f"repeating {write.token}",
                                              lambda cookix: cookix.object.Write(request))
                write.outcome = "ok"
                write.position = decode_position(answer.result.position)
                load.count("replayed" if answer.result.replayed else "repeated")
            except grpc.RpcError:
                write.outcome = "refused"
            write.ended, write.settled = time.monotonic(), True

    def _check(self, load, operations, heal_seconds):
        status = self.cluster.primary.status()
        servers = [self.cluster.primary, *self.cluster.replicas]
        stored = compare(servers, status.position, self._random.random())
        after, entries = _read_store(stored)
        round_ = Round(operations, self._registers, after, entries, status.epoch, load.promoted,
                       load.may_lose)
        found = load.surprises + violations(round_)
        if found:
            raise Trouble("\n".join(found[:20]))
        self._registers = after
        self._old_entries = [entry_key(token) for token in entries]
        writes = [op for op in operations if isinstance(op, Write)]
        gone = lost(round_)
        return {
            **({"loss reaches back": [load.failed_at - min(w.ended for w in gone)]}
               if gone else {}),
            "acknowledged and lost": len(gone),
            "acknowledged": sum(w.outcome == "ok" for w in writes),
            "refused": sum(w.outcome == "refused" for w in writes),
            "unknown": sum(w.outcome == "unknown" for w in writes),
            "reads": len(operations) - len(writes),
            "vanished": len(vanished(round_)),
            "compared": len(stored),
            "heal_seconds": heal_seconds,
            **load.counts,
        }


def seconds_without_writes(load, since, limit=30.0):
    """Waits for a write that began after `since` and was acknowledged; how long after."""
    while time.monotonic() - since < limit:
        ends = [op.ended for op in load.operations()
                if isinstance(op, Write) and op.outcome == "ok" and op.started > since]
        if ends:
            return min(ends) - since
        time.sleep(0.005)
    raise Trouble(f"no write was acknowledged for {limit:.0f} s")


def _read_store(stored):
    """Registers and entries, by name and by token."""
    registers, entries = {}, {}
    for write in stored:
        item = write.object
        if item.ref.key in REGISTERS:
            registers[item.ref.key] = Register(item.version,
                                               item.properties["token"].string_value)
        else:
            entries[item.ref.key.removeprefix("e/")] = Entry(
                item.properties["register"].string_value, item.version,
                item.properties["replaces"].int_value)
    return registers, entries
