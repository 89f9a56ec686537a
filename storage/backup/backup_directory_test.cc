#include "storage/backup/backup_directory.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "storage/backup/backup_fixture.h"

namespace cookix::storage {
namespace {

class BackupDirectoryTest : public BackupFixture {
 protected:
  size_t SharedFiles() {
    const std::vector<std::string> files = Files();
    return static_cast<size_t>(std::count_if(files.begin(), files.end(), [](const auto& file) {
      return file.starts_with(std::string(kSharedDirectory) + "/");
    }));
  }
};

TEST_F(BackupDirectoryTest, IsTheStoreAtItsPosition) {
  for (const int more : {0, 1, 30}) {
    Commits(more);
    history_[store_->Latest()->commit()] = ContentOf(*store_);
    const auto made = Backup();
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_EQ(made->backup.position,
              (Position{store_->id(), store_->epoch(), store_->Latest()->commit()}));
    EXPECT_EQ(made->backup.time_ms, now_ms_);
    if (more > 0) {
      EXPECT_EQ(made->backup.commit_time_ms, now_ms_);
    }
    ExpectRestores({.backup = made->backup.number}, store_->Latest()->commit());
  }
  EXPECT_TRUE(Damage().empty());
}

TEST_F(BackupDirectoryTest, IsTakenWhileTheStoreGoesOn) {
  Commits(50, 2000);
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int i = 0; !stop.load(); ++i) {
      ASSERT_TRUE(Commit(2000).ok());
      if (i % 20 == 10) {
        // As a namespace is dropped: all of a range at once.
        ASSERT_TRUE(store_
                        ->Commit({},
                                 [&](CommitBatch& batch) {
                                   batch.DeleteRange(Family::kObjects, "key1", "key7");
                                   batch.SetChange("drop");
                                   return absl::OkStatus();
                                 })
                        .ok());
        history_[store_->Latest()->commit()] = ContentOf(*store_);
      }
    }
  });
  BackupDirectory backups({.file_system = backup_fs_, .path = kBackups});
  // Files that are being copied are rewritten and deleted meanwhile.
  const auto compact = [&] { return store_->Compact(std::nullopt); };
  std::vector<uint64_t> commits;
  for (int i = 0; i < 5; ++i) {
    const uint64_t before = store_->Latest()->commit();
    const auto made = backups.Create(*store_, ~0ULL, false, compact);
    EXPECT_TRUE(made.ok()) << made.status();
    if (!made.ok()) break;
    EXPECT_GE(made->backup.position.commit, before);
    commits.push_back(made->backup.position.commit);
    while (store_->Latest()->commit() < made->backup.position.commit + 25) {
      std::this_thread::yield();
    }
  }
  stop = true;
  writer.join();
  ASSERT_EQ(commits.size(), 5u);
  EXPECT_TRUE(Damage().empty());
  for (uint64_t number = 1; number <= commits.size(); ++number) {
    ExpectRestores({.backup = number}, commits[number - 1]);
  }
}

TEST_F(BackupDirectoryTest, CopiesOnlyWhatIsNew) {
  Commits(100, 10'000);
  ASSERT_TRUE(store_->Compact(std::nullopt).ok());
  const auto first = Backup();
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->backup.new_bytes, first->backup.bytes);
  Commits(1);
  const auto second = Backup();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_LT(second->backup.new_bytes, first->backup.bytes / 5);
  const auto full = Backup(/*full=*/true);
  ASSERT_TRUE(full.ok()) << full.status();
  EXPECT_EQ(full->backup.new_bytes, full->backup.bytes);
  EXPECT_TRUE(Damage().empty());
  ExpectRestores({.backup = 1}, 100);
  ExpectRestores({.backup = 2}, 101);
  ExpectRestores({.backup = 3}, 101);
}

