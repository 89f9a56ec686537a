#include "server/rpc/call_server.h"

#include <utility>

#include "server/rpc/call.h"

namespace cookix::server {
namespace {

// Calls that each queue is ready to take at once.
constexpr int kArmedCalls = 64;

}  // namespace

CallServer::CallServer(Environment& env, const Router& router) : env_(env), router_(router) {}

CallServer::~CallServer() { Stop(); }

void CallServer::Register(grpc::ServerBuilder& builder) {
  builder.RegisterAsyncGenericService(&service_);
  for (int64_t i = 0; i < env_.config.network_threads; ++i) {
    queues_.push_back(builder.AddCompletionQueue());
  }
}

void CallServer::Start() {
  for (const auto& queue : queues_) {
    for (int i = 0; i < kArmedCalls; ++i) Arm(queue.get());
    threads_.emplace_back([this, q = queue.get()] { Poll(q); });
  }
}

void CallServer::Arm(grpc::ServerCompletionQueue* queue) {
  // After shutdown gRPC would refuse it at once; calls that only it would count
  // are not made.
  if (shutting_down_.load()) return;
  new Call(*this, queue);
}

void CallServer::Poll(grpc::ServerCompletionQueue* queue) {
  void* tag = nullptr;
  bool ok = false;
  while (queue->Next(&tag, &ok)) Call::Dispatch(tag, ok);
}

void CallServer::BeginShutdown() {
  std::vector<std::pair<Call*, std::shared_ptr<void>>> streams;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    shutting_down_.store(true);
    for (Call* call : streams_) {
      // One whose last reference is gone waits in RemoveStream() for the mutex;
      // it must not be revived.
      int count = call->references_.load();
      while (count > 0 && !call->references_.compare_exchange_weak(count, count + 1)) {
      }
      if (count > 0) {
        streams.emplace_back(call,
                             std::shared_ptr<void>(nullptr, [call](void*) { call->Release(); }));
      }
    }
  }
  for (const auto& [call, hold] : streams) call->NotifyShutdown();
}

void CallServer::Stop() {
  {
    std::unique_lock<std::mutex> lock(mutex_);
    no_calls_.wait(lock, [this] { return calls_ == 0; });
  }
  for (const auto& queue : queues_) queue->Shutdown();
  if (threads_.empty()) {
    // Never started: the queues still have to be emptied.
    for (const auto& queue : queues_) Poll(queue.get());
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  queues_.clear();
}

void CallServer::AddCall() {
  std::lock_guard<std::mutex> lock(mutex_);
  ++calls_;
}

void CallServer::RemoveCall() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (--calls_ == 0) no_calls_.notify_all();
}

bool CallServer::AddStream(Call* call) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (static_cast<int64_t>(streams_.size()) >= env_.config.max_streams) return false;
  streams_.insert(call);
  return true;
}

void CallServer::RemoveStream(Call* call) {
  std::lock_guard<std::mutex> lock(mutex_);
  streams_.erase(call);
}

}  // namespace cookix::server
