// What a worker of the crash test expects to find after a crash.
//
// A worker owns a part of the key space and performs its operations in order, so
// what the server may hold is the state after all acknowledged operations plus
// some beginning of those that were sent but not acknowledged. Each operation is
// all or nothing, so comparing whole states also finds half-applied ones.
#ifndef COOKIX_TESTS_CRASH_EXPECTED_STATE_H_
#define COOKIX_TESTS_CRASH_EXPECTED_STATE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "cookix/v1/object_service.pb.h"

namespace cookix::tests {

// Source, relation, target: the test uses no discriminators.
using EdgeName = std::tuple<std::string, std::string, std::string>;

struct ExpectedObject {
  // The property "counter".
  int64_t counter = 0;
  // The commit that last changed it; 0 = not known, because the answer was lost.
  int64_t version = 0;
  // By field, serialized.
  std::map<std::string, std::string> vectors;
  std::string content;
};

struct ExpectedEdge {
  double weight = 0;
  int64_t version = 0;
};

// The objects and edges of one worker.
struct GraphState {
  std::map<std::string, ExpectedObject> objects;
  std::map<EdgeName, ExpectedEdge> edges;

  // Applies one mutation as the server documents it. `version` is the commit, 0
  // when not known.
  void Apply(const v1::Mutation& mutation, int64_t version);
};

// One atomic write, sent and perhaps not acknowledged.
struct PendingWrite {
  v1::WriteRequest request;
};

// The expectation of one worker. Not thread-safe: the worker's own while it
// runs, the checker's while the server is down.
class ExpectedState {
 public:
  const GraphState& acknowledged() const { return acknowledged_; }
  // The state that the next operation should build upon: as if all pending
  // writes had been applied.
  const GraphState& latest() const { return latest_; }
  int64_t last_commit() const { return last_commit_; }
  const std::deque<PendingWrite>& pending() const { return pending_; }

  // Before a write is sent.
  void Sent(v1::WriteRequest request);
  // The oldest pending write was acknowledged with `commit`, 0 when the answer
  // does not say which. False when the commit numbers do not grow. One state may
  // not mix known and unknown commits between two calls of Resolve().
  [[nodiscard]] bool Acknowledged(int64_t commit);
  // Compares what the server holds with every state it may hold. Returns how many
  // of the pending writes were applied, or nothing when no state fits; `why` then
  // says how `found` differs from the nearest one. Versions are compared too: those
  // that are known exactly, others against the last acknowledged commit.
  std::optional<size_t> Match(const GraphState& found, std::string* why) const;
  // Takes what was found for the truth: `applied` pending writes happened.
  void Resolve(size_t applied, const GraphState& found);

 private:
  GraphState acknowledged_;
  GraphState latest_;
  std::deque<PendingWrite> pending_;
  int64_t last_commit_ = 0;
};

}  // namespace cookix::tests

#endif  // COOKIX_TESTS_CRASH_EXPECTED_STATE_H_
