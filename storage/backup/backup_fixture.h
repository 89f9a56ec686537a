// A store, a directory of backups and a place to restore into, each on a file system of its
// own, in memory: for tests.
#ifndef COOKIX_STORAGE_BACKUP_BACKUP_FIXTURE_H_
#define COOKIX_STORAGE_BACKUP_BACKUP_FIXTURE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "rocksdb/file_system.h"
#include "storage/backup/backup_directory.h"
#include "storage/backup/restore.h"
#include "storage/base/status.h"
#include "storage/fault_injection_file_system.h"
#include "storage/file_tree.h"
#include "storage/store.h"

namespace cookix::storage {

class BackupFixture : public testing::Test {
 protected:
  using Fs = FaultInjectionFileSystem;
  // All that users see of a store.
  using Content = std::map<std::string, std::string>;

  static constexpr char kBackups[] = "/cookix-test/backups";
  static constexpr char kRestored[] = "/cookix-test/restored";

  BackupFixture() { store_options_ = OptionsFor(Fs::InMemory(), "/cookix-test/store"); }
  void SetUp() override { ASSERT_TRUE(OpenStore().ok()); }

  Options OptionsFor(std::shared_ptr<rocksdb::FileSystem> fs, std::string path) {
    Options options;
    options.path = std::move(path);
    options.file_system = std::move(fs);
    options.memory_budget_bytes = 16 << 20;
    options.low_disk_bytes = 0;
    options.clock_ms = [this] { return now_ms_; };
    return options;
  }

  absl::Status OpenStore() {
    store_.reset();
    COOKIX_ASSIGN_OR_RETURN(store_, Store::Open(store_options_));
    return absl::OkStatus();
  }

  // Each commit is made a second after the one before it, changes what commits before it
  // wrote, deletes some of it, and is remembered in history_.
  absl::Status Commit(size_t bytes = 20) {
    now_ms_ += 1000;
    COOKIX_RETURN_IF_ERROR(
        store_
            ->Commit({},
                     [&](CommitBatch& batch) {
                       const uint64_t n = batch.commit();
                       const std::string number = std::to_string(n);
                       // Does not compress.
                       std::mt19937_64 random(n);
                       std::string value(bytes, 0);
                       for (char& c : value) c = static_cast<char>(random());
                       batch.Put(Family::kObjects, "last", number);
                       batch.Put(Family::kObjects, "key" + number, number + value);
                       batch.Delete(Family::kObjects, "key" + std::to_string(n / 2));
                       batch.SetChange("change " + number);
                       return absl::OkStatus();
                     })
            .status());
    history_[store_->Latest()->commit()] = ContentOf(*store_);
    return absl::OkStatus();
  }
  void Commits(int count, size_t bytes = 20) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(Commit(bytes).ok());
  }

  static Content ContentOf(Store& store) {
    Content content;
    const auto snapshot = store.Latest();
    const auto iterator = snapshot->Scan(Family::kObjects, {});
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
      content.emplace(iterator->key(), iterator->value());
    }
    EXPECT_TRUE(iterator->status().ok());
    return content;
  }

  BackupDirectory Backups() {
    return BackupDirectory({.file_system = backup_fs_,
                            .path = kBackups,
                            .keep_free_bytes = keep_free_,
                            .clock_ms = [this] { return now_ms_; }});
  }
  absl::StatusOr<BackupReport> Backup(bool full = false) {
    COOKIX_ASSIGN_OR_RETURN(const BackupReport report, Backups().Create(*store_, ~0ULL, full, Go));
    COOKIX_RETURN_IF_ERROR(report.log_status);
    return report;
  }

  // Restores into a new file system and opens the store there as a follower, so that it holds
  // what was restored and nothing else.
  absl::StatusOr<RestoreReport> RestoreTo(const RestoreTarget& target,
                                          const std::shared_ptr<Fs>& to) {
    return Restore({.from = kBackups,
                    .to = kRestored,
                    .target = target,
                    .from_file_system = backup_fs_,
                    .to_file_system = to},
                   Go);
  }
  absl::StatusOr<std::unique_ptr<Store>> OpenRestored(const std::shared_ptr<Fs>& fs,
                                                      bool follower = true) {
    Options options = OptionsFor(fs, kRestored);
    options.must_exist = true;
    options.follower = follower;
    return Store::Open(options);
  }
  void ExpectRestores(const RestoreTarget& target, uint64_t commit) {
    const auto to = Fs::InMemory();
    const auto report = RestoreTo(target, to);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->position.commit, commit);
    ExpectRestored(to, commit);
  }
  void ExpectRestored(const std::shared_ptr<Fs>& to, uint64_t commit) {
    const auto restored = OpenRestored(to);
    ASSERT_TRUE(restored.ok()) << restored.status();
    EXPECT_EQ((*restored)->Latest()->commit(), commit);
    EXPECT_EQ((*restored)->id(), store_->id());
    // Without printing it.
    EXPECT_TRUE(ContentOf(**restored) == history_[commit]) << commit;
  }

  // Verifies everything and returns the damage.
  std::vector<BackupDamage> Damage() {
    const auto report = Backups().Verify(std::nullopt, Go);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? report->damage : std::vector<BackupDamage>();
  }

  // Every file beneath the directory of backups, relative to it, but for its lock.
  std::vector<std::string> Files() { return FilesIn(*backup_fs_, kBackups, ""); }
  static std::vector<std::string> FilesIn(rocksdb::FileSystem& fs, const std::string& directory,
                                          const std::string& prefix) {
    std::vector<std::string> files;
    const auto names = ListDirectory(fs, directory);
    if (!names.ok()) return files;
    for (const std::string& name : *names) {
      if (prefix.empty() && name == kBackupsLock) continue;
      const std::string path = directory + "/" + name;
      if (IsDirectory(fs, path)) {
        for (std::string& file : FilesIn(fs, path, prefix + name + "/")) {
          files.push_back(std::move(file));
        }
      } else {
        files.push_back(prefix + name);
      }
    }
    return files;
  }
  uint64_t SizeOf(const std::string& place) {
    uint64_t size = 0;
    EXPECT_TRUE(
        backup_fs_->GetFileSize(std::string(kBackups) + "/" + place, {}, &size, nullptr).ok());
    return size;
  }

  static std::string Reason(const absl::Status& status) {
    const auto detail = GetErrorDetail(status);
    return detail.has_value() ? detail->reason : "";
  }

  static constexpr auto Go = [] { return absl::OkStatus(); };

  int64_t now_ms_ = 1'000'000;
  uint64_t keep_free_ = 0;
  std::shared_ptr<Fs> backup_fs_ = Fs::InMemory();
  Options store_options_;
  std::unique_ptr<Store> store_;
  // What the store held after each commit.
  std::map<uint64_t, Content> history_;
};

}  // namespace cookix::storage

#endif  // COOKIX_STORAGE_BACKUP_BACKUP_FIXTURE_H_
