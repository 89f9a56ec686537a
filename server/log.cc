#include "server/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"
#include "storage/base/wall_clock.h"

namespace cookix::server {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

std::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    default:
      return "error";
  }
}

// Length of the valid UTF-8 character at the start of `text`; 0 when there is
// none.
size_t CharacterLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](size_t i) { return i < text.size() && (byte(i) & 0xc0) == 0x80; };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first < 0xf0) {
    if (!continues(1) || !continues(2)) return 0;
    if (first == 0xe0 && byte(1) < 0xa0) return 0;
    if (first == 0xed && byte(1) >= 0xa0) return 0;
    return 3;
  }
  if (first >= 0xf0 && first < 0xf5) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    if (first == 0xf0 && byte(1) < 0x90) return 0;
    if (first == 0xf4 && byte(1) >= 0x90) return 0;
    return 4;
  }
  return 0;
}

void AppendTime(int64_t time_ms, std::string* out) {
  const time_t seconds = static_cast<time_t>(time_ms / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[48];
  std::snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", utc.tm_year + 1900,
                utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                static_cast<int>(time_ms % 1000));
  AppendJsonString(text, out);
}

struct ValueAppender {
  std::string* out;
  void operator()(std::string_view text) const { AppendJsonString(text, out); }
  void operator()(int64_t number) const { absl::StrAppend(out, number); }
  void operator()(bool truth) const { out->append(truth ? "true" : "false"); }
  void operator()(double number) const {
    if (!std::isfinite(number)) {
      out->append("null");
      return;
    }
    char text[32];
    const auto end = std::to_chars(text, text + sizeof(text), number);
    out->append(text, end.ptr);
  }
};

}  // namespace

void AppendJsonString(std::string_view text, std::string* out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out->push_back('"');
  while (!text.empty()) {
    const size_t length = CharacterLength(text);
    const auto first = static_cast<unsigned char>(text.front());
    if (length == 0) {
      out->append(kReplacement);
      text.remove_prefix(1);
      continue;
    }
    if (first == '"' || first == '\\') {
      out->push_back('\\');
      out->push_back(static_cast<char>(first));
    } else if (first == '\n') {
      out->append("\\n");
    } else if (first == '\t') {
      out->append("\\t");
    } else if (first < 0x20 || first == 0x7f) {
      out->append("\\u00");
      out->push_back(kHex[first >> 4]);
      out->push_back(kHex[first & 15]);
    } else {
      out->append(text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  out->push_back('"');
}

bool ParseLogLevel(std::string_view text, LogLevel* level) {
  static constexpr std::pair<std::string_view, LogLevel> kLevels[] = {
      {"debug", LogLevel::kDebug}, {"info", LogLevel::kInfo}, {"warning", LogLevel::kWarning},
      {"error", LogLevel::kError}, {"off", LogLevel::kOff},
  };
  for (const auto& [name, value] : kLevels) {
    if (name == text) {
      *level = value;
      return true;
    }
  }
  return false;
}

std::string FormatLogLine(int64_t time_ms, LogLevel level, std::string_view logger,
                          std::string_view message, std::initializer_list<LogField> fields) {
  std::string line = "{\"time\":";
  line.reserve(256);
  AppendTime(time_ms, &line);
  line.append(",\"level\":");
  AppendJsonString(LevelName(level), &line);
  line.append(",\"logger\":");
  AppendJsonString(logger, &line);
  line.append(",\"message\":");
  AppendJsonString(message, &line);
  for (const LogField& field : fields) {
    line.push_back(',');
    AppendJsonString(field.name, &line);
    line.push_back(':');
    std::visit(ValueAppender{&line}, field.value);
  }
  line.push_back('}');
  return line;
}

absl::StatusOr<std::unique_ptr<Log>> Log::Open(LogLevel level, const std::string& file) {
  std::shared_ptr<spdlog::logger> logger;
  try {
    spdlog::sink_ptr sink;
    if (file.empty()) {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
    }
    logger = std::make_shared<spdlog::logger>("cookix", std::move(sink));
    logger->set_pattern("%v");
    logger->set_level(spdlog::level::trace);
    logger->flush_on(file.empty() ? spdlog::level::trace : spdlog::level::warn);
    logger->set_error_handler([](const std::string&) {});
  } catch (const std::exception& error) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     absl::StrCat("The log file ", file, " cannot be opened: ", error.what()),
                     {"INVALID_FIELD", "log_file",
                      "Name a file in a directory that exists and can be written.", false});
  }
  return std::unique_ptr<Log>(new Log(level, std::move(logger)));
}

Log::Log(LogLevel level, std::shared_ptr<spdlog::logger> sink)
    : level_(level), sink_(std::move(sink)) {}

Log::~Log() { sink_->flush(); }

void Log::Write(LogLevel level, std::string_view logger, std::string_view message,
                std::initializer_list<LogField> fields) {
  if (!Enabled(level) || level == LogLevel::kOff) return;
  const int64_t time_ms = WallClockMs();
  const std::string line = FormatLogLine(time_ms, level, logger, message, fields);
  const auto severity = level >= LogLevel::kWarning ? spdlog::level::warn : spdlog::level::info;
  sink_->log(severity, spdlog::string_view_t(line.data(), line.size()));
}

void Log::Flush() { sink_->flush(); }

}  // namespace cookix::server
