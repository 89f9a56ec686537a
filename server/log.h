// The daemon's log: one JSON object a line.
//
//   {"time":"2026-01-31T08:15:30.123Z","level":"info","logger":"rpc",
//    "message":"call","request_id":"…","method":"…","status":"OK","ms":1.25}
//
// Levels: error = someone must act; warning = someone may have to; info = what
// an operator wants to read later (start, stop, failed and slow calls); debug =
// every call. Secrets and contents of the store are never logged.
#ifndef COOKIX_SERVER_LOG_H_
#define COOKIX_SERVER_LOG_H_

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"

namespace spdlog {
class logger;
}  // namespace spdlog

namespace cookix::server {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

// "debug", "info", "warning", "error" or "off"; false for anything else.
bool ParseLogLevel(std::string_view text, LogLevel* level);

struct LogField {
  std::string_view name;
  // Text is escaped; invalid UTF-8 is replaced.
  std::variant<std::string_view, int64_t, double, bool> value;
};

// Thread-safe.
class Log {
 public:
  // Writes to `file`, appending, or to standard error when it is empty.
  static absl::StatusOr<std::unique_ptr<Log>> Open(LogLevel level, const std::string& file);
  ~Log();

  // Cheap: ask before preparing a line that is rarely written.
  bool Enabled(LogLevel level) const { return level >= level_; }

  void Write(LogLevel level, std::string_view logger, std::string_view message,
             std::initializer_list<LogField> fields = {});

  void Flush();

 private:
  Log(LogLevel level, std::shared_ptr<spdlog::logger> sink);

  const LogLevel level_;
  const std::shared_ptr<spdlog::logger> sink_;
};

// One line, without its end. For tests and for Log.
std::string FormatLogLine(int64_t time_ms, LogLevel level, std::string_view logger,
                          std::string_view message, std::initializer_list<LogField> fields);

// Appends `text` as a JSON string with its quotes.
void AppendJsonString(std::string_view text, std::string* out);

}  // namespace cookix::server

#endif  // COOKIX_SERVER_LOG_H_
