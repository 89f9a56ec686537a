// What a store does when files are damaged, disks fail or the power goes.
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "rocksdb/file_system.h"
#include "storage/base/status.h"
#include "storage/fault_injection_file_system.h"
#include "storage/store.h"
#include "storage/store_file.h"
#include "storage/wal_scanner.h"

namespace cookix::storage {
namespace {

using Fs = FaultInjectionFileSystem;

const rocksdb::IOOptions kIo;

std::string Reason(const absl::Status& status) {
  const auto detail = GetErrorDetail(status);
  return detail.has_value() ? detail->reason : "";
}

// A store over a faulty file system in memory, which outlives it.
class StoreRecoveryTest : public testing::Test {
 protected:
  StoreRecoveryTest() : fs_(Fs::InMemory()) {
    options_.path = "/data/store";
    options_.file_system = fs_;
    options_.memory_budget_bytes = 16 << 20;
    options_.low_disk_bytes = 0;
    options_.clock_ms = [this] { return now_ms_.load(); };
    options_.log = [this](std::string_view level, std::string_view message) {
      const std::lock_guard lock(said_mutex_);
      said_.emplace_back(level, message);
    };
  }

  absl::Status Open() {
    store_.reset();
    auto opened = Store::Open(options_);
    if (!opened.ok()) return opened.status();
    store_ = std::move(*opened);
    return absl::OkStatus();
  }

  absl::StatusOr<CommitResult> Put(const std::string& key, const std::string& value,
                                   CommitOptions options = {}) {
    return store_->Commit(options, [&](CommitBatch& batch) {
      batch.Put(Family::kObjects, key, value);
      batch.Put(Family::kIdentity, key, value);
      batch.SetChange(key);
      return absl::OkStatus();
    });
  }

  // Goes on with the files as they are at this moment, as if the process had been
  // killed.
  void Crash() {
    const std::shared_ptr<Fs> left = fs_->Clone("/data");
    fs_->Heal();
    store_.reset();
    fs_ = left;
    options_.file_system = left;
  }

  std::optional<std::string> Get(const std::string& key, Family family = Family::kObjects) {
    std::string value;
    const auto found = store_->Latest()->Get(family, key, &value);
    EXPECT_TRUE(found.ok()) << found.status();
    if (!found.ok() || !*found) return std::nullopt;
    return value;
  }

  std::vector<LogCommitPtr> ReadAll(uint64_t after = 0) {
    std::vector<LogCommitPtr> all;
    auto reader = store_->ReadLog({store_->id(), 1, after});
    EXPECT_TRUE(reader.ok()) << reader.status();
    while (reader.ok()) {
      const auto some = (*reader)->Next(100, absl::ZeroDuration());
      EXPECT_TRUE(some.ok()) << some.status();
      if (!some.ok() || some->empty()) break;
      all.insert(all.end(), some->begin(), some->end());
    }
    return all;
  }

  // The newest log file, which is not empty.
  WalFile NewestLog() {
    const auto files = ListWalFiles(*fs_, options_.path);
    EXPECT_TRUE(files.ok() && !files->empty());
    WalFile newest;
    for (const WalFile& file : *files) {
      if (file.size > 0) newest = file;
    }
    return newest;
  }

  std::string ReadFile(const std::string& path) {
    std::string bytes;
    EXPECT_TRUE(rocksdb::ReadFileToString(fs_.get(), path, &bytes).ok()) << path;
    return bytes;
  }
  void WriteFile(const std::string& path, const std::string& bytes) {
    EXPECT_TRUE(rocksdb::WriteStringToFile(fs_.get(), bytes, path, true).ok()) << path;
  }

  // Everything in the directory of the store, to go back to.
  std::map<std::string, std::string> Save() {
    std::map<std::string, std::string> files;
    Collect(options_.path, &files);
    return files;
  }
  void Restore(const std::map<std::string, std::string>& files) {
    std::map<std::string, std::string> now;
    Collect(options_.path, &now);
    for (const auto& [path, bytes] : now) {
      if (!files.contains(path)) {
        EXPECT_TRUE(fs_->DeleteFile(path, kIo, nullptr).ok());
      }
    }
    for (const auto& [path, bytes] : files) {
      // A file that has the bytes already is left alone.
      const auto found = now.find(path);
      if (found == now.end() || found->second != bytes) WriteFile(path, bytes);
    }
  }

  bool Said(std::string_view level, std::string_view part) {
    const std::lock_guard lock(said_mutex_);
    for (const auto& [said_level, message] : said_) {
      if (said_level == level && message.find(part) != std::string::npos) return true;
    }
    return false;
  }

