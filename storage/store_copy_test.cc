// Copies that a store makes of itself while it goes on.
#include "storage/store_copy.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "rocksdb/file_system.h"
#include "storage/base/crc32c.h"
#include "storage/base/status.h"
#include "storage/copy_receiver.h"
#include "storage/copy_testing.h"
#include "storage/fault_injection_file_system.h"
#include "storage/file_tree.h"
#include "storage/store.h"

namespace cookix::storage {
namespace {

using Fs = FaultInjectionFileSystem;

constexpr uint64_t kNoLog = ~0ULL;

std::string Reason(const absl::Status& status) {
  const auto detail = GetErrorDetail(status);
  return detail.has_value() ? detail->reason : "";
}

// A file system that has no hard links.
class WithoutLinks : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "WithoutLinks"; }
  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to,
                             const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* dbg) override {
    return rocksdb::IOStatus::NotSupported("links");
  }
};

class StoreCopyTest : public testing::Test {
 protected:
  StoreCopyTest() : fs_(Fs::InMemory()) {
    options_.path = "/data/store";
    options_.file_system = fs_;
    options_.memory_budget_bytes = 16 << 20;
    options_.low_disk_bytes = 0;
    options_.ring_bytes = 0;
  }
  void SetUp() override { ASSERT_TRUE(Open().ok()); }

  absl::Status Open() {
    store_.reset();
    COOKIX_ASSIGN_OR_RETURN(store_, Store::Open(options_));
    return absl::OkStatus();
  }

