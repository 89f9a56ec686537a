// A store in memory for tests of views: every version of every key is kept, so
// that any commit can be looked at, and the log can be cut and made to fail.
#ifndef COOKIX_ENGINE_VIEW_FAKE_STORE_H_
#define COOKIX_ENGINE_VIEW_FAKE_STORE_H_

#include <algorithm>
#include <condition_variable>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/read_view.h"
#include "engine/records.h"
#include "storage/base/coding.h"
#include "storage/base/status.h"
#include "storage/fault_injection_file_system.h"
#include "storage/store.h"
#include "storage/view_files.h"

namespace cookix::engine {

// Thread-safe.
class FakeStore : public storage::Store {
 public:
  using Writes = std::vector<std::pair<std::string, std::optional<std::string>>>;

  FakeStore() : catalog_(std::make_shared<Catalog>()) {}

  // Where views save themselves: "/store/views".
  storage::FaultInjectionFileSystem& files() { return *files_; }

  // Writes keys of the family `objects` and logs `change`; returns the commit.
  uint64_t Write(const Writes& writes, std::string change) {
    std::lock_guard<std::mutex> lock(mutex_);
    const uint64_t commit = ++commit_;
    for (const auto& [key, value] : writes) versions_[key][commit] = value;
    auto logged = std::make_shared<storage::LogCommit>();
    logged->store = id_;
    logged->epoch = 1;
    logged->commit = commit;
    logged->batch = Batch(writes);
    logged->time_ms = static_cast<int64_t>(1000 + commit);
    logged->change = std::move(change);
    log_.push_back(std::move(logged));
    changed_.notify_all();
    return commit;
  }

  // The catalog from the next commit on.
  void SetCatalog(std::shared_ptr<const Catalog> catalog) {
    std::lock_guard<std::mutex> lock(mutex_);
    catalog_ = std::move(catalog);
  }

  // Forgets the log up to `commit`.
  void CutLog(uint64_t commit) {
    std::lock_guard<std::mutex> lock(mutex_);
    cut_ = commit;
    changed_.notify_all();
  }

  // Commits from `commit` on are unknown to CheckPosition().
  void ForgetFrom(uint64_t commit) {
    std::lock_guard<std::mutex> lock(mutex_);
    forgotten_from_ = commit;
  }

  ReadView Read() {
    std::lock_guard<std::mutex> lock(mutex_);
    return {SnapshotAt(commit_), catalog_};
  }
  std::shared_ptr<const storage::Snapshot> At(uint64_t commit) { return SnapshotAt(commit); }

  std::shared_ptr<const storage::Snapshot> Latest() const override {
    std::lock_guard<std::mutex> lock(mutex_);
    return SnapshotAt(commit_);
  }
  absl::StatusOr<std::unique_ptr<storage::LogReader>> ReadLog(
      const storage::Position& after) override {
    COOKIX_RETURN_IF_ERROR(CheckPosition(after));
    return std::unique_ptr<storage::LogReader>(new Reader(*this, after.commit));
  }

