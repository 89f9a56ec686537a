// Archives the log beside the backups, again and again, so that the store can be restored as it
// was at any moment but the last few.
#ifndef COOKIX_SERVER_LOG_ARCHIVER_H_
#define COOKIX_SERVER_LOG_ARCHIVER_H_

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "cookix/v1/backup_service.pb.h"
#include "engine/call_context.h"
#include "server/database_slot.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/query_registry.h"

namespace cookix::server {

// Has a thread of its own. What it is given outlives it.
class LogArchiver {
 public:
  // The first time after one `interval`.
  LogArchiver(std::chrono::milliseconds interval, DatabaseSlot& databases, QueryRegistry& queries,
              Metrics& metrics, Log& log);
  // Ends what is under way; what was archived until then stays.
  ~LogArchiver();
  LogArchiver(const LogArchiver&) = delete;
  LogArchiver& operator=(const LogArchiver&) = delete;

 private:
  void Run();
  absl::Status Archive(engine::CallContext& context, v1::ArchiveLogResponse* response);
  // Says what is new: the first of several failures, the end of them, commits that are missing.
  void Report(const absl::Status& status, const v1::ArchiveLogResponse& response);

  const std::chrono::milliseconds interval_;
  DatabaseSlot& databases_;
  QueryRegistry& queries_;
  Metrics& metrics_;
  Log& log_;
  // Why the last attempt failed; only used by the thread.
  std::string failure_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;                   // guarded by mutex_
  engine::CallContext* running_ = nullptr;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace cookix::server

#endif  // COOKIX_SERVER_LOG_ARCHIVER_H_
