// Who may call what: every method with every kind of key.
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "server/rpc/method_table.h"
#include "server/server_fixture.h"

namespace cookix::server {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

const char* const kFiles[] = {
    "cookix/v1/object_service.proto",      "cookix/v1/graph_service.proto",
    "cookix/v1/reasoning_service.proto",   "cookix/v1/catalog_service.proto",
    "cookix/v1/search_service.proto",      "cookix/v1/security_service.proto",
    "cookix/v1/admin_service.proto",       "cookix/v1/query_service.proto",
    "cookix/v1/replication_service.proto", "cookix/internal/v1/replication.proto",
    "cookix/v1/backup_service.proto",      "grpc/health/v1/health.proto",
    "cookix/v1/watch_service.proto",
};

std::map<std::string, const MethodDescriptor*> ProtoMethods() {
  // So that the linker keeps the files.
  v1::WriteRequest::descriptor();
  std::map<std::string, const MethodDescriptor*> methods;
  for (const char* name : kFiles) {
    const FileDescriptor* file = DescriptorPool::generated_pool()->FindFileByName(name);
    EXPECT_NE(file, nullptr) << name;
    if (file == nullptr) continue;
    for (int i = 0; i < file->service_count(); ++i) {
      const ServiceDescriptor* service = file->service(i);
      for (int j = 0; j < service->method_count(); ++j) {
        methods[service->full_name() + "/" + service->method(j)->name()] = service->method(j);
      }
    }
  }
  return methods;
}

TEST(MethodTableTest, HasEveryMethodOfTheContractInItsShape) {
  const auto methods = ProtoMethods();
  EXPECT_GT(methods.size(), 45u);
  std::set<std::string> listed;
  for (const MethodSpec& spec : MethodTable()) {
    const std::string name(spec.name);
    EXPECT_TRUE(listed.insert(name).second) << name;
    if (name.find("grpc.reflection.") == 0) continue;
    const auto it = methods.find(name);
    ASSERT_NE(it, methods.end()) << name << " is not in the contract";
    const bool from_client = it->second->client_streaming();
    const bool from_server = it->second->server_streaming();
    EXPECT_EQ(spec.shape == Shape::kBidirectional, from_client && from_server) << name;
    EXPECT_EQ(spec.shape == Shape::kServerStream, !from_client && from_server) << name;
    EXPECT_EQ(spec.shape == Shape::kUnary, !from_client && !from_server) << name;
  }
  for (const auto& [name, descriptor] : methods) {
    EXPECT_EQ(listed.count(name), 1u) << name << " is missing in the method table";
  }
}

// Written down a second time, from the comments of the contract, so that a slip in
// the table is noticed.
struct Rule {
  v1::Role role;
  bool everywhere;
};

Rule ExpectedRule(const std::string& service, const std::string& method) {
  const auto starts = [&](const char* prefix) { return method.rfind(prefix, 0) == 0; };
  if (service == "cookix.v1.SecurityService") {
    return method == "WhoAmI" ? Rule{v1::ROLE_UNSPECIFIED, false} : Rule{v1::ROLE_ADMIN, true};
  }
  if (service == "cookix.v1.AdminService") {
    return method == "GetInfo" ? Rule{v1::ROLE_UNSPECIFIED, false} : Rule{v1::ROLE_ADMIN, true};
  }
  if (service == "cookix.v1.ReplicationService") {
    return method == "GetReplicationStatus" ? Rule{v1::ROLE_UNSPECIFIED, false}
                                            : Rule{v1::ROLE_ADMIN, true};
  }
  if (service == "cookix.internal.v1.ReplicationService") return {v1::ROLE_REPLICA, true};
  if (service == "cookix.v1.BackupService") return {v1::ROLE_ADMIN, true};
  if (service == "grpc.health.v1.Health") return {v1::ROLE_UNSPECIFIED, false};
  if (method == "CreateNamespace") return {v1::ROLE_ADMIN, true};
  if (method == "ListNamespaces") return {v1::ROLE_UNSPECIFIED, false};
  if (method == "UpdateNamespace" || method == "DeleteNamespace" || method == "CopyObjects") {
    return {v1::ROLE_ADMIN, false};
  }
  if (starts("Put") || starts("BatchPut") || starts("Patch") || starts("Delete") ||
      starts("Create") || starts("Update") || starts("Insert") || method == "Write" ||
      method == "BulkWrite") {
    return {v1::ROLE_WRITE, false};
  }
  return {v1::ROLE_READ, false};
}

class AccessTest : public ServerFixture {
 protected:
  void SetUp() override {
    Start(TestConfig());
    // From the first on keys are required.
    keys_ = {{"admin on *", MakeKey("*", v1::ROLE_ADMIN)},
             {"write on *", MakeKey("*", v1::ROLE_WRITE)},
             {"read on *", MakeKey("*", v1::ROLE_READ)},
             {"admin on default", MakeKey("default", v1::ROLE_ADMIN)},
             {"write on default", MakeKey("default", v1::ROLE_WRITE)},
             {"read on default", MakeKey("default", v1::ROLE_READ)},
             {"admin on other", MakeKey("other", v1::ROLE_ADMIN)},
             {"replica on *", MakeKey("*", v1::ROLE_REPLICA)}};
  }

