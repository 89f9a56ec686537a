#include "server/log_archiver.h"

#include <string_view>
#include <utility>

#include "engine/database.h"
#include "storage/base/status.h"

namespace cookix::server {

LogArchiver::LogArchiver(std::chrono::milliseconds interval, DatabaseSlot& databases,
                         QueryRegistry& queries, Metrics& metrics, Log& log)
    : interval_(interval),
      databases_(databases),
      queries_(queries),
      metrics_(metrics),
      log_(log),
      thread_([this] { Run(); }) {}

LogArchiver::~LogArchiver() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    if (running_ != nullptr) running_->Cancel();
    wake_.notify_all();
  }
  thread_.join();
}

void LogArchiver::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!wake_.wait_for(lock, interval_, [this] { return stopping_; })) {
    engine::CallContext context;
    v1::ArchiveLogResponse response;
    running_ = &context;
    lock.unlock();
    const absl::Status status = Archive(context, &response);
    // Whoever stopped it knows why.
    if (!context.cancelled()) Report(status, response);
    lock.lock();
    running_ = nullptr;
  }
}

absl::Status LogArchiver::Archive(engine::CallContext& context, v1::ArchiveLogResponse* response) {
  const QueryRegistry::Entry entry(queries_, "cookix.v1.BackupService/ArchiveLog", "", context);
  COOKIX_ASSIGN_OR_RETURN(const DatabaseHandle database, databases_.Acquire());
  return database->backup().ArchiveLog(context, v1::ArchiveLogRequest(), response);
}

void LogArchiver::Report(const absl::Status& status, const v1::ArchiveLogResponse& response) {
  // Who is at work there archives the log too, or it is archived the next time. A replica that
  // has no store yet has no log either.
  const std::string reason = GetErrorDetail(status).value_or(ErrorDetail{}).reason;
  if (reason == "BACKUP_BUSY" || reason == "SEEDING") return;
  metrics_.LogArchived(status.ok(), response.archived().last());
  const std::string before = std::exchange(failure_, std::string(status.message()));
  if (!failure_.empty() && failure_ != before) {
    log_.Write(LogLevel::kWarning, "backup", "the log cannot be archived",
               {{"error", std::string_view(failure_)}});
  } else if (failure_.empty() && !before.empty()) {
    log_.Write(LogLevel::kInfo, "backup", "the log is archived again");
  }
  if (response.has_gap()) {
    log_.Write(
        LogLevel::kWarning, "backup",
        "commits had left the log before they were archived: the store cannot be restored as "
        "it was between them",
        {{"first", response.gap().first()}, {"last", response.gap().last()}});
  }
}

}  // namespace cookix::server
