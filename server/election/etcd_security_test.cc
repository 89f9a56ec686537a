// A real etcd with certificates on both sides and with users: what is said when one of them is not
// as it should be, and that nobody has to be restarted when it is.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/election/etcd_coordinator.h"
#include "server/election/etcd_process.h"
#include "server/test_certificates.h"
#include "storage/base/status.h"

namespace cookix::server {
namespace {

using ::testing::HasSubstr;

class EtcdSecurityTest : public testing::Test {
 protected:
  // With few transactions in a snapshot: what is said at each is then forgotten in a restart.
  EtcdSecurityTest()
      : etcd_(&certificates_, {"--snapshot-count=1"}), options_(etcd_.Options("/cookix/test")) {
    EXPECT_TRUE(etcd_.running());
  }

  void EnableUsers() {
    etcd_.EnableUsers();
    etcd_.Grant("cookix", options_.prefix);
    options_.user = "cookix";
    options_.password_file = certificates_.Path("password");
    SetPassword("cookix");
  }

  void SetPassword(const std::string& password) {
    std::ofstream(certificates_.Path("password")) << password << "\n";
  }

  std::unique_ptr<Coordinator> Connect() {
    auto made = NewEtcdCoordinator(options_);
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? *std::move(made) : nullptr;
  }

  // What it says is wrong.
  static std::string ErrorOf(Coordinator& coordinator) {
    const absl::Status status = coordinator.Read().status();
    EXPECT_FALSE(status.ok());
    return std::string(status.message());
  }

  static bool Recovers(Coordinator& coordinator) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!coordinator.Read().ok()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
  }

  TestCertificates certificates_;
  EtcdProcess etcd_;
  EtcdOptions options_;
};

TEST_F(EtcdSecurityTest, APasswordIsReadAgain) {
  EnableUsers();
  SetPassword("wrong");
  const auto coordinator = Connect();
  const absl::Status refused = coordinator->Read().status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("etcd at " + etcd_.address() + " does not accept user \"cookix\""));
  EXPECT_EQ(GetErrorDetail(refused)->field, "etcd_password_file");
  EXPECT_EQ(refused.message().find("wrong"), std::string::npos);
  // Leases are asked for by those who want to lead.
  EXPECT_FALSE(coordinator->Grant(std::chrono::seconds(5)).ok());
  SetPassword("cookix");
  EXPECT_TRUE(coordinator->Read().ok());
}

TEST_F(EtcdSecurityTest, ATokenThatEtcdForgotIsReplacedInTheSameCall) {
  EnableUsers();
  const auto coordinator = Connect();
  ASSERT_TRUE(coordinator->Read().ok());
  // Such a token is in etcd's memory, and in its log until the next snapshot.
  int64_t lease = 0;
  const auto forget = [&] {
    for (int i = 0; i < 10; ++i) {
      const auto granted = coordinator->Grant(std::chrono::seconds(60));
      ASSERT_TRUE(granted.ok()) << granted.status();
      lease = granted->id;
    }
    etcd_.Restart();
  };
  ASSERT_NO_FATAL_FAILURE(forget());
  const absl::Status read = coordinator->Read().status();
  EXPECT_TRUE(read.ok()) << read;
  ASSERT_NO_FATAL_FAILURE(forget());
  const auto renewed = coordinator->Renew(lease);
  EXPECT_TRUE(renewed.ok()) << renewed.status();
}

// Those are signed, and good until users are changed.
TEST(EtcdTokensTest, ATokenFromBeforeUsersChangedIsReplacedInTheSameCall) {
  TestCertificates certificates;
  std::ofstream(certificates.Path("secret")) << "what tokens are signed with";
  EtcdProcess etcd(&certificates, {"--auth-token=jwt,sign-method=HS256,ttl=10m,priv-key=" +
                                   certificates.Path("secret")});
  ASSERT_TRUE(etcd.running());
  etcd.EnableUsers();
  EtcdOptions options = etcd.Options("/cookix/test");
  options.user = "root";
  options.password_file = certificates.Path("password");
  std::ofstream(options.password_file) << "root";
  const auto coordinator = NewEtcdCoordinator(options);
  ASSERT_TRUE(coordinator.ok()) << coordinator.status();
  ASSERT_TRUE((*coordinator)->Read().ok());
  etcd.Grant("cookix", options.prefix);
  const absl::Status read = (*coordinator)->Read().status();
  EXPECT_TRUE(read.ok()) << read;
}

