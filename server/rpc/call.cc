#include "server/rpc/call.h"

#include <algorithm>
#include <array>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/rpc/status.h"
#include "storage/base/status.h"

namespace cookix::server {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMaxRequestIdBytes = 64;
constexpr auto kCancelCheckInterval = std::chrono::milliseconds(50);
// Refused calls that are logged, a minute: strangers must not fill the disk.
constexpr int64_t kRefusalsLoggedPerMinute = 60;

std::string_view View(const grpc::string_ref& text) { return {text.data(), text.size()}; }

std::string_view FindMetadata(const grpc::ServerContextBase& context, const char* name) {
  const auto& metadata = context.client_metadata();
  const auto it = metadata.find(name);
  return it == metadata.end() ? std::string_view() : View(it->second);
}

bool IsSaneRequestId(std::string_view id) {
  return !id.empty() && id.size() <= kMaxRequestIdBytes &&
         std::all_of(id.begin(), id.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
         });
}

// Tells calls apart in the log; not a secret.
std::string NewRequestId() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  static constexpr char kHex[] = "0123456789abcdef";
  std::string id(16, '0');
  uint64_t bits = random();
  for (char& c : id) {
    c = kHex[bits & 15];
    bits >>= 4;
  }
  return id;
}

// "ipv4:10.0.0.1:5123" -> "10.0.0.1".
std::string PeerAddress(std::string peer) {
  const size_t scheme = peer.find(':');
  if (scheme == std::string::npos) return peer;
  if (peer.compare(0, scheme, "unix") == 0) return "unix";
  const size_t port = peer.rfind(':');
  return port > scheme ? peer.substr(scheme + 1, port - scheme - 1) : peer.substr(scheme + 1);
}

absl::Status Overloaded(std::string_view what) {
  return MakeError(
      absl::StatusCode::kResourceExhausted, what,
      {"OVERLOADED", "", "Try again after a pause, with fewer calls at a time.", true});
}

absl::Status ShuttingDown() {
  return MakeError(absl::StatusCode::kUnavailable, "The server is shutting down",
                   {"SHUTTING_DOWN", "", "Try again, or call another server.", true});
}

absl::Status MessageTooLarge(int64_t max_mb) {
  return MakeError(absl::StatusCode::kResourceExhausted,
                   absl::StrCat("The request is larger than ", max_mb, " MiB"),
                   {"LIMIT_EXCEEDED", "",
                    "Send less at a time, or have the operator raise max_message_mb.", false});
}

bool IsServerFault(absl::StatusCode code) {
  return code == absl::StatusCode::kInternal || code == absl::StatusCode::kUnknown ||
         code == absl::StatusCode::kDataLoss;
}

}  // namespace

Call::Call(CallServer& server, grpc::ServerCompletionQueue* queue)
    : server_(server), env_(server.env_), queue_(queue), stream_(&grpc_context_) {
  server_.AddCall();
  AddReference();  // start
  AddReference();  // done; does not come when the start fails
  grpc_context_.AsyncNotifyWhenDone(&done_tag_);
  server_.service_.RequestCall(&grpc_context_, &stream_, queue_, queue_, &start_tag_);
}

Call::~Call() {
  if (counted_stream_) server_.RemoveStream(this);
}

void Call::Dispatch(void* tag, bool ok) {
  auto* const event = static_cast<Tag*>(tag);
  Call* const call = event->call;
  (call->*event->handler)(ok);
  call->Release();
}

void Call::Release() {
  if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  CallServer& server = server_;
  delete this;
  server.RemoveCall();
}

std::shared_ptr<void> Call::Hold() {
  AddReference();
  return std::shared_ptr<void>(nullptr, [this](void*) { Release(); });
}

