#include "storage/backup/restore.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "storage/backup/backup_fixture.h"
#include "storage/note_file.h"

namespace cookix::storage {
namespace {

namespace stdfs = std::filesystem;

class RestoreTest : public BackupFixture {
 protected:
  void Restart(bool follower, const std::shared_ptr<Fs>& fs, const std::string& path) {
    store_.reset();
    store_options_ = OptionsFor(fs, path);
    store_options_.follower = follower;
    ASSERT_TRUE(OpenStore().ok());
  }
};

TEST_F(RestoreTest, BringsBackTheStoreAsItWasAtEachCommit) {
  Commits(7);
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(Backup().ok());
    Commits(5);
    ASSERT_TRUE(Backups().ArchiveLog(*store_, Go).ok());
    Commits(4, 3000);
  }
  ASSERT_TRUE(Backups().ArchiveLog(*store_, Go).ok());
  const uint64_t last = store_->Latest()->commit();
  for (uint64_t commit = 7; commit <= last; ++commit) {
    ExpectRestores({.commit = commit}, commit);
    // Also from the oldest one, by repeating the log alone.
    ExpectRestores({.backup = 1, .commit = commit}, commit);
  }
  ExpectRestores({}, last);
  ExpectRestores({.backup = 2}, 16);
  const auto early = RestoreTo({.commit = 6}, Fs::InMemory());
  EXPECT_EQ(Reason(early.status()), "BACKUP_NOT_FOUND") << early.status();
  const auto late = RestoreTo({.commit = last + 1}, Fs::InMemory());
  EXPECT_EQ(late.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_NE(late.status().message().find("up to commit " + std::to_string(last)),
            absl::string_view::npos)
      << late.status();
  const auto wrong = RestoreTo({.backup = 4, .commit = 20}, Fs::InMemory());
  EXPECT_EQ(Reason(wrong.status()), "INVALID_FIELD") << wrong.status();
  EXPECT_EQ(Reason(RestoreTo({.backup = 9}, Fs::InMemory()).status()), "BACKUP_NOT_FOUND");
  EXPECT_EQ(Reason(RestoreTo({.commit = 9, .time_ms = 9}, Fs::InMemory()).status()),
            "INVALID_FIELD");
}

TEST_F(RestoreTest, BringsBackTheStoreAsItWasAtATime) {
  Commits(5);
  const int64_t fifth = now_ms_;
  ASSERT_TRUE(Backup().ok());
  Commits(10);
  ASSERT_TRUE(Backup().ok());
  Commits(5);
  ASSERT_TRUE(Backups().ArchiveLog(*store_, Go).ok());
  for (int64_t after = 0; after <= 15; ++after) {
    const auto commit = static_cast<uint64_t>(5 + after);
    ExpectRestores({.time_ms = fifth + 1000 * after}, commit);
    ExpectRestores({.time_ms = fifth + 1000 * after + 999}, commit);
  }
  EXPECT_EQ(Reason(RestoreTo({.time_ms = fifth - 1}, Fs::InMemory()).status()), "BACKUP_NOT_FOUND");
  const auto within = RestoreTo({.time_ms = fifth + 3000}, Fs::InMemory());
  ASSERT_TRUE(within.ok());
  EXPECT_FALSE(within->at_end);
  EXPECT_EQ(within->backup, 1u);
  EXPECT_EQ(within->replayed, 3u);
  EXPECT_EQ(within->commit_time_ms, fifth + 3000);
  const auto beyond = RestoreTo({.time_ms = now_ms_ + 5000}, Fs::InMemory());
  ASSERT_TRUE(beyond.ok());
  EXPECT_TRUE(beyond->at_end);
  EXPECT_EQ(beyond->position.commit, 20u);
}

TEST_F(RestoreTest, TellsHistoriesThatWentSeparateWaysApart) {
  Commits(10);
  ASSERT_TRUE(Backup().ok());
  Commits(20);
  ASSERT_TRUE(Backup().ok());
  const std::map<uint64_t, Content> first = history_;
  // Back to commit 15, and on from there, into the same directory of backups.
  const auto to = Fs::InMemory();
  ASSERT_TRUE(RestoreTo({.commit = 15}, to).ok());
  Restart(/*follower=*/false, to, kRestored);
  ASSERT_EQ(store_->epoch(), 2u);
  Commits(5, 300);
  const auto archived = Backups().ArchiveLog(*store_, Go);
  ASSERT_TRUE(archived.ok()) << archived.status();
  EXPECT_EQ(archived->last, 20u);
  ASSERT_TRUE(Backup().ok());
  Commits(5, 400);
  ASSERT_TRUE(Backups().ArchiveLog(*store_, Go).ok());
  EXPECT_TRUE(Damage().empty());
  // What was begun last is meant, unless another epoch is named.
  ExpectRestores({}, 25);
  for (uint64_t commit = 10; commit <= 25; ++commit) ExpectRestores({.commit = commit}, commit);
  ExpectRestores({.backup = 3}, 20);
  const std::map<uint64_t, Content> second = history_;
  history_ = first;
  for (uint64_t commit = 10; commit <= 30; ++commit) {
    ExpectRestores({.commit = commit, .epoch = 1}, commit);
  }
  ExpectRestores({.epoch = 1}, 30);
  EXPECT_TRUE(first.at(20) != second.at(20));
  EXPECT_EQ(Reason(RestoreTo({.backup = 2, .commit = 30}, Fs::InMemory()).status()),
            "INVALID_FIELD");
  EXPECT_EQ(Reason(RestoreTo({.epoch = 7}, Fs::InMemory()).status()), "BACKUP_NOT_FOUND");
}

TEST_F(RestoreTest, EpochsWithAndWithoutCommitsAreRepeated) {
  Commits(5);
  ASSERT_TRUE(Backup().ok());
  for (const int commits : {3, 0, 2, 0}) {
    ASSERT_TRUE(store_->BeginEpoch(store_->epoch() + 2).ok());
    Commits(commits);
    ASSERT_TRUE(Backups().ArchiveLog(*store_, Go).ok());
  }
  const uint64_t last = store_->Latest()->commit();
  for (uint64_t commit = 5; commit <= last; ++commit) ExpectRestores({.commit = commit}, commit);
  ASSERT_TRUE(Backup().ok());
  ExpectRestores({}, last);
  const auto to = Fs::InMemory();
  ASSERT_TRUE(RestoreTo({}, to).ok());
  EXPECT_EQ((*OpenRestored(to))->Epochs(), store_->Epochs());
}

TEST_F(RestoreTest, ABackupOfAnEpochWithoutCommitsIsGoneOnFrom) {
  Commits(5);
  // Another server has the same.
  ASSERT_TRUE(store_->Checkpoint("/cookix-test/other").ok());
  Options options = OptionsFor(store_options_.file_system, "/cookix-test/other");
  options.follower = true;
  auto opened = Store::Open(options);
  ASSERT_TRUE(opened.ok()) << opened.status();
  std::unique_ptr<Store> other = *std::move(opened);
  // This one leads, is backed up, and took no writes when the other one leads.
  ASSERT_TRUE(store_->BeginEpoch(1000).ok());
  ASSERT_TRUE(Backup().ok());
  ASSERT_TRUE(store_->BecomeFollower().ok());
  ASSERT_TRUE(other->BeginEpoch(2000).ok());
  std::swap(store_, other);
  Commits(3);
  const auto reader = store_->ReadLog(other->Latest()->position());
  ASSERT_TRUE(reader.ok()) << reader.status();
  const auto commits = (*reader)->Next(10, absl::ZeroDuration());
  ASSERT_TRUE(commits.ok()) << commits.status();
  std::vector<std::string_view> records;
  for (const LogCommitPtr& commit : *commits) records.push_back(commit->batch);
  ASSERT_TRUE(other->Replicate(store_->Epochs(), records).ok());
  // Its backups are those of the history that it is a part of now.
  const auto archived = Backups().ArchiveLog(*other, Go);
  ASSERT_TRUE(archived.ok()) << archived.status();
  EXPECT_EQ(archived->last, 8u);
  for (uint64_t commit = 5; commit <= 8; ++commit) ExpectRestores({.commit = commit}, commit);
  ExpectRestores({}, 8);
  ExpectRestores({.epoch = 2000}, 8);
}

TEST_F(RestoreTest, AGapSaysUpToWhereTheStoreCanBeBrought) {
  Commits(5);
  ASSERT_TRUE(Backup().ok());
  for (int i = 0; i < 3; ++i) {
    Commits(5);
    ASSERT_TRUE(Backups().ArchiveLog(*store_, Go).ok());
  }
  for (const std::string& file : Files()) {
    if (file.find("0011-") == std::string::npos) continue;
    ASSERT_TRUE(backup_fs_->DeleteFile(std::string(kBackups) + "/" + file, {}, nullptr).ok());
  }
  ExpectRestores({.commit = 10}, 10);
  for (const RestoreTarget& target :
       {RestoreTarget{.commit = 13}, RestoreTarget{.commit = 18}, RestoreTarget{}}) {
    const auto to = Fs::InMemory();
    const absl::Status status = RestoreTo(target, to).status();
    EXPECT_EQ(Reason(status), "POSITION_EXPIRED") << status;
    EXPECT_NE(status.message().find("up to commit 10"), absl::string_view::npos) << status;
    // Nothing was begun.
    EXPECT_TRUE(FilesIn(*to, kRestored, "").empty());
  }
}

TEST_F(RestoreTest, ADamagedSegmentDoesNotMatterWhenAnotherHasItsCommits) {
  Commits(5);
  ASSERT_TRUE(Backup().ok());
  Commits(5);
  ASSERT_TRUE(Backups().ArchiveLog(*store_, Go).ok());
  for (const std::string& file : Files()) {
    if (!file.starts_with("log/")) continue;
    ASSERT_TRUE(backup_fs_->FlipAtRest(std::string(kBackups) + "/" + file, 100).ok());
  }
  const auto to = Fs::InMemory();
  const absl::Status status = RestoreTo({.commit = 8}, to).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_NE(status.message().find("up to commit 5"), absl::string_view::npos) << status;
  EXPECT_NE(status.message().find("log/"), absl::string_view::npos) << status;
  // The store still has them.
  Commits(2);
  ASSERT_TRUE(Backups().ArchiveLog(*store_, Go).ok());
  ExpectRestores({.commit = 8}, 8);
  ExpectRestores({}, 12);
}

TEST_F(RestoreTest, ARestoredStoreFollowsItsOriginalOrGoesItsOwnWay) {
  Commits(10);
  ASSERT_TRUE(Backup().ok());
  Commits(10);
  const auto to = Fs::InMemory();
  ASSERT_TRUE(RestoreTo({.commit = 17}, to).status().code() == absl::StatusCode::kOutOfRange);
  ASSERT_TRUE(Backups().ArchiveLog(*store_, Go).ok());
  ASSERT_TRUE(RestoreTo({.commit = 17}, to).ok());
  {
    const auto follower = OpenRestored(to, /*follower=*/true);
    ASSERT_TRUE(follower.ok());
    EXPECT_EQ((*follower)->Epochs(), store_->Epochs());
    const auto reader = store_->ReadLog({store_->id(), 1, 17});
    ASSERT_TRUE(reader.ok());
    const auto commits = (*reader)->Next(100, absl::ZeroDuration());
    ASSERT_TRUE(commits.ok());
    std::vector<std::string_view> records;
    for (const LogCommitPtr& commit : *commits) records.push_back(commit->batch);
    ASSERT_EQ(records.size(), 3u);
    ASSERT_TRUE((*follower)->Replicate(store_->Epochs(), records).ok());
    EXPECT_TRUE(ContentOf(**follower) == history_[20]);
  }
  const auto elsewhere = Fs::InMemory();
  ASSERT_TRUE(RestoreTo({.commit = 17}, elsewhere).ok());
  const auto own = OpenRestored(elsewhere, /*follower=*/false);
  ASSERT_TRUE(own.ok());
  EXPECT_EQ((*own)->epoch(), 2u);
  EXPECT_EQ((*own)->Epochs().back().first_commit, 18u);
}

TEST_F(RestoreTest, OverwritesNothing) {
  Commits(10);
  ASSERT_TRUE(Backup().ok());
  const auto to = Fs::InMemory();
  ASSERT_TRUE(RestoreTo({}, to).ok());
  const std::vector<std::string> before = FilesIn(*to, kRestored, "");
  EXPECT_EQ(Reason(RestoreTo({}, to).status()), "NOT_EMPTY");
  EXPECT_EQ(FilesIn(*to, kRestored, ""), before);
  ExpectRestored(to, 10);
  for (const char* name : {"letter", "COOKIX", "incoming", "CURRENT"}) {
    const auto used = Fs::InMemory();
    ASSERT_TRUE(MakeDirectories(*used, kRestored).ok());
    const std::string file = std::string(kRestored) + "/" + name;
    ASSERT_TRUE(rocksdb::WriteStringToFile(used.get(), "mine", file, true).ok());
    EXPECT_EQ(Reason(RestoreTo({}, used).status()), "NOT_EMPTY") << name;
    EXPECT_EQ(FilesIn(*used, kRestored, ""), std::vector<std::string>{name});
  }
  const auto empty = Fs::InMemory();
  ASSERT_TRUE(MakeDirectories(*empty, kRestored).ok());
  EXPECT_TRUE(RestoreTo({}, empty).ok());
  EXPECT_EQ(Reason(Restore({.from = "/cookix-test/nothing",
                            .to = kRestored,
                            .from_file_system = backup_fs_,
                            .to_file_system = Fs::InMemory()},
                           Go)
                       .status()),
            "BACKUP_NOT_FOUND");
}

TEST_F(RestoreTest, WhatIsNotFinishedOpensAsNoStore) {
  Commits(10, 1000);
  ASSERT_TRUE(Backup().ok());
  Commits(10, 1000);
  ASSERT_TRUE(Backups().ArchiveLog(*store_, Go).ok());
  int stopped = 0;
  for (int after = 0;; ++after) {
    const auto to = Fs::InMemory();
    int asked = 0;
    const auto stop = [&] {
      return asked++ < after ? absl::OkStatus() : absl::CancelledError("enough");
    };
    const RestoreOptions options{
        .from = kBackups, .to = kRestored, .from_file_system = backup_fs_, .to_file_system = to};
    const absl::Status status = Restore(options, stop).status();
    if (status.ok()) break;
    ASSERT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
    ++stopped;
    EXPECT_FALSE(OpenRestored(to).ok());
    Options fresh = OptionsFor(to, kRestored);
    const bool begun = !FilesIn(*to, kRestored, "").empty();
    if (begun) {
      EXPECT_EQ(Store::Open(fresh).status().code(), absl::StatusCode::kFailedPrecondition);
    }
    ASSERT_TRUE(Restore(options, Go).ok());
    ExpectRestored(to, 20);
  }
  EXPECT_GT(stopped, 20);
}

// On the operating system's files, for those in memory have no links.
class RestoreLinksTest : public RestoreTest {
 protected:
  RestoreLinksTest() : root_(std::string(std::getenv("TEST_TMPDIR")) + "/restore_links") {
    stdfs::remove_all(root_);
    stdfs::create_directories(root_);
  }
  ~RestoreLinksTest() override { stdfs::remove_all(root_); }

