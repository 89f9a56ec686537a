"""What clients did in one round, and whether a store that keeps its promises can have answered so.

A round writes to a few registers. Every write replaces a register on the condition that nobody
did since it was read, and puts an entry of its own in the same commit, which names the register
and the version that it replaced. The entries that the store holds in the end are therefore the
order in which the writes happened, and `violations` compares everything that clients were told
with that order.
"""
import collections
import dataclasses


class Position(collections.namedtuple("Position", ("epoch", "commit"))):
    """A position of a store, without its identity. Compares by epoch, then by commit."""


@dataclasses.dataclass
class Write:
    """One conditional write of one session. Times are of one clock, in seconds."""
    session: str
    register: str
    # Names the write, and with it its entry. Never used twice.
    token: str
    # The version that the register had to have.
    replaces: int
    started: float
    ended: float = 0.0
    # "ok"; "refused", which is certain not to have happened; or "unknown".
    outcome: str = "unknown"
    # Of an "ok".
    position: Position = None
    # The session never learned how it ended: it was found out after the round.
    settled: bool = False


@dataclasses.dataclass
class Read:
    """One read of a register that was answered."""
    session: str
    register: str
    server: str
    started: float
    ended: float
    # What the answer said.
    position: Position
    version: int
    token: str
    # The position that the read asked for at least, if it did.
    floor: Position = None
    # Asked of the primary: it shows all that was acknowledged before the read began.
    fresh: bool = False


@dataclasses.dataclass
class Entry:
    """What the store holds of a write."""
    register: str
    version: int
    replaces: int


@dataclasses.dataclass
class Register:
    """A register at the beginning or at the end of a round."""
    version: int
    token: str


@dataclasses.dataclass
class Round:
    """All that is known of one round."""
    # In the order in which each session did them.
    operations: list
    # By name.
    before: dict
    after: dict
    # By token.
    entries: dict
    # The epoch at the end.
    epoch: int
    # Another server was made the primary: what was not acknowledged may be gone although it was
    # read, and who asks the former primary may be told of the past.
    promoted: bool = False
    # And it was not waited for, so that it may lack what was acknowledged.
    may_lose: bool = False


class _Order:
    """The writes that happened, register by register, in the order of their commits."""

    def __init__(self, round_):
        self._before = round_.before
        self._writes = collections.defaultdict(list)
        for token, entry in round_.entries.items():
            self._writes[entry.register].append((entry.version, token))
        for writes in self._writes.values():
            writes.sort()

    def of(self, register):
        return self._writes[register]

    def at(self, register, commit):
        """(version, token) of the register after `commit`."""
        last = self._before[register].version, self._before[register].token
        for version, token in self._writes[register]:
            if version > commit:
                break
            last = version, token
        return last


def violations(round_):
    """What cannot be, in words; empty when all is well."""
    found = _check_sessions(round_)
    if round_.may_lose:
        round_ = _forgive(round_)
    order = _Order(round_)
    writes = {op.token: op for op in round_.operations if isinstance(op, Write)}
    reads = [op for op in round_.operations if isinstance(op, Read)]
    found += _check_registers(round_, order, writes)
    found += _check_writes(round_, writes)
    found += _check_time(round_, writes)
    known = _known_history(round_, writes)
    for read in reads:
        found += _check_read(round_, order, writes, known, read)
    return found


def lost(round_):
    """Writes that were acknowledged and that the store does not hold."""
    return [op for op in round_.operations if isinstance(op, Write) and op.outcome == "ok"
            and (op.token not in round_.entries
                 or round_.entries[op.token].version != op.position.commit)]


def _forgive(round_):
    """The same round, in which nobody was told of what was lost."""
    gone = {write.token for write in lost(round_)}
    operations = [dataclasses.replace(op, outcome="unknown", position=None)
                  if isinstance(op, Write) and op.token in gone else op
                  for op in round_.operations]
    return dataclasses.replace(round_, operations=operations)


def vanished(round_):
    """Tokens of writes that a read saw in commits that the store does not hold: allowed of what
    was not acknowledged then, when another server became the primary."""
    held = {(entry.version, token) for token, entry in round_.entries.items()}
    held |= {(register.version, register.token) for register in round_.before.values()}
    return {op.token for op in round_.operations
            if isinstance(op, Read) and (op.version, op.token) not in held}


