// gRPC's callback API against its completion queues, for unary calls.
//
// A client in one process keeps a fixed number of GetObject calls in flight over
// a few channels; a server in another process answers from memory, on one API or
// the other, with or without handing the call to a thread pool first. "Generic"
// is one queue handler for all methods that gets the metadata first and asks for
// the message afterwards. Both processes share the machine. Every answer is compared with what was
// asked. Isolates the cost of the RPC layer: no engine, no store, no identity.
//
//   bazel run -c opt //server:rpc_api_benchmark -- [seconds] [in_flight] [channels]
//
// Figures and decision: docs/adr/0003-grpc-callback-or-completion-queues.md
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "cookix/v1/object_service.grpc.pb.h"

namespace {

using Clock = std::chrono::steady_clock;
using cookix::v1::GetObjectRequest;
using cookix::v1::GetObjectResponse;
using cookix::v1::ObjectService;

enum class Api {
  kCallbackInline,
  kCallbackPool,
  kQueueInline,
  kQueuePool,
  kGenericInline,
  kGenericPool
};

const char* Name(Api api) {
  switch (api) {
    case Api::kCallbackInline:
      return "callback, inline";
    case Api::kCallbackPool:
      return "callback, pool";
    case Api::kQueueInline:
      return "completion queue, inline";
    case Api::kQueuePool:
      return "completion queue, pool";
    case Api::kGenericInline:
      return "generic queue, inline";
    case Api::kGenericPool:
      return "generic queue, pool";
  }
  return "";
}

class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this] {
        for (;;) {
          std::unique_lock<std::mutex> lock(mutex_);
          ready_.wait(lock, [this] { return !tasks_.empty(); });
          auto task = std::move(tasks_.front());
          tasks_.pop_front();
          lock.unlock();
          task();
        }
      });
    }
  }
  void Run(std::function<void()> task) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    ready_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> tasks_;
  std::vector<std::thread> threads_;
};

void Answer(const GetObjectRequest& request, GetObjectResponse* response) {
  auto* object = response->mutable_object();
  *object->mutable_ref() = request.ref();
  object->set_content(std::string(100, 'x'));
  object->set_version(7);
  response->set_position("0123456789012345678901");
}

class CallbackServer final : public ObjectService::CallbackService {
 public:
  explicit CallbackServer(Pool* pool) : pool_(pool) {}
  grpc::ServerUnaryReactor* GetObject(grpc::CallbackServerContext* context,
                                      const GetObjectRequest* request,
                                      GetObjectResponse* response) override {
    auto* reactor = context->DefaultReactor();
    auto work = [=] {
      Answer(*request, response);
      reactor->Finish(grpc::Status::OK);
    };
    if (pool_ != nullptr) {
      pool_->Run(work);
    } else {
      work();
    }
    return reactor;
  }

 private:
  Pool* const pool_;
};

// What a completion queue's tags point at.
class Event {
 public:
  virtual ~Event() = default;
  virtual void Proceed(bool ok) = 0;
};

struct GenericCall : Event {
  GenericCall(grpc::AsyncGenericService* service_in, grpc::ServerCompletionQueue* queue_in,
              Pool* pool_in)
      : service(service_in), queue(queue_in), pool(pool_in), stream(&context) {
    service->RequestCall(&context, &stream, queue, queue, static_cast<Event*>(this));
  }
  void Proceed(bool ok) override {
    if (!ok || step == 2) {
      delete this;
      return;
    }
    if (step++ == 0) {
      new GenericCall(service, queue, pool);
      stream.Read(&bytes, static_cast<Event*>(this));
      return;
    }
    auto work = [this] {
      GetObjectRequest request;
      GetObjectResponse response;
      if (!grpc::SerializationTraits<GetObjectRequest>::Deserialize(&bytes, &request).ok()) {
        std::abort();
      }
      Answer(request, &response);
      bool own = false;
      grpc::ByteBuffer out;
      if (!grpc::SerializationTraits<GetObjectResponse>::Serialize(response, &out, &own).ok()) {
        std::abort();
      }
      stream.WriteAndFinish(out, grpc::WriteOptions(), grpc::Status::OK, static_cast<Event*>(this));
    };
    if (pool != nullptr) {
      pool->Run(work);
    } else {
      work();
    }
  }
  grpc::AsyncGenericService* service;
  grpc::ServerCompletionQueue* queue;
  Pool* pool;
  grpc::GenericServerContext context;
  grpc::GenericServerAsyncReaderWriter stream;
  grpc::ByteBuffer bytes;
  int step = 0;
};

