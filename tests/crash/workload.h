// The load of the crash test: random atomic writes of one worker.
#ifndef COOKIX_TESTS_CRASH_WORKLOAD_H_
#define COOKIX_TESTS_CRASH_WORKLOAD_H_

#include <cstdint>
#include <random>
#include <string>

#include "absl/status/status.h"
#include "client/client.h"
#include "cookix/v1/object_service.pb.h"
#include "tests/crash/expected_state.h"

namespace cookix::tests {

// Makes writes over the keys "w<worker>/k<i>" that always change something: each
// put and patch carries a counter never used before, and only what is there is
// deleted. They have texts, and some vectors. Some edges point at "hub/<i>", which no worker ever
// puts.
class Workload {
 public:
  static constexpr int kKeys = 24;
  static constexpr int kHubs = 4;

  // Up to so many keys "w<worker>/b<i>" beside, which are written many at a time as parts of
  // a bulk load.
  static constexpr int kBulkKeys = 1200;

  Workload(int worker, bool bulk, uint64_t seed);

  // A write for the state that all writes before it lead to.
  v1::WriteRequest Next(const GraphState& state);

  std::string Key(int index) const;
  static std::string Hub(int index);

 private:
  int64_t Below(int64_t bound);
  std::string AnyKey();
  v1::Mutation Put(const std::string& key, int64_t counter);
  // In each field with the chance of `of_four` in four.
  void AddVectors(int64_t of_four, v1::Object* object);
  void PutMany(v1::WriteRequest* request);
  void Patch(const std::string& key, v1::ObjectPatch* patch);
  v1::Mutation Link(const std::string& source, const std::string& target);

  const int worker_;
  const bool bulk_;
  std::mt19937_64 random_;
  int64_t counter_ = 0;
  int64_t request_ = 0;
};

// What a write was answered.
struct WriteAnswer {
  absl::Status status;
  int64_t commit = 0;
  bool replayed = false;
};

// Sends a write through the call made for it when it is a single mutation (or
// many puts) and `variety` is set, else through Write.
WriteAnswer Send(client::Client& client, const v1::WriteRequest& request, bool variety);

}  // namespace cookix::tests

#endif  // COOKIX_TESTS_CRASH_WORKLOAD_H_
