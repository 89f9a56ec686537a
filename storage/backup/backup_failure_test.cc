// Every operation of the file system fails once: when backups are made, removed and restored.
// What was there stays whole, what was not finished does not exist, and it works when it is
// tried again.
#include <set>

#include "storage/backup/backup_fixture.h"

namespace cookix::storage {
namespace {

class BackupFailureTest : public BackupFixture {
 protected:
  static constexpr uint32_t kAny = Fs::kAnyWrite | Fs::kDelete;

  // Three ways in which things go wrong: one operation fails, the disk is full from then on,
  // or the machine stops.
  enum class How { kOnce, kFull, kPowerCut };
  static constexpr How kWays[] = {How::kOnce, How::kFull, How::kPowerCut};

  static void FailAt(Fs& fs, int64_t nth, How how) {
    fs.FailAt(how == How::kFull ? uint32_t{Fs::kAnyWrite} : kAny, nth,
              how == How::kFull ? Fs::Fault::kNoSpace : Fs::Fault::kIoError, how != How::kOnce);
  }
  // False when nothing failed: every operation had its turn.
  static bool After(Fs& fs, How how, uint64_t seed) {
    const bool failed = fs.Failures() > 0;
    if (how == How::kPowerCut) fs.PowerFailure(seed);
    fs.Heal();
    return failed;
  }

  // Everything that is listed is whole and can be restored.
  void ExpectAllWhole() {
    const std::vector<BackupDamage> damage = Damage();
    EXPECT_TRUE(damage.empty()) << damage[0].file << ": " << damage[0].what;
    const auto list = Backups().List();
    ASSERT_TRUE(list.ok()) << list.status();
    for (const BackupSummary& backup : list->backups) {
      EXPECT_EQ(backup.damage, "");
      ExpectRestores({.backup = backup.number}, backup.position.commit);
    }
  }