struct QueueCall : Event {
  QueueCall(ObjectService::AsyncService* service_in, grpc::ServerCompletionQueue* queue_in,
            Pool* pool_in)
      : service(service_in), queue(queue_in), pool(pool_in), writer(&context) {
    service->RequestGetObject(&context, &request, &writer, queue, queue, static_cast<Event*>(this));
  }
  void Proceed(bool ok) override {
    if (finishing || !ok) {
      delete this;
      return;
    }
    new QueueCall(service, queue, pool);
    finishing = true;
    auto work = [this] {
      Answer(request, &response);
      writer.Finish(response, grpc::Status::OK, static_cast<Event*>(this));
    };
    if (pool != nullptr) {
      pool->Run(work);
    } else {
      work();
    }
  }
  ObjectService::AsyncService* service;
  grpc::ServerCompletionQueue* queue;
  Pool* pool;
  grpc::ServerContext context;
  GetObjectRequest request;
  GetObjectResponse response;
  grpc::ServerAsyncResponseWriter<GetObjectResponse> writer;
  bool finishing = false;
};

[[noreturn]] void Serve(Api api, int port_pipe) {
  Pool* pool = (api == Api::kCallbackPool || api == Api::kQueuePool || api == Api::kGenericPool)
                   ? new Pool(2)
                   : nullptr;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  CallbackServer callback(pool);
  ObjectService::AsyncService async;
  std::vector<std::unique_ptr<grpc::ServerCompletionQueue>> queues;
  grpc::AsyncGenericService generic_service;
  const bool generic = api == Api::kGenericInline || api == Api::kGenericPool;
  const bool queue_api = generic || api == Api::kQueueInline || api == Api::kQueuePool;
  if (queue_api) {
    if (generic) {
      builder.RegisterAsyncGenericService(&generic_service);
    } else {
      builder.RegisterService(&async);
    }
    for (int i = 0; i < 2; ++i) queues.push_back(builder.AddCompletionQueue());
  } else {
    builder.RegisterService(&callback);
  }
  auto server = builder.BuildAndStart();
  if (server == nullptr) std::exit(1);
  if (write(port_pipe, &port, sizeof(port)) != static_cast<ssize_t>(sizeof(port))) std::exit(1);
  if (queue_api) {
    std::vector<std::thread> threads;
    for (auto& queue : queues) {
      for (int i = 0; i < 64; ++i) {
        if (generic) {
          new GenericCall(&generic_service, queue.get(), pool);
        } else {
          new QueueCall(&async, queue.get(), pool);
        }
      }
      threads.emplace_back([&queue] {
        void* tag;
        bool ok;
        while (queue->Next(&tag, &ok)) static_cast<Event*>(tag)->Proceed(ok);
      });
    }
    for (auto& thread : threads) thread.join();
  }
  server->Wait();
  std::exit(0);
}

struct ClientCall {
  std::unique_ptr<grpc::ClientContext> context;
  GetObjectRequest request;
  GetObjectResponse response;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<GetObjectResponse>> reader;
  Clock::time_point start;
};

struct Figures {
  double calls_per_second = 0;
  double p50_us = 0;
  double p99_us = 0;
};

