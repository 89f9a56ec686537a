// TLS and mTLS, with certificates made by openssl while the test runs.
#include "server/tls.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "server/server_fixture.h"
#include "server/test_certificates.h"
#include "storage/base/status.h"

namespace cookix::server {
namespace {

class TlsTest : public ServerFixture {
 protected:
  TlsTest() {
    certificates_.MakeAuthority("ca");
    certificates_.Make("ca", "server");
  }

  Config TlsConfig() const {
    Config config = TestConfig();
    config.tls_cert = certificates_.Path("server.crt");
    config.tls_key = certificates_.Path("server.key");
    config.tls_reload_seconds = 1;
    return config;
  }

  // Calls over a new connection that trusts `authority` and shows a certificate if
  // `client` names one.
  grpc::Status Call(const std::string& authority, const std::string& client = "") {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = certificates_.Read(authority + ".crt");
    if (!client.empty()) {
      options.pem_cert_chain = certificates_.Read(client + ".crt");
      options.pem_private_key = certificates_.Read(client + ".key");
    }
    return CallWith(grpc::SslCredentials(options));
  }

  grpc::Status CallWith(const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    auto channel = grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(server_->port()),
                                             credentials, arguments);
    v1::GetInfoResponse response;
    return v1::AdminService::NewStub(channel)->GetInfo(Context("", 10'000).get(),
                                                       v1::GetInfoRequest(), &response);
  }

  TestCertificates certificates_;
};

TEST_F(TlsTest, ClientsThatTrustTheAuthorityGetIn) {
  certificates_.MakeAuthority("stranger");
  Start(TlsConfig());
  const grpc::Status trusted = Call("ca");
  EXPECT_TRUE(trusted.ok()) << trusted.error_message();
  EXPECT_FALSE(Call("stranger").ok());
  EXPECT_FALSE(CallWith(grpc::InsecureChannelCredentials()).ok());
}

TEST_F(TlsTest, TlsAloneAllowsOtherMachinesOnlyWithKeys) {
  Config config = TlsConfig();
  config.listen = "0.0.0.0:0";
  EXPECT_FALSE(Server::Start(config, *log_).ok());
  config.bootstrap_admin_key_file = certificates_.Path("admin.key.txt");
  Start(config);
  EXPECT_EQ(Call("ca").error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(TlsTest, MutualTlsAsksForACertificateOfTheAuthority) {
  certificates_.MakeAuthority("clients");
  certificates_.MakeAuthority("stranger");
  certificates_.Make("clients", "good");
  certificates_.Make("stranger", "bad");
  Config config = TlsConfig();
  config.tls_client_ca = certificates_.Path("clients.crt");
  Start(config);
  const grpc::Status good = Call("ca", "good");
  EXPECT_TRUE(good.ok()) << good.error_message();
  EXPECT_FALSE(Call("ca", "bad").ok());
  EXPECT_FALSE(Call("ca").ok());
}

TEST_F(TlsTest, NewCertificatesAreTakenUpWithoutARestart) {
  Start(TlsConfig());
  ASSERT_TRUE(Call("ca").ok());
  certificates_.MakeAuthority("next");
  certificates_.Make("next", "replacement");
  certificates_.Replace("server", "replacement");
  EXPECT_TRUE(Eventually([&] { return Call("next").ok(); }));
  EXPECT_FALSE(Call("ca").ok());
}

TEST_F(TlsTest, BadFilesAreNamedAtStart) {
  const auto field = [&](const Config& config) {
    const auto server = Server::Start(config, *log_);
    const auto detail = GetErrorDetail(server.status());
    return detail.has_value() ? detail->field : std::string();
  };
  Config config = TlsConfig();
  config.tls_cert = certificates_.Path("missing.crt");
  EXPECT_EQ(field(config), "tls_cert");
  config = TlsConfig();
  config.tls_key = certificates_.Path("server.crt");
  EXPECT_EQ(field(config), "tls_key");
  config = TlsConfig();
  std::ofstream(certificates_.Path("text")) << "no certificate\n";
  config.tls_client_ca = certificates_.Path("text");
  EXPECT_EQ(field(config), "tls_client_ca");
}

}  // namespace
}  // namespace cookix::server