void Call::OnStart(bool ok) {
  if (!ok) {
    Release();  // the done event will not come
    return;
  }
  server_.Arm(queue_);
  start_ = Clock::now();
  const std::string& path = grpc_context_.method();
  method_ = FindMethod(std::string_view(path).substr(path.empty() ? 0 : 1));
  static constexpr MethodSpec kUnknown{"unknown", Access::kAnyKey, v1::ROLE_READ};
  const auto table = MethodTable();
  scope_.emplace(env_, method_ < table.size() ? table[method_] : kUnknown);

  if (const absl::Status status = Admit(); !status.ok()) {
    FinishWith(status);
    return;
  }
  SetDeadline();
  if (scope_->method.shape == Shape::kUnary) {
    StartUnary();
  } else {
    StartStream();
  }
}

absl::Status Call::Admit() {
  CallScope& scope = *scope_;
  // Refused strangers cost no more than this.
  const std::string_view authorization = FindMetadata(grpc_context_, "authorization");
  const std::string_view api_key = FindMetadata(grpc_context_, "x-api-key");
  const bool anonymous = authorization.empty() && api_key.empty();
  const std::string_view request_id = FindMetadata(grpc_context_, "x-request-id");
  scope.context.request_id = IsSaneRequestId(request_id) ? std::string(request_id) : NewRequestId();
  grpc_context_.AddInitialMetadata("x-request-id", scope.context.request_id);
  if (!(anonymous && scope.method.access == Access::kHealth &&
        env_.config.allow_anonymous_health)) {
    COOKIX_ASSIGN_OR_RETURN(scope.identity, env_.authenticator.Identify(authorization, api_key));
  }
  if (scope.identity.key.has_value()) scope.context.key_id = scope.identity.key->id();
  if (anonymous) scope.peer = PeerAddress(grpc_context_.peer());

  admitted_ = true;
  env_.metrics.BeginCall();
  const int64_t active = server_.active_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (server_.shutting_down_.load(std::memory_order_relaxed)) return ShuttingDown();
  if (active > env_.config.max_concurrent_calls) {
    return Overloaded("The server has too many calls under way");
  }
  if (method_ >= MethodTable().size() || !server_.router_.Has(method_)) {
    return MakeError(
        absl::StatusCode::kUnimplemented, "The server has no such method",
        {"UNKNOWN_METHOD", "", "Check the method's name and the server's version.", false});
  }
  // Replicas copy and follow as fast as they can.
  const bool replica =
      scope.method.role == v1::ROLE_REPLICA && scope.identity.HasEverywhere(v1::ROLE_REPLICA);
  if (!replica) COOKIX_RETURN_IF_ERROR(scope.TakeFromRate());
  if (scope.method.access == Access::kEverywhere) {
    COOKIX_RETURN_IF_ERROR(scope.RequireEverywhere(scope.method.role));
  }
  return scope.RequireWritable();
}

void Call::SetDeadline() {
  auto deadline = Clock::time_point::max();
  const auto wanted = grpc_context_.deadline();
  if (wanted != std::chrono::system_clock::time_point::max()) {
    const auto left = wanted - std::chrono::system_clock::now();
    // Far-off deadlines must not overflow the other clock.
    if (left < std::chrono::hours(24 * 365)) {
      deadline = start_ + std::chrono::duration_cast<Clock::duration>(left);
    }
  }
  if (!scope_->method.long_running) {
    deadline =
        std::min(deadline, start_ + std::chrono::milliseconds(env_.config.limits.max_query_ms));
  }
  scope_->context.set_deadline(deadline);
}

void Call::StartUnary() {
  invocation_ = server_.router_.NewInvocation(method_);
  AddReference();
  stream_.Read(&incoming_, &read_tag_);
}

void Call::StartStream() {
  // Before the call is listed: from then on NotifyShutdown() may come.
  session_ = server_.router_.NewSession(method_, *scope_, *this);
  counted_stream_ = server_.AddStream(this);
  if (!counted_stream_) {
    session_.reset();
    FinishWith(Overloaded("The server has too many streams open"));
    return;
  }
  session_->OnStart();
  if (server_.shutting_down_.load()) session_->OnShutdown();
}

