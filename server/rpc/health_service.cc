#include "server/rpc/health_service.h"

#include <mutex>
#include <string>
#include <utility>

#include "grpc/health/v1/health.pb.h"

namespace cookix::server {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

bool HasService(std::string_view service) {
  if (service.empty()) return true;
  for (const MethodSpec& method : MethodTable()) {
    if (method.name.substr(0, method.name.find('/')) == service) return true;
  }
  return false;
}

HealthCheckResponse ResponseOf(bool serving) {
  HealthCheckResponse response;
  response.set_status(serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING);
  return response;
}

absl::Status Check(CallScope& scope, const HealthCheckRequest& request,
                   HealthCheckResponse* response) {
  if (!HasService(request.service())) {
    return NotFound("INVALID_FIELD", "service", "The server has no such service",
                    "Leave the service empty to ask about the whole server.");
  }
  *response = ResponseOf(scope.env.health.serving());
  return absl::OkStatus();
}

class WatchSession final : public Session {
 public:
  WatchSession(CallScope& scope, StreamPort& port) : scope_(scope), port_(port) {}
  ~WatchSession() override { Unregister(); }

  void OnStart() override { port_.Read(); }

  void OnMessage(grpc::ByteBuffer bytes) override {
    HealthCheckRequest request;
    if (absl::Status status = ParseMessage(&bytes, &request); !status.ok()) {
      port_.Close(std::move(status));
      return;
    }
    if (!HasService(request.service())) {
      HealthCheckResponse response;
      response.set_status(HealthCheckResponse::SERVICE_UNKNOWN);
      Send(response);
      return;
    }
    const int64_t id = scope_.env.health.Add([this](bool serving) { Send(ResponseOf(serving)); });
    std::lock_guard<std::mutex> lock(mutex_);
    id_ = id;
  }

  void OnHalfClose() override {}

  void OnDone() override { Unregister(); }

  void OnShutdown() override {
    port_.Close(MakeError(absl::StatusCode::kUnavailable, "The server is shutting down",
                          {"SHUTTING_DOWN", "", "Watch another server, or this one later.", true}));
  }

 private:
  void Send(const HealthCheckResponse& response) {
    grpc::ByteBuffer bytes;
    if (SerializeMessage(response, &bytes).ok()) port_.Send(std::move(bytes));
  }

  void Unregister() {
    int64_t id = 0;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      std::swap(id, id_);
    }
    if (id != 0) scope_.env.health.Remove(id);
  }

  CallScope& scope_;
  StreamPort& port_;
  std::mutex mutex_;
  int64_t id_ = 0;  // guarded by mutex_; 0 = not registered
};

}  // namespace

void AddHealthService(Router& router) {
  router.Unary<HealthCheckRequest, HealthCheckResponse>("grpc.health.v1.Health/Check", Check);
  router.Stream("grpc.health.v1.Health/Watch", [](CallScope& scope, StreamPort& port) {
    return std::make_unique<WatchSession>(scope, port);
  });
}

}  // namespace cookix::server
