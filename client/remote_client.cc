#include "client/remote_client.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "client/call_kinds.h"
#include "client/remote_writers.h"
#include "client/request_id.h"
#include "client/retry.h"
#include "client/rpc_error.h"

namespace cookix::client {
namespace {

using Clock = std::chrono::system_clock;

// From the other end of the world, to a busy machine, with TLS.
constexpr int kConnectTimeoutMs = 5'000;
// How long the answer to a sign of life may take.
constexpr int kKeepaliveTimeoutMs = 4'000;

std::string_view HostOf(std::string_view target) {
  for (std::string_view scheme : {"dns:///", "dns:", "ipv4:", "ipv6:"}) {
    if (target.substr(0, scheme.size()) == scheme) {
      target.remove_prefix(scheme.size());
      break;
    }
  }
  if (!target.empty() && target.front() == '[') {
    const size_t end = target.find(']');
    return end == std::string_view::npos ? target : target.substr(1, end - 1);
  }
  const size_t colon = target.find(':');
  // More than one colon: an IPv6 address without a port.
  if (colon != std::string_view::npos && target.find(':', colon + 1) != std::string_view::npos) {
    return target;
  }
  return target.substr(0, colon);
}

TlsSettings TlsOf(const RemoteOptions& options) {
  return {options.tls, options.ca_pem == "system" ? "" : options.ca_pem, options.certificate_pem,
          options.key_pem, options.server_name};
}

}  // namespace

absl::Status CheckInFlight(int in_flight) {
  if (in_flight >= 1 && in_flight <= 1024) return absl::OkStatus();
  return InvalidField("in_flight", "the number of writes in flight must be from 1 to 1024",
                      "4 suits most servers");
}

bool IsLocalTarget(std::string_view target) {
  if (target.substr(0, 5) == "unix:" || target.substr(0, 14) == "unix-abstract:") return true;
  const std::string_view host = HostOf(target);
  if (host == "localhost" || host == "::1") return true;
  if (host.substr(0, 4) != "127.") return false;
  // A name such as 127.example.org is not an address.
  return host.find_first_not_of("0123456789.") == std::string_view::npos;
}

RemoteClient::RemoteClient(RemoteOptions options, std::shared_ptr<grpc::Channel> channel)
    : options_(std::move(options)),
      channel_(std::move(channel)),
      server_(options_.target, TlsOf(options_)),
      object_stub_(v1::ObjectService::NewStub(channel_)),
      graph_stub_(v1::GraphService::NewStub(channel_)),
      reasoning_stub_(v1::ReasoningService::NewStub(channel_)),
      query_stub_(v1::QueryService::NewStub(channel_)),
      search_stub_(v1::SearchService::NewStub(channel_)),
      catalog_stub_(v1::CatalogService::NewStub(channel_)),
      security_stub_(v1::SecurityService::NewStub(channel_)),
      admin_stub_(v1::AdminService::NewStub(channel_)),
      replication_stub_(v1::ReplicationService::NewStub(channel_)),
      backup_stub_(v1::BackupService::NewStub(channel_)),
      watch_stub_(v1::WatchService::NewStub(channel_)) {}

void RemoteClient::AddKey(grpc::ClientContext* context) const {
  if (!options_.api_key.empty()) {
    context->AddMetadata("authorization", "Bearer " + options_.api_key);
  }
}

template <class Request, class Response, class Function>
absl::Status RemoteClient::CallWithRetry(const Request& request, Response* response,
                                         bool safe_to_repeat, Function&& function) {
  const bool limited = options_.timeout_ms > 0;
  const auto deadline = limited ? Clock::now() + std::chrono::milliseconds(options_.timeout_ms)
                                : Clock::time_point::max();
  RetryPolicy retry(options_.retry, safe_to_repeat, RandomSeed());
  while (true) {
    grpc::ClientContext context;
    AddKey(&context);
    if (limited) context.set_deadline(deadline);
    response->Clear();
    const absl::Status status = FromRpcStatus(function(&context, request, response), server_);
    if (status.ok()) return status;
    const int64_t pause_ms = retry.NextPauseMs(status);
    if (pause_ms < 0) return status;
    const auto pause = std::chrono::milliseconds(pause_ms);
    if (limited && Clock::now() + pause >= deadline) return status;
    std::this_thread::sleep_for(pause);
  }
}

template <class Request, class Response, class Function>
absl::Status RemoteClient::Call(const Request& request, Response* response, bool read,
                                Function&& function) {
  if constexpr (IdempotentWrite<Request>) {
    if (request.options().request_id().empty()) {
      Request identified = request;
      identified.mutable_options()->set_request_id(NewRequestId());
      return CallWithRetry(identified, response, true, function);
    }
    return CallWithRetry(request, response, true, function);
  } else {
    return CallWithRetry(request, response, read, function);
  }
}

#define COOKIX_STUB_Object object_stub_
#define COOKIX_STUB_Graph graph_stub_
#define COOKIX_STUB_Reasoning reasoning_stub_
#define COOKIX_STUB_Query query_stub_
#define COOKIX_STUB_Search search_stub_
#define COOKIX_STUB_Catalog catalog_stub_
#define COOKIX_STUB_Security security_stub_
#define COOKIX_STUB_Admin admin_stub_
#define COOKIX_STUB_Replication replication_stub_
#define COOKIX_STUB_Backup backup_stub_

#define COOKIX_DEFINE(Service, Method)                                                \
  absl::Status RemoteClient::Method(const v1::Method##Request& request,               \
                                    v1::Method##Response* response) {                 \
    return Call(request, response, IsRead(#Method),                                   \
                [this](grpc::ClientContext* context, const v1::Method##Request& sent, \
                       v1::Method##Response* received) {                              \
                  return COOKIX_STUB_##Service->Method(context, sent, received);      \
                });                                                                   \
  }
COOKIX_CLIENT_CALLS(COOKIX_DEFINE)
#undef COOKIX_DEFINE

#define COOKIX_DEFINE_ONCE(Service, Method)                                                    \
  absl::Status RemoteClient::Method##Once(const v1::Method##Request& request,                  \
                                          v1::Method##Response* response,                      \
                                          std::chrono::milliseconds limit) {                   \
    grpc::ClientContext context;                                                               \
    AddKey(&context);                                                                          \
    if (limit.count() > 0) context.set_deadline(Clock::now() + limit);                         \
    response->Clear();                                                                         \
    return FromRpcStatus(COOKIX_STUB_##Service->Method(&context, request, response), server_); \
  }
COOKIX_CLIENT_CALLS(COOKIX_DEFINE_ONCE)
#undef COOKIX_DEFINE_ONCE

absl::Status RemoteClient::StreamObjects(
    const v1::StreamObjectsRequest& request,
    absl::FunctionRef<bool(v1::StreamObjectsResponse&&)> sink) {
  RetryPolicy retry(options_.retry, true, RandomSeed());
  while (true) {
    grpc::ClientContext context;
    AddKey(&context);
    auto reader = object_stub_->StreamObjects(&context, request);
    bool delivered = false;
    bool stopped = false;
    v1::StreamObjectsResponse chunk;
    while (reader->Read(&chunk)) {
      delivered = true;
      if (!sink(std::move(chunk))) {
        stopped = true;
        context.TryCancel();
        break;
      }
      chunk.Clear();
    }
    if (stopped) {
      while (reader->Read(&chunk)) {
      }
      static_cast<void>(reader->Finish());
      return absl::OkStatus();
    }
    const absl::Status status = FromRpcStatus(reader->Finish(), server_);
    if (status.ok() || delivered) return status;
    const int64_t pause_ms = retry.NextPauseMs(status);
    if (pause_ms < 0) return status;
    std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
  }
}

absl::StatusOr<std::unique_ptr<BulkWriter>> RemoteClient::OpenBulkWriter(int in_flight) {
  return OpenBulkWriter(in_flight, nullptr);
}

absl::StatusOr<std::unique_ptr<BulkWriter>> RemoteClient::OpenBulkWriter(int in_flight,
                                                                         PositionSink seen) {
  COOKIX_RETURN_IF_ERROR(CheckInFlight(in_flight));
  auto context = std::make_unique<grpc::ClientContext>();
  AddKey(context.get());
  return std::make_unique<RemoteBulkWriter>(*object_stub_, std::move(context), in_flight, server_,
                                            std::move(seen));
}

absl::StatusOr<std::unique_ptr<VectorWriter>> RemoteClient::OpenVectorWriter(int in_flight) {
  return OpenVectorWriter(in_flight, nullptr);
}

absl::StatusOr<std::unique_ptr<VectorWriter>> RemoteClient::OpenVectorWriter(int in_flight,
                                                                             PositionSink seen) {
  COOKIX_RETURN_IF_ERROR(CheckInFlight(in_flight));
  auto context = std::make_unique<grpc::ClientContext>();
  AddKey(context.get());
  return std::make_unique<RemoteVectorWriter>(*search_stub_, std::move(context), in_flight, server_,
                                              std::move(seen));
}

absl::StatusOr<std::unique_ptr<RemoteClient>> RemoteClient::Connect(RemoteOptions options) {
  if (options.target.empty()) {
    return InvalidField("target", "the address of the server is empty", "give host:port");
  }
  if (std::any_of(options.api_key.begin(), options.api_key.end(),
                  [](char c) { return c <= ' ' || c > '~'; })) {
    return InvalidField("api_key", "the API key has characters that no key has",
                        "pass the key as it was shown when it was created, on one line");
  }
  if (!options.tls && !options.api_key.empty() && !options.allow_plaintext_key &&
      !IsLocalTarget(options.target)) {
    return InvalidField("api_key", "the API key would be sent in plain text to " + options.target,
                        "use TLS, or allow it explicitly on a network that you trust");
  }
  if (options.keepalive_ms != 0 &&
      (options.keepalive_ms < 10'000 || options.keepalive_ms > 3'600'000)) {
    return InvalidField("keepalive_ms", "signs of life must be 10 s to 1 h apart",
                        "servers cut off who sends them more often; 0 sends none");
  }
  if (options.certificate_pem.empty() != options.key_pem.empty()) {
    return InvalidField(options.key_pem.empty() ? "key_pem" : "certificate_pem",
                        "a client certificate needs both its certificate and its key",
                        "give both or neither");
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  // A lost server is tried again soon: the retries above count on it.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // Despite its name: how long one attempt to connect may take, its handshakes included.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  if (options.keepalive_ms > 0) {
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(options.keepalive_ms));
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  }
  if (options.tls && !options.server_name.empty()) {
    arguments.SetSslTargetNameOverride(options.server_name);
  }
  auto channel =
      grpc::CreateCustomChannel(options.target, ToCredentials(TlsOf(options)), arguments);
  return std::make_unique<RemoteClient>(std::move(options), std::move(channel));
}

absl::StatusOr<std::unique_ptr<Client>> ConnectRemote(RemoteOptions options) {
  return RemoteClient::Connect(std::move(options));
}

}  // namespace cookix::client