  // What the directory of backups is like before each attempt.
  std::shared_ptr<Fs> Saved() { return backup_fs_->Clone("/cookix-test"); }
};

TEST_F(BackupFailureTest, Creating) {
  Commits(20, 1000);
  ASSERT_TRUE(Backup().ok());
  Commits(10, 1000);
  const std::shared_ptr<Fs> saved = Saved();
  for (const How how : kWays) {
    int64_t nth = 0;
    for (;; ++nth) {
      SCOPED_TRACE("operation " + std::to_string(nth) + ", way " +
                   std::to_string(static_cast<int>(how)));
      backup_fs_ = saved->Clone("/cookix-test");
      FailAt(*backup_fs_, nth, how);
      const auto made = Backups().Create(*store_, ~0ULL, false, Go);
      if (!After(*backup_fs_, how, static_cast<uint64_t>(nth))) {
        ASSERT_TRUE(made.ok());
        break;
      }
      if (made.ok() && made->log_status.ok()) {
        // Only what would have been tidied away could not be.
        EXPECT_EQ(how, How::kOnce);
      }
      ExpectAllWhole();
      const auto list = Backups().List();
      ASSERT_TRUE(list.ok());
      if (how != How::kPowerCut) {
        EXPECT_EQ(list->backups.size(), made.ok() ? 2u : 1u);
      }
      if (how == How::kFull && !made.ok()) {
        EXPECT_EQ(Reason(made.status()), "DISK_LOW") << made.status();
        // A full disk is not kept full.
        EXPECT_EQ(Files(), FilesIn(*saved, kBackups, ""));
      }
      const auto again = Backup();
      ASSERT_TRUE(again.ok()) << again.status();
      ExpectRestores({}, 30);
      ExpectRestores({.commit = 25}, 25);
      if (HasFailure()) return;
    }
    EXPECT_GT(nth, 20);
  }
}

TEST_F(BackupFailureTest, TheFirstOne) {
  Commits(5);
  for (const How how : kWays) {
    int64_t nth = 0;
    for (;; ++nth) {
      SCOPED_TRACE("operation " + std::to_string(nth) + ", way " +
                   std::to_string(static_cast<int>(how)));
      backup_fs_ = Fs::InMemory();
      FailAt(*backup_fs_, nth, how);
      const auto made = Backups().Create(*store_, ~0ULL, false, Go);
      if (!After(*backup_fs_, how, static_cast<uint64_t>(nth))) break;
      // What the machine stopped at may be the very last step.
      if (how != How::kPowerCut) {
        EXPECT_EQ(Backups().List()->backups.size(), made.ok() ? 1u : 0u);
      }
      const auto again = Backup();
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_TRUE(Damage().empty());
      ExpectRestores({}, 5);
      if (HasFailure()) return;
    }
    EXPECT_GT(nth, 20);
  }
}

TEST_F(BackupFailureTest, Archiving) {
  Commits(5);
  ASSERT_TRUE(Backup().ok());
  Commits(5);
  ASSERT_TRUE(Backups().ArchiveLog(*store_, Go).ok());
  Commits(5);
  const std::shared_ptr<Fs> saved = Saved();
  for (const How how : kWays) {
    int64_t nth = 0;
    for (;; ++nth) {
      SCOPED_TRACE("operation " + std::to_string(nth));
      backup_fs_ = saved->Clone("/cookix-test");
      FailAt(*backup_fs_, nth, how);
      const auto archived = Backups().ArchiveLog(*store_, Go);
      if (!After(*backup_fs_, how, static_cast<uint64_t>(nth))) break;
      EXPECT_TRUE(Damage().empty());
      ExpectRestores({.commit = 9}, 9);
      if (archived.ok()) ExpectRestores({}, 15);
      ASSERT_TRUE(Backups().ArchiveLog(*store_, Go).ok());
      ExpectRestores({}, 15);
      if (HasFailure()) return;
    }
    EXPECT_GT(nth, 2);
  }
}

TEST_F(BackupFailureTest, Pruning) {
  for (int i = 0; i < 4; ++i) {
    Commits(5, 500);
    if (i == 2) {
      ASSERT_TRUE(store_->Compact(std::nullopt).ok());
    }
    ASSERT_TRUE(Backup().ok());
  }
  const std::shared_ptr<Fs> saved = Saved();
  for (const How how : kWays) {
    int64_t nth = 0;
    for (;; ++nth) {
      SCOPED_TRACE("operation " + std::to_string(nth) + ", way " +
                   std::to_string(static_cast<int>(how)));
      backup_fs_ = saved->Clone("/cookix-test");
      FailAt(*backup_fs_, nth, how);
      const auto pruned = Backups().Prune(2, Go);
      if (!After(*backup_fs_, how, static_cast<uint64_t>(nth))) {
        ASSERT_TRUE(pruned.ok()) << pruned.status();
        break;
      }
      ExpectAllWhole();
      const auto list = Backups().List();
      ASSERT_TRUE(list.ok());
      ASSERT_GE(list->backups.size(), 2u);
      EXPECT_EQ(list->backups.back().number, 4u);
      const auto again = Backups().Prune(2, Go);
      ASSERT_TRUE(again.ok()) << again.status();
      ExpectAllWhole();
      EXPECT_EQ(Backups().List()->backups.size(), 2u);
      ExpectRestores({.commit = 17}, 17);
      // Nothing is left over.
      std::set<std::string> used;
      for (const uint64_t number : {3, 4}) {
        const auto manifest = ReadBackupManifest(*backup_fs_, kBackups, number, nullptr);
        ASSERT_TRUE(manifest.ok());
        for (const BackupFile& file : manifest->files) used.insert(PlaceOf(number, file.file));
        used.insert(ManifestPlace(number));
      }
      for (const std::string& file : Files()) {
        if (file.starts_with("log") || file == kBackupsNote) continue;
        EXPECT_TRUE(used.contains(file)) << file;
      }
      if (HasFailure()) return;
    }
    EXPECT_GT(nth, how == How::kFull ? 2 : 10);
  }
}

TEST_F(BackupFailureTest, Restoring) {
  Commits(10, 500);
  ASSERT_TRUE(Backup().ok());
  Commits(5, 500);
  ASSERT_TRUE(Backups().ArchiveLog(*store_, Go).ok());
  for (const How how : kWays) {
    int64_t nth = 0;
    for (;; ++nth) {
      SCOPED_TRACE("operation " + std::to_string(nth) + ", way " +
                   std::to_string(static_cast<int>(how)));
      const auto to = Fs::InMemory();
      FailAt(*to, nth, how);
      const auto restored = RestoreTo({}, to);
      if (!After(*to, how, static_cast<uint64_t>(nth))) {
        ASSERT_TRUE(restored.ok()) << restored.status();
        break;
      }
      // It is there, or no store is: never less than what was asked for.
      if (restored.ok()) {
        ExpectRestored(to, 15);
      } else {
        const auto opened = OpenRestored(to);
        if (opened.ok()) {
          EXPECT_TRUE(ContentOf(**opened) == history_[15]);
        }
      }
      const auto again = RestoreTo({}, to);
      if (!again.ok()) {
        // It was finished but for the last sync.
        EXPECT_EQ(Reason(again.status()), "NOT_EMPTY") << again.status();
      }
      ExpectRestored(to, 15);
      if (HasFailure()) return;
    }
    EXPECT_GT(nth, 50);
  }
}

}  // namespace
}  // namespace cookix::storage