  std::shared_ptr<Fs> fs_;
  Options options_;
  std::atomic<int64_t> now_ms_{1'000'000};
  std::unique_ptr<Store> store_;
  std::mutex said_mutex_;
  std::vector<std::pair<std::string, std::string>> said_;

 private:
  void Collect(const std::string& directory, std::map<std::string, std::string>* files) {
    std::vector<std::string> names;
    EXPECT_TRUE(fs_->GetChildren(directory, kIo, &names, nullptr).ok());
    for (const std::string& name : names) {
      if (name == "." || name == ".." || name == "LOCK" || name == "COOKIX.LOCK") continue;
      const std::string path = directory + "/" + name;
      if (name == "archive") {
        Collect(path, files);
      } else {
        (*files)[path] = ReadFile(path);
      }
    }
  }
};

TEST_F(StoreRecoveryTest, ACrashLosesNothingAcknowledged) {
  ASSERT_TRUE(Open().ok());
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(Put(std::to_string(round * 20 + i), "v").ok());
    Crash();
    ASSERT_TRUE(Open().ok());
    EXPECT_EQ(store_->Latest()->commit(), (round + 1) * 20u);
    EXPECT_EQ(store_->epoch(), 1u);
  }
  EXPECT_EQ(ReadAll().size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Get(std::to_string(i)), "v");
}

TEST_F(StoreRecoveryTest, ATailTornAtAnyByteIsDropped) {
  ASSERT_TRUE(Open().ok());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Put("k" + std::to_string(i), "v").ok());
  const uint64_t before = ReadFile(NewestLog().path).size();
  ASSERT_TRUE(Put("last", std::string(50, 'x')).ok());
  Crash();
  const auto saved = Save();
  const WalFile log = NewestLog();
  const std::string bytes = saved.at(log.path);
  ASSERT_GT(bytes.size(), before + 50);
  for (uint64_t size = before; size <= bytes.size(); ++size) {
    Restore(saved);
    WriteFile(log.path, bytes.substr(0, size));
    {
      const std::lock_guard lock(said_mutex_);
      said_.clear();
    }
    const absl::Status opened = Open();
    ASSERT_TRUE(opened.ok()) << size << ": " << opened;
    const bool whole = size == bytes.size();
    ASSERT_EQ(store_->Latest()->commit(), whole ? 6u : 5u) << size;
    EXPECT_EQ(Get("last").has_value(), whole);
    EXPECT_EQ(Get("last", Family::kIdentity).has_value(), whole);
    EXPECT_EQ(Said("warning", "incomplete"), size != before && !whole) << size;
    // Life goes on, and the log stays whole for readers.
    if (size % 50 == 0) {
      ASSERT_TRUE(Put("after", "v").ok());
      EXPECT_EQ(ReadAll().size(), whole ? 7u : 6u);
      EXPECT_TRUE(store_->VerifyLog()->damage.empty());
    }
    Crash();
  }
  std::printf("figures: log cut off after each of %d bytes of its last record\n",
              static_cast<int>(bytes.size() - before + 1));
}

TEST_F(StoreRecoveryTest, AFlippedBitInTheMiddleIsRefused) {
  ASSERT_TRUE(Open().ok());
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(Put("k" + std::to_string(i), std::string(i % 7 == 0 ? 9000 : 30, 'v')).ok());
  }
  const uint64_t before_last = ReadFile(NewestLog().path).size();
  ASSERT_TRUE(Put("last", "v").ok());
  Crash();
  const auto saved = Save();
  const WalFile log = NewestLog();
  std::mt19937_64 random(1);
  for (int i = 0; i < 150; ++i) {
    const uint64_t bit = random() % (before_last * 8);
    Restore(saved);
    ASSERT_TRUE(fs_->FlipAtRest(log.path, bit).ok());
    const auto damaged = Save();
    const absl::Status opened = Open();
    ASSERT_FALSE(opened.ok()) << "bit " << bit;
    EXPECT_EQ(opened.code(), absl::StatusCode::kDataLoss) << opened;
    EXPECT_EQ(Reason(opened), "CORRUPTION");
    // It says where, and has changed nothing.
    EXPECT_NE(opened.message().find(".log at byte "), absl::string_view::npos) << opened;
    EXPECT_TRUE(Save() == damaged);
  }
  Restore(saved);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(store_->Latest()->commit(), 41u);
}

TEST_F(StoreRecoveryTest, ABitThatFlipsOnlyWhileReadingIsRefusedToo) {
  ASSERT_TRUE(Open().ok());
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(Put(std::to_string(i), "v").ok());
  Crash();
  const WalFile log = NewestLog();
  fs_->FlipOnRead(log.path, 8 * 500);
  EXPECT_EQ(Open().code(), absl::StatusCode::kDataLoss);
  fs_->FlipOnRead("", 0);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(store_->Latest()->commit(), 20u);
}