TEST_F(BackupDirectoryTest, TheLogThatViewsNeedIsCopiedOnce) {
  Commits(100, 10'000);
  ASSERT_TRUE(store_->Flush().ok());
  Commits(1);
  for (int i = 0; i < 2; ++i) {
    const auto made = Backups().Create(*store_, /*log_from=*/0, false, Go);
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_GT(made->backup.bytes, 1'000'000u);
    EXPECT_EQ(made->backup.new_bytes > 1'000'000u, i == 0);
    Commits(1);
  }
  EXPECT_TRUE(Damage().empty());
  const auto to = Fs::InMemory();
  ASSERT_TRUE(RestoreTo({.backup = 2}, to).ok());
  const auto restored = OpenRestored(to);
  ASSERT_TRUE(restored.ok()) << restored.status();
  const auto reader = (*restored)->ReadLog({store_->id(), 1, 0});
  ASSERT_TRUE(reader.ok());
  const auto commits = (*reader)->Next(1, absl::ZeroDuration());
  ASSERT_TRUE(commits.ok()) << commits.status();
  EXPECT_EQ((*commits)[0]->commit, 1u);
}

TEST_F(BackupDirectoryTest, AFullOneMendsWhatIsDamaged) {
  Commits(100, 1000);
  ASSERT_TRUE(Backup().ok());
  for (const std::string& file : Files()) {
    if (!file.starts_with("shared/")) continue;
    ASSERT_TRUE(backup_fs_->FlipAtRest(std::string(kBackups) + "/" + file, 8000).ok());
  }
  EXPECT_FALSE(Damage().empty());
  const auto full = Backup(/*full=*/true);
  ASSERT_TRUE(full.ok()) << full.status();
  EXPECT_TRUE(Damage().empty());
  ExpectRestores({.backup = 1}, 100);
  ExpectRestores({.backup = 2}, 100);
}

TEST_F(BackupDirectoryTest, ListsWhatThereIs) {
  const auto none = Backups().List();
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_TRUE(none->backups.empty());
  for (int i = 0; i < 3; ++i) {
    Commits(10);
    ASSERT_TRUE(Backup().ok());
  }
  const auto list = Backups().List();
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->backups.size(), 3u);
  for (uint64_t i = 0; i < 3; ++i) {
    const BackupSummary& backup = list->backups[i];
    EXPECT_EQ(backup.number, i + 1);
    EXPECT_EQ(backup.position.commit, 10 * (i + 1));
    EXPECT_GT(backup.files, 0u);
    EXPECT_GT(backup.bytes, 0u);
    EXPECT_TRUE(backup.damage.empty());
  }
  ASSERT_EQ(list->log.size(), 1u);
  EXPECT_EQ(list->log[0].first, 11u);
  EXPECT_EQ(list->log[0].last, 30u);
  EXPECT_GT(list->log_bytes, 0u);
}

TEST_F(BackupDirectoryTest, PruningKeepsWhatOthersShare) {
  std::vector<uint64_t> commits;
  for (int i = 0; i < 6; ++i) {
    Commits(20, 2000);
    if (i == 3) {
      ASSERT_TRUE(store_->Compact(std::nullopt).ok());
    }
    ASSERT_TRUE(Backup().ok());
    commits.push_back(store_->Latest()->commit());
  }
  const size_t shared = SharedFiles();
  for (const uint64_t keep : {4, 2, 1}) {
    const auto report = Backups().Prune(keep, Go);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_FALSE(report->removed.empty());
    EXPECT_GT(report->removed_bytes, 0u);
    EXPECT_TRUE(Damage().empty());
    for (uint64_t number = 7 - keep; number <= 6; ++number) {
      ExpectRestores({.backup = number}, commits[number - 1]);
    }
    // Also between backups, from the oldest on; not before it.
    const uint64_t oldest = commits[6 - keep];
    ExpectRestores({.commit = oldest}, oldest);
    if (keep > 1) ExpectRestores({.commit = oldest + 7}, oldest + 7);
    EXPECT_EQ(RestoreTo({.commit = oldest - 1}, Fs::InMemory()).status().code(),
              absl::StatusCode::kNotFound);
  }
  EXPECT_LT(SharedFiles(), shared);
  const auto nothing = Backups().Prune(1, Go);
  ASSERT_TRUE(nothing.ok());
  EXPECT_TRUE(nothing->removed.empty());
  EXPECT_EQ(nothing->removed_bytes, 0u);
  EXPECT_EQ(Backups().Prune(0, Go).status().code(), absl::StatusCode::kInvalidArgument);
  // Numbers go on.
  EXPECT_EQ(Backup()->backup.number, 7u);
}