  std::string Path(const std::string& name) const { return root_ + "/" + name; }
  BackupDirectory OnDisk() { return BackupDirectory({.path = Path("backups")}); }
  absl::Status RestoreOnDisk(const std::string& to) {
    return Restore({.from = Path("backups"), .to = to}, Go).status();
  }

  const std::string root_;
};

TEST_F(RestoreLinksTest, WorksOnDisk) {
  Commits(10, 100'000);
  ASSERT_TRUE(OnDisk().Create(*store_, 0, false, Go).ok());
  Commits(10);
  ASSERT_TRUE(OnDisk().ArchiveLog(*store_, Go).ok());
  ASSERT_TRUE(RestoreOnDisk(Path("restored")).ok());
  Options options = OptionsFor(nullptr, Path("restored"));
  options.must_exist = true;
  const auto restored = Store::Open(options);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_TRUE(ContentOf(**restored) == history_[20]);
  // Missing parents are made, a trailing slash does not matter.
  ASSERT_TRUE(RestoreOnDisk(Path("some/where/") + "/").ok());
  EXPECT_TRUE(stdfs::exists(Path("some/where/COOKIX")));
}

TEST_F(RestoreLinksTest, FollowsNoLinksInTheTarget) {
  Commits(5);
  ASSERT_TRUE(OnDisk().Create(*store_, 0, false, Go).ok());
  stdfs::create_directories(Path("elsewhere"));
  stdfs::create_directory_symlink(Path("elsewhere"), Path("link"));
  EXPECT_EQ(Reason(RestoreOnDisk(Path("link"))), "NOT_EMPTY");
  EXPECT_EQ(Reason(RestoreOnDisk(Path("link") + "/")), "NOT_EMPTY");
  stdfs::create_directories(Path("dangling_target"));
  stdfs::create_symlink(Path("nowhere"), Path("dangling"));
  EXPECT_EQ(Reason(RestoreOnDisk(Path("dangling"))), "NOT_EMPTY");
  for (const char* name : {"incoming", "RESTORING", "RESTORING.new", "COOKIX.LOCK", "views"}) {
    const std::string to = Path(std::string("with_") + name);
    stdfs::create_directories(to);
    stdfs::create_symlink(Path("elsewhere"), to + "/" + name);
    EXPECT_EQ(Reason(RestoreOnDisk(to)), "NOT_EMPTY") << name;
    // Also in what an earlier attempt left.
    stdfs::remove(to + "/RESTORING");
    std::ofstream(to + "/RESTORING") << "x";
    EXPECT_EQ(RestoreOnDisk(to).ok(), std::string(name) == "RESTORING") << name;
  }
  std::ofstream(Path("file")) << "x";
  EXPECT_EQ(Reason(RestoreOnDisk(Path("file"))), "NOT_EMPTY");
  EXPECT_TRUE(stdfs::is_empty(Path("elsewhere")));
  EXPECT_FALSE(stdfs::exists(Path("nowhere")));
}

TEST_F(RestoreLinksTest, FollowsNoLinksInTheBackups) {
  Commits(5);
  ASSERT_TRUE(OnDisk().Create(*store_, 0, false, Go).ok());
  Commits(5);
  ASSERT_TRUE(OnDisk().ArchiveLog(*store_, Go).ok());
  std::vector<stdfs::path> places;
  for (const auto& entry : stdfs::recursive_directory_iterator(Path("backups"))) {
    if (entry.path().filename() != "LOCK" && entry.path().filename() != "BACKUPS") {
      places.push_back(entry.path());
    }
  }
  ASSERT_GT(places.size(), 10u);
  int attempt = 0;
  for (const stdfs::path& place : places) {
    // The very same content, somewhere else.
    stdfs::rename(place, Path("moved"));
    stdfs::create_symlink(Path("moved"), place);
    const std::string to = Path("refused" + std::to_string(attempt++));
    const absl::Status status = RestoreOnDisk(to);
    EXPECT_EQ(Reason(status), "CORRUPTION") << place << status;
    EXPECT_FALSE(stdfs::exists(to + "/COOKIX"));
    const auto verified = OnDisk().Verify(std::nullopt, Go);
    EXPECT_TRUE(!verified.ok() || !verified->damage.empty()) << place;
    stdfs::remove(place);
    stdfs::rename(Path("moved"), place);
  }
  EXPECT_TRUE(OnDisk().Verify(std::nullopt, Go)->damage.empty());
  EXPECT_TRUE(RestoreOnDisk(Path("good")).ok());
}

}  // namespace
}  // namespace cookix::storage
