// What a command prints with: tables, restrained colour, JSON, progress.
#ifndef COOKIX_TOOLS_CLI_TERMINAL_H_
#define COOKIX_TOOLS_CLI_TERMINAL_H_

#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "tools/cli/json.h"

namespace cookix::cli {

enum class Tone { kPlain, kBold, kDim, kRelation, kGood, kBad };

// One output stream and what it can show. Not thread-safe.
class Terminal {
 public:
  // `width` in columns; 0 = unlimited, for pipes.
  Terminal(std::ostream& out, bool colour, int width) : out_(out), colour_(colour), width_(width) {}

  std::string Paint(std::string_view text, Tone tone) const;
  // A line, made safe for a terminal by the caller where it holds data.
  void Line(std::string_view text = "") { out_ << text << '\n'; }
  void JsonLine(const Json& json) { out_ << Dump(json) << '\n' << std::flush; }
  std::ostream& out() { return out_; }
  bool colour() const { return colour_; }
  // Columns, at least 40; a large number when unlimited.
  int width() const { return width_ <= 0 ? 1 << 20 : (width_ < 40 ? 40 : width_); }

 private:
  std::ostream& out_;
  const bool colour_;
  const int width_;
};

// Columns aligned by what they show, not by bytes. The last text column is
// shortened to the width of the terminal. Data is made safe for it.
class Table {
 public:
  struct Column {
    std::string name;
    bool right = false;
    Tone tone = Tone::kPlain;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // REQUIRES: as many cells as columns.
  void Add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  void Print(Terminal& terminal, int indent = 0) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// A bar with rate and time left on a terminal, a plain line now and then
// elsewhere, nothing when quiet. Not thread-safe.
class Progress {
 public:
  // `total` in `unit`s; 0 = unknown.
  Progress(std::ostream& out, bool terminal, bool quiet, std::string label, int64_t total,
           std::string unit);
  void Update(int64_t done);
  // Ends the bar with a summary.
  void Finish(int64_t done);
  // Ends the bar without one, before an error is printed.
  void Abandon();

 private:
  using Clock = std::chrono::steady_clock;
  std::string Text(int64_t done) const;
  std::ostream& out_;
  const bool terminal_;
  const bool quiet_;
  const std::string label_;
  const int64_t total_;
  const std::string unit_;
  const Clock::time_point started_ = Clock::now();
  Clock::time_point shown_;
  bool drawn_ = false;
};

}  // namespace cookix::cli

#endif  // COOKIX_TOOLS_CLI_TERMINAL_H_