TEST_F(BackupDirectoryTest, PruningRemovesNothingThatADamagedManifestMayName) {
  for (int i = 0; i < 3; ++i) {
    Commits(10, 500);
    ASSERT_TRUE(store_->Compact(std::nullopt).ok());
    ASSERT_TRUE(Backup().ok());
  }
  const size_t shared = SharedFiles();
  const std::string manifest = std::string(kBackups) + "/" + ManifestPlace(3);
  ASSERT_TRUE(backup_fs_->FlipAtRest(manifest, 300).ok());
  const auto report = Backups().Prune(1, Go);
  ASSERT_TRUE(report.ok()) << report.status();
  // The newest that can be read is the second.
  EXPECT_EQ(report->removed, std::vector<uint64_t>{1});
  EXPECT_TRUE(report->kept_for_damaged);
  EXPECT_EQ(SharedFiles(), shared);
  ASSERT_TRUE(backup_fs_->FlipAtRest(manifest, 300).ok());
  EXPECT_TRUE(Damage().empty());
  ExpectRestores({.backup = 2}, 20);
  ExpectRestores({.backup = 3}, 30);
}

TEST_F(BackupDirectoryTest, TwoAtOnceAreRefused) {
  Commits(10);
  int refused = 0;
  const auto meanwhile = [&] {
    EXPECT_EQ(Reason(Backups().Create(*store_, ~0ULL, false, Go).status()), "BACKUP_BUSY");
    EXPECT_EQ(Reason(Backups().ArchiveLog(*store_, Go).status()), "BACKUP_BUSY");
    EXPECT_EQ(Reason(Backups().Prune(1, Go).status()), "BACKUP_BUSY");
    ++refused;
    return absl::OkStatus();
  };
  ASSERT_TRUE(Backups().Create(*store_, ~0ULL, false, meanwhile).ok());
  EXPECT_GT(refused, 0);
  refused = 0;
  ASSERT_TRUE(Backup().ok());
  ASSERT_TRUE(Backups().Prune(1, meanwhile).ok());
  EXPECT_GT(refused, 0);
  EXPECT_TRUE(Backup().ok());
}

TEST_F(BackupDirectoryTest, StopsWhenItIsAskedTo) {
  Commits(10, 500);
  ASSERT_TRUE(Backup().ok());
  const std::vector<std::string> before = Files();
  Commits(10, 500);
  int stopped = 0;
  for (int after = 0;; ++after) {
    int asked = 0;
    const auto stop = [&] {
      return asked++ < after ? absl::OkStatus() : absl::CancelledError("enough");
    };
    const auto made = Backups().Create(*store_, ~0ULL, false, stop);
    if (made.ok()) break;  // it was made, and only the log could not be archived
    EXPECT_EQ(made.status().code(), absl::StatusCode::kCancelled);
    EXPECT_EQ(Files(), before);
    ++stopped;
  }
  EXPECT_GT(stopped, 5);
  EXPECT_EQ(Backups().List()->backups.size(), 2u);
}

TEST_F(BackupDirectoryTest, BelongsToOneStore) {
  Commits(5);
  ASSERT_TRUE(Backup().ok());
  const std::vector<std::string> before = Files();
  store_options_.path = "/cookix-test/another";
  ASSERT_TRUE(OpenStore().ok());
  Commits(5);
  EXPECT_EQ(Reason(Backup().status()), "STORE_MISMATCH");
  EXPECT_EQ(Reason(Backups().ArchiveLog(*store_, Go).status()), "STORE_MISMATCH");
  EXPECT_EQ(Files(), before);
}