Figures Load(int port, double seconds, int in_flight, int channels) {
  std::vector<std::unique_ptr<ObjectService::Stub>> stubs;
  for (int i = 0; i < channels; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt("cookix.channel", i);  // a connection of its own
    stubs.push_back(ObjectService::NewStub(grpc::CreateCustomChannel(
        "127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials(), arguments)));
  }
  grpc::CompletionQueue queue;
  std::vector<ClientCall> calls(static_cast<size_t>(in_flight));
  int64_t next = 0;
  auto start = [&](ClientCall* call) {
    call->context = std::make_unique<grpc::ClientContext>();
    call->context->AddMetadata("authorization", std::string("Bearer ckx_") + std::string(60, 'k'));
    call->request.mutable_ref()->set_key("object-" + std::to_string(next));
    call->start = Clock::now();
    call->reader = stubs[static_cast<size_t>(next++ % channels)]->AsyncGetObject(
        call->context.get(), call->request, &queue);
    call->reader->Finish(&call->response, &call->status, call);
  };
  for (auto& call : calls) start(&call);
  std::vector<double> micros;
  const auto begin = Clock::now() + std::chrono::milliseconds(500);
  const auto end =
      begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  int outstanding = in_flight;
  void* tag;
  bool ok;
  while (outstanding > 0 && queue.Next(&tag, &ok)) {
    auto* call = static_cast<ClientCall*>(tag);
    const auto now = Clock::now();
    if (!call->status.ok() || call->response.object().ref().key() != call->request.ref().key()) {
      std::fprintf(stderr, "wrong answer: %s\n", call->status.error_message().c_str());
      std::exit(1);
    }
    if (call->start >= begin && now <= end) {
      micros.push_back(std::chrono::duration<double, std::micro>(now - call->start).count());
    }
    if (now < end) {
      start(call);
    } else {
      --outstanding;
    }
  }
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  std::sort(micros.begin(), micros.end());
  Figures figures;
  if (micros.empty()) return figures;
  figures.calls_per_second = static_cast<double>(micros.size()) / seconds;
  figures.p50_us = micros[micros.size() / 2];
  figures.p99_us = micros[micros.size() * 99 / 100];
  return figures;
}

// Server and client are separate processes, forked before either uses gRPC.
bool Run(Api api, double seconds, int in_flight, int channels) {
  int pipes[2];
  if (pipe(pipes) != 0) return false;
  const pid_t server = fork();
  if (server == 0) Serve(api, pipes[1]);
  close(pipes[1]);
  int port = 0;
  if (read(pipes[0], &port, sizeof(port)) != static_cast<ssize_t>(sizeof(port))) return false;
  close(pipes[0]);
  const pid_t client = fork();
  if (client == 0) {
    const Figures figures = Load(port, seconds, in_flight, channels);
    std::printf("| %-24s | %4d | %2d | %8.0f | %8.0f | %8.0f |\n", Name(api), in_flight, channels,
                figures.calls_per_second, figures.p50_us, figures.p99_us);
    std::fflush(stdout);
    std::_Exit(0);
  }
  int status = 0;
  waitpid(client, &status, 0);
  kill(server, SIGKILL);
  waitpid(server, nullptr, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 3.0;
  std::printf(
      "| API | in flight | channels | calls/s | p50 us | p99 us |\n|---|---|---|---|---|---|\n");
  std::fflush(stdout);
  std::vector<std::pair<int, int>> loads = {{1, 1}, {64, 1}, {64, 4}, {512, 4}};
  if (argc > 3) loads = {{std::atoi(argv[2]), std::max(1, std::atoi(argv[3]))}};
  bool ok = true;
  for (const auto& [in_flight, channels] : loads) {
    for (const Api api : {Api::kCallbackInline, Api::kCallbackPool, Api::kQueueInline,
                          Api::kQueuePool, Api::kGenericInline, Api::kGenericPool}) {
      ok = Run(api, seconds, in_flight, channels) && ok;
    }
  }
  return ok ? 0 : 1;
}
