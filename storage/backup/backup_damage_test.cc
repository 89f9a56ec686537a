// Backups with damaged files: each is found, with file and place, and none is restored.
#include <algorithm>
#include <random>

#include "storage/backup/backup_fixture.h"

namespace cookix::storage {
namespace {

class BackupDamageTest : public BackupFixture {
 protected:
  void SetUp() override {
    BackupFixture::SetUp();
    // Files of several blocks.
    Commits(20, 20'000);
    ASSERT_TRUE(Backup().ok());
    Commits(10, 9000);
    ASSERT_TRUE(Backups().ArchiveLog(*store_, Go).ok());
    ASSERT_TRUE(Damage().empty());
  }

  std::string PathOf(const std::string& file) { return std::string(kBackups) + "/" + file; }

  // Restoring all that there is must not work; the error names the file.
  void ExpectRefused(const std::string& file) {
    if (file == kBackupsNote) return;  // says whose the backups are, to those who make them
    const auto to = Fs::InMemory();
    const absl::Status status = RestoreTo({}, to).status();
    EXPECT_FALSE(status.ok()) << file;
    EXPECT_NE(status.message().find(file), absl::string_view::npos) << file << ": " << status;
    EXPECT_FALSE(OpenRestored(to).ok());
  }
  void ExpectFound(const std::string& file, uint64_t from, uint64_t to) {
    const std::vector<BackupDamage> damage = Damage();
    ASSERT_EQ(damage.size(), 1u) << file << " " << from;
    EXPECT_EQ(damage[0].file, file);
    EXPECT_GE(damage[0].offset, from) << file << ": " << damage[0].what;
    EXPECT_LE(damage[0].offset, to) << file << ": " << damage[0].what;
    EXPECT_FALSE(damage[0].what.empty());
    if (file.starts_with("backups/") || file.starts_with("shared/")) {
      EXPECT_EQ(damage[0].backups, std::vector<uint64_t>{1}) << file;
    }
  }
  // Truncates or extends.
  void Resize(const std::string& file, uint64_t size) {
    std::string text;
    ASSERT_TRUE(rocksdb::ReadFileToString(backup_fs_.get(), PathOf(file), &text).ok());
    text.resize(size, 'x');
    ASSERT_TRUE(rocksdb::WriteStringToFile(backup_fs_.get(), text, PathOf(file), true).ok());
  }
};

TEST_F(BackupDamageTest, OneBitAnywhereIsFound) {
  std::mt19937_64 random(1);
  for (const std::string& file : Files()) {
    const uint64_t bytes = SizeOf(file);
    ASSERT_GT(bytes, 0u) << file;
    std::vector<uint64_t> offsets{0, bytes - 1, bytes / 2};
    for (int i = 0; i < 5; ++i) offsets.push_back(random() % bytes);
    for (const uint64_t offset : offsets) {
      const uint64_t bit = offset * 8 + random() % 8;
      ASSERT_TRUE(backup_fs_->FlipAtRest(PathOf(file), bit).ok());
      const bool note = file == kBackupsNote;
      // Within a block, or where the block of a checked file begins.
      const uint64_t block = offset / kBackupBlock * kBackupBlock;
      ExpectFound(file, note || block < 4096 ? 0 : block - 4096, offset);
      ASSERT_TRUE(backup_fs_->FlipAtRest(PathOf(file), bit).ok());
    }
  }
  EXPECT_TRUE(Damage().empty());
}

TEST_F(BackupDamageTest, NothingDamagedIsRestored) {
  std::mt19937_64 random(2);
  for (const std::string& file : Files()) {
    for (int i = 0; i < 3; ++i) {
      const uint64_t bit = random() % (SizeOf(file) * 8);
      ASSERT_TRUE(backup_fs_->FlipAtRest(PathOf(file), bit).ok());
      ExpectRefused(file);
      ASSERT_TRUE(backup_fs_->FlipAtRest(PathOf(file), bit).ok());
    }
  }
  ExpectRestores({.commit = 30}, 30);
}

TEST_F(BackupDamageTest, FilesThatAreShorterLongerOrGoneAreFound) {
  for (const std::string& file : Files()) {
    std::string text;
    ASSERT_TRUE(rocksdb::ReadFileToString(backup_fs_.get(), PathOf(file), &text).ok());
    for (const uint64_t size : {uint64_t{0}, text.size() / 2, text.size() - 1}) {
      Resize(file, size);
      ExpectFound(file, 0, size);
      ExpectRefused(file);
    }
    Resize(file, text.size() + 1);
    ExpectFound(file, 0, text.size());
    ExpectRefused(file);
    ASSERT_TRUE(backup_fs_->DeleteFile(PathOf(file), {}, nullptr).ok());
    if (file.starts_with("log/")) {
      ExpectRestores({.commit = 20}, 20);
      EXPECT_EQ(RestoreTo({.commit = 30}, Fs::InMemory()).status().code(),
                absl::StatusCode::kOutOfRange);
    } else if (file == ManifestPlace(1)) {
      EXPECT_TRUE(Backups().List()->backups.empty());
    } else {
      ExpectFound(file, 0, 0);
      ExpectRefused(file);
    }
    ASSERT_TRUE(rocksdb::WriteStringToFile(backup_fs_.get(), text, PathOf(file), true).ok());
  }
  EXPECT_TRUE(Damage().empty());
}

TEST_F(BackupDamageTest, SaysWhichBackupsHaveADamagedFile) {
  ASSERT_TRUE(Backup().ok());
  ASSERT_TRUE(Backup().ok());
  for (const std::string& file : Files()) {
    if (!file.starts_with("shared/")) continue;
    ASSERT_TRUE(backup_fs_->FlipAtRest(PathOf(file), 4000).ok());
    break;  // of the first, and of those that share it
  }
  const std::vector<BackupDamage> damage = Damage();
  ASSERT_EQ(damage.size(), 1u);
  for (const uint64_t number : {1, 2, 3}) {
    const auto one = Backups().Verify(number, Go);
    ASSERT_TRUE(one.ok());
    const std::vector<uint64_t>& having = damage[0].backups;
    const bool has = std::find(having.begin(), having.end(), number) != having.end();
    EXPECT_EQ(!one->damage.empty(), has) << number;
    EXPECT_EQ(!RestoreTo({.backup = number}, Fs::InMemory()).ok(), has) << number;
  }
  EXPECT_EQ(Reason(Backups().Verify(9, Go).status()), "BACKUP_NOT_FOUND");
}

TEST_F(BackupDamageTest, AManifestNamesNothingButFilesOfAStore) {
  auto good = ReadBackupManifest(*backup_fs_, kBackups, 1, nullptr);
  ASSERT_TRUE(good.ok());
  for (const char* path : {"../../evil.sst", "/evil.sst", "a/../../evil.log", "REPLICATION",
                           "incoming/000001.sst", "views//x.view", "COOKIX.LOCK", ""}) {
    BackupManifest bad = *good;
    bad.files.front().file.path = path;
    ASSERT_TRUE(WriteBackupManifest(*backup_fs_, kBackups, bad, 0).ok());
    const auto to = Fs::InMemory();
    const absl::Status status = RestoreTo({.backup = 1}, to).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << path << status;
    EXPECT_TRUE(FilesIn(*to, "/cookix-test", "").empty()) << path;
    EXPECT_EQ(Damage().size(), 1u) << path;
  }
  BackupManifest other = *good;
  other.number = 2;
  ASSERT_TRUE(MakeDirectories(*backup_fs_, PathOf(DirectoryOfBackup(2))).ok());
  ASSERT_TRUE(WriteBackupManifest(*backup_fs_, kBackups, other, 0).ok());
  std::string text;
  ASSERT_TRUE(rocksdb::ReadFileToString(backup_fs_.get(), PathOf(ManifestPlace(2)), &text).ok());
  ASSERT_TRUE(
      rocksdb::WriteStringToFile(backup_fs_.get(), text, PathOf(ManifestPlace(1)), true).ok());
  EXPECT_EQ(RestoreTo({.backup = 1}, Fs::InMemory()).status().code(), absl::StatusCode::kDataLoss);
  other = *good;
  other.format_version = kFormatVersion + 1;
  ASSERT_TRUE(WriteBackupManifest(*backup_fs_, kBackups, other, 0).ok());
  const auto to = Fs::InMemory();
  EXPECT_EQ(Reason(RestoreTo({.backup = 1}, to).status()), "FORMAT_MISMATCH");
  EXPECT_TRUE(FilesIn(*to, "/cookix-test", "").empty());
}

TEST_F(BackupDamageTest, ListsADamagedBackupAndGoesOn) {
  ASSERT_TRUE(Backup().ok());
  ASSERT_TRUE(backup_fs_->FlipAtRest(PathOf(ManifestPlace(2)), 200).ok());
  const auto list = Backups().List();
  ASSERT_TRUE(list.ok()) << list.status();
  ASSERT_EQ(list->backups.size(), 2u);
  EXPECT_TRUE(list->backups[0].damage.empty());
  EXPECT_NE(list->backups[1].damage.find(ManifestPlace(2)), std::string::npos);
  // Nothing is taken for it without being asked to.
  EXPECT_EQ(RestoreTo({}, Fs::InMemory()).status().code(), absl::StatusCode::kDataLoss);
  ExpectRestores({.backup = 1}, 20);
  ExpectRestores({.commit = 30}, 30);
  // The next one is made without it.
  const auto next = Backup();
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->backup.number, 3u);
  ExpectRestores({}, 30);
}

}  // namespace
}  // namespace cookix::storage
