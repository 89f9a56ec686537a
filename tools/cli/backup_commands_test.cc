#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "storage/base/status.h"
#include "tools/cli/cli_fixture.h"

namespace cookix::cli {
namespace {

namespace stdfs = std::filesystem;

class BackupCommandsTest : public CliTest {
 protected:
  BackupCommandsTest()
      : root_(testing::TempDir() + "/backup_commands-" + std::to_string(getpid())),
        backups_(root_ + "/backups") {
    stdfs::remove_all(root_);
    stdfs::create_directories(root_);
  }
  ~BackupCommandsTest() override {
    client_.reset();
    database_.reset();
    stdfs::remove_all(root_);
  }
  void SetUp() override { Open(root_ + "/data"); }

  void Open(const std::string& path) {
    client_.reset();
    database_.reset();
    engine::DatabaseOptions options;
    options.storage.path = path;
    options.storage.low_disk_bytes = 0;
    options.backup_dir = backups_;
    options.background_work = false;
    auto database = engine::Database::Open(std::move(options));
    ASSERT_TRUE(database.ok()) << database.status();
    database_ = *std::move(database);
    client_ = client::ConnectEmbedded(*database_);
  }

  const std::string root_;
  const std::string backups_;
};

TEST_F(BackupCommandsTest, BacksUpAndRestores) {
  EXPECT_TRUE(Contains(Ok({"backup", "list"}), "no backups"));
  Ok({"put", "tea", "--content", "hot"});
  const std::string made = Ok({"backup", "create"});
  EXPECT_TRUE(Contains(made, "backup 1 at commit")) << made;
  Ok({"put", "coffee", "--content", "black"});
  const int64_t commit = OkJson({"info"})["commit"];
  Ok({"put", "milk", "--content", "white"});
  EXPECT_TRUE(Contains(Ok({"backup", "archive"}), "archived the commits"));
  EXPECT_TRUE(Contains(Ok({"backup", "archive"}), "nothing new"));
  EXPECT_EQ(OkJson({"backup", "list"}), OkJson({"backup", "list", "--from", backups_}));
  EXPECT_EQ(OkJson({"backup", "verify"}), OkJson({"backup", "verify", "--from", backups_}));
  EXPECT_TRUE(Contains(Ok({"backup", "list"}), "archived log: commits"));

  const Json whole = OkJson({"backup", "restore", "--from", backups_, "--to", root_ + "/whole"});
  EXPECT_EQ(whole["commit"], commit + 1);
  EXPECT_EQ(whole["replayed"], 2);
  const std::string text = Ok({"backup", "restore", "--from", backups_, "--to", root_ + "/then",
                               "--commit", std::to_string(commit)});
  EXPECT_TRUE(Contains(text, "restored commit")) << text;
  Ok({"backup", "restore", "--from", backups_, "--to", root_ + "/exact", "--backup", "1"});
  const Outcome again =
      Run({"backup", "restore", "--from", backups_, "--to", root_ + "/exact", "--backup", "1"});
  EXPECT_EQ(again.code, kExitFailure);
  EXPECT_TRUE(Contains(again.err, "nothing is restored into")) << again.err;

  Open(root_ + "/then");
  EXPECT_EQ(Run({"get", "coffee"}).code, kExitOk);
  EXPECT_EQ(Run({"get", "milk"}).code, kExitNotFound);
  Open(root_ + "/exact");
  EXPECT_EQ(Run({"get", "tea"}).code, kExitOk);
  EXPECT_EQ(Run({"get", "coffee"}).code, kExitNotFound);
}

TEST_F(BackupCommandsTest, RestoresAMoment) {
  Ok({"put", "tea", "--content", "hot"});
  Ok({"backup", "create"});
  const Outcome late = Run({"backup", "restore", "--from", backups_, "--to", root_ + "/late",
                            "--time", "2999-12-31T23:59:59Z"});
  EXPECT_EQ(late.code, kExitOk) << late.err;
  EXPECT_TRUE(Contains(late.err, "nothing later is archived")) << late.err;
  for (const char* time : {"1971-01-01T00:00:00+01:00", "1971-01-01 00:00:00", "1000"}) {
    const Outcome early =
        Run({"backup", "restore", "--from", backups_, "--to", root_ + "/early", "--time", time});
    EXPECT_EQ(early.code, kExitNotFound) << early.err;
  }
  const Outcome wrong = Run(
      {"backup", "restore", "--from", backups_, "--to", root_ + "/wrong", "--time", "yesterday"});
  EXPECT_EQ(wrong.code, kExitUsage);
  EXPECT_FALSE(stdfs::exists(root_ + "/wrong"));
}

TEST_F(BackupCommandsTest, ReportsDamage) {
  Ok({"put", "tea", "--content", "hot"});
  Ok({"backup", "create"});
  Ok({"backup", "create", "--full"});
  std::ofstream(backups_ + "/backups/1/files/CURRENT", std::ios::trunc) << "x";
  for (const bool offline : {false, true}) {
    std::vector<std::string> words{"backup", "verify"};
    if (offline) words.insert(words.end(), {"--from", backups_});
    const Outcome bad = Run(words);
    EXPECT_EQ(bad.code, kExitFailure);
    EXPECT_TRUE(Contains(bad.out, "backups/1/files/CURRENT at offset")) << bad.out;
    EXPECT_TRUE(Contains(bad.out, "(backup 1)")) << bad.out;
    words.push_back("2");
    EXPECT_EQ(Run(words).code, kExitOk);
    words.back() = "3";
    EXPECT_EQ(Run(words).code, kExitNotFound);
    words.back() = "two";
    EXPECT_EQ(Run(words).code, kExitUsage);
  }
  EXPECT_EQ(Run({"backup", "prune"}).code, kExitUsage);
  EXPECT_EQ(Run({"backup", "prune", "--keep", "0"}).code, kExitUsage);
  EXPECT_TRUE(Contains(Ok({"backup", "prune", "--keep", "1"}), "removed 1 backups"));
  EXPECT_EQ(Run({"backup", "verify"}).code, kExitOk);
}

}  // namespace
}  // namespace cookix::cli
