#include "server/rpc/reflection_service.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "grpc/reflection/v1alpha/reflection.pb.h"

namespace cookix::server {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;

void SetNotFound(const std::string& what, ServerReflectionResponse* response) {
  auto* error = response->mutable_error_response();
  error->set_error_code(static_cast<int>(absl::StatusCode::kNotFound));
  error->set_error_message(what);
}

// The file and everything it imports, each once.
void AddFiles(const FileDescriptor* root, ServerReflectionResponse* response) {
  std::vector<const FileDescriptor*> pending = {root};
  std::set<const FileDescriptor*> seen = {root};
  auto* files = response->mutable_file_descriptor_response();
  while (!pending.empty()) {
    const FileDescriptor* file = pending.back();
    pending.pop_back();
    google::protobuf::FileDescriptorProto proto;
    file->CopyTo(&proto);
    files->add_file_descriptor_proto(proto.SerializeAsString());
    for (int i = 0; i < file->dependency_count(); ++i) {
      if (seen.insert(file->dependency(i)).second) pending.push_back(file->dependency(i));
    }
  }
}

// What is stored is nobody's business.
bool IsPublic(const FileDescriptor* file) {
  return file != nullptr && file->package().rfind("cookix.internal", 0) != 0;
}

ServerReflectionResponse Answer(const ServerReflectionRequest& request) {
  const DescriptorPool* pool = DescriptorPool::generated_pool();
  ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kListServices: {
      std::set<std::string_view> services;
      for (const MethodSpec& method : MethodTable()) {
        services.insert(method.name.substr(0, method.name.find('/')));
      }
      auto* list = response.mutable_list_services_response();
      for (const std::string_view service : services) {
        list->add_service()->set_name(std::string(service));
      }
      break;
    }
    case ServerReflectionRequest::kFileByFilename: {
      const FileDescriptor* file = pool->FindFileByName(request.file_by_filename());
      if (IsPublic(file)) {
        AddFiles(file, &response);
      } else {
        SetNotFound("There is no such file", &response);
      }
      break;
    }
    case ServerReflectionRequest::kFileContainingSymbol: {
      const FileDescriptor* file = pool->FindFileContainingSymbol(request.file_containing_symbol());
      if (IsPublic(file)) {
        AddFiles(file, &response);
      } else {
        SetNotFound("There is no such symbol", &response);
      }
      break;
    }
    case ServerReflectionRequest::kAllExtensionNumbersOfType:
      // The interface is proto3: messages have no extensions.
      response.mutable_all_extension_numbers_response()->set_base_type_name(
          request.all_extension_numbers_of_type());
      break;
    case ServerReflectionRequest::kFileContainingExtension:
    case ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET:
      SetNotFound("There are no extensions", &response);
      break;
  }
  return response;
}

class ReflectionSession final : public Session {
 public:
  ReflectionSession(CallScope& scope, StreamPort& port) : scope_(scope), port_(port) {}

  void OnStart() override { port_.Read(); }

  void OnMessage(grpc::ByteBuffer bytes) override {
    ServerReflectionRequest request;
    absl::Status status = ParseMessage(&bytes, &request);
    if (status.ok()) status = scope_.RequireActiveKey();
    if (status.ok() && ++requests_ > kMaxRequests) {
      status = LimitExceeded("", "The stream has asked too many questions", "Open another stream.");
    }
    grpc::ByteBuffer answer;
    if (status.ok()) status = SerializeMessage(Answer(request), &answer);
    if (!status.ok()) {
      port_.Close(std::move(status));
      return;
    }
    port_.Send(std::move(answer));
    port_.Read();
  }

  void OnHalfClose() override { port_.Close(absl::OkStatus()); }
  void OnShutdown() override { port_.Close(absl::OkStatus()); }

 private:
  // Bounds what a client that never reads can make the server keep.
  static constexpr int kMaxRequests = 256;

  CallScope& scope_;
  StreamPort& port_;
  int requests_ = 0;
};

}  // namespace

void AddReflectionService(Router& router) {
  const auto factory = [](CallScope& scope, StreamPort& port) {
    return std::make_unique<ReflectionSession>(scope, port);
  };
  router.Stream("grpc.reflection.v1.ServerReflection/ServerReflectionInfo", factory);
  router.Stream("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", factory);
}

}  // namespace cookix::server