  struct NamedKey {
    std::string name;
    std::string secret;
  };
  std::vector<NamedKey> keys_;
};

bool Allows(const std::string& key_name, const Rule& rule) {
  if (rule.role == v1::ROLE_UNSPECIFIED) return true;
  const std::string kind = key_name.substr(0, key_name.find(' '));
  // Beside the other roles, but for administrators.
  if (kind == "replica") return rule.role == v1::ROLE_REPLICA;
  if (rule.role == v1::ROLE_REPLICA) return key_name == "admin on *";
  const v1::Role role = kind == "admin"   ? v1::ROLE_ADMIN
                        : kind == "write" ? v1::ROLE_WRITE
                                          : v1::ROLE_READ;
  const std::string scope = key_name.substr(key_name.rfind(' ') + 1);
  if (scope != "*" && (rule.everywhere || scope != "default")) return false;
  return role >= rule.role;
}

TEST_F(AccessTest, EveryMethodWithEveryKey) {
  for (const auto& [name, method] : ProtoMethods()) {
    const Rule rule = ExpectedRule(method->service()->full_name(), method->name());
    // An empty request is about the namespace "default".
    for (const NamedKey& key : keys_) {
      auto context = Context(key.secret);
      const grpc::Status status = CallRaw(name, "", context.get());
      EXPECT_NE(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << name << " " << key.name;
      EXPECT_EQ(status.error_code() != grpc::StatusCode::PERMISSION_DENIED, Allows(key.name, rule))
          << name << " with " << key.name << ": " << status.error_message();
      EXPECT_NE(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << name;
    }
    for (const std::string& bad :
         {std::string(), std::string("ckx_0000000000000000_wrong"), keys_[0].secret + "x"}) {
      auto context = Context(bad);
      const grpc::Status status = CallRaw(name, "", context.get());
      EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << name;
      EXPECT_EQ(ErrorInfoOf(status).reason(), "UNAUTHENTICATED");
    }
  }
}

TEST_F(AccessTest, StrangersLearnNothing) {
  // Neither which methods exist, nor whether their message was good.
  for (const char* method : {"no.such.Service/Method", "cookix.v1.ObjectService/NoSuch", "x",
                             "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                             "cookix.v1.ObjectService/GetObject"}) {
    auto context = Context();
    const grpc::Status status = CallRaw(method, "\xff\xff\xff", context.get());
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << method;
  }
}

TEST_F(AccessTest, KeysComeInEitherHeader) {
  auto stub = Stub<v1::SecurityService>();
  const auto call = [&](const std::string& name, const std::string& value) {
    auto context = Context();
    context->AddMetadata(name, value);
    v1::WhoAmIResponse response;
    const grpc::Status status = stub->WhoAmI(context.get(), v1::WhoAmIRequest(), &response);
    return status.ok() && response.key().id() == keys_[0].secret.substr(4, 16);
  };
  const std::string& secret = keys_[0].secret;
  EXPECT_TRUE(call("authorization", "Bearer " + secret));
  EXPECT_TRUE(call("authorization", "bearer  " + secret + " "));
  EXPECT_TRUE(call("x-api-key", secret));
  EXPECT_FALSE(call("authorization", secret));
  EXPECT_FALSE(call("authorization", "Basic " + secret));
  EXPECT_FALSE(call("x-api-key", "Bearer " + secret));
}

TEST_F(AccessTest, ListingShowsWhatTheCallerMayRead) {
  auto stub = Stub<v1::CatalogService>();
  for (const char* name : {"other", "third"}) {
    v1::CreateNamespaceRequest request;
    v1::CreateNamespaceResponse response;
    request.mutable_namespace_()->set_name(name);
    const grpc::Status status =
        stub->CreateNamespace(Context(keys_[0].secret).get(), request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  const auto list = [&](const std::string& secret) {
    v1::ListNamespacesResponse response;
    EXPECT_TRUE(
        stub->ListNamespaces(Context(secret).get(), v1::ListNamespacesRequest(), &response).ok());
    std::vector<std::string> names;
    for (const auto& entry : response.namespaces()) names.push_back(entry.name());
    return names;
  };
  // Page by page, without a trace of what is hidden.
  const auto pages = [&](const std::string& secret) {
    std::vector<std::string> names;
    v1::ListNamespacesRequest request;
    request.set_page_size(1);
    do {
      v1::ListNamespacesResponse response;
      EXPECT_TRUE(stub->ListNamespaces(Context(secret).get(), request, &response).ok());
      EXPECT_EQ(response.namespaces_size(), 1);
      for (const auto& entry : response.namespaces()) names.push_back(entry.name());
      request.set_page_token(response.next_page_token());
    } while (!request.page_token().empty() && names.size() < 10);
    return names;
  };
  EXPECT_EQ(pages(keys_[2].secret), list(keys_[2].secret));
  EXPECT_EQ(pages(keys_[5].secret), list(keys_[5].secret));
  EXPECT_EQ(pages(keys_[6].secret), list(keys_[6].secret));
  using Names = std::vector<std::string>;
  EXPECT_EQ(list(keys_[2].secret), (Names{"default", "other", "third"}));
  EXPECT_EQ(list(keys_[5].secret), (Names{"default"}));
  EXPECT_EQ(list(keys_[6].secret), (Names{"other"}));
}

TEST_F(AccessTest, CopyingNeedsRolesOnBothSides) {
  auto stub = Stub<v1::CatalogService>();
  v1::CopyObjectsRequest request;
  v1::CopyObjectsResponse response;
  request.set_namespace_("default");
  request.set_target_namespace("other");
  // Admin on the source only, on the target only.
  EXPECT_EQ(stub->CopyObjects(Context(keys_[3].secret).get(), request, &response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(stub->CopyObjects(Context(keys_[6].secret).get(), request, &response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(stub->CopyObjects(Context(keys_[1].secret).get(), request, &response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  // Far enough to see that the target does not exist.
  EXPECT_EQ(stub->CopyObjects(Context(keys_[0].secret).get(), request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(AccessTest, RevokedAndRotatedKeysStopAtOnce) {
  auto stub = Stub<v1::SecurityService>();
  std::string id;
  const std::string secret = MakeKey("default", v1::ROLE_READ, 0, &id);
  v1::WhoAmIResponse who;
  ASSERT_TRUE(stub->WhoAmI(Context(secret).get(), v1::WhoAmIRequest(), &who).ok());

  v1::RotateKeyRequest rotate;
  v1::RotateKeyResponse rotated;
  rotate.set_id(id);
  ASSERT_TRUE(stub->RotateKey(Context(keys_[0].secret).get(), rotate, &rotated).ok());
  EXPECT_EQ(stub->WhoAmI(Context(secret).get(), v1::WhoAmIRequest(), &who).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_TRUE(stub->WhoAmI(Context(rotated.secret()).get(), v1::WhoAmIRequest(), &who).ok());

  v1::RevokeKeyRequest revoke;
  v1::RevokeKeyResponse revoked;
  revoke.set_id(id);
  ASSERT_TRUE(stub->RevokeKey(Context(keys_[0].secret).get(), revoke, &revoked).ok());
  EXPECT_EQ(stub->WhoAmI(Context(rotated.secret()).get(), v1::WhoAmIRequest(), &who).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
}

class OpenServerTest : public ServerFixture {};

TEST_F(OpenServerTest, WithoutKeysEveryoneIsAdministrator) {
  Start(TestConfig());
  v1::WhoAmIResponse who;
  auto security = Stub<v1::SecurityService>();
  ASSERT_TRUE(security->WhoAmI(Context().get(), v1::WhoAmIRequest(), &who).ok());
  EXPECT_TRUE(who.open());
  // A key that means nothing is still an error: its sender believes otherwise.
  EXPECT_EQ(security->WhoAmI(Context("ckx_nonsense").get(), v1::WhoAmIRequest(), &who).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  // The first key must be able to make others.
  v1::CreateKeyRequest create;
  v1::CreateKeyResponse created;
  create.set_name("first");
  create.add_grants()->set_namespace_("default");
  create.mutable_grants(0)->set_role(v1::ROLE_READ);
  const grpc::Status refused = security->CreateKey(Context().get(), create, &created);
  EXPECT_EQ(ErrorInfoOf(refused).reason(), "NO_ADMINISTRATOR");
  create.mutable_grants(0)->set_namespace_("*");
  create.mutable_grants(0)->set_role(v1::ROLE_ADMIN);
  ASSERT_TRUE(security->CreateKey(Context().get(), create, &created).ok());
  // And from now on keys are needed.
  EXPECT_EQ(security->WhoAmI(Context().get(), v1::WhoAmIRequest(), &who).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_TRUE(security->WhoAmI(Context(created.secret()).get(), v1::WhoAmIRequest(), &who).ok());
  EXPECT_FALSE(who.open());
}

TEST_F(OpenServerTest, HealthIsForEveryoneOnlyWhenAllowed) {
  Config config = TestConfig();
  config.allow_anonymous_health = true;
  Start(config);
  MakeKey("*", v1::ROLE_ADMIN);
  auto stub = Stub<grpc::health::v1::Health>();
  grpc::health::v1::HealthCheckResponse response;
  ASSERT_TRUE(stub->Check(Context().get(), grpc::health::v1::HealthCheckRequest(), &response).ok());
  EXPECT_EQ(response.status(), grpc::health::v1::HealthCheckResponse::SERVING);
  // Nothing else.
  v1::GetInfoResponse info;
  EXPECT_EQ(
      Stub<v1::AdminService>()->GetInfo(Context().get(), v1::GetInfoRequest(), &info).error_code(),
      grpc::StatusCode::UNAUTHENTICATED);
  // A wrong key is not better than none.
  EXPECT_EQ(stub->Check(Context("wrong").get(), grpc::health::v1::HealthCheckRequest(), &response)
                .error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
}

}  // namespace
}  // namespace cookix::server