TEST_F(StoreRecoveryTest, AMissingPieceOfTheLogIsRefused) {
  ASSERT_TRUE(Open().ok());
  std::vector<uint64_t> ends;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(Put("k" + std::to_string(i), "v").ok());
    ends.push_back(ReadFile(NewestLog().path).size());
  }
  Crash();
  const auto saved = Save();
  const WalFile log = NewestLog();
  // Commit 5 is gone and the rest moved up: every checksum is right.
  const std::string bytes = saved.at(log.path);
  WriteFile(log.path, bytes.substr(0, ends[3]) + bytes.substr(ends[4]));
  EXPECT_EQ(Open().code(), absl::StatusCode::kDataLoss);
  Restore(saved);
  EXPECT_TRUE(Open().ok());
}

TEST_F(StoreRecoveryTest, AMissingFileOfTheLogIsRefused) {
  ASSERT_TRUE(Open().ok());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Put("a" + std::to_string(i), "v").ok());
  Crash();
  const auto first = Save();
  const WalFile log = NewestLog();
  ASSERT_TRUE(Open().ok());
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(Put("b" + std::to_string(i), "v").ok());
  Crash();
  // The sorted files of before, with the log of after.
  std::map<std::string, std::string> mixed = first;
  mixed.erase(log.path);
  const WalFile later = NewestLog();
  ASSERT_NE(later.path, log.path);
  mixed[later.path] = ReadFile(later.path);
  Restore(mixed);
  const absl::Status opened = Open();
  EXPECT_EQ(opened.code(), absl::StatusCode::kDataLoss) << opened;
  EXPECT_NE(opened.message().find("missing"), absl::string_view::npos) << opened;
}

TEST_F(StoreRecoveryTest, TheArchiveStaysWithinItsBytes) {
  options_.wal_keep_bytes = 4 << 20;
  options_.ring_bytes = 0;
  ASSERT_TRUE(Open().ok());
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(Put("k" + std::to_string(i % 10), std::string(100'000, 'v')).ok());
    if (i % 10 == 9) {
      ASSERT_TRUE(store_->Flush().ok());
    }
  }
  uint64_t bytes = 0;
  const auto files = ListWalFiles(*fs_, "/data/store/archive");
  ASSERT_TRUE(files.ok());
  for (const WalFile& file : *files) bytes += file.size;
  EXPECT_GT(bytes, 0u);
  // What was written since it was last looked at comes on top.
  EXPECT_LE(bytes, static_cast<uint64_t>(options_.wal_keep_bytes) * 2);
  // Readers are told, and those that need only what is left get it.
  auto reader = store_->ReadLog({store_->id(), 1, 0});
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ((*reader)->Next(10, absl::ZeroDuration()).status().code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(ReadAll(195).size(), 5u);
  EXPECT_TRUE(store_->VerifyLog()->damage.empty());
}

TEST_F(StoreRecoveryTest, DamagedDataIsReportedWhenItIsRead) {
  ASSERT_TRUE(Open().ok());
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(Put("k" + std::to_string(i), "value").ok());
  ASSERT_TRUE(store_->Flush().ok());
  fs_->FlipOnRead(".sst", 8 * 100);
  const auto iterator = store_->Latest()->Scan(Family::kObjects, {});
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
  }
  EXPECT_EQ(iterator->status().code(), absl::StatusCode::kDataLoss) << iterator->status();
}

TEST_F(StoreRecoveryTest, APowerFailureLosesNothingThatWasAcknowledgedInFullMode) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    fs_ = Fs::InMemory();
    options_.file_system = fs_;
    std::mt19937_64 random(seed);
    ASSERT_TRUE(Open().ok());
    std::map<std::string, std::string> acknowledged;
    for (int cycle = 0; cycle < 3; ++cycle) {
      // Syncs fail from some point on: what follows is written, not acknowledged.
      fs_->FailAt(Fs::kSync, static_cast<int64_t>(random() % 30), Fs::Fault::kIoError, true,
                  ".log");
      for (int i = 0; i < 40; ++i) {
        const std::string key = std::to_string(random() % 20);
        const std::string value = std::to_string(i) + std::string(random() % 3000, 'v');
        if (!Put(key, value).ok()) break;
        acknowledged[key] = value;
        if (random() % 10 == 0) store_->Flush().IgnoreError();
      }
      Crash();
      fs_->PowerFailure(seed);
      const absl::Status opened = Open();
      ASSERT_TRUE(opened.ok()) << "seed " << seed << ": " << opened;
      EXPECT_EQ(store_->epoch(), 1u);
      int differences = 0;
      for (const auto& [key, value] : acknowledged) differences += Get(key) == value ? 0 : 1;
      // The one commit whose sync failed may or may not be there.
      EXPECT_LE(differences, 1) << seed;
      for (const auto& [key, value] : acknowledged) {
        ASSERT_TRUE(Get(key).has_value());
        ASSERT_EQ(Get(key), Get(key, Family::kIdentity));
        acknowledged[key] = *Get(key);
      }
      const auto commits = ReadAll();
      EXPECT_EQ(commits.size(), store_->Latest()->commit());
    }
    store_.reset();
  }
}