  // Commit number n puts n under "last" and under a key of its own.
  absl::Status Commit(size_t bytes = 20) {
    return store_
        ->Commit({},
                 [&](CommitBatch& batch) {
                   const std::string number = std::to_string(batch.commit());
                   batch.Put(Family::kObjects, "last", number);
                   batch.Put(Family::kObjects, "key" + number, std::string(bytes, 'v'));
                   batch.SetChange("change " + number);
                   return absl::OkStatus();
                 })
        .status();
  }
  void Commits(int count, size_t bytes = 20) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(Commit(bytes).ok());
  }

  absl::Status SaveView(const std::string& view) {
    COOKIX_ASSIGN_OR_RETURN(const auto file, store_->CreateViewFile(view, 1));
    const auto snapshot = store_->Latest();
    COOKIX_RETURN_IF_ERROR(
        file->AppendString(EncodePosition({store_->id(), store_->epoch(), snapshot->commit()})));
    return file->Finish();
  }

  static absl::StatusOr<Position> LoadView(Store& store, const std::string& view) {
    COOKIX_ASSIGN_OR_RETURN(const auto file, store.OpenViewFile(view, 1));
    std::string token;
    COOKIX_RETURN_IF_ERROR(file->ReadString(&token));
    COOKIX_ASSIGN_OR_RETURN(const Position position, DecodePosition(token));
    COOKIX_RETURN_IF_ERROR(store.CheckPosition(position));
    return position;
  }

  absl::StatusOr<ReadCopy> MakeAndRead(uint64_t log_from) {
    COOKIX_ASSIGN_OR_RETURN(const auto copy, store_->MakeCopy(log_from));
    return ReadAll(*copy);
  }

  // Opens a store made of the copy, somewhere else.
  static absl::StatusOr<std::unique_ptr<Store>> OpenCopy(const ReadCopy& copy, bool follower) {
    auto elsewhere = Fs::InMemory();
    COOKIX_RETURN_IF_ERROR(Receive(copy, elsewhere, "/data/replica"));
    Options options;
    options.path = "/data/replica";
    options.file_system = elsewhere;
    options.memory_budget_bytes = 16 << 20;
    options.low_disk_bytes = 0;
    options.follower = follower;
    options.must_exist = true;
    return Store::Open(options);
  }

  // Every commit up to `commit` is there, and none after it.
  static void ExpectExactly(Store& store, uint64_t commit) {
    ASSERT_EQ(store.Latest()->commit(), commit);
    std::set<std::string> expected;
    for (uint64_t i = 1; i <= commit; ++i) expected.insert("key" + std::to_string(i));
    if (commit > 0) expected.insert("last");
    std::set<std::string> keys;
    auto iterator = store.Latest()->Scan(Family::kObjects, {});
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
      keys.emplace(iterator->key());
      if (iterator->key() == "last") {
        EXPECT_EQ(iterator->value(), std::to_string(commit));
      }
    }
    EXPECT_TRUE(keys == expected) << keys.size() << " keys, commit " << commit;
  }

  // The commits after `after` that the store's log gives.
  static absl::StatusOr<std::vector<uint64_t>> Log(Store& store, uint64_t epoch, uint64_t after) {
    COOKIX_ASSIGN_OR_RETURN(const auto reader, store.ReadLog({store.id(), epoch, after}));
    std::vector<uint64_t> commits;
    while (true) {
      COOKIX_ASSIGN_OR_RETURN(const auto some, reader->Next(1000, absl::ZeroDuration()));
      if (some.empty()) return commits;
      for (const LogCommitPtr& commit : some) commits.push_back(commit->commit);
    }
  }
  static void ExpectLog(Store& store, uint64_t epoch, uint64_t after, uint64_t last) {
    const auto commits = Log(store, epoch, after);
    ASSERT_TRUE(commits.ok()) << after << ": " << commits.status();
    std::vector<uint64_t> expected;
    for (uint64_t i = after + 1; i <= last; ++i) expected.push_back(i);
    EXPECT_EQ(*commits, expected);
  }

  // A copy, made while others wrote, that has the log after `log_from` unless that may be gone.
  static void ExpectWhole(const ReadCopy& copy, uint64_t log_from, bool log_may_be_gone) {
    for (size_t i = 0; i < copy.contents.size(); ++i) {
      ASSERT_EQ(copy.manifest.files[i].crc32c, Crc32c(copy.contents[i]));
    }
    const uint64_t commit = copy.manifest.position.commit;
    const auto follower = OpenCopy(copy, true);
    ASSERT_TRUE(follower.ok()) << follower.status();
    ExpectExactly(**follower, commit);
    const auto view = LoadView(**follower, "view");
    if (view.status().code() != absl::StatusCode::kNotFound) {
      ASSERT_TRUE(view.ok()) << view.status();
      EXPECT_LE(view->commit, commit);
    }
    const auto log = Log(**follower, 1, log_from);
    if (log_may_be_gone && Reason(log.status()) == "POSITION_EXPIRED") return;
    ASSERT_TRUE(log.ok()) << log.status();
    EXPECT_EQ(log->size(), commit - log_from);
  }

  static size_t CountIn(const CopyManifest& manifest, const std::string& prefix) {
    return static_cast<size_t>(
        std::count_if(manifest.files.begin(), manifest.files.end(),
                      [&](const CopyFile& file) { return file.path.starts_with(prefix); }));
  }

  // What is left of copies in the directory of the store.
  std::vector<std::string> CopiesLeft() {
    const auto names = ListDirectory(*fs_, options_.path + "/copies");
    return names.ok() ? *names : std::vector<std::string>();
  }

  std::shared_ptr<Fs> fs_;
  Options options_;
  std::unique_ptr<Store> store_;
};

TEST_F(StoreCopyTest, HoldsTheStoreAtItsPosition) {
  for (const int more : {0, 1, 30}) {
    Commits(more);
    const auto copy = MakeAndRead(kNoLog);
    ASSERT_TRUE(copy.ok()) << copy.status();
    const Position& position = copy->manifest.position;
    EXPECT_EQ(position, (Position{store_->id(), 1, store_->Latest()->commit()}));
    for (size_t i = 0; i < copy->contents.size(); ++i) {
      EXPECT_EQ(copy->manifest.files[i].crc32c, Crc32c(copy->contents[i]));
    }
    EXPECT_EQ(CountIn(copy->manifest, "archive/"), 0u);
    auto follower = OpenCopy(*copy, /*follower=*/true);
    ASSERT_TRUE(follower.ok()) << follower.status();
    ExpectExactly(**follower, position.commit);
    EXPECT_EQ((*follower)->Epochs(), store_->Epochs());
    EXPECT_EQ((*follower)->id(), store_->id());
    const auto own = OpenCopy(*copy, /*follower=*/false);
    ASSERT_TRUE(own.ok()) << own.status();
    ExpectExactly(**own, position.commit);
    EXPECT_EQ((*own)->epoch(), 2u);
  }
}