void Call::OnRead(bool ok) {
  if (session_ != nullptr) {
    grpc::ByteBuffer bytes;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      reading_ = false;
      if (closing_) return;
      bytes.Swap(&incoming_);
    }
    if (!ok) {
      session_->OnHalfClose();
    } else if (bytes.Length() > static_cast<size_t>(env_.config.max_message_mb) << 20) {
      Close(MessageTooLarge(env_.config.max_message_mb));
    } else {
      session_->OnMessage(std::move(bytes));
    }
    return;
  }
  if (!ok) {
    FinishUnary(InvalidField("", "The call has no message", "Send exactly one message."));
    return;
  }
  if (incoming_.Length() > static_cast<size_t>(env_.config.max_message_mb) << 20) {
    FinishUnary(MessageTooLarge(env_.config.max_message_mb));
    return;
  }
  if (scope_->method.quick) {
    if (const absl::Status status = invocation_->Parse(&incoming_); !status.ok()) {
      FinishUnary(status);
      return;
    }
    if (invocation_->MayRunInline()) {
      FinishUnary(invocation_->Run(*scope_));
      return;
    }
  }
  AddReference();
  // Writes may be waiting for replicas: what replicas ask for must not wait behind them.
  Executor& work = scope_->method.role == v1::ROLE_REPLICA ? env_.replicas : env_.work;
  if (!work.Submit([this] {
        RunUnary();
        Release();
      })) {
    FinishUnary(Overloaded("The server has too many calls waiting"));
    Release();
  }
}

void Call::RunUnary() {
  absl::Status status = scope_->context.Check();
  if (status.ok() && !scope_->method.quick) status = invocation_->Parse(&incoming_);
  if (status.ok()) status = invocation_->Run(*scope_);
  FinishUnary(std::move(status));
}

void Call::FinishUnary(absl::Status status) {
  grpc::ByteBuffer bytes;
  if (status.ok()) status = invocation_->Serialize(&bytes);
  status = scope_->ReleaseDatabase(std::move(status));
  if (!status.ok()) {
    FinishWith(status);
    return;
  }
  Record(status, grpc::StatusCode::OK);
  AddReference();
  stream_.WriteAndFinish(bytes, grpc::WriteOptions(), grpc::Status::OK, &finish_tag_);
}

void Call::FinishWith(const absl::Status& status) {
  const grpc::Status answer =
      ToGrpcStatus(status, scope_->context.request_id, scope_->retry_after_ms);
  if (scope_->retry_after_ms > 0) {
    grpc_context_.AddTrailingMetadata("retry-after",
                                      absl::StrCat((scope_->retry_after_ms + 999) / 1000));
  }
  Record(status, answer.error_code());
  AddReference();
  stream_.Finish(answer, &finish_tag_);
}

void Call::Record(const absl::Status& status, grpc::StatusCode code) {
  const CallScope& scope = *scope_;
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  if (admitted_) {
    server_.active_.fetch_sub(1, std::memory_order_relaxed);
    env_.metrics.EndCall(method_, code, seconds);
  } else {
    env_.metrics.RejectCall(method_, code);
    env_.metrics.AuthFailure();
  }
  const double ms = seconds * 1000;
  const bool slow =
      scope.method.shape == Shape::kUnary && ms > static_cast<double>(env_.config.slow_call_ms);
  LogLevel level = status.ok() && !slow ? LogLevel::kDebug : LogLevel::kInfo;
  if (IsServerFault(status.code())) level = LogLevel::kError;
  if (!env_.log.Enabled(level)) return;
  if (status.ok()) {
    env_.log.Write(level, "rpc", "call",
                   {{"request_id", std::string_view(scope.context.request_id)},
                    {"method", scope.method.name},
                    {"namespace", std::string_view(scope.namespace_name)},
                    {"key_id", std::string_view(scope.context.key_id)},
                    {"status", CodeName(code)},
                    {"ms", ms}});
    return;
  }
  if ((code == grpc::StatusCode::UNAUTHENTICATED || code == grpc::StatusCode::RESOURCE_EXHAUSTED) &&
      env_.rate_limiter.Take("log", kRefusalsLoggedPerMinute) != 0) {
    return;
  }
  const ErrorDetail detail = GetErrorDetail(status).value_or(ErrorDetail{});
  // Messages about requests may quote what is stored; those about the server are
  // what its operator needs.
  const bool show_message = IsServerFault(status.code()) || detail.reason == "IO_ERROR";
  const std::string peer = PeerAddress(grpc_context_.peer());
  env_.log.Write(
      level, "rpc", "call",
      {{"request_id", std::string_view(scope.context.request_id)},
       {"method", scope.method.name},
       {"namespace", std::string_view(scope.namespace_name)},
       {"key_id", std::string_view(scope.context.key_id)},
       {"peer", std::string_view(peer)},
       {"status", CodeName(code)},
       {"reason", std::string_view(detail.reason)},
       {"field", std::string_view(detail.field)},
       {"error", show_message ? std::string_view(status.message().data(), status.message().size())
                              : std::string_view()},
       {"ms", ms}});
}

