#include "server/query_registry.h"

namespace cookix::server {

QueryRegistry::Entry::Entry(QueryRegistry& registry, std::string_view method,
                            std::string_view namespace_name, engine::CallContext& context)
    : registry_(registry) {
  std::lock_guard<std::mutex> lock(registry_.mutex_);
  id_ = registry_.next_id_++;
  registry_.running_.emplace(id_, Running{std::string(method), std::string(namespace_name),
                                          &context, std::chrono::steady_clock::now()});
}

QueryRegistry::Entry::~Entry() {
  std::lock_guard<std::mutex> lock(registry_.mutex_);
  registry_.running_.erase(id_);
}

std::vector<v1::RunningQuery> QueryRegistry::List() const {
  const auto now = std::chrono::steady_clock::now();
  std::vector<v1::RunningQuery> queries;
  std::lock_guard<std::mutex> lock(mutex_);
  queries.reserve(running_.size());
  for (const auto& [id, running] : running_) {
    v1::RunningQuery query;
    query.set_id(id);
    query.set_method(running.method);
    query.set_namespace_(running.namespace_name);
    query.set_key_id(running.context->key_id);
    query.set_request_id(running.context->request_id);
    query.set_elapsed_ms(
        std::chrono::duration_cast<std::chrono::milliseconds>(now - running.start).count());
    queries.push_back(std::move(query));
  }
  return queries;
}

bool QueryRegistry::Cancel(int64_t id) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto it = running_.find(id);
  if (it == running_.end()) return false;
  it->second.context->Cancel();
  return true;
}

void QueryRegistry::CancelAll() {
  std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& [id, running] : running_) running.context->Cancel();
}

}  // namespace cookix::server
