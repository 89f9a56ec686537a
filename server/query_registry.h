// The calls that run now, for listing and stopping them.
#ifndef COOKIX_SERVER_QUERY_REGISTRY_H_
#define COOKIX_SERVER_QUERY_REGISTRY_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cookix/v1/admin_service.pb.h"
#include "engine/call_context.h"

namespace cookix::server {

// Thread-safe.
class QueryRegistry {
 public:
  // Listed while it lives. Borrows everything it is given.
  class Entry {
   public:
    Entry(QueryRegistry& registry, std::string_view method, std::string_view namespace_name,
          engine::CallContext& context);
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;

    int64_t id() const { return id_; }

   private:
    QueryRegistry& registry_;
    int64_t id_;
  };

  // Longest first.
  std::vector<v1::RunningQuery> List() const;

  // Asks a call to stop. False when there is none with that id.
  bool Cancel(int64_t id);
  // Asks all of them.
  void CancelAll();

 private:
  struct Running {
    std::string method;
    std::string namespace_name;
    engine::CallContext* context;
    std::chrono::steady_clock::time_point start;
  };

  mutable std::mutex mutex_;
  int64_t next_id_ = 1;                 // guarded by mutex_
  std::map<int64_t, Running> running_;  // guarded by mutex_; ids grow with time
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_QUERY_REGISTRY_H_