TEST_F(StoreRecoveryTest, UnsyncedGroupsTornAnywhereAreDroppedNotRefused) {
  // Weak mode: much is unsynced, and pages of it survive at random.
  int lost = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    fs_ = Fs::InMemory();
    options_.file_system = fs_;
    options_.sync_mode = SyncMode::kOff;
    std::mt19937_64 random(seed);
    ASSERT_TRUE(Open().ok());
    for (int i = 1; i <= 60; ++i) {
      ASSERT_TRUE(Put(std::to_string(i), std::string(random() % 2000, 'v')).ok());
      if (i == 20) {
        ASSERT_TRUE(store_->Sync().ok());
      }
      if (i == 40 && seed % 3 == 0) {
        ASSERT_TRUE(store_->Flush().ok());
      }
    }
    Crash();
    fs_->PowerFailure(seed);
    const absl::Status opened = Open();
    ASSERT_TRUE(opened.ok()) << "seed " << seed << ": " << opened;
    const uint64_t last = store_->Latest()->commit();
    EXPECT_GE(last, 20u);
    lost += last < 60 ? 1 : 0;
    // A prefix survives, and it is a new epoch.
    for (uint64_t i = 1; i <= 60; ++i) {
      EXPECT_EQ(Get(std::to_string(i)).has_value(), i <= last);
    }
    EXPECT_EQ(store_->epoch(), 2u);
    EXPECT_TRUE(store_->CheckPosition({store_->id(), 1, last}).ok());
    EXPECT_EQ(Reason(store_->CheckPosition({store_->id(), 1, last + 1})), "POSITION_UNKNOWN");
    ASSERT_TRUE(Put("new", "v").ok());
    const auto commits = ReadAll();
    ASSERT_EQ(commits.size(), last + 1);
    EXPECT_EQ(commits.back()->epoch, 2u);
    store_.reset();
  }
  EXPECT_GT(lost, 10);
}

TEST_F(StoreRecoveryTest, NormalModeSyncsByItself) {
  options_.sync_mode = SyncMode::kNormal;
  options_.normal_sync_interval_ms = 1;
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Put("a", "1").ok());
  fs_->FailAt(Fs::kAnyWrite, 1'000'000, Fs::Fault::kIoError, false);
  ASSERT_TRUE(Put("b", "1").ok());
  while (fs_->Count(Fs::kSync) == 0) std::this_thread::yield();
  Crash();
  fs_->PowerFailure();
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Get("a"), "1");
  EXPECT_EQ(store_->epoch(), 2u);
}

TEST_F(StoreRecoveryTest, AFullDiskAtAnyWriteLeavesAStoreThatReopens) {
  // Each run fails some writes later than the one before, until none fails.
  int failed_runs = 0;
  for (int64_t nth = 0;; nth += nth < 12 ? 1 : 3) {
    fs_ = Fs::InMemory();
    options_.file_system = fs_;
    ASSERT_TRUE(Open().ok());
    fs_->FailAt(Fs::kAnyWrite, nth, Fs::Fault::kNoSpace, /*sticky=*/true);
    uint64_t acknowledged = 0;
    bool failed = false;
    for (int i = 0; i < 12; ++i) {
      const auto result = Put("k" + std::to_string(i), std::string(2000, 'v'));
      if (result.ok()) {
        ASSERT_FALSE(failed);
        acknowledged = result->position.commit;
      } else {
        failed = true;
        EXPECT_EQ(result.status().code(), absl::StatusCode::kResourceExhausted) << result.status();
        EXPECT_EQ(Reason(result.status()), "DISK_LOW");
        EXPECT_TRUE(GetErrorDetail(result.status())->retryable);
      }
      EXPECT_EQ(store_->Latest()->commit(), acknowledged);
      if (i == 5 && !failed) store_->Flush().IgnoreError();
    }
    const bool any = fs_->Failures() > 0;
    failed_runs += any ? 1 : 0;
    Crash();
    const absl::Status opened = Open();
    ASSERT_TRUE(opened.ok()) << nth << ": " << opened;
    EXPECT_GE(store_->Latest()->commit(), acknowledged);
    EXPECT_LE(store_->Latest()->commit(), acknowledged + 1);
    for (uint64_t i = 0; i < acknowledged; ++i) {
      EXPECT_EQ(Get("k" + std::to_string(i)), std::string(2000, 'v'));
    }
    EXPECT_EQ(ReadAll().size(), store_->Latest()->commit());
    store_.reset();
    if (!any) break;
  }
  EXPECT_GT(failed_runs, 18);
}