TEST_F(StoreCopyTest, CanBeReadInPiecesByMany) {
  Commits(100, 1000);
  ASSERT_TRUE(store_->Flush().ok());
  auto copy = store_->MakeCopy(0);
  ASSERT_TRUE(copy.ok()) << copy.status();
  const auto whole = ReadAll(**copy);
  ASSERT_TRUE(whole.ok());
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&, i] {
      std::mt19937_64 random(static_cast<uint64_t>(i));
      for (int k = 0; k < 500; ++k) {
        const size_t file = random() % whole->contents.size();
        const std::string& content = whole->contents[file];
        const uint64_t offset = random() % (content.size() + 1);
        const size_t n = random() % 5000;
        std::string bytes = "left over";
        ASSERT_TRUE((*copy)->Read(file, offset, n, &bytes).ok());
        ASSERT_TRUE(bytes == content.substr(offset, n));
      }
    });
  }
  for (std::thread& reader : readers) reader.join();
  std::string bytes;
  const size_t files = whole->contents.size();
  EXPECT_EQ((*copy)->Read(files, 0, 1, &bytes).code(), absl::StatusCode::kInvalidArgument);
  const uint64_t size = whole->contents[0].size();
  EXPECT_TRUE((*copy)->Read(0, size, ~size_t{0}, &bytes).ok());
  EXPECT_TRUE(bytes.empty());
  EXPECT_EQ((*copy)->Read(0, size + 1, 1, &bytes).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(StoreCopyTest, StaysAsItIsWhileTheStoreGoesOn) {
  options_.wal_keep_bytes = 1 << 20;
  ASSERT_TRUE(Open().ok());
  Commits(100, 1000);
  ASSERT_TRUE(SaveView("view").ok());
  auto copy = store_->MakeCopy(0);
  ASSERT_TRUE(copy.ok()) << copy.status();
  // All that it was made of is rewritten or deleted.
  for (int i = 0; i < 10; ++i) {
    Commits(30, 10'000);
    ASSERT_TRUE(store_->Flush().ok());
    ASSERT_TRUE(SaveView("view").ok());
  }
  ASSERT_TRUE(store_->Compact(std::nullopt).ok());
  ASSERT_TRUE(store_->DeleteViewFile("view").ok());
  const auto read = ReadAll(**copy);
  ASSERT_TRUE(read.ok()) << read.status();
  const auto follower = OpenCopy(*read, true);
  ASSERT_TRUE(follower.ok()) << follower.status();
  ExpectExactly(**follower, 100);
  EXPECT_EQ(LoadView(**follower, "view")->commit, 100u);
}

TEST_F(StoreCopyTest, IsGoneWithItsObject) {
  Commits(10);
  auto first = store_->MakeCopy(0);
  auto second = store_->MakeCopy(0);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(CopiesLeft(), (std::vector<std::string>{"1", "2"}));
  first->reset();
  EXPECT_EQ(CopiesLeft(), std::vector<std::string>{"2"});
  EXPECT_TRUE(ReadAll(**second).ok());
  second->reset();
  EXPECT_TRUE(CopiesLeft().empty());
}

TEST_F(StoreCopyTest, WhatACrashLeavesGoesWhenTheStoreIsOpened) {
  Commits(10);
  ASSERT_TRUE(SaveView("view").ok());
  auto copy = store_->MakeCopy(0);
  ASSERT_TRUE(copy.ok());
  const std::shared_ptr<Fs> left = fs_->Clone("/data");
  copy->reset();
  store_.reset();
  fs_ = left;
  options_.file_system = left;
  EXPECT_FALSE(CopiesLeft().empty());
  ASSERT_TRUE(Open().ok());
  EXPECT_TRUE(CopiesLeft().empty());
  ExpectExactly(*store_, 10);
  EXPECT_TRUE(store_->MakeCopy(0).ok());
}

TEST_F(StoreCopyTest, AViewCatchesUpFromTheLogOfTheCopy) {
  Commits(20);
  ASSERT_TRUE(SaveView("old_view").ok());
  ASSERT_TRUE(store_->Flush().ok());
  Commits(20);
  ASSERT_TRUE(store_->Flush().ok());
  Commits(5);
  ASSERT_TRUE(SaveView("new_view").ok());
  // Not part of a copy.
  ASSERT_TRUE(store_->OpenLocalStore("large_view", 4 << 20).ok());
  auto unfinished = store_->CreateViewFile("half", 1);
  ASSERT_TRUE(unfinished.ok());
  const auto copy = MakeAndRead(20);
  ASSERT_TRUE(copy.ok()) << copy.status();
  std::set<std::string> views;
  for (const CopyFile& file : copy->manifest.files) {
    if (file.path.starts_with("views/")) views.insert(file.path);
  }
  EXPECT_EQ(views, (std::set<std::string>{"views/new_view.view", "views/old_view.view"}));
  for (const bool follower : {true, false}) {
    const auto made = OpenCopy(*copy, follower);
    ASSERT_TRUE(made.ok()) << made.status();
    const auto old_view = LoadView(**made, "old_view");
    ASSERT_TRUE(old_view.ok()) << old_view.status();
    EXPECT_EQ(old_view->commit, 20u);
    ExpectLog(**made, 1, old_view->commit, 45);
    const auto new_view = LoadView(**made, "new_view");
    ASSERT_TRUE(new_view.ok()) << new_view.status();
    ExpectLog(**made, 1, new_view->commit, 45);
  }
}

TEST_F(StoreCopyTest, HasTheLogFromEveryCommitAndNoMoreFilesThanThat) {
  // Files that begin and end with commits, with records of the store's own, and with nothing.
  for (int i = 0; i < 3; ++i) {
    Commits(4);
    ASSERT_TRUE(store_->Flush().ok());
    Commits(1);
    ASSERT_TRUE(Open().ok());
    ASSERT_TRUE(Open().ok());
    Commits(3);
    ASSERT_TRUE(store_->BeginEpoch(store_->epoch() + 1).ok());
    ASSERT_TRUE(store_->Flush().ok());
  }
  // A file that a failed write ended.
  fs_->FailAt(Fs::kSync, 0, Fs::Fault::kIoError, false, ".log");
  EXPECT_FALSE(Commit().ok());
  fs_->Heal();
  ASSERT_TRUE(store_->TryResume().ok());
  Commits(2);
  const uint64_t last = store_->Latest()->commit();
  ASSERT_EQ(last, 27u);
  const auto history = store_->Epochs();
  size_t fewest = 1000;
  for (uint64_t from = 0; from <= last + 1; ++from) {
    const auto copy = MakeAndRead(from);
    ASSERT_TRUE(copy.ok()) << copy.status();
    const size_t files = CountIn(copy->manifest, "archive/");
    EXPECT_LE(files, fewest) << from;
    if (from >= last) {
      EXPECT_EQ(files, 0u);
    }
    fewest = files;
    const auto follower = OpenCopy(*copy, true);
    ASSERT_TRUE(follower.ok()) << follower.status();
    EXPECT_EQ((*follower)->Epochs(), history);
    ExpectExactly(**follower, last);
    uint64_t epoch = 1;
    for (const EpochStart& start : history) {
      if (start.first_commit <= from) epoch = start.epoch;
    }
    if (from <= last) ExpectLog(**follower, epoch, from, last);
    if (from == 0) {
      EXPECT_GT(files, 6u);
    }
  }
}

TEST_F(StoreCopyTest, HasTheLogAsFarAsItGoes) {
  options_.wal_keep_bytes = 1 << 20;
  ASSERT_TRUE(Open().ok());
  for (int i = 0; i < 10; ++i) {
    Commits(10, 50'000);
    ASSERT_TRUE(store_->Flush().ok());
  }
  EXPECT_EQ(Reason(Log(*store_, 1, 0).status()), "POSITION_EXPIRED");
  const auto copy = MakeAndRead(0);
  ASSERT_TRUE(copy.ok()) << copy.status();
  const auto follower = OpenCopy(*copy, true);
  ASSERT_TRUE(follower.ok()) << follower.status();
  ExpectExactly(**follower, 100);
  uint64_t reaches = 0;
  while (!Log(*store_, 1, reaches).ok()) ++reaches;
  ASSERT_LT(reaches, 100u);
  ExpectLog(**follower, 1, reaches, 100);
  EXPECT_EQ(Reason(Log(**follower, 1, reaches - 1).status()), "POSITION_EXPIRED");
}

// Writers, flushes, compactions, saves of views and the trimming of the log go on.
TEST_F(StoreCopyTest, IsConsistentWhateverGoesOn) {
  for (const int64_t keep : {int64_t{1} << 30, int64_t{1} << 20}) {
    const bool trims = keep < 10 << 20;
    options_.path = trims ? "/data/trimmed" : "/data/untrimmed";
    options_.wal_keep_bytes = keep;
    options_.sync_mode = SyncMode::kNormal;
    ASSERT_TRUE(Open().ok());
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> goal{2000};
    const auto repeat = [&](auto action) {
      return std::thread([&, action] {
        while (!stop.load()) {
          const absl::Status status = action();
          EXPECT_TRUE(status.ok()) << status;
        }
      });
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.push_back(repeat([&] {
        if (store_->Latest()->commit() < goal.load()) return Commit(500);
        std::this_thread::yield();
        return absl::OkStatus();
      }));
    }
    threads.push_back(repeat([&] { return SaveView("view"); }));
    threads.push_back(repeat([&] { return store_->Flush(); }));
    threads.push_back(repeat([&] { return store_->Compact(Family::kObjects); }));
    threads.push_back(repeat([&] { return store_->VerifyLog().status(); }));
    uint64_t before = 0;
    for (int round = 0; round < 6; ++round) {
      const uint64_t log_from = store_->Latest()->commit();
      std::thread beside([&] { EXPECT_TRUE(store_->MakeCopy(0).ok()); });
      const auto copy = MakeAndRead(log_from);
      beside.join();
      goal += 2000;
      EXPECT_TRUE(copy.ok()) << copy.status();
      if (!copy.ok()) break;
      const uint64_t commit = copy->manifest.position.commit;
      EXPECT_GE(commit, std::max(log_from, before));
      before = commit;
      ExpectWhole(*copy, log_from, trims);
    }
    stop = true;
    for (std::thread& thread : threads) thread.join();
    EXPECT_GT(before, 2000u);
    EXPECT_TRUE(CopiesLeft().empty());
  }
}

TEST_F(StoreCopyTest, HoldsNothingThatTheStoreCouldLose) {
  for (const SyncMode mode : {SyncMode::kOff, SyncMode::kNormal, SyncMode::kFull}) {
    options_.sync_mode = mode;
    options_.normal_sync_interval_ms = 1'000'000;
    ASSERT_TRUE(Open().ok());
    Commits(10);
    const auto copy = store_->MakeCopy(0);
    ASSERT_TRUE(copy.ok());
    const uint64_t held = (*copy)->manifest().position.commit;
    const auto left = fs_->Clone("/data");
    left->PowerFailure();
    Options options = options_;
    options.file_system = left;
    const auto after = Store::Open(options);
    ASSERT_TRUE(after.ok()) << after.status();
    EXPECT_GE((*after)->Latest()->commit(), held);
  }
}

TEST_F(StoreCopyTest, FilesAreCopiedWhereTheyCannotBeLinked) {
  store_.reset();
  options_.file_system = std::make_shared<WithoutLinks>(fs_);
  ASSERT_TRUE(Open().ok());
  Commits(10, 1000);
  ASSERT_TRUE(store_->Flush().ok());
  Commits(10, 1000);
  ASSERT_TRUE(SaveView("view").ok());
  const auto copy = MakeAndRead(0);
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_GT(CountIn(copy->manifest, "archive/"), 0u);
  const auto follower = OpenCopy(*copy, true);
  ASSERT_TRUE(follower.ok()) << follower.status();
  ExpectExactly(**follower, 20);
  ExpectLog(**follower, 1, 0, 20);
  EXPECT_EQ(LoadView(**follower, "view")->commit, 20u);
}

TEST_F(StoreCopyTest, LeavesNothingWhenItFails) {
  Commits(10);
  ASSERT_TRUE(SaveView("view").ok());
  ASSERT_TRUE(store_->Flush().ok());
  Commits(5);
  store_.reset();
  const std::shared_ptr<Fs> before = fs_;
  int failed = 0;
  // Every write of the copy itself, and some of those with which the store flushes for it:
  // RocksDB takes a second to close after each of these.
  for (const bool flushed : {true, false}) {
    for (int64_t n = 0;; n += flushed ? 1 : 5) {
      fs_ = before->Clone("/data");
      options_.file_system = fs_;
      ASSERT_TRUE(Open().ok());
      ASSERT_TRUE(Commit().ok());
      if (flushed) {
        ASSERT_TRUE(store_->Flush().ok());
      }
      fs_->FailAt(Fs::kAnyWrite, n, n % 2 == 0 ? Fs::Fault::kIoError : Fs::Fault::kNoSpace,
                  /*sticky=*/false);
      const auto copy = store_->MakeCopy(0);
      const bool reached = fs_->Failures() > 0;
      fs_->Heal();
      if (!copy.ok()) {
        ++failed;
        EXPECT_TRUE(CopiesLeft().empty()) << n;
      }
      ExpectExactly(*store_, 16);
      // What failed may have been a write of the store's own.
      ASSERT_TRUE(Open().ok()) << n;
      ExpectExactly(*store_, 16);
      const auto again = MakeAndRead(0);
      ASSERT_TRUE(again.ok()) << n << " " << again.status();
      EXPECT_EQ(again->manifest.position.commit, 16u);
      if (!reached) break;
    }
  }
  EXPECT_GT(failed, 20);
}

TEST_F(StoreCopyTest, WorksOnTheDisk) {
  namespace disk = std::filesystem;
  const disk::path root = disk::path(testing::TempDir()) / "store_copy_disk";
  disk::remove_all(root);
  disk::create_directories(root / "outside");
  std::ofstream(root / "outside" / "kept") << "kept";
  options_.file_system = nullptr;
  options_.path = (root / "store").string();
  ASSERT_TRUE(Open().ok());
  Commits(10, 1000);
  ASSERT_TRUE(store_->Flush().ok());
  Commits(10, 1000);
  ASSERT_TRUE(SaveView("view").ok());
  const disk::path copies = root / "store" / "copies";
  {
    const auto copy = store_->MakeCopy(0);
    ASSERT_TRUE(copy.ok()) << copy.status();
    ASSERT_TRUE(store_->Compact(std::nullopt).ok());
    const auto read = ReadAll(**copy);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_GT(CountIn(read->manifest, "archive/"), 0u);
    Options replica = options_;
    replica.path = (root / "replica").string();
    replica.follower = true;
    const absl::Status received = Receive(*read, nullptr, replica.path);
    ASSERT_TRUE(received.ok()) << received;
    const auto follower = Store::Open(replica);
    ASSERT_TRUE(follower.ok()) << follower.status();
    ExpectExactly(**follower, 20);
    ExpectLog(**follower, 1, 0, 20);
    EXPECT_EQ(LoadView(**follower, "view")->commit, 20u);
    EXPECT_TRUE(disk::exists(copies / "1"));
  }
  EXPECT_TRUE(disk::is_empty(copies));
  // What a crash has left goes, and nothing else.
  store_.reset();
  disk::create_directories(copies / "7" / "views");
  disk::create_directory_symlink(root / "outside", copies / "7" / "archive");
  ASSERT_TRUE(Open().ok());
  EXPECT_FALSE(disk::exists(copies));
  EXPECT_TRUE(disk::exists(root / "outside" / "kept"));
  store_.reset();
  disk::remove_all(root);
}

TEST_F(StoreCopyTest, OldFilesOfTheStoreAreDeletedAfterIt) {
  for (int i = 0; i < 3; ++i) {
    Commits(10);
    ASSERT_TRUE(store_->Flush().ok());
  }
  const auto tables = [&] {
    const auto names = ListDirectory(*fs_, options_.path);
    return names.ok() ? std::count_if(names->begin(), names->end(),
                                      [](const auto& name) { return name.ends_with(".sst"); })
                      : -1;
  };
  // Failed or not.
  fs_->FailAt(Fs::kCreate, 0, Fs::Fault::kIoError, /*sticky=*/true, "/copies/");
  EXPECT_FALSE(store_->MakeCopy(0).ok());
  fs_->Heal();
  const auto copy = store_->MakeCopy(0);
  ASSERT_TRUE(copy.ok()) << copy.status();
  const auto before = tables();
  ASSERT_TRUE(store_->Compact(std::nullopt).ok());
  EXPECT_LT(tables(), before);
}

}  // namespace
}  // namespace cookix::storage
