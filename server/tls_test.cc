// TLS and mTLS, with certificates made by openssl while the test runs.
#include "server/tls.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "server/server_fixture.h"
#include "storage/base/status.h"

namespace cookix::server {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
}

class TlsTest : public ServerFixture {
 protected:
  void SetUp() override {
    directory_ = testing::TempDir() + "/tls_" +
                 testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(directory_);
    fs::create_directories(directory_);
    MakeAuthority("ca");
    MakeCertificate("ca", "server");
  }
  void TearDown() override {
    Stop();
    fs::remove_all(directory_);
  }

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }

  void Run(const std::string& command) {
    const std::string line = "cd '" + directory_ + "' && " + command + " >> openssl.log 2>&1";
    ASSERT_EQ(std::system(line.c_str()), 0) << command << "\n" << ReadFile(Path("openssl.log"));
  }

  void MakeAuthority(const std::string& name) {
    Run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
        " -subj /CN=" +
        name + " -keyout " + name + ".key -out " + name + ".crt");
  }

  // <name>.crt and <name>.key, good for localhost.
  void MakeCertificate(const std::string& authority, const std::string& name) {
    Run("openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=" + name +
        " -keyout " + name + ".key -out " + name + ".csr");
    std::ofstream(Path("ext")) << "subjectAltName=DNS:localhost,IP:127.0.0.1\n";
    Run("openssl x509 -req -days 2 -in " + name + ".csr -CA " + authority + ".crt -CAkey " +
        authority + ".key -CAcreateserial -extfile ext -out " + name + ".crt");
  }

  Config TlsConfig() const {
    Config config = TestConfig();
    config.tls_cert = Path("server.crt");
    config.tls_key = Path("server.key");
    config.tls_reload_seconds = 1;
    return config;
  }

  // Calls over a new connection that trusts `authority` and shows a certificate if
  // `client` names one.
  grpc::Status Call(const std::string& authority, const std::string& client = "") {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = ReadFile(Path(authority + ".crt"));
    if (!client.empty()) {
      options.pem_cert_chain = ReadFile(Path(client + ".crt"));
      options.pem_private_key = ReadFile(Path(client + ".key"));
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

  std::string directory_;
};

TEST_F(TlsTest, ClientsThatTrustTheAuthorityGetIn) {
  MakeAuthority("stranger");
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
  config.bootstrap_admin_key_file = Path("admin.key.txt");
  Start(config);
  EXPECT_EQ(Call("ca").error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(TlsTest, MutualTlsAsksForACertificateOfTheAuthority) {
  MakeAuthority("clients");
  MakeAuthority("stranger");
  MakeCertificate("clients", "good");
  MakeCertificate("stranger", "bad");
  Config config = TlsConfig();
  config.tls_client_ca = Path("clients.crt");
  Start(config);
  const grpc::Status good = Call("ca", "good");
  EXPECT_TRUE(good.ok()) << good.error_message();
  EXPECT_FALSE(Call("ca", "bad").ok());
  EXPECT_FALSE(Call("ca").ok());
}

TEST_F(TlsTest, NewCertificatesAreTakenUpWithoutARestart) {
  Start(TlsConfig());
  ASSERT_TRUE(Call("ca").ok());
  MakeAuthority("next");
  MakeCertificate("next", "replacement");
  fs::rename(Path("replacement.key"), Path("server.key"));
  fs::rename(Path("replacement.crt"), Path("server.crt"));
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
  config.tls_cert = Path("missing.crt");
  EXPECT_EQ(field(config), "tls_cert");
  config = TlsConfig();
  config.tls_key = Path("server.crt");
  EXPECT_EQ(field(config), "tls_key");
  config = TlsConfig();
  config.tls_client_ca = Path("ext");
  EXPECT_EQ(field(config), "tls_client_ca");
}

}  // namespace
}  // namespace cookix::server