TEST_F(StoreRecoveryTest, APassingErrorIsOvercomeWithoutRestart) {
  for (const Fs::Fault fault : {Fs::Fault::kIoError, Fs::Fault::kNoSpace}) {
    for (const uint32_t operation : {uint32_t{Fs::kAppend}, uint32_t{Fs::kSync}}) {
      for (int64_t nth = 0; nth < 3; ++nth) {
        fs_ = Fs::InMemory();
        options_.file_system = fs_;
        ASSERT_TRUE(Open().ok());
        ASSERT_TRUE(Put("before", "v").ok());
        fs_->FailAt(operation, nth, fault, /*sticky=*/true, ".log");
        uint64_t acknowledged = 1;
        for (int i = 0; i < 4; ++i) {
          if (Put("k" + std::to_string(i), "v").ok()) ++acknowledged;
        }
        ASSERT_GT(fs_->Failures(), 0);
        EXPECT_TRUE(store_->Stats().read_only);
        EXPECT_FALSE(Put("refused", "v").ok());
        EXPECT_EQ(store_->Latest()->commit(), acknowledged);
        // Reads work all the time.
        EXPECT_EQ(Get("before"), "v");
        fs_->Heal();
        const absl::Status resumed = store_->TryResume();
        ASSERT_TRUE(resumed.ok()) << resumed;
        EXPECT_FALSE(store_->Stats().read_only);
        const uint64_t survived = store_->Latest()->commit();
        // The commit that failed takes effect after all, as its caller was told that
        // it may.
        EXPECT_EQ(survived, acknowledged + 1);
        ASSERT_TRUE(Put("after", "v").ok());
        EXPECT_EQ(store_->Latest()->commit(), survived + 1);
        EXPECT_EQ(ReadAll().size(), survived + 1);
        EXPECT_TRUE(store_->TryResume().ok());
        Crash();
        fs_->PowerFailure();
        const absl::Status reopened = Open();
        ASSERT_TRUE(reopened.ok()) << reopened;
        EXPECT_EQ(store_->Latest()->commit(), survived + 1);
        EXPECT_EQ(ReadAll().size(), survived + 1);
        EXPECT_EQ(Get("after"), "v");
        EXPECT_FALSE(Get("refused").has_value());
        store_.reset();
      }
    }
  }
}

TEST_F(StoreRecoveryTest, ResumingFailsWhileTheDiskDoes) {
  ASSERT_TRUE(Open().ok());
  fs_->FailAt(Fs::kAnyWrite, 0, Fs::Fault::kIoError, true);
  const auto result = Put("a", "v");
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(Reason(result.status()), "IO_ERROR");
  ASSERT_FALSE(store_->TryResume().ok());
  EXPECT_FALSE(Put("a", "v").ok());
  EXPECT_FALSE(store_->Checkpoint("/data/copy").ok());
  EXPECT_FALSE(store_->Sync().ok());
  fs_->Heal();
  ASSERT_TRUE(store_->TryResume().ok());
  EXPECT_TRUE(Put("a", "v").ok());
}

TEST_F(StoreRecoveryTest, AFailedSyncFailsTheWholeGroup) {
  ASSERT_TRUE(Open().ok());
  class Listener : public CommitListener {
   public:
    void OnPublish(const std::vector<LogCommitPtr>& commits,
                   const std::shared_ptr<const Snapshot>&) override {
      published += commits.size();
    }
    void OnAbort() override { ++aborts; }
    std::atomic<uint64_t> published{0};
    std::atomic<int> aborts{0};
  } listener;
  store_->SetListener(&listener);
  fs_->FailAt(Fs::kSync, 0, Fs::Fault::kIoError, /*sticky=*/false, ".log");
  std::atomic<int> acknowledged{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] { acknowledged += Put(std::to_string(t), "v").ok() ? 1 : 0; });
  }
  for (std::thread& thread : threads) thread.join();
  // The disk works again at once, but what the failed sync was to write is gone:
  // nothing is acknowledged until the store has resumed.
  EXPECT_EQ(acknowledged, 0);
  EXPECT_EQ(listener.published, 0u);
  EXPECT_EQ(listener.aborts, 1);
  EXPECT_EQ(store_->Latest()->commit(), 0u);
  ASSERT_TRUE(store_->TryResume().ok());
  EXPECT_EQ(listener.published, store_->Latest()->commit());
  EXPECT_GE(listener.published, 1u);
  // Request by request, what is visible is what was published.
  EXPECT_EQ(ReadAll().size(), store_->Latest()->commit());
}

