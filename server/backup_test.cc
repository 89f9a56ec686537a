// Backups of a running server, and servers that begin from one.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cookix/v1/backup_service.grpc.pb.h"
#include "cookix/v1/replication_service.grpc.pb.h"
#include "server/server_fixture.h"
#include "storage/backup/restore.h"

namespace cookix::server {
namespace {

namespace stdfs = std::filesystem;

class BackupTest : public ServerFixture {
 protected:
  BackupTest() : root_(testing::TempDir() + "/backup-" + std::to_string(getpid())) {
    stdfs::remove_all(root_);
    stdfs::create_directories(root_);
    config_ = TestConfig();
    config_.in_memory = false;
    config_.data_dir = root_ + "/data";
    config_.backup_dir = root_ + "/backups";
    // What is saved of views is in backups.
    config_.view_checkpoint_seconds = 1;
  }
  ~BackupTest() override {
    Stop();
    stdfs::remove_all(root_);
  }

  grpc::Status Put(const std::string& key, const std::string& name_space = "") {
    v1::PutObjectRequest request;
    request.set_namespace_(name_space);
    v1::ObjectRef& ref = *request.mutable_write()->mutable_object()->mutable_ref();
    ref.set_key(key);
    request.mutable_write()->mutable_object()->set_content("words of " + key);
    v1::PutObjectResponse response;
    return Stub<v1::ObjectService>()->PutObject(Context().get(), request, &response);
  }
  void PutSome(const std::string& prefix, int count) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(Put(prefix + std::to_string(i)).ok());
  }
  std::set<std::string> Keys() {
    v1::ScanObjectsRequest request;
    request.set_page_size(10'000);
    v1::ScanObjectsResponse response;
    const auto status = Stub<v1::ObjectService>()->ScanObjects(Context().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::set<std::string> keys;
    for (const v1::Object& object : response.objects()) keys.insert(object.ref().key());
    return keys;
  }

  v1::CreateBackupResponse Backup() {
    v1::CreateBackupResponse response;
    const auto status = Stub<v1::BackupService>()->CreateBackup(
        Context().get(), v1::CreateBackupRequest(), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.archive_error(), "");
    return response;
  }
  void Archive() {
    v1::ArchiveLogResponse response;
    const auto status =
        Stub<v1::BackupService>()->ArchiveLog(Context().get(), v1::ArchiveLogRequest(), &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  v1::VerifyBackupsResponse Verify() {
    v1::VerifyBackupsResponse response;
    const auto status = Stub<v1::BackupService>()->VerifyBackups(
        Context().get(), v1::VerifyBackupsRequest(), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  v1::GetReplicationStatusResponse Status() {
    v1::GetReplicationStatusResponse response;
    EXPECT_TRUE(
        Stub<v1::ReplicationService>()
            ->GetReplicationStatus(Context().get(), v1::GetReplicationStatusRequest(), &response)
            .ok());
    return response;
  }

  absl::StatusOr<storage::RestoreReport> Restore(const std::string& to,
                                                 const storage::RestoreTarget& target) {
    return storage::Restore({.from = config_.backup_dir, .to = root_ + "/" + to, .target = target},
                            [] { return absl::OkStatus(); });
  }
  // Starts a server on a restored directory in place of the one that runs.
  void StartRestored(const std::string& name) {
    Stop();
    Config config = config_;
    config.data_dir = root_ + "/" + name;
    config.create_data_dir = false;
    Start(config);
  }

  const std::string root_;
  Config config_;
};

TEST_F(BackupTest, IsMadeListedVerifiedAndPruned) {
  Start(config_);
  for (int i = 0; i < 3; ++i) {
    PutSome("round" + std::to_string(i) + "_", 10);
    const v1::CreateBackupResponse made = Backup();
    EXPECT_EQ(made.backup().number(), i + 1);
    EXPECT_GT(made.backup().bytes(), 0);
    EXPECT_FALSE(made.has_gap());
  }
  v1::ListBackupsResponse list;
  ASSERT_TRUE(Stub<v1::BackupService>()
                  ->ListBackups(Context().get(), v1::ListBackupsRequest(), &list)
                  .ok());
  ASSERT_EQ(list.backups_size(), 3);
  ASSERT_EQ(list.log_size(), 1);
  EXPECT_EQ(list.log(0).first(), list.backups(0).commit() + 1);
  EXPECT_GE(list.log(0).last(), list.backups(2).commit());
  const v1::VerifyBackupsResponse good = Verify();
  EXPECT_EQ(good.backups(), 3);
  EXPECT_EQ(good.damage_size(), 0);

  v1::PruneBackupsRequest prune;
  v1::PruneBackupsResponse pruned;
  const auto none = Stub<v1::BackupService>()->PruneBackups(Context().get(), prune, &pruned);
  EXPECT_EQ(ErrorInfoOf(none).reason(), "INVALID_FIELD");
  prune.set_keep(2);
  ASSERT_TRUE(Stub<v1::BackupService>()->PruneBackups(Context().get(), prune, &pruned).ok());
  ASSERT_EQ(pruned.removed_size(), 1);
  EXPECT_EQ(pruned.removed(0), 1);
  EXPECT_GT(pruned.removed_bytes(), 0);

  v1::VerifyBackupsRequest one;
  one.set_number(1);
  v1::VerifyBackupsResponse verified;
  const auto gone = Stub<v1::BackupService>()->VerifyBackups(Context().get(), one, &verified);
  EXPECT_EQ(ErrorInfoOf(gone).reason(), "BACKUP_NOT_FOUND");
  const std::string damaged = config_.backup_dir + "/backups/2/files/CURRENT";
  ASSERT_TRUE(stdfs::exists(damaged));
  std::ofstream(damaged, std::ios::trunc) << "MANIFEST-999999\n";
  const v1::VerifyBackupsResponse bad = Verify();
  ASSERT_EQ(bad.damage_size(), 1);
  EXPECT_EQ(bad.damage(0).file(), "backups/2/files/CURRENT");
  ASSERT_EQ(bad.damage(0).backups_size(), 1);
  EXPECT_EQ(bad.damage(0).backups(0), 2);
}

TEST_F(BackupTest, NeedsADirectoryAndAnAdministrator) {
  config_.backup_dir = "";
  Start(config_);
  v1::CreateBackupResponse made;
  const auto off =
      Stub<v1::BackupService>()->CreateBackup(Context().get(), v1::CreateBackupRequest(), &made);
  EXPECT_EQ(off.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(ErrorInfoOf(off).reason(), "BACKUPS_OFF");
  const std::string admin = MakeKey("*", v1::ROLE_ADMIN);
  const std::string some = MakeKey("default", v1::ROLE_ADMIN);
  const std::string writer = MakeKey("*", v1::ROLE_WRITE);
  v1::ListBackupsResponse list;
  const auto with = [&](const std::string& key) {
    return ErrorInfoOf(Stub<v1::BackupService>()->ListBackups(Context(key).get(),
                                                              v1::ListBackupsRequest(), &list))
        .reason();
  };
  EXPECT_EQ(with(admin), "BACKUPS_OFF");
  EXPECT_EQ(with(some), "PERMISSION_DENIED");
  EXPECT_EQ(with(writer), "PERMISSION_DENIED");
  EXPECT_EQ(with(""), "UNAUTHENTICATED");
}

TEST_F(BackupTest, AServerBeginsFromABackupOrAnyMomentAfter) {
  Start(config_);
  PutSome("a", 10);
  const v1::CreateBackupResponse made = Backup();
  PutSome("b", 5);
  const std::set<std::string> then = Keys();
  const int64_t commit = Status().commit();
  PutSome("c", 5);
  Archive();
  const std::set<std::string> in_the_end = Keys();

  ASSERT_TRUE(Restore("whole", {}).ok());
  ASSERT_TRUE(Restore("then", {.commit = static_cast<uint64_t>(commit)}).ok());
  ASSERT_TRUE(Restore("backup", {.backup = 1}).ok());
  EXPECT_EQ(Restore("data", {}).status().code(), absl::StatusCode::kFailedPrecondition);

  StartRestored("then");
  EXPECT_EQ(Keys(), then);
  EXPECT_EQ(Status().epoch(), made.backup().epoch() + 1);
  PutSome("d", 3);
  StartRestored("backup");
  EXPECT_EQ(Keys().size(), 10u);
  StartRestored("whole");
  EXPECT_EQ(Keys(), in_the_end);
}

TEST_F(BackupTest, TheLogIsArchivedByItself) {
  config_.archive_seconds = 1;
  config_.metrics_listen = "127.0.0.1:0";
  Start(config_);
  PutSome("before", 3);
  const auto tells = [this](const std::string& name, int64_t value) {
    return MetricsText().find(name + " " + std::to_string(value) + "\n") != std::string::npos;
  };
  // There is nothing yet that archived log could follow.
  ASSERT_TRUE(Eventually([&] { return !tells("cookix_archive_failures_total", 0); }));
  EXPECT_TRUE(tells("cookix_archive_last_success_timestamp_seconds", 0));
  Backup();
  PutSome("after", 3);
  ASSERT_TRUE(Eventually([&] { return tells("cookix_archive_last_commit", Status().commit()); }));
  EXPECT_FALSE(tells("cookix_archive_last_success_timestamp_seconds", 0));
  // The machine is lost.
  Stop();
  config_.archive_seconds = 0;
  ASSERT_TRUE(Restore("restored", {}).ok());
  StartRestored("restored");
  EXPECT_EQ(Keys(),
            (std::set<std::string>{"before0", "before1", "before2", "after0", "after1", "after2"}));
}

TEST_F(BackupTest, ANamespaceIsDroppedMeanwhile) {
  Start(config_);
  v1::CreateNamespaceRequest create;
  create.mutable_namespace_()->set_name("shop");
  v1::CreateNamespaceResponse created;
  ASSERT_TRUE(Stub<v1::CatalogService>()->CreateNamespace(Context().get(), create, &created).ok());
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(Put("in_shop" + std::to_string(i), "shop").ok());
  }
  PutSome("kept", 10);
  std::thread dropping([&] {
    v1::DeleteNamespaceRequest request;
    request.set_namespace_("shop");
    request.set_force(true);
    v1::DeleteNamespaceResponse response;
    const auto dropped =
        Stub<v1::CatalogService>()->DeleteNamespace(Context().get(), request, &response);
    EXPECT_TRUE(dropped.ok()) << dropped.error_message();
  });
  const v1::CreateBackupResponse made = Backup();
  dropping.join();
  Archive();
  EXPECT_EQ(Verify().damage_size(), 0);
  ASSERT_TRUE(Restore("early", {.backup = 1}).ok());
  ASSERT_TRUE(Restore("late", {}).ok());
  const auto shop_is_there = [&] {
    v1::GetNamespaceRequest request;
    request.set_namespace_("shop");
    v1::GetNamespaceResponse response;
    return Stub<v1::CatalogService>()->GetNamespace(Context().get(), request, &response).ok();
  };
  StartRestored("late");
  EXPECT_FALSE(shop_is_there());
  EXPECT_EQ(Keys().size(), 10u);
  // Whole, or gone: as the commit has it.
  StartRestored("early");
  EXPECT_EQ(Keys().size(), 10u);
  if (shop_is_there()) {
    v1::CountObjectsRequest request;
    request.set_namespace_("shop");
    v1::CountObjectsResponse response;
    const auto counted =
        Stub<v1::ObjectService>()->CountObjects(Context().get(), request, &response);
    ASSERT_TRUE(counted.ok()) << counted.error_message();
    EXPECT_EQ(response.count(), 300);
  }
}

TEST_F(BackupTest, AReplicaBeginsFromABackupAndNeedsNoCopy) {
  Start(config_);
  PutSome("a", 20);
  Backup();
  PutSome("b", 5);
  Archive();
  ASSERT_TRUE(Restore("replica", {}).ok());
  PutSome("c", 20);

  Config config = config_;
  config.data_dir = root_ + "/replica";
  config.backup_dir = "";
  config.replica_of = target();
  auto replica = Server::Start(config, *log_);
  ASSERT_TRUE(replica.ok()) << replica.status();
  const auto channel = grpc::CreateChannel("127.0.0.1:" + std::to_string((*replica)->port()),
                                           grpc::InsecureChannelCredentials());
  v1::GetReplicationStatusResponse status;
  EXPECT_TRUE(Eventually([&] {
    const auto asked = v1::ReplicationService::NewStub(channel)->GetReplicationStatus(
        Context().get(), v1::GetReplicationStatusRequest(), &status);
    return asked.ok() && status.state() == v1::REPLICA_STATE_FOLLOWING &&
           status.commit() == Status().commit();
  })) << status.ShortDebugString();
  EXPECT_EQ(status.seeds(), 0);
  EXPECT_EQ(status.epoch(), Status().epoch());
  v1::ScanObjectsRequest request;
  request.set_page_size(1000);
  v1::ScanObjectsResponse response;
  ASSERT_TRUE(
      v1::ObjectService::NewStub(channel)->ScanObjects(Context().get(), request, &response).ok());
  EXPECT_EQ(static_cast<size_t>(response.objects_size()), Keys().size());
  replica->reset();
}

}  // namespace
}  // namespace cookix::server
