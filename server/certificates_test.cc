// Certificates that are not as they should be, between servers and from clients: people are told
// what is wrong with which one, and nothing has to be restarted when it is mended.
#include <filesystem>
#include <memory>
#include <string>

#include "client/client.h"
#include "cookix/v1/replication_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/server_fixture.h"
#include "server/test_certificates.h"

namespace cookix::server {
namespace {

using ::testing::HasSubstr;

// A certificate of a primary, and what is said of it.
struct BadCertificate {
  std::string name;
  std::string authority;
  CertificateUse use;
  std::string said;
};

class CertificatesTest : public ServerFixture {
 protected:
  CertificatesTest() {
    certificates_.MakeAuthority("ca");
    certificates_.MakeAuthority("other");
    certificates_.Make("ca", "good");
    certificates_.Make("ca", "server");
    primary_ = SmallServerConfig("primary");
    primary_.tls_cert = certificates_.Path("server.crt");
    primary_.tls_key = certificates_.Path("server.key");
    primary_.tls_reload_seconds = 1;
    replica_ = SmallServerConfig("replica");
    // Before it has the store it has no keys to tell people by.
    replica_.auth = "off";
    replica_.replication_tls_ca = certificates_.Path("ca.crt");
  }
  ~CertificatesTest() override {
    follower_.reset();
    Stop();
    for (const Config* config : {&primary_, &replica_}) {
      std::filesystem::remove_all(config->data_dir);
    }
  }

  void StartReplica() {
    replica_.replica_of = target();
    auto server = Server::Start(replica_, *log_);
    ASSERT_TRUE(server.ok()) << server.status();
    follower_ = *std::move(server);
    follower_channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(follower_->port()),
                                            grpc::InsecureChannelCredentials());
  }

  v1::GetReplicationStatusResponse Status() {
    v1::GetReplicationStatusResponse response;
    const auto status =
        v1::ReplicationService::NewStub(follower_channel_)
            ->GetReplicationStatus(Context().get(), v1::GetReplicationStatusRequest(), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  bool Says(const std::string& error) {
    return Eventually([&] { return Status().last_error().find(error) != std::string::npos; });
  }

  bool Follows() {
    return Eventually([&] { return Status().state() == v1::REPLICA_STATE_FOLLOWING; });
  }

  // What a client of the primary hears.
  absl::Status Call(const std::string& client = "") {
    client::RemoteOptions options;
    options.target = target();
    options.tls = true;
    options.ca_pem = certificates_.Read("ca.crt");
    if (!client.empty()) {
      options.certificate_pem = certificates_.Read(client + ".crt");
      options.key_pem = certificates_.Read(client + ".key");
    }
    options.retry.max_attempts = 1;
    v1::GetInfoResponse response;
    return (*client::ConnectRemote(options))->GetInfo({}, &response);
  }

  TestCertificates certificates_;
  Config primary_;
  Config replica_;
  std::unique_ptr<Server> follower_;
  std::shared_ptr<grpc::Channel> follower_channel_;
};

class BadCertificatesTest : public CertificatesTest,
                            public testing::WithParamInterface<BadCertificate> {};

TEST_P(BadCertificatesTest, AreRefusedWithAReasonUntilThereIsAGoodOne) {
  certificates_.Make(GetParam().authority, "bad", GetParam().use);
  certificates_.Replace("server", "bad");
  Start(primary_);
  const absl::Status refused = Call();
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refused.message()), HasSubstr(GetParam().said));
  StartReplica();
  EXPECT_TRUE(Says(GetParam().said)) << Status().last_error();
  // It goes on trying.
  EXPECT_EQ(Status().state(), v1::REPLICA_STATE_CONNECTING);
  certificates_.Replace("server", "good");
  EXPECT_TRUE(Follows()) << Status().last_error();
  EXPECT_TRUE(Call().ok());
}

INSTANTIATE_TEST_SUITE_P(
    All, BadCertificatesTest,
    testing::Values(
        BadCertificate{"Expired", "ca", TestCertificates::Expired(),
                       "its certificate (CN = bad) expired on Jan  2 00:00:00 2020 GMT"},
        BadCertificate{"NotYetValid", "ca", TestCertificates::NotYetValid(),
                       "its certificate (CN = bad) is not valid before Jan  1 00:00:00 2098 GMT"},
        BadCertificate{"ForAnotherName", "ca",
                       CertificateUse{.names = "DNS:db9.example,IP:192.0.2.1"},
                       "its certificate (CN = bad) is for DNS:db9.example, IP Address:192.0.2.1, "
                       "not for 127.0.0.1"},
        BadCertificate{"OfAnotherAuthority", "other", CertificateUse(),
                       "its certificate (CN = bad) is of an authority that is not trusted here "
                       "(CN = other)"}),
    [](const auto& tested) { return tested.param.name; });

// What it shows, and whom it trusts, a replica reads for each attempt to connect.
TEST_F(CertificatesTest, AReplicaShowsOneThatIsGood) {
  certificates_.Make("other", "shown");
  certificates_.Make("ca", "expired", TestCertificates::Expired());
  primary_.tls_client_ca = certificates_.Path("ca.crt");
  Start(primary_);
  EXPECT_THAT(std::string(Call().message()),
              HasSubstr("it asks for a client certificate, and this side has none"));
  EXPECT_THAT(
      std::string(Call("shown").message()),
      HasSubstr("it closes the connection when it is shown this side's certificate (CN = shown)"));
  EXPECT_THAT(std::string(Call("expired").message()),
              HasSubstr("(CN = expired), which expired on Jan  2 00:00:00 2020 GMT"));
  replica_.replication_tls_cert = certificates_.Path("shown.crt");
  replica_.replication_tls_key = certificates_.Path("shown.key");
  StartReplica();
  EXPECT_TRUE(
      Says("it closes the connection when it is shown this side's certificate (CN = shown)"));
  EXPECT_EQ(Status().state(), v1::REPLICA_STATE_CONNECTING);
  certificates_.Replace("shown", "good");
  EXPECT_TRUE(Follows()) << Status().last_error();
}

TEST_F(CertificatesTest, BothSidesSpeakTlsOrNeitherDoes) {
  Start(primary_);
  replica_.replication_tls_ca.clear();
  StartReplica();
  EXPECT_TRUE(Says("it speaks TLS, and this side plain text")) << Status().last_error();
  follower_.reset();
  Stop();
  primary_.tls_cert.clear();
  primary_.tls_key.clear();
  Start(primary_);
  EXPECT_THAT(std::string(Call().message()), HasSubstr("it does not speak TLS"));
}

}  // namespace
}  // namespace cookix::server
