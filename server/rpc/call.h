// One call, from gRPC's first event to its last.
//
//   armed      waits for a client
//   started    metadata is there: identify, check rate, role and load
//   reading    unary: the message is on its way
//   running    unary: on this thread or on the executor; streams: a Session
//   finishing  the status is on its way; then the call deletes itself
//
// Every operation that gRPC has under way, and every task on an executor, holds a
// reference; the last one deletes the call.
#ifndef COOKIX_SERVER_RPC_CALL_H_
#define COOKIX_SERVER_RPC_CALL_H_

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "server/rpc/call_scope.h"
#include "server/rpc/call_server.h"
#include "server/rpc/router.h"

namespace cookix::server {

class Call final : public StreamPort {
 public:
  // What completion queues carry.
  struct Tag {
    Call* call;
    void (Call::*handler)(bool ok);
  };

  // Waits for a call on `queue`. Deletes itself.
  Call(CallServer& server, grpc::ServerCompletionQueue* queue);

  // Runs the handler of an event and drops the event's reference.
  static void Dispatch(void* tag, bool ok);

  // The server is stopping: tells the session.
  void NotifyShutdown();

  // StreamPort:
  void Read() override;
  void Send(grpc::ByteBuffer bytes) override;
  bool SendAndWait(grpc::ByteBuffer bytes) override;
  Sent SendOrStall(grpc::ByteBuffer bytes) override;
  void Close(absl::Status status) override;
  void CloseAndWait(absl::Status status) override;
  std::shared_ptr<void> Hold() override;

 private:
  friend class CallServer;
  ~Call() override;

  void AddReference() { references_.fetch_add(1, std::memory_order_relaxed); }
  void Release();

  void OnStart(bool ok);
  void OnRead(bool ok);
  void OnWrite(bool ok);
  void OnFinish(bool ok);
  void OnDone(bool ok);

  // Everything before the message is read.
  absl::Status Admit();
  void SetDeadline();
  void StartUnary();
  void StartStream();
  void RunUnary();
  void FinishUnary(absl::Status status);
  // Sends `status`, of a call that has no answer.
  void FinishWith(const absl::Status& status);
  // What is recorded once a call has its status; before Finish, since the client
  // may look at metrics as soon as it has the answer.
  void Record(const absl::Status& status, grpc::StatusCode code);
  // How long a client may take nothing.
  std::chrono::milliseconds StallTime() const;
  // Gives the client up. REQUIRES: mutex_ is held.
  void Break();
  // REQUIRES: mutex_ is held.
  void StartWrite();
  void FinishStream();

  CallServer& server_;
  Environment& env_;
  grpc::ServerCompletionQueue* const queue_;
  std::atomic<int> references_{0};

  grpc::GenericServerContext grpc_context_;
  grpc::GenericServerAsyncReaderWriter stream_;
  Tag start_tag_{this, &Call::OnStart};
  Tag read_tag_{this, &Call::OnRead};
  Tag write_tag_{this, &Call::OnWrite};
  Tag finish_tag_{this, &Call::OnFinish};
  Tag done_tag_{this, &Call::OnDone};

  // Set when the call starts.
  std::chrono::steady_clock::time_point start_;
  size_t method_ = 0;
  bool admitted_ = false;
  bool counted_stream_ = false;
  std::optional<CallScope> scope_;
  std::unique_ptr<Invocation> invocation_;
  std::unique_ptr<Session> session_;
  grpc::ByteBuffer incoming_;

  // Streams only.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<grpc::ByteBuffer> outgoing_;  // guarded by mutex_
  grpc::ByteBuffer writing_bytes_;        // guarded by mutex_; belongs to gRPC while writing_
  bool writing_ = false;                  // guarded by mutex_
  bool reading_ = false;                  // guarded by mutex_
  bool broken_ = false;                   // guarded by mutex_; the client takes no more
  bool closing_ = false;                  // guarded by mutex_
  absl::Status close_status_;             // guarded by mutex_
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_CALL_H_