TEST_F(StoreRecoveryTest, BelowTheLowWaterMarkOnlyDeletesAreTaken) {
  options_.low_disk_bytes = 1000;
  fs_->SetFreeSpace(5000);
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Put("a", "v").ok());
  fs_->SetFreeSpace(999);
  now_ms_ += 2000;
  const auto refused = Put("b", "v");
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Reason(refused.status()), "DISK_LOW");
  EXPECT_FALSE(GetErrorDetail(refused.status())->remedy.empty());
  EXPECT_TRUE(store_->Stats().read_only);
  EXPECT_EQ(store_->Stats().disk_free_bytes, 999u);
  const auto taken = store_->Commit({.reclaims_space = true}, [](CommitBatch& batch) {
    batch.Delete(Family::kObjects, "a");
    batch.SetChange("delete");
    return absl::OkStatus();
  });
  EXPECT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(Get("a"), std::nullopt);
  fs_->SetFreeSpace(1000);
  now_ms_ += 2000;
  EXPECT_TRUE(Put("b", "v").ok());
  EXPECT_FALSE(store_->Stats().read_only);
  EXPECT_TRUE(Said("warning", "only 999 bytes"));
}

TEST_F(StoreRecoveryTest, AFullDiskIsTriedAgainByItself) {
  options_.low_disk_bytes = 1000;
  fs_->SetFreeSpace(5000);
  ASSERT_TRUE(Open().ok());
  fs_->FailAt(Fs::kAppend, 0, Fs::Fault::kNoSpace, true);
  EXPECT_EQ(Reason(Put("a", "v").status()), "DISK_LOW");
  fs_->Heal();
  fs_->SetFreeSpace(10);
  now_ms_ += 2000;
  EXPECT_EQ(Reason(Put("a", "v").status()), "DISK_LOW");
  fs_->SetFreeSpace(5000);
  now_ms_ += 2000;
  const auto result = Put("a", "v");
  EXPECT_TRUE(result.ok()) << result.status();
}

TEST_F(StoreRecoveryTest, ANewerFormatIsRefusedBeforeAnythingIsWritten) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Put("a", "v").ok());
  StoreFile file{.format_version = kFormatVersion + 1, .id = store_->id()};
  store_.reset();
  const std::string own = ReadFile("/data/store/COOKIX");
  // Whatever else a newer version may put there.
  for (const std::string& text :
       {EncodeStoreFile(file), std::string("CookiX store\nformat 9\n?")}) {
    WriteFile("/data/store/COOKIX", text);
    const auto before = Save();
    const absl::Status opened = Open();
    EXPECT_EQ(opened.code(), absl::StatusCode::kFailedPrecondition) << opened;
    EXPECT_NE(opened.message().find("format"), absl::string_view::npos);
    EXPECT_TRUE(Save() == before);
  }
  WriteFile("/data/store/COOKIX", own);
  EXPECT_TRUE(Open().ok());
}

TEST_F(StoreRecoveryTest, ATamperedStoreFileIsRefused) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Put("a", "v").ok());
  store_.reset();
  const auto saved = Save();
  const std::string own = saved.at("/data/store/COOKIX");
  for (size_t i = 0; i < own.size(); ++i) {
    for (int bit = 0; bit < 8; bit += 3) {
      std::string tampered = own;
      tampered[i] = static_cast<char>(tampered[i] ^ (1 << bit));
      WriteFile("/data/store/COOKIX", tampered);
      const absl::Status opened = Open();
      // A flipped digit may make the format look newer.
      ASSERT_TRUE(opened.code() == absl::StatusCode::kDataLoss ||
                  opened.code() == absl::StatusCode::kFailedPrecondition)
          << opened;
    }
  }
  // Another store's.
  WriteFile("/data/store/COOKIX", EncodeStoreFile({.format_version = kFormatVersion}));
  EXPECT_EQ(Open().code(), absl::StatusCode::kDataLoss);
  Restore(saved);
  ASSERT_TRUE(fs_->DeleteFile("/data/store/COOKIX", kIo, nullptr).ok());
  EXPECT_EQ(Open().code(), absl::StatusCode::kFailedPrecondition);
  Restore(saved);
  ASSERT_TRUE(fs_->DeleteFile("/data/store/CURRENT", kIo, nullptr).ok());
  EXPECT_EQ(Open().code(), absl::StatusCode::kDataLoss);
  Restore(saved);
  EXPECT_TRUE(Open().ok());
}

