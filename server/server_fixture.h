// A server in the test's own process, and raw calls to it.
#ifndef COOKIX_SERVER_SERVER_FIXTURE_H_
#define COOKIX_SERVER_SERVER_FIXTURE_H_

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "cookix/v1/admin_service.grpc.pb.h"
#include "cookix/v1/catalog_service.grpc.pb.h"
#include "cookix/v1/graph_service.grpc.pb.h"
#include "cookix/v1/object_service.grpc.pb.h"
#include "cookix/v1/query_service.grpc.pb.h"
#include "cookix/v1/reasoning_service.grpc.pb.h"
#include "cookix/v1/search_service.grpc.pb.h"
#include "cookix/v1/security_service.grpc.pb.h"
#include "engine/security/key_store.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "server/server.h"

namespace cookix::server {

// The ErrorInfo of a failed call; empty when there is none.
inline google::rpc::ErrorInfo ErrorInfoOf(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  if (details.ParseFromString(status.error_details()) && details.details_size() > 0) {
    details.details(0).UnpackTo(&info);
  }
  return info;
}

// What a plain HTTP client gets.
inline std::string HttpGet(int port, const std::string& request) {
  const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
      send(descriptor, request.data(), request.size(), 0) == static_cast<ssize_t>(request.size())) {
    char buffer[4096];
    for (ssize_t n; (n = recv(descriptor, buffer, sizeof(buffer), 0)) > 0;) {
      answer.append(buffer, static_cast<size_t>(n));
    }
  }
  close(descriptor);
  return answer;
}

// Of a small server that others may follow, on a free port of this machine, with a data directory
// that exists for nobody else; whoever starts it removes that.
inline Config SmallServerConfig(const std::string& name) {
  static std::atomic<int> counter{0};
  Config config;
  config.listen = "127.0.0.1:0";
  config.metrics_listen = "";
  config.data_dir = testing::TempDir() + "/server-" + name + "-" + std::to_string(getpid()) + "-" +
                    std::to_string(counter++);
  config.sync_mode = "normal";
  config.memory_budget_mb = 64;
  config.adjacency_mb = 64;
  config.executor_threads = 4;
  config.low_disk_mb = 0;
  config.replica_name = name;
  return config;
}

// True as soon as `condition` holds, false after half a minute.
inline bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

class ServerFixture : public testing::Test {
 protected:
  static Config TestConfig() {
    Config config;
    config.listen = "127.0.0.1:0";
    config.metrics_listen = "";
    config.data_dir = "test";
    config.in_memory = true;
    config.memory_budget_mb = 64;
    config.adjacency_mb = 64;
    config.executor_threads = 4;
    config.low_disk_mb = 0;
    return config;
  }

  ServerFixture() : log_(*Log::Open(LogLevel::kOff, "")) {}
  ~ServerFixture() override { Stop(); }

  void Start(const Config& config) {
    auto server = Server::Start(config, *log_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = NewChannel();
  }

  void Stop() {
    channel_.reset();
    server_.reset();
  }

  std::string target() const { return "127.0.0.1:" + std::to_string(server_->port()); }

  // REQUIRES: metrics_listen.
  std::string MetricsText() const {
    return HttpGet(server_->metrics_port(), "GET /metrics HTTP/1.0\r\nHost: x\r\n\r\n");
  }

  // With a connection of its own.
  std::shared_ptr<grpc::Channel> NewChannel() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxReceiveMessageSize(-1);
    return grpc::CreateCustomChannel(target(), grpc::InsecureChannelCredentials(), arguments);
  }

  template <typename Service>
  std::unique_ptr<typename Service::Stub> Stub() const {
    return Service::NewStub(channel_);
  }

  // A context with a deadline, so that no test hangs.
  static std::unique_ptr<grpc::ClientContext> Context(const std::string& key = "",
                                                      int64_t timeout_ms = 60'000) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(timeout_ms));
    if (!key.empty()) context->AddMetadata("authorization", "Bearer " + key);
    return context;
  }

  // Makes a key with one grant; returns its secret.
  std::string MakeKey(const std::string& namespace_name, v1::Role role,
                      int32_t requests_per_minute = 0, std::string* id = nullptr) {
    v1::Grant grant;
    grant.set_namespace_(namespace_name);
    grant.set_role(role);
    auto created = server_->database().keys().Create("test", {grant}, 0, requests_per_minute);
    EXPECT_TRUE(created.ok()) << created.status();
    if (!created.ok()) return "";
    if (id != nullptr) *id = created->key.id();
    return created->secret;
  }

  // Calls any method with the bytes of a message, takes at most one answer and
  // gives up on the rest.
  grpc::Status CallRaw(const std::string& method, const std::string& message,
                       grpc::ClientContext* context, std::string* answer = nullptr) {
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    auto stream = stub.PrepareCall(context, "/" + method, &queue);
    const auto wait = [&] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    grpc::Slice slice(message);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    grpc::Status status;
    stream->StartCall(nullptr);
    if (wait()) {
      stream->WriteLast(request, grpc::WriteOptions(), nullptr);
      wait();
      stream->Read(&response, nullptr);
      if (wait()) {
        std::vector<grpc::Slice> slices;
        if (answer != nullptr && response.Dump(&slices).ok()) {
          for (const auto& part : slices) {
            answer->append(reinterpret_cast<const char*>(part.begin()), part.size());
          }
        }
        grpc::ByteBuffer more;
        // A unary answer is followed by the status; a stream may never end.
        const bool endless = method.find("Watch") != std::string::npos;
        if (endless) context->TryCancel();
        stream->Read(&more, nullptr);
        if (wait()) context->TryCancel();
      }
    }
    stream->Finish(&status, nullptr);
    wait();
    queue.Shutdown();
    void* tag;
    bool ok;
    while (queue.Next(&tag, &ok)) {
    }
    return status;
  }

  // `count` objects "k0"... each with an edge of relation "r" to every one.
  void PutCompleteGraph(int count, const std::string& key = "") {
    auto stub = Stub<v1::ObjectService>();
    for (int i = 0; i < count; ++i) {
      v1::PutObjectRequest request;
      v1::PutObjectResponse response;
      auto& write = *request.mutable_write();
      write.mutable_object()->mutable_ref()->set_key("k" + std::to_string(i));
      for (int j = 0; j < count; ++j) {
        auto& edge = *write.add_edges();
        edge.set_relation("r");
        edge.mutable_target()->set_key("k" + std::to_string(j));
      }
      const grpc::Status status = stub->PutObject(Context(key).get(), request, &response);
      ASSERT_TRUE(status.ok()) << status.error_message();
    }
  }

  std::unique_ptr<Log> log_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_SERVER_FIXTURE_H_