  absl::StatusOr<storage::CommitResult> Commit(
      const storage::CommitOptions&,
      absl::FunctionRef<absl::Status(storage::CommitBatch&)>) override {
    return absl::UnimplementedError("use Write()");
  }
  void SetListener(storage::CommitListener*) override {}
  absl::Status CheckPosition(const storage::Position& position) const override {
    std::lock_guard<std::mutex> lock(mutex_);
    if (position.store == id_ && position.epoch == 1 && position.commit < forgotten_from_) {
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError("the position is unknown");
  }
  const storage::StoreId& id() const override { return id_; }
  uint64_t epoch() const override { return 1; }
  std::vector<storage::EpochStart> Epochs() const override { return {{1, 1, 0}}; }
  bool follower() const override { return false; }
  absl::Status Replicate(const std::vector<storage::EpochStart>&,
                         const std::vector<std::string_view>&) override {
    return absl::UnimplementedError("it follows nothing");
  }
  absl::Status BeginEpoch(uint64_t) override { return absl::UnimplementedError("one epoch"); }
  absl::Status BecomeFollower() override { return absl::UnimplementedError("it follows nothing"); }
  absl::Status Sync() override { return absl::OkStatus(); }
  absl::Status Flush() override { return absl::OkStatus(); }
  absl::Status Compact(std::optional<storage::Family>) override { return absl::OkStatus(); }
  absl::StatusOr<storage::Position> Checkpoint(const std::string&) override {
    return absl::UnimplementedError("not in memory");
  }
  absl::StatusOr<std::unique_ptr<storage::StoreCopy>> MakeCopy(uint64_t) override {
    return absl::UnimplementedError("not in memory");
  }
  storage::StoreStats Stats() const override { return {}; }
  absl::StatusOr<storage::LogScanReport> VerifyLog() const override {
    return storage::LogScanReport();
  }
  absl::Status TryResume() override { return absl::OkStatus(); }
  absl::StatusOr<int64_t> ForgetRequestIds(int64_t) override { return 0; }
  absl::StatusOr<std::unique_ptr<storage::CheckedFileReader>> OpenViewFile(
      std::string_view view, uint32_t newest_version) override {
    return view_files_.Open(view, newest_version);
  }
  absl::StatusOr<std::unique_ptr<storage::CheckedFileWriter>> CreateViewFile(
      std::string_view view, uint32_t version) override {
    return view_files_.Create(view, version);
  }
  absl::Status DeleteViewFile(std::string_view view) override { return view_files_.Delete(view); }
  absl::StatusOr<std::unique_ptr<storage::LocalStore>> OpenLocalStore(
      std::string_view view, int64_t memory_bytes) override {
    return view_files_.OpenLocal(view, memory_bytes);
  }
  absl::Status DeleteLocalStore(std::string_view view) override {
    return view_files_.DeleteLocal(view);
  }

 private:
  // As storage/commit_writes.h reads it.
  static std::string Batch(const Writes& writes) {
    std::string batch(8, '\0');
    PutFixed32(&batch, static_cast<uint32_t>(writes.size()));
    for (const auto& [key, value] : writes) {
      batch.push_back(value.has_value() ? 0x5 : 0x4);
      PutVarint64(&batch, static_cast<uint64_t>(storage::Family::kObjects));
      PutLengthPrefixed(&batch, key);
      if (value.has_value()) PutLengthPrefixed(&batch, *value);
    }
    return batch;
  }

  using Rows = std::vector<std::pair<std::string, std::string>>;

  class RowIterator : public storage::Iterator {
   public:
    explicit RowIterator(Rows rows) : rows_(std::move(rows)), at_(rows_.size()) {}
    void SeekToFirst() override { at_ = 0; }
    void SeekToLast() override { at_ = rows_.empty() ? 0 : rows_.size() - 1; }
    void Seek(std::string_view key) override {
      at_ = static_cast<size_t>(
          std::lower_bound(rows_.begin(), rows_.end(), key,
                           [](const auto& row, std::string_view k) { return row.first < k; }) -
          rows_.begin());
    }
    void SeekForPrev(std::string_view key) override {
      Seek(key);
      if (at_ < rows_.size() && rows_[at_].first == key) return;
      Prev();
    }
    void Next() override { ++at_; }
    void Prev() override { at_ = at_ == 0 ? rows_.size() : at_ - 1; }
    bool Valid() const override { return at_ < rows_.size(); }
    std::string_view key() const override { return rows_[at_].first; }
    std::string_view value() const override { return rows_[at_].second; }
    absl::Status status() const override { return absl::OkStatus(); }

   private:
    const Rows rows_;
    size_t at_;
  };

  class FakeSnapshot : public storage::Snapshot {
   public:
    FakeSnapshot(const FakeStore& store, uint64_t commit) : store_(store) {
      position_.commit = commit;
      position_.epoch = 1;
    }
    uint64_t commit() const override { return position_.commit; }
    const storage::Position& position() const override { return position_; }
    absl::StatusOr<bool> Get(storage::Family family, std::string_view key,
                             std::string* value) const override {
      std::lock_guard<std::mutex> lock(store_.mutex_);
      if (family != storage::Family::kObjects) return false;
      const auto it = store_.versions_.find(std::string(key));
      const std::optional<std::string>* found =
          it == store_.versions_.end() ? nullptr : Visible(it->second);
      if (found == nullptr || !found->has_value()) return false;
      *value = **found;
      return true;
    }
    absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
        storage::Family family, std::span<const std::string> keys) const override {
      std::vector<std::optional<std::string>> out(keys.size());
      for (size_t i = 0; i < keys.size(); ++i) {
        std::string value;
        COOKIX_ASSIGN_OR_RETURN(const bool found, Get(family, keys[i], &value));
        if (found) out[i] = std::move(value);
      }
      return out;
    }
    std::unique_ptr<storage::Iterator> Scan(storage::Family family,
                                            storage::ScanBounds bounds) const override {
      Rows rows;
      if (family == storage::Family::kObjects) {
        std::lock_guard<std::mutex> lock(store_.mutex_);
        for (auto it = store_.versions_.lower_bound(bounds.lower);
             it != store_.versions_.end() && (bounds.upper.empty() || it->first < bounds.upper);
             ++it) {
          const std::optional<std::string>* found = Visible(it->second);
          if (found != nullptr && found->has_value()) rows.emplace_back(it->first, **found);
        }
      }
      return std::make_unique<RowIterator>(std::move(rows));
    }
    uint64_t ApproximateBytes(storage::Family, const storage::ScanBounds&) const override {
      return 0;
    }

   private:
    const std::optional<std::string>* Visible(
        const std::map<uint64_t, std::optional<std::string>>& versions) const {
      auto it = versions.upper_bound(position_.commit);
      return it == versions.begin() ? nullptr : &std::prev(it)->second;
    }
    const FakeStore& store_;
    storage::Position position_;
  };

