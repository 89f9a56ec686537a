#!/usr/bin/python3
"""The checker of histories must pass what may be and reject what may not."""
import copy
import sys
import unittest

from history import Entry, Position, Read, Register, Round, Write, lost, vanished, violations


def good():
    """Two sessions, three writes to one register, one of them of unknown end."""
    return Round(
        operations=[
            Write("s1", "a", "s1:1", 5, 1.0, 2.0, "ok", Position(1, 11)),
            Write("s2", "a", "s2:1", 5, 1.0, 2.5, "refused"),
            Write("s2", "a", "s2:2", 11, 3.0, 4.0, "unknown"),
            Write("s1", "a", "s1:2", 12, 5.0, 6.0, "ok", Position(1, 14)),
            Read("s1", "a", "primary", 6.5, 7.0, Position(1, 15), 14, "s1:2", Position(1, 14),
                 fresh=True),
            # A replica that is behind, asked for nothing better.
            Read("s3", "a", "replica", 6.5, 7.0, Position(1, 13), 12, "s2:2"),
            Read("s3", "a", "replica", 7.5, 8.0, Position(1, 10), 5, "old"),
        ],
        before={"a": Register(5, "old")},
        after={"a": Register(14, "s1:2")},
        entries={"s1:1": Entry("a", 11, 5), "s2:2": Entry("a", 12, 11),
                 "s1:2": Entry("a", 14, 12)},
        epoch=1)


