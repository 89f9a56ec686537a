// A server whose primary is elected by a real etcd with certificates on both sides and users.
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "cookix/v1/replication_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/election/etcd_process.h"
#include "server/server_fixture.h"
#include "server/test_certificates.h"

namespace cookix::server {
namespace {

class SecuredElectionTest : public ServerFixture {
 protected:
  SecuredElectionTest()
      : etcd_(&certificates_, {"--snapshot-count=1"}), config_(SmallServerConfig("one")) {
    EXPECT_TRUE(etcd_.running());
    etcd_.EnableUsers();
    const EtcdOptions options = etcd_.Options("/cookix/default");
    config_.etcd_endpoints = options.endpoints;
    config_.etcd_prefix = options.prefix;
    config_.etcd_tls_ca = options.tls_ca;
    config_.etcd_tls_cert = options.tls_cert;
    config_.etcd_tls_key = options.tls_key;
    config_.etcd_user = "cookix";
    config_.etcd_password_file = certificates_.Path("password");
    config_.advertise_address = "127.0.0.1:7625";
    config_.sync_mode = "full";
    // Before it has a store it has no keys to tell people by.
    config_.auth = "off";
    config_.found_cluster = true;
  }
  ~SecuredElectionTest() override {
    Stop();
    std::filesystem::remove_all(config_.data_dir);
  }

  void SetPassword(const std::string& password) {
    std::ofstream(certificates_.Path("password")) << password;
  }

  v1::GetReplicationStatusResponse Status() {
    v1::GetReplicationStatusResponse response;
    const auto status = Stub<v1::ReplicationService>()->GetReplicationStatus(
        Context().get(), v1::GetReplicationStatusRequest(), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  bool Says(const std::string& error) {
    return Eventually(
        [&] { return Status().cluster().last_error().find(error) != std::string::npos; });
  }

  bool Leads() {
    return Eventually([&] { return Status().role() == v1::REPLICATION_ROLE_PRIMARY; });
  }

  TestCertificates certificates_;
  EtcdProcess etcd_;
  Config config_;
};

TEST_F(SecuredElectionTest, SaysWhatStandsAgainstItAndLeadsOnceItIsMended) {
  SetPassword("wrong");
  Start(config_);
  EXPECT_TRUE(Says("does not accept user \"cookix\""));
  SetPassword("cookix");
  EXPECT_TRUE(Says("does not let user \"cookix\" read and write below /cookix/default/"));
  EXPECT_NE(Status().role(), v1::REPLICATION_ROLE_PRIMARY);
  etcd_.Grant("cookix", config_.etcd_prefix);
  EXPECT_TRUE(Leads());
  EXPECT_EQ(Status().cluster().last_error(), "");
}

TEST_F(SecuredElectionTest, LeadsOnWhenEtcdForgetsItsToken) {
  SetPassword("cookix");
  etcd_.Grant("cookix", config_.etcd_prefix);
  config_.lease_seconds = 60;
  Start(config_);
  ASSERT_TRUE(Eventually([&] { return Status().cluster().elections_won() == 1; }));
  // The lease is on etcd's disk; the token was in its memory, and in its log before a snapshot.
  etcd_.Restart();
  EXPECT_TRUE(Eventually([&] { return Status().cluster().last_error().empty(); }));
  v1::PutObjectRequest request;
  request.mutable_write()->mutable_object()->mutable_ref()->set_key("a");
  v1::PutObjectResponse response;
  EXPECT_TRUE(Stub<v1::ObjectService>()->PutObject(Context().get(), request, &response).ok());
  EXPECT_EQ(Status().cluster().elections_won(), 1);
}

}  // namespace
}  // namespace cookix::server