  class Reader : public storage::LogReader {
   public:
    Reader(FakeStore& store, uint64_t after) : store_(store), after_(after) {}
    absl::StatusOr<std::vector<storage::LogCommitPtr>> Next(size_t max_commits,
                                                            absl::Duration timeout) override {
      std::unique_lock<std::mutex> lock(store_.mutex_);
      store_.changed_.wait_for(lock, absl::ToChronoNanoseconds(timeout), [&] {
        return cancelled_ || after_ < store_.cut_ || after_ < store_.commit_;
      });
      if (cancelled_) return absl::CancelledError("cancelled");
      if (after_ < store_.cut_) return absl::OutOfRangeError("the log is cut");
      std::vector<storage::LogCommitPtr> commits;
      while (commits.size() < max_commits && after_ < store_.commit_) {
        commits.push_back(store_.log_[after_++]);
      }
      return commits;
    }
    void Cancel() override {
      std::lock_guard<std::mutex> lock(store_.mutex_);
      cancelled_ = true;
      store_.changed_.notify_all();
    }

   private:
    FakeStore& store_;
    uint64_t after_;
    bool cancelled_ = false;  // guarded by store_.mutex_
  };

  std::shared_ptr<const storage::Snapshot> SnapshotAt(uint64_t commit) const {
    return std::make_shared<FakeSnapshot>(*this, commit);
  }

  const storage::StoreId id_{};
  const std::shared_ptr<storage::FaultInjectionFileSystem> files_ =
      storage::FaultInjectionFileSystem::InMemory();
  storage::ViewFiles view_files_{files_, "/store", 1000};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::map<uint64_t, std::optional<std::string>>> versions_;
  std::vector<storage::LogCommitPtr> log_;
  std::shared_ptr<const Catalog> catalog_;
  uint64_t commit_ = 0;
  uint64_t cut_ = 0;
  uint64_t forgotten_from_ = std::numeric_limits<uint64_t>::max();
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_VIEW_FAKE_STORE_H_