def _check_registers(round_, order, writes):
    """Each write replaced what it was to replace: none undid another."""
    found = []
    for token, entry in round_.entries.items():
        write = writes.get(token)
        if write is None:
            found.append(f"{token} is there and nobody wrote it")
        elif (entry.register, entry.replaces) != (write.register, write.replaces):
            found.append(f"{token} is there otherwise than it was written: {entry}")
    for register, before in round_.before.items():
        last = before.version
        for version, token in order.of(register):
            if round_.entries[token].replaces != last:
                found.append(f"lost update: {token} of commit {version} replaced version "
                             f"{round_.entries[token].replaces} of {register}, which had {last}")
            last = version
        after = round_.after.get(register)
        if after is None:
            found.append(f"{register} is gone")
        elif (after.version, after.token) != order.at(register, float("inf")):
            found.append(f"{register} ends as {after.token} of commit {after.version}; its last "
                         "write was {1} of commit {0}".format(*order.at(register, float("inf"))))
    return found


def _check_writes(round_, writes):
    """What was acknowledged is there, with the commit that was named; what was refused is not."""
    found = []
    for write in writes.values():
        entry = round_.entries.get(write.token)
        if write.outcome == "ok" and entry is None:
            found.append(f"lost: {write.token} was acknowledged at {write.position}")
        elif write.outcome == "ok" and entry.version != write.position.commit:
            found.append(f"{write.token} was acknowledged as commit {write.position.commit} and "
                         f"is there as {entry.version}")
        elif write.outcome == "refused" and entry is not None:
            found.append(f"{write.token} was refused and happened, in commit {entry.version}")
    return found


def _check_time(round_, writes):
    """A write that began after another one had been acknowledged has the later commit."""
    found = []
    acknowledged = [w for w in writes.values() if w.outcome == "ok"]
    by_start = sorted(acknowledged, key=lambda w: w.started)
    highest = None
    ended = sorted(acknowledged, key=lambda w: w.ended)
    at = 0
    for write in by_start:
        while at < len(ended) and ended[at].ended < write.started:
            if highest is None or ended[at].position.commit > highest.position.commit:
                highest = ended[at]
            at += 1
        if highest is not None and write.position.commit <= highest.position.commit:
            found.append(f"{write.token} has commit {write.position.commit} and began after "
                         f"{highest.token} of commit {highest.position.commit} had ended")
    return found


def _check_sessions(round_):
    """A session that names what it saw is not shown less than that."""
    found = []
    seen = {}
    for op in round_.operations:
        last = seen.get(op.session)
        if isinstance(op, Read):
            if op.floor is not None and op.position < op.floor:
                found.append(f"stale: {op.session} asked {op.server} for {op.floor} and was "
                             f"answered at {op.position}")
            if op.floor is not None and last is not None and op.position < last:
                found.append(f"{op.session} had seen {last} and was then shown {op.position} by "
                             f"{op.server}")
        told = isinstance(op, Read) or (op.outcome == "ok" and not op.settled)
        if told and (last is None or last < op.position):
            seen[op.session] = op.position
    return found


def _known_history(round_, writes):
    """By epoch, the last commit that is certain to be in the history that the store has now."""
    known = {round_.epoch: float("inf")}
    for write in writes.values():
        if write.outcome == "ok" and write.position.epoch != round_.epoch:
            epoch, commit = write.position
            known[epoch] = max(known.get(epoch, 0), commit)
    return known


def _check_read(round_, order, writes, known, read):
    """A read shows what somebody wrote, and all of the history up to the position that it names."""
    what = f"{read.session} read {read.token} of commit {read.version} at {read.server}"
    before = round_.before[read.register]
    found = []
    if read.token != before.token:
        write = writes.get(read.token)
        if write is None or write.register != read.register:
            return [f"{what}, which nobody wrote to {read.register}"]
        entry = round_.entries.get(read.token)
        if entry is None and (not round_.promoted or write.outcome == "ok"):
            found.append(f"{what}, which is not there any more")
        # Repeated after a promotion, a write that had vanished happens in another commit.
        if entry is not None and entry.version != read.version and not round_.promoted:
            found.append(f"{what}, which happened in commit {entry.version}")
    if read.version > read.position.commit:
        found.append(f"{what}, which is later than the answer's position {read.position}")
    if read.position.commit <= known.get(read.position.epoch, 0):
        truth = order.at(read.register, read.position.commit)
        if (read.version, read.token) != truth:
            found.append(f"{what} at {read.position}, where {read.register} was {truth[1]} of "
                         f"commit {truth[0]}")
    if read.fresh and not round_.promoted:
        for write in writes.values():
            if (write.outcome == "ok" and write.register == read.register
                    and write.ended < read.started and write.position.commit > read.version):
                found.append(f"stale: {what}, after {write.token} of commit "
                             f"{write.position.commit} had been acknowledged")
                break
    return found
