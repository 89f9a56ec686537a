// Takes calls from gRPC and sees each through.
//
// All methods come through one generic asynchronous service, metadata first, the
// message only when it is asked for. So nothing of a message is read, let alone
// parsed, before the caller is known and within its rate. See
// docs/adr/0003-grpc-callback-or-completion-queues.md.
#ifndef COOKIX_SERVER_RPC_CALL_SERVER_H_
#define COOKIX_SERVER_RPC_CALL_SERVER_H_

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "server/environment.h"
#include "server/rpc/router.h"

namespace cookix::server {

class Call;

// Life: Register() before the gRPC server is built, Start() after, BeginShutdown(),
// then the gRPC server's Shutdown(), then Stop().
class CallServer {
 public:
  CallServer(Environment& env, const Router& router);
  ~CallServer();
  CallServer(const CallServer&) = delete;
  CallServer& operator=(const CallServer&) = delete;

  void Register(grpc::ServerBuilder& builder);
  void Start();

  // New calls are refused with SHUTTING_DOWN, streams asked to end. Calls under
  // way go on.
  void BeginShutdown();
  // Waits for all calls and ends the threads. REQUIRES: the gRPC server's
  // Shutdown() was called if it was built.
  void Stop();

 private:
  friend class Call;

  void Arm(grpc::ServerCompletionQueue* queue);
  void Poll(grpc::ServerCompletionQueue* queue);
  // Counts calls that exist, armed ones included.
  void AddCall();
  void RemoveCall();
  // Sessions that live, for BeginShutdown(). False when there are too many.
  bool AddStream(Call* call);
  void RemoveStream(Call* call);

  Environment& env_;
  const Router& router_;
  grpc::AsyncGenericService service_;
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues_;
  std::vector<std::thread> threads_;
  std::atomic<bool> shutting_down_{false};
  // Calls past identification and not finished.
  std::atomic<int64_t> active_{0};

  std::mutex mutex_;
  std::condition_variable no_calls_;
  int64_t calls_ = 0;        // guarded by mutex_
  std::set<Call*> streams_;  // guarded by mutex_
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_RPC_CALL_SERVER_H_