TEST_F(BackupDirectoryTest, LeavesOtherDirectoriesAlone) {
  Commits(5);
  ASSERT_TRUE(MakeDirectories(*backup_fs_, kBackups).ok());
  ASSERT_TRUE(
      rocksdb::WriteStringToFile(backup_fs_.get(), "mine", std::string(kBackups) + "/letter", true)
          .ok());
  EXPECT_EQ(Reason(Backup().status()), "STORE_MISMATCH");
  EXPECT_EQ(Files(), std::vector<std::string>{"letter"});
}

TEST_F(BackupDirectoryTest, LeavesSpaceOnTheDisk) {
  Commits(20, 5000);
  ASSERT_TRUE(Backup().ok());
  const std::vector<std::string> before = Files();
  Commits(20, 5000);
  keep_free_ = 100 << 20;
  backup_fs_->SetFreeSpace(100 << 20);
  EXPECT_EQ(Reason(Backup().status()), "DISK_LOW");
  EXPECT_EQ(Files(), before);
  EXPECT_TRUE(Damage().empty());
  backup_fs_->SetFreeSpace(200 << 20);
  EXPECT_TRUE(Backup().ok());
}

TEST_F(BackupDirectoryTest, ArchivesEachCommitOnce) {
  EXPECT_EQ(Reason(Backups().ArchiveLog(*store_, Go).status()), "BACKUP_NOT_FOUND");
  Commits(10);
  ASSERT_TRUE(Backup().ok());
  const auto nothing = Backups().ArchiveLog(*store_, Go);
  ASSERT_TRUE(nothing.ok()) << nothing.status();
  EXPECT_LT(nothing->last, nothing->first);
  Commits(3);
  const auto some = Backups().ArchiveLog(*store_, Go);
  ASSERT_TRUE(some.ok()) << some.status();
  EXPECT_EQ(some->first, 11u);
  EXPECT_EQ(some->last, 13u);
  Commits(2);
  const auto with_backup = Backup();
  ASSERT_TRUE(with_backup.ok()) << with_backup.status();
  EXPECT_EQ(with_backup->log.first, 14u);
  EXPECT_EQ(with_backup->log.last, 15u);
  EXPECT_FALSE(with_backup->log.gap.has_value());
}

TEST_F(BackupDirectoryTest, SaysWhatLeftTheLogBeforeItWasArchived) {
  store_options_.ring_bytes = 0;
  store_options_.wal_keep_bytes = 0;
  store_options_.wal_keep_seconds = 0;
  ASSERT_TRUE(OpenStore().ok());
  Commits(10);
  ASSERT_TRUE(Backup().ok());
  Commits(3);
  ASSERT_TRUE(Backups().ArchiveLog(*store_, Go).ok());
  Commits(10);
  ASSERT_TRUE(store_->Flush().ok());
  Commits(1);
  // The log is gone, and nothing reaches over the gap.
  EXPECT_EQ(Reason(Backups().ArchiveLog(*store_, Go).status()), "POSITION_EXPIRED");
  const auto made = Backup();
  ASSERT_TRUE(made.ok()) << made.status();
  ASSERT_TRUE(made->log.gap.has_value());
  EXPECT_EQ(made->log.gap->first, 14u);
  EXPECT_EQ(made->log.gap->last, 24u);
  Commits(2);
  const auto after = Backups().ArchiveLog(*store_, Go);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->last, 26u);
  ExpectRestores({.commit = 12}, 12);
  ExpectRestores({.commit = 25}, 25);
  ExpectRestores({}, 26);
  const absl::Status between = RestoreTo({.commit = 20}, Fs::InMemory()).status();
  EXPECT_EQ(between.code(), absl::StatusCode::kOutOfRange) << between;
  EXPECT_NE(between.message().find("up to commit 13"), absl::string_view::npos) << between;
  const auto list = Backups().List();
  ASSERT_TRUE(list.ok());
  ASSERT_EQ(list->log.size(), 2u);
  EXPECT_EQ(list->log[0].last, 13u);
  EXPECT_EQ(list->log[1].first, 25u);
}

}  // namespace
}  // namespace cookix::storage