class HistoryTest(unittest.TestCase):
    def rejects(self, round_, words):
        found = violations(round_)
        self.assertTrue(any(words in line for line in found), f"no '{words}' in {found}")

    def test_what_may_be_passes(self):
        self.assertEqual(violations(good()), [])

    def test_an_unknown_write_may_be_missing(self):
        round_ = good()
        del round_.entries["s2:2"]
        del round_.operations[5]
        round_.operations[3].replaces = 11
        round_.entries["s1:2"].replaces = 11
        self.assertEqual(violations(round_), [])

    def test_an_acknowledged_write_may_not_be_missing(self):
        round_ = good()
        del round_.entries["s1:1"]
        self.rejects(round_, "lost: s1:1 was acknowledged")

    def test_the_last_acknowledged_write_may_not_be_missing(self):
        round_ = good()
        del round_.entries["s1:2"]
        round_.after["a"] = Register(12, "s2:2")
        del round_.operations[4]
        self.rejects(round_, "lost: s1:2 was acknowledged")
        # A promotion excuses only what was not acknowledged.
        round_.promoted = True
        self.rejects(round_, "lost: s1:2 was acknowledged")

    def test_two_writes_may_not_replace_the_same_version(self):
        round_ = good()
        round_.entries["s1:2"].replaces = 11
        round_.operations[3].replaces = 11
        self.rejects(round_, "lost update")

    def test_the_register_holds_its_last_write(self):
        round_ = good()
        round_.after["a"] = Register(12, "s2:2")
        self.rejects(round_, "a ends as s2:2")
        round_.after = {}
        self.rejects(round_, "a is gone")

    def test_a_refused_write_may_not_happen(self):
        round_ = good()
        round_.operations[2].outcome = "refused"
        self.rejects(round_, "s2:2 was refused and happened")

    def test_an_entry_has_a_writer(self):
        round_ = good()
        round_.entries["nobody:1"] = Entry("a", 15, 14)
        self.rejects(round_, "nobody wrote it")

    def test_an_entry_is_what_was_written(self):
        round_ = good()
        round_.entries["s1:2"].register = "b"
        self.rejects(round_, "otherwise than it was written")

    def test_the_commit_is_the_one_that_was_named(self):
        round_ = good()
        round_.operations[3].position = Position(1, 13)
        self.rejects(round_, "was acknowledged as commit 13")

    def test_commits_follow_real_time(self):
        round_ = good()
        round_.operations[3].started, round_.operations[3].ended = 0.1, 0.2
        self.rejects(round_, "had ended")

    def test_a_read_not_below_what_it_asked_for(self):
        round_ = good()
        round_.operations[5].floor = Position(1, 14)
        self.rejects(round_, "stale: s3 asked replica")

    def test_an_earlier_epoch_is_below_what_was_asked_for(self):
        round_ = good()
        round_.operations[5].floor = Position(2, 13)
        self.rejects(round_, "stale: s3 asked replica")

    def test_a_session_is_not_shown_less_than_before(self):
        round_ = good()
        round_.operations[6].floor = Position(1, 1)
        self.rejects(round_, "s3 had seen")

    def test_a_session_is_not_shown_less_than_it_wrote(self):
        round_ = good()
        round_.operations[5].session = "s1"
        round_.operations[5].floor = Position(1, 1)
        self.rejects(round_, "s1 had seen")

    def test_a_session_does_not_know_what_was_settled_after_it(self):
        round_ = good()
        round_.operations[5].session = round_.operations[6].session = "s1"
        round_.operations[5].floor = round_.operations[6].floor = Position(1, 1)
        del round_.operations[4:6]
        self.rejects(round_, "s1 had seen")
        round_.operations[0].settled = round_.operations[3].settled = True
        self.assertEqual(violations(round_), [])

    def test_a_read_shows_everything_up_to_its_position(self):
        round_ = good()
        round_.operations[5].position = Position(1, 14)
        self.rejects(round_, "where a was s1:2")

    def test_a_read_shows_nothing_beyond_its_position(self):
        round_ = good()
        round_.operations[5].position = Position(1, 11)
        self.rejects(round_, "later than the answer's position")

    def test_a_value_that_nobody_wrote(self):
        round_ = good()
        round_.operations[5].token = "nobody:1"
        self.rejects(round_, "which nobody wrote")

    def test_a_value_of_another_register(self):
        round_ = good()
        round_.before["b"] = round_.after["b"] = Register(3, "b:old")
        round_.operations[5].register = "b"
        self.rejects(round_, "which nobody wrote to b")

    def test_a_version_that_is_not_the_writes(self):
        round_ = good()
        round_.operations[5].version = 13
        self.rejects(round_, "which happened in commit 12")

    def test_a_value_of_a_refused_write(self):
        round_ = good()
        round_.operations[5].token = "s2:1"
        self.rejects(round_, "which is not there any more")

    def test_a_fresh_read_shows_what_was_acknowledged(self):
        round_ = good()
        read = round_.operations[4]
        read.floor, read.position, read.version, read.token = None, Position(1, 13), 12, "s2:2"
        self.rejects(round_, "had been acknowledged")
        read.started = 5.5
        self.assertEqual(violations(round_), [])

    def test_what_was_not_acknowledged_may_vanish_with_its_primary(self):
        round_ = good()
        # Server and epoch 1 end after commit 11; s2:2 was read before.
        del round_.entries["s2:2"]
        round_.epoch = 2
        round_.operations[3].replaces = 11
        round_.operations[3].position = Position(2, 14)
        round_.entries["s1:2"].replaces = 11
        round_.operations[4].position = Position(2, 15)
        round_.operations[4].floor = Position(2, 14)
        self.assertEqual(vanished(round_), {"s2:2"})
        self.rejects(round_, "which is not there any more")
        round_.promoted = True
        self.assertEqual(violations(round_), [])
        # Repeated at the new primary, it happens in another commit.
        again = copy.deepcopy(round_)
        again.operations[2].outcome, again.operations[2].position = "ok", Position(2, 13)
        again.entries["s2:2"] = Entry("a", 13, 11)
        again.operations[3].replaces = again.entries["s1:2"].replaces = 13
        self.assertEqual(vanished(again), {"s2:2"})
        self.assertEqual(violations(again), [])
        again.promoted = False
        self.rejects(again, "which happened in commit 13")
        lost = copy.deepcopy(round_)
        lost.operations[2].outcome, lost.operations[2].position = "ok", Position(1, 12)
        self.rejects(lost, "lost: s2:2 was acknowledged")

    def test_where_nobody_waits_for_replicas_a_promotion_may_lose(self):
        round_ = good()
        round_.promoted = round_.may_lose = True
        self.assertEqual(lost(round_), [])
        self.assertEqual(violations(round_), [])
        # The end of epoch 1 is lost, acknowledged as it was.
        del round_.entries["s1:2"]
        round_.epoch = 2
        round_.after["a"] = Register(12, "s2:2")
        self.assertEqual([write.token for write in lost(round_)], ["s1:2"])
        self.assertEqual(violations(round_), [])
        # What is there must still fit together.
        wrong = copy.deepcopy(round_)
        wrong.entries["s2:2"].replaces = 5
        self.rejects(wrong, "lost update")
        wrong = copy.deepcopy(round_)
        wrong.operations[2].outcome = "refused"
        self.rejects(wrong, "s2:2 was refused and happened")


if __name__ == "__main__":
    sys.exit(unittest.main())
