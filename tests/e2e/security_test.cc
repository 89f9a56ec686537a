// Keys, roles, limits and TLS, over the real wire.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "tests/support/requests.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_server.h"

namespace cookix::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr absl::StatusCode kNoKey = absl::StatusCode::kUnauthenticated;
constexpr absl::StatusCode kNoRole = absl::StatusCode::kPermissionDenied;

std::string ReadFile(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

absl::Status Put(client::Client& client, std::string_view key, std::string_view name_space = "") {
  v1::PutObjectRequest request = PutRequest(key);
  request.set_namespace_(std::string(name_space));
  v1::PutObjectResponse response;
  return client.PutObject(request, &response);
}

absl::Status Get(client::Client& client, std::string_view key, std::string_view name_space = "") {
  v1::GetObjectRequest request = GetRequest(key);
  request.set_namespace_(std::string(name_space));
  v1::GetObjectResponse response;
  return client.GetObject(request, &response);
}

class SecurityTest : public ::testing::Test {
 protected:
  void SetUp() override { Start({}); }

  void Start(std::vector<std::string> flags) {
    server_.reset();
    dir_ = MakeTempDir("keys");
    TestServerOptions options;
    options.flags = {"--bootstrap_admin_key_file=" + dir_ + "/admin-key"};
    options.flags.insert(options.flags.end(), flags.begin(), flags.end());
    auto server = TestServer::Start(options);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(server).value();
    secret_ = std::string(absl::StripAsciiWhitespace(ReadFile(dir_ + "/admin-key")));
    ASSERT_FALSE(secret_.empty());
    admin_ = server_->Connect(secret_);
  }

  v1::CreateKeyResponse MakeKey(v1::Role role, std::string name_space, int rpm = 0,
                                int64_t expires_ms = 0) {
    v1::CreateKeyRequest request;
    request.set_name("test");
    v1::Grant* grant = request.add_grants();
    grant->set_namespace_(std::move(name_space));
    grant->set_role(role);
    request.set_requests_per_minute(rpm);
    request.set_expires_ms(expires_ms);
    v1::CreateKeyResponse response;
    EXPECT_OK(admin_->CreateKey(request, &response));
    return response;
  }

  std::string dir_;
  std::unique_ptr<TestServer> server_;
  std::string secret_;
  std::unique_ptr<client::Client> admin_;
};

TEST_F(SecurityTest, TheFirstKeyIsForTheOwnerOnly) {
  struct stat info = {};
  ASSERT_EQ(stat((dir_ + "/admin-key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  v1::WhoAmIResponse who;
  ASSERT_OK(admin_->WhoAmI({}, &who));
  EXPECT_FALSE(who.open());
  EXPECT_THAT(server_->Output(), Not(HasSubstr(secret_)));
}

TEST_F(SecurityTest, MissingWrongAndRevokedKeys) {
  EXPECT_TRUE(HasReason(Get(*server_->Connect(), "a"), kNoKey, "UNAUTHENTICATED"));
  EXPECT_TRUE(HasReason(Get(*server_->Connect("nonsense"), "a"), kNoKey, "UNAUTHENTICATED"));
  std::string wrong = secret_;
  wrong.back() = wrong.back() == 'a' ? 'b' : 'a';
  EXPECT_TRUE(HasReason(Get(*server_->Connect(wrong), "a"), kNoKey, "UNAUTHENTICATED"));

  const v1::CreateKeyResponse key = MakeKey(v1::ROLE_WRITE, "default");
  const auto client = server_->Connect(key.secret());
  EXPECT_OK(Put(*client, "a"));
  v1::RevokeKeyRequest revoke;
  revoke.set_id(key.key().id());
  v1::RevokeKeyResponse revoked;
  ASSERT_OK(admin_->RevokeKey(revoke, &revoked));
  EXPECT_GT(revoked.key().revoked_ms(), 0);
  EXPECT_TRUE(HasReason(Put(*client, "b"), kNoKey, "UNAUTHENTICATED"));
  EXPECT_OK(admin_->RevokeKey(revoke, &revoked));
  revoke.set_id("no-such-key");
  EXPECT_TRUE(
      HasReason(admin_->RevokeKey(revoke, &revoked), absl::StatusCode::kNotFound, "KEY_NOT_FOUND"));
  EXPECT_THAT(server_->Output(), Not(HasSubstr(key.secret())));
}

TEST_F(SecurityTest, AnExpiredKeyStopsWorking) {
  const int64_t now = std::chrono::duration_cast<std::chrono::milliseconds>(
                          std::chrono::system_clock::now().time_since_epoch())
                          .count();
  const v1::CreateKeyResponse key = MakeKey(v1::ROLE_READ, "*", 0, now + 500);
  const auto client = server_->Connect(key.secret());
  absl::Status status;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  do {
    status = Get(*client, "a");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  } while (status.code() == absl::StatusCode::kNotFound &&
           std::chrono::steady_clock::now() < deadline);
  EXPECT_TRUE(HasReason(status, kNoKey, "UNAUTHENTICATED"));
}

TEST_F(SecurityTest, RolesAreGrantedPerNamespace) {
  v1::CreateNamespaceRequest create;
  create.mutable_namespace_()->set_name("other");
  v1::CreateNamespaceResponse created;
  ASSERT_OK(admin_->CreateNamespace(create, &created));

  const auto reader = server_->Connect(MakeKey(v1::ROLE_READ, "default").secret());
  const auto writer = server_->Connect(MakeKey(v1::ROLE_WRITE, "default").secret());
  EXPECT_OK(Put(*writer, "a"));
  EXPECT_OK(Get(*reader, "a"));
  EXPECT_TRUE(HasReason(Put(*reader, "b"), kNoRole, "PERMISSION_DENIED"));
  EXPECT_TRUE(HasReason(Put(*writer, "a", "other"), kNoRole, "PERMISSION_DENIED"));
  EXPECT_TRUE(HasReason(Get(*reader, "a", "other"), kNoRole, "PERMISSION_DENIED"));
  // What one may not read, one may not find out about either.
  EXPECT_TRUE(HasReason(Get(*reader, "a", "nowhere"), kNoRole, "PERMISSION_DENIED"));
  v1::ListNamespacesResponse names;
  ASSERT_OK(reader->ListNamespaces({}, &names));
  ASSERT_EQ(names.namespaces_size(), 1);
  EXPECT_EQ(names.namespaces(0).name(), "default");

  // Only administrators of everything manage keys, namespaces and the server.
  v1::ListKeysResponse keys;
  EXPECT_TRUE(HasReason(writer->ListKeys({}, &keys), kNoRole, "PERMISSION_DENIED"));
  create.mutable_namespace_()->set_name("third");
  EXPECT_TRUE(HasReason(writer->CreateNamespace(create, &created), kNoRole, "PERMISSION_DENIED"));
  v1::SetReadOnlyRequest mode;
  v1::SetReadOnlyResponse now;
  EXPECT_TRUE(HasReason(writer->SetReadOnly(mode, &now), kNoRole, "PERMISSION_DENIED"));
  v1::GetInfoResponse info;
  EXPECT_OK(reader->GetInfo({}, &info));
}

TEST_F(SecurityTest, StreamsAreCheckedToo) {
  const auto reader = server_->Connect(MakeKey(v1::ROLE_READ, "default").secret());
  auto bulk = reader->OpenBulkWriter();
  absl::Status status = bulk.status();
  if (bulk.ok()) {
    v1::WriteRequest write;
    *write.add_mutations()->mutable_put_object() = MakeObject("a");
    status = (*bulk)->Write(std::move(write));
    const absl::Status finished = (*bulk)->Finish();
    if (status.ok()) status = finished;
  }
  EXPECT_TRUE(HasReason(status, kNoRole, "PERMISSION_DENIED"));
  const auto nobody = server_->Connect();
  EXPECT_TRUE(HasReason(nobody->StreamObjects({}, [](v1::StreamObjectsResponse&&) { return true; }),
                        kNoKey, "UNAUTHENTICATED"));
}

TEST_F(SecurityTest, RotationWithAndWithoutGrace) {
  const v1::CreateKeyResponse key = MakeKey(v1::ROLE_WRITE, "default");
  v1::RotateKeyRequest rotate;
  rotate.set_id(key.key().id());
  rotate.set_grace_ms(3'600'000);
  v1::RotateKeyResponse first;
  ASSERT_OK(admin_->RotateKey(rotate, &first));
  EXPECT_NE(first.secret(), key.secret());
  EXPECT_OK(Put(*server_->Connect(key.secret()), "a"));
  EXPECT_OK(Put(*server_->Connect(first.secret()), "a"));
  rotate.set_grace_ms(0);
  v1::RotateKeyResponse second;
  ASSERT_OK(admin_->RotateKey(rotate, &second));
  EXPECT_OK(Put(*server_->Connect(second.secret()), "a"));
  EXPECT_TRUE(HasReason(Put(*server_->Connect(first.secret()), "a"), kNoKey, "UNAUTHENTICATED"));
  EXPECT_TRUE(HasReason(Put(*server_->Connect(key.secret()), "a"), kNoKey, "UNAUTHENTICATED"));
}

TEST_F(SecurityTest, TheLastAdministratorStays) {
  v1::WhoAmIResponse who;
  ASSERT_OK(admin_->WhoAmI({}, &who));
  v1::RevokeKeyRequest revoke;
  revoke.set_id(who.key().id());
  v1::RevokeKeyResponse revoked;
  EXPECT_EQ(admin_->RevokeKey(revoke, &revoked).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_OK(Put(*admin_, "a"));
}

TEST_F(SecurityTest, RateLimits) {
  const v1::CreateKeyResponse key = MakeKey(v1::ROLE_WRITE, "default", /*rpm=*/6);
  const auto client = server_->Connect(key.secret());
  absl::Status status;
  int passed = 0;
  while (status.ok() && passed < 100) {
    status = Put(*client, "a");
    if (status.ok()) ++passed;
  }
  EXPECT_TRUE(HasReason(status, absl::StatusCode::kResourceExhausted, "RATE_LIMITED"));
  EXPECT_TRUE(GetErrorDetail(status)->retryable);
  EXPECT_LT(passed, 20);
  EXPECT_OK(Put(*admin_, "b"));
}

TEST_F(SecurityTest, KeysOutliveARestart) {
  const v1::CreateKeyResponse key = MakeKey(v1::ROLE_READ, "default");
  EXPECT_OK(Put(*admin_, "a"));
  server_->Kill();
  ASSERT_OK(server_->Restart());
  EXPECT_OK(Get(*server_->Connect(key.secret()), "a"));
  EXPECT_OK(Get(*server_->Connect(secret_), "a"));
  EXPECT_TRUE(HasReason(Get(*server_->Connect(), "a"), kNoKey, "UNAUTHENTICATED"));
}

TEST_F(SecurityTest, HealthNeedsAKeyUnlessAllowed) {
  const auto check = [&](const std::string& secret) {
    const auto channel = grpc::CreateChannel(server_->target(), grpc::InsecureChannelCredentials());
    const auto stub = grpc::health::v1::Health::NewStub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    if (!secret.empty()) context.AddMetadata("authorization", "Bearer " + secret);
    grpc::health::v1::HealthCheckResponse response;
    const grpc::Status status = stub->Check(&context, {}, &response);
    if (status.ok()) {
      EXPECT_EQ(response.status(), grpc::health::v1::HealthCheckResponse::SERVING);
    }
    return status.error_code();
  };
  EXPECT_EQ(check(""), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(check(secret_), grpc::StatusCode::OK);
  Start({"--allow_anonymous_health"});
  EXPECT_EQ(check(""), grpc::StatusCode::OK);
}

// TLS with certificates made as deploy/README.md says.
TEST_F(SecurityTest, TlsIsServedAndPlaintextRefused) {
  const std::string tls = MakeTempDir("tls");
  const ProgramResult made =
      RunProgram({"/bin/bash", RunfilePath("deploy/docker/make-certificates"), tls});
  ASSERT_EQ(made.exit.code, 0) << made.output;
  Start({"--tls_cert=" + tls + "/server.crt", "--tls_key=" + tls + "/server.key"});
  client::RemoteOptions options;
  options.target = absl::StrCat("127.0.0.1:", server_->port());
  options.server_name = "localhost";
  options.api_key = secret_;
  options.tls = true;
  options.ca_pem = ReadFile(tls + "/ca.crt");
  options.retry.max_attempts = 1;
  auto good = client::ConnectRemote(options);
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_OK(Put(**good, "a"));
  // In the clear, and with an authority that did not sign it.
  const auto plain = server_->Connect(secret_, 1, 3000);
  EXPECT_FALSE(Put(*plain, "a").ok());
  const std::string other = MakeTempDir("tls");
  ASSERT_EQ(
      RunProgram({"/bin/bash", RunfilePath("deploy/docker/make-certificates"), other}).exit.code,
      0);
  options.ca_pem = ReadFile(other + "/ca.crt");
  options.timeout_ms = 3000;
  auto stranger = client::ConnectRemote(options);
  ASSERT_TRUE(stranger.ok()) << stranger.status();
  EXPECT_FALSE(Put(**stranger, "a").ok());
}

TEST_F(SecurityTest, MutualTlsNeedsACertificate) {
  const std::string tls = MakeTempDir("tls");
  ASSERT_EQ(
      RunProgram({"/bin/bash", RunfilePath("deploy/docker/make-certificates"), tls}).exit.code, 0);
  // An authority for clients, and a certificate of it.
  const std::string script = absl::StrCat(
      "set -e; cd ", tls,
      "; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
      "-subj /CN=clients -keyout cca.key -out cca.crt; "
      "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=one "
      "-keyout client.key -out client.csr; "
      "openssl x509 -req -in client.csr -CA cca.crt -CAkey cca.key -CAcreateserial -days 2 "
      "-out client.crt");
  const ProgramResult made = RunProgram({"/bin/bash", "-c", script});
  ASSERT_EQ(made.exit.code, 0) << made.output;
  Start({"--tls_cert=" + tls + "/server.crt", "--tls_key=" + tls + "/server.key",
         "--tls_client_ca=" + tls + "/cca.crt"});
  client::RemoteOptions options;
  options.target = absl::StrCat("127.0.0.1:", server_->port());
  options.server_name = "localhost";
  options.api_key = secret_;
  options.tls = true;
  options.ca_pem = ReadFile(tls + "/ca.crt");
  options.retry.max_attempts = 1;
  options.timeout_ms = 5000;
  auto without = client::ConnectRemote(options);
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_FALSE(Put(**without, "a").ok());
  options.certificate_pem = ReadFile(tls + "/client.crt");
  options.key_pem = ReadFile(tls + "/client.key");
  auto with = client::ConnectRemote(options);
  ASSERT_TRUE(with.ok()) << with.status();
  EXPECT_OK(Put(**with, "a"));
}

// A disk that is too full, as far as the server can tell.
TEST(LowDiskTest, WritesAreRefusedAndDeletesWork) {
  TestServerOptions options;
  auto server = TestServer::Start(options);
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string dir = (*server)->data_dir();
  EXPECT_OK(Put(*(*server)->Connect(), "a"));
  EXPECT_EQ((*server)->Terminate().code, 0);
  options.data_dir = dir;
  options.flags = {"--low_disk_mb=1000000000"};
  auto full = TestServer::Start(options);
  ASSERT_TRUE(full.ok()) << full.status();
  const auto client = (*full)->Connect();
  EXPECT_TRUE(HasReason(Put(*client, "b"), absl::StatusCode::kResourceExhausted, "DISK_LOW"));
  EXPECT_OK(Get(*client, "a"));
  v1::DeleteObjectRequest deletion;
  *deletion.mutable_delete_()->mutable_ref() = Ref("a");
  v1::DeleteObjectResponse deleted;
  ASSERT_OK(client->DeleteObject(deletion, &deleted));
  EXPECT_TRUE(deleted.existed());
}

}  // namespace
}  // namespace cookix::tests
