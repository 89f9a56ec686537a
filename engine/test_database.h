// A database in memory with a clock that tests set.
#ifndef COOKIX_ENGINE_TEST_DATABASE_H_
#define COOKIX_ENGINE_TEST_DATABASE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cookix/v1/object_service.pb.h"
#include "engine/database.h"

namespace cookix::engine {

// Aborts when it cannot be opened: it is for tests. No background work: call
// RunMaintenance().
class TestDatabase {
 public:
  using Configure = std::function<void(DatabaseOptions&)>;
  explicit TestDatabase(Configure configure = nullptr);
  ~TestDatabase();

  Database& operator*() { return *database_; }
  Database* operator->() { return database_.get(); }

  // Closes and opens again; only for a database on disk.
  void Reopen();

  void AdvanceMs(int64_t ms) { *now_ms_ += ms; }
  int64_t now_ms() const { return *now_ms_; }

 private:
  std::shared_ptr<std::atomic<int64_t>> now_ms_;
  DatabaseOptions options_;
  std::unique_ptr<Database> database_;
};

// Shorthands. `edge` is "relation:target" or "relation:target:weight".
v1::Mutation PutObjectMutation(const std::string& key, const std::vector<std::string>& edges = {});
absl::Status PutObject(Database& database, const std::string& key,
                       const std::vector<std::string>& edges = {});

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEST_DATABASE_H_