TEST_F(StoreRecoveryTest, ADirectoryThatIsNotOursIsRefused) {
  ASSERT_TRUE(fs_->CreateDir("/data", kIo, nullptr).ok());
  ASSERT_TRUE(fs_->CreateDir("/data/store", kIo, nullptr).ok());
  WriteFile("/data/store/holiday.jpg", "x");
  EXPECT_EQ(Open().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(fs_->DeleteFile("/data/store/holiday.jpg", kIo, nullptr).ok());
  EXPECT_TRUE(Open().ok());
}

TEST_F(StoreRecoveryTest, MissingIsSaidWhenItMustExist) {
  options_.must_exist = true;
  EXPECT_EQ(Open().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(fs_->CreateDir("/data", kIo, nullptr).ok());
  ASSERT_TRUE(fs_->CreateDir("/data/store", kIo, nullptr).ok());
  EXPECT_EQ(Open().code(), absl::StatusCode::kNotFound);
  options_.must_exist = false;
  ASSERT_TRUE(Open().ok());
  options_.must_exist = true;
  EXPECT_TRUE(Open().ok());
}

TEST_F(StoreRecoveryTest, AReadOnlyDirectoryIsRefused) {
  fs_->SetReadOnly(true);
  EXPECT_EQ(Open().code(), absl::StatusCode::kPermissionDenied);
  fs_->SetReadOnly(false);
  ASSERT_TRUE(Open().ok());
  store_.reset();
  fs_->SetReadOnly(true);
  const absl::Status opened = Open();
  EXPECT_EQ(opened.code(), absl::StatusCode::kPermissionDenied) << opened;
  EXPECT_EQ(Reason(opened), "PERMISSION_DENIED");
}

TEST_F(StoreRecoveryTest, ALockedStoreIsRefused) {
  ASSERT_TRUE(Open().ok());
  const absl::Status second = Store::Open(options_).status();
  EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(second.message().find("in use"), absl::string_view::npos);
  store_.reset();
  // A tool of RocksDB's, which knows nothing of our own lock.
  rocksdb::FileLock* lock = nullptr;
  ASSERT_TRUE(fs_->LockFile("/data/store/LOCK", kIo, &lock, nullptr).ok());
  EXPECT_EQ(Open().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_TRUE(fs_->UnlockFile(lock, kIo, nullptr).ok());
  EXPECT_TRUE(Open().ok());
}

TEST_F(StoreRecoveryTest, CreatingAStoreCanFailAnywhereAndBeRepeated) {
  int failed_runs = 0;
  for (int64_t nth = 0;; ++nth) {
    fs_ = Fs::InMemory();
    options_.file_system = fs_;
    fs_->FailAt(Fs::kAnyWrite, nth, Fs::Fault::kNoSpace, true);
    const absl::Status first = Open();
    const bool any = fs_->Failures() > 0;
    store_.reset();
    fs_->Heal();
    const absl::Status second = Open();
    ASSERT_TRUE(second.ok()) << nth << ": " << second << " after " << first;
    ASSERT_TRUE(Put("a", "v").ok());
    store_.reset();
    if (!any) break;
    ++failed_runs;
  }
  EXPECT_GT(failed_runs, 15);
}

TEST_F(StoreRecoveryTest, ACheckpointThatFailsAnywhereIsRemoved) {
  ASSERT_TRUE(Open().ok());
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(Put(std::to_string(i), "v").ok());
  int failures = 0;
  for (int64_t nth = 0;; ++nth) {
    fs_->FailAt(Fs::kAnyWrite, nth, Fs::Fault::kIoError, /*sticky=*/false, "/copy");
    const auto position = store_->Checkpoint("/data/copy");
    const bool any = fs_->Failures() > 0;
    fs_->Heal();
    if (position.ok()) {
      if (!any) break;
      // What failed did not matter, such as a log of RocksDB's own.
      std::vector<std::string> names;
      ASSERT_TRUE(fs_->GetChildren("/data/copy", kIo, &names, nullptr).ok());
      for (const std::string& name : names) {
        fs_->DeleteFile("/data/copy/" + name, kIo, nullptr).PermitUncheckedError();
      }
      fs_->DeleteDir("/data/copy", kIo, nullptr).PermitUncheckedError();
      continue;
    }
    ++failures;
    EXPECT_TRUE(fs_->FileExists("/data/copy", kIo, nullptr).IsNotFound()) << nth;
    EXPECT_TRUE(fs_->FileExists("/data/copy.tmp", kIo, nullptr).IsNotFound()) << nth;
    ASSERT_TRUE(Put("more", "v").ok());
  }
  EXPECT_GT(failures, 5);
}

TEST_F(StoreRecoveryTest, ATrimmedLogIsSaidToBeExpired) {
  options_.ring_bytes = 0;
  ASSERT_TRUE(Open().ok());
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(Put("k", "v").ok());
    ASSERT_TRUE(store_->Flush().ok());
  }
  ASSERT_TRUE(Open().ok());  // all logs are in the archive now
  EXPECT_EQ(ReadAll().size(), 40u);
  // The oldest go, as they do when they are too old or too many.
  const auto archived = ListWalFiles(*fs_, "/data/store/archive");
  ASSERT_TRUE(archived.ok());
  ASSERT_GE(archived->size(), 3u);
  for (size_t i = 0; i < 2; ++i) {
    ASSERT_TRUE(fs_->DeleteFile((*archived)[i].path, kIo, nullptr).ok());
  }
  const auto expect_expired = [&] {
    auto reader = store_->ReadLog({store_->id(), 1, 3});
    ASSERT_TRUE(reader.ok());
    const auto commits = (*reader)->Next(10, absl::ZeroDuration());
    EXPECT_EQ(commits.status().code(), absl::StatusCode::kOutOfRange) << commits.status();
    EXPECT_EQ(Reason(commits.status()), "POSITION_EXPIRED");
  };
  expect_expired();
  ASSERT_TRUE(Open().ok());
  expect_expired();
  EXPECT_EQ(ReadAll(39).size(), 1u);
}

TEST_F(StoreRecoveryTest, AMissingPieceOfTheArchiveIsDataLoss) {
  options_.ring_bytes = 0;
  ASSERT_TRUE(Open().ok());
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(Put("k", "v").ok());
    ASSERT_TRUE(store_->Flush().ok());
  }
  ASSERT_TRUE(Open().ok());
  const auto archived = ListWalFiles(*fs_, "/data/store/archive");
  ASSERT_TRUE(archived.ok());
  ASSERT_GE(archived->size(), 4u);
  ASSERT_TRUE(fs_->DeleteFile((*archived)[2].path, kIo, nullptr).ok());
  auto reader = store_->ReadLog({store_->id(), 1, 0});
  ASSERT_TRUE(reader.ok());
  absl::Status end;
  uint64_t last = 0;
  while (end.ok()) {
    const auto commits = (*reader)->Next(100, absl::ZeroDuration());
    end = commits.status();
    if (!end.ok()) break;
    ASSERT_FALSE(commits->empty());
    for (const LogCommitPtr& commit : *commits) ASSERT_EQ(commit->commit, ++last);
  }
  EXPECT_TRUE(end.code() == absl::StatusCode::kDataLoss ||
              end.code() == absl::StatusCode::kOutOfRange)
      << end;
  EXPECT_LT(last, 50u);
  const auto report = store_->VerifyLog();
  ASSERT_TRUE(report.ok());
  EXPECT_FALSE(report->damage.empty());
}

TEST_F(StoreRecoveryTest, AViewFileThatCannotBeWrittenHarmsNothing) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(Put("a", "1").ok());
  const auto save = [&](const std::string& content) -> absl::Status {
    auto writer = store_->CreateViewFile("sums", 1);
    if (!writer.ok()) return writer.status();
    absl::Status status = (*writer)->Append(content);
    return status.ok() ? (*writer)->Finish() : status;
  };
  ASSERT_TRUE(save("old").ok());
  for (int64_t step = 0; step < 7; ++step) {
    fs_->FailAt(Fs::kAnyWrite, step, Fs::Fault::kNoSpace, /*sticky=*/true, "/views");
    EXPECT_EQ(save("new").code(), absl::StatusCode::kResourceExhausted) << step;
    // Commits go on meanwhile.
    EXPECT_TRUE(Put("b", std::to_string(step)).ok());
    fs_->Heal();
  }
  EXPECT_TRUE(save("new").ok());
  // Below the low-water mark of the disk nothing is begun.
  options_.low_disk_bytes = 1000;
  ASSERT_TRUE(Open().ok());
  fs_->SetFreeSpace(999);
  EXPECT_EQ(Reason(save("newer")), "DISK_LOW");
  auto reader = store_->OpenViewFile("sums", 1);
  ASSERT_TRUE(reader.ok()) << reader.status();
  char content[3];
  ASSERT_TRUE((*reader)->Read(content, 3).ok());
  EXPECT_EQ(std::string(content, 3), "new");
}

}  // namespace
}  // namespace cookix::storage