void Call::OnFinish(bool ok) {}

void Call::OnDone(bool ok) {
  if (!scope_.has_value()) return;
  if (grpc_context_.IsCancelled()) {
    scope_->context.Cancel();
    std::lock_guard<std::mutex> lock(mutex_);
    broken_ = true;
    changed_.notify_all();
  }
  if (session_ != nullptr) session_->OnDone();
}

void Call::NotifyShutdown() {
  if (session_ != nullptr) session_->OnShutdown();
}

void Call::Read() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (closing_ || reading_) return;
  reading_ = true;
  AddReference();
  stream_.Read(&incoming_, &read_tag_);
}

void Call::Send(grpc::ByteBuffer bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (closing_ || broken_) return;
  outgoing_.push_back(std::move(bytes));
  if (!writing_) StartWrite();
}

std::chrono::milliseconds Call::StallTime() const {
  return std::chrono::milliseconds(env_.config.stream_stall_ms);
}

void Call::Break() {
  broken_ = true;
  outgoing_.clear();
  grpc_context_.TryCancel();
}

StreamPort::Sent Call::SendOrStall(grpc::ByteBuffer bytes) {
  const auto stalled_at = Clock::now() + StallTime();
  std::unique_lock<std::mutex> lock(mutex_);
  const auto free = [this] { return broken_ || closing_ || (!writing_ && outgoing_.empty()); };
  // In slices, since an operator may cancel the query meanwhile.
  while (!changed_.wait_for(lock, kCancelCheckInterval, free)) {
    if (scope_->context.cancelled()) return Sent::kGone;
    if (Clock::now() >= stalled_at) return Sent::kStalled;
  }
  if (broken_ || closing_) return Sent::kGone;
  outgoing_.push_back(std::move(bytes));
  StartWrite();
  return Sent::kSent;
}

bool Call::SendAndWait(grpc::ByteBuffer bytes) {
  const Sent sent = SendOrStall(std::move(bytes));
  if (sent == Sent::kStalled) {
    std::lock_guard<std::mutex> lock(mutex_);
    Break();
  }
  return sent == Sent::kSent;
}

void Call::Close(absl::Status status) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (closing_) return;
  closing_ = true;
  close_status_ = std::move(status);
  changed_.notify_all();
  if (!writing_) FinishStream();
}

void Call::CloseAndWait(absl::Status status) {
  Close(std::move(status));
  std::unique_lock<std::mutex> lock(mutex_);
  if (!changed_.wait_for(lock, StallTime(), [this] { return broken_ || !writing_; })) Break();
}

void Call::StartWrite() {
  writing_ = true;
  writing_bytes_ = std::move(outgoing_.front());
  outgoing_.pop_front();
  AddReference();
  stream_.Write(writing_bytes_, &write_tag_);
}

void Call::OnWrite(bool ok) {
  std::lock_guard<std::mutex> lock(mutex_);
  writing_ = false;
  writing_bytes_.Clear();
  if (!ok) {
    broken_ = true;
    outgoing_.clear();
  }
  if (!outgoing_.empty()) {
    StartWrite();
  } else if (closing_) {
    FinishStream();
  }
  changed_.notify_all();
}

void Call::FinishStream() { FinishWith(close_status_); }

}  // namespace cookix::server