TEST_F(EtcdSecurityTest, AUserNeedsThePrefix) {
  EnableUsers();
  options_.prefix = "/cookix/other";
  const auto coordinator = Connect();
  const absl::Status refused = coordinator->Read().status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("does not let user \"cookix\" read and write below /cookix/other/"));
  const auto lease = coordinator->Grant(std::chrono::seconds(60));
  ASSERT_TRUE(lease.ok()) << lease.status();
  const ClusterMember member{"m1", "one"};
  EXPECT_EQ(
      coordinator->Lead(0, {"00", 1, {member}, ""}, {member, "a:1"}, lease->id).status().code(),
      absl::StatusCode::kPermissionDenied);
  etcd_.Grant("cookix", options_.prefix);
  EXPECT_GT(coordinator->Lead(0, {"00", 1, {member}, ""}, {member, "a:1"}, lease->id).value_or(0),
            0);
}

TEST_F(EtcdSecurityTest, UsersAreThereOnBothSidesOrOnNeither) {
  options_.user = "cookix";
  options_.password_file = certificates_.Path("password");
  SetPassword("cookix");
  const auto with_user = Connect();
  EXPECT_THAT(ErrorOf(*with_user), HasSubstr("knows no users"));
  options_.user.clear();
  const auto without_user = Connect();
  EXPECT_TRUE(without_user->Read().ok());
  EnableUsers();
  EXPECT_TRUE(with_user->Read().ok());
  // It shows a certificate for "client", and etcd takes that for the name of a user.
  const absl::Status refused = without_user->Read().status();
  EXPECT_FALSE(refused.ok());
  EXPECT_EQ(GetErrorDetail(refused)->field, "etcd_user") << refused;
}

TEST_F(EtcdSecurityTest, AnotherAuthorityIsNotTrusted) {
  certificates_.MakeAuthority("other");
  certificates_.MakeAuthority("trusted");
  certificates_.Replace("trusted", "other");
  options_.tls_ca = certificates_.Path("trusted.crt");
  const auto coordinator = Connect();
  EXPECT_THAT(ErrorOf(*coordinator),
              HasSubstr("its certificate (CN = etcd) is of an authority that is not trusted here"));
  certificates_.Replace("trusted", "ca");
  EXPECT_TRUE(Recovers(*coordinator));
}

TEST_F(EtcdSecurityTest, EtcdWantsACertificateThatIsGood) {
  certificates_.MakeAuthority("other");
  certificates_.Make("other", "stranger");
  certificates_.Make("ca", "expired", TestCertificates::Expired());
  certificates_.Make("ca", "good");
  certificates_.Make("ca", "shown");
  certificates_.Replace("shown", "stranger");
  options_.tls_cert = certificates_.Path("shown.crt");
  options_.tls_key = certificates_.Path("shown.key");
  const auto coordinator = Connect();
  EXPECT_THAT(ErrorOf(*coordinator),
              HasSubstr("it does not accept this side's certificate (CN = stranger)"));
  certificates_.Replace("shown", "good");
  EXPECT_TRUE(Recovers(*coordinator));
  certificates_.Replace("shown", "expired");
  EXPECT_THAT(ErrorOf(*Connect()), HasSubstr("(CN = expired), which expired on Jan  2"));
  options_.tls_cert.clear();
  options_.tls_key.clear();
  EXPECT_THAT(ErrorOf(*Connect()),
              HasSubstr("it asks for a client certificate, and this side has none"));
  options_.tls_ca.clear();
  EXPECT_THAT(ErrorOf(*Connect()), HasSubstr("it speaks TLS, and this side plain text"));
}

}  // namespace
}  // namespace cookix::server
