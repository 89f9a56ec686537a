// Which handler answers which method.
//
// Unary handlers are functions from a request to a response; Router wraps each
// with what they have in common: parsing, the role on the request's namespace,
// read-only mode, the list of running queries. Streaming handlers are Sessions.
#ifndef COOKIX_SERVER_RPC_ROUTER_H_
#define COOKIX_SERVER_RPC_ROUTER_H_

#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/support/byte_buffer.h>

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/query_registry.h"
#include "server/rpc/call_scope.h"
#include "server/rpc/method_table.h"
#include "storage/base/status.h"

namespace cookix::server {

// Parses a message that a client sent. INVALID_ARGUMENT when it is malformed, not
// UTF-8, or nested deeper than 100 levels. Consumes `bytes`.
template <typename Message>
absl::Status ParseMessage(grpc::ByteBuffer* bytes, Message* message) {
  if (grpc::SerializationTraits<Message>::Deserialize(bytes, message).ok()) {
    return absl::OkStatus();
  }
  return InvalidField("", "The request is not a valid message",
                      "Send text in UTF-8, nest values and filters less than 100 deep, and use "
                      "the server's version of the interface.");
}

// INTERNAL when the message cannot be serialized (it is larger than 2 GiB).
template <typename Message>
absl::Status SerializeMessage(const Message& message, grpc::ByteBuffer* bytes) {
  bool own_buffer = false;
  if (message.ByteSizeLong() < (1ULL << 31) &&
      grpc::SerializationTraits<Message>::Serialize(message, bytes, &own_buffer).ok()) {
    return absl::OkStatus();
  }
  return LimitExceeded("limit", "The answer is too large for one message",
                       "Ask for fewer results, or for pages.");
}

// The namespace a request is about; empty when it has no such field.
template <typename Request>
std::string_view NamespaceOf(const Request& request) {
  if constexpr (requires {
                  { request.namespace_() } -> std::convertible_to<const std::string&>;
                }) {
    return request.namespace_();
  } else {
    return {};
  }
}

// One unary call on its way.
class Invocation {
 public:
  virtual ~Invocation() = default;
  virtual absl::Status Parse(grpc::ByteBuffer* bytes) = 0;
  // True when Run() will not wait. REQUIRES: Parse() was OK.
  virtual bool MayRunInline() const = 0;
  virtual absl::Status Run(CallScope& scope) = 0;
  virtual absl::Status Serialize(grpc::ByteBuffer* bytes) = 0;
};

// What a session may do with its stream. Thread-safe. Valid while a Hold lives or
// a method of the session runs.
class StreamPort {
 public:
  virtual ~StreamPort() = default;
  // Asks for the next message: OnMessage() or OnHalfClose() follows, once.
  virtual void Read() = 0;
  // Sends a message after those before it. Does not wait.
  virtual void Send(grpc::ByteBuffer bytes) = 0;
  // Waits until the messages before are on their way, then sends. False when the
  // client is gone or took nothing for too long. Not from a session's callbacks.
  virtual bool SendAndWait(grpc::ByteBuffer bytes) = 0;
  enum class Sent { kSent, kGone, kStalled };
  // The same, but leaves the stream to the caller when the client took nothing for too long:
  // then the message is dropped.
  virtual Sent SendOrStall(grpc::ByteBuffer bytes) = 0;
  // Ends the stream after the messages before it. Later calls do nothing.
  virtual void Close(absl::Status status) = 0;
  // The same, and breaks the call off if the client takes nothing for too long. Not from a
  // session's callbacks.
  virtual void CloseAndWait(absl::Status status) = 0;
  // Keeps stream and session alive.
  virtual std::shared_ptr<void> Hold() = 0;
};

// A streaming call. The callbacks come one at a time from the network's threads,
// except OnDone() and OnShutdown(), and must not block.
class Session {
 public:
  virtual ~Session() = default;
  // Begins; usually asks for the first message.
  virtual void OnStart() = 0;
  virtual void OnMessage(grpc::ByteBuffer bytes) = 0;
  // The client sends no more.
  virtual void OnHalfClose() = 0;
  // The call is over, or was cancelled (the scope's context is then too).
  virtual void OnDone() {}
  // The server wants to stop: end soon.
  virtual void OnShutdown() {}
};

class Router {
 public:
  using SessionFactory = std::function<std::unique_ptr<Session>(CallScope&, StreamPort&)>;

  Router() : routes_(MethodTable().size()) {}

  // `name` as in the method table.
  template <typename Request, typename Response>
  void Unary(std::string_view name,
             std::function<absl::Status(CallScope&, const Request&, Response*)> handler);
  void Stream(std::string_view name, SessionFactory factory) {
    routes_.at(FindMethod(name)).session = std::move(factory);
  }

  // Null when the method has no handler or is of the other kind.
  std::unique_ptr<Invocation> NewInvocation(size_t method) const {
    const auto& make = routes_[method].invocation;
    return make ? make() : nullptr;
  }
  std::unique_ptr<Session> NewSession(size_t method, CallScope& scope, StreamPort& port) const {
    const auto& make = routes_[method].session;
    return make ? make(scope, port) : nullptr;
  }
  bool Has(size_t method) const {
    return routes_[method].invocation != nullptr || routes_[method].session != nullptr;
  }

 private:
  struct Route {
    std::function<std::unique_ptr<Invocation>()> invocation;
    SessionFactory session;
  };
  std::vector<Route> routes_;
};

template <typename Request, typename Response>
class UnaryInvocation final : public Invocation {
 public:
  using Handler = std::function<absl::Status(CallScope&, const Request&, Response*)>;

  explicit UnaryInvocation(const Handler& handler) : handler_(handler) {}

  absl::Status Parse(grpc::ByteBuffer* bytes) override { return ParseMessage(bytes, &request_); }

  bool MayRunInline() const override {
    if constexpr (requires { request_.options().min_position(); }) {
      return request_.options().min_position().empty();
    } else {
      return true;
    }
  }

  absl::Status Run(CallScope& scope) override {
    scope.namespace_name = std::string(NamespaceOf(request_));
    if (scope.method.access == Access::kNamespace) {
      COOKIX_RETURN_IF_ERROR(scope.RequireRole(scope.namespace_name, scope.method.role));
    }
    COOKIX_RETURN_IF_ERROR(scope.RequireWritable());
    if (!scope.method.storeless) COOKIX_RETURN_IF_ERROR(scope.TakeDatabase());
    if (scope.method.quick && MayRunInline()) return handler_(scope, request_, &response_);
    const QueryRegistry::Entry entry(scope.env.queries, scope.method.name, scope.namespace_name,
                                     scope.context);
    return handler_(scope, request_, &response_);
  }

  absl::Status Serialize(grpc::ByteBuffer* bytes) override {
    return SerializeMessage(response_, bytes);
  }

 private:
  const Handler& handler_;
  Request request_;
  Response response_;
};

template <typename Request, typename Response>
void Router::Unary(std::string_view name,
                   std::function<absl::Status(CallScope&, const Request&, Response*)> handler) {
  auto shared =
      std::make_shared<std::function<absl::Status(CallScope&, const Request&, Response*)>>(
          std::move(handler));
  routes_.at(FindMethod(name)).invocation = [shared] {
    return std::make_unique<UnaryInvocation<Request, Response>>(*shared);
  };
}

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_ROUTER_H_
