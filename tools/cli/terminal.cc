#include "tools/cli/terminal.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "tools/cli/text_width.h"

namespace cookix::cli {

std::string Terminal::Paint(std::string_view text, Tone tone) const {
  if (!colour_ || tone == Tone::kPlain || text.empty()) return std::string(text);
  static constexpr const char* kCodes[] = {"", "1", "2", "36", "32", "31"};
  return std::string("\x1b[") + kCodes[static_cast<int>(tone)] + "m" + std::string(text) +
         "\x1b[0m";
}

void Table::Add(std::vector<std::string> cells) {
  for (std::string& cell : cells) cell = OneLine(cell);
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

void Table::Print(Terminal& terminal, int indent) const {
  constexpr int kGap = 2;
  std::vector<int> widths;
  for (size_t c = 0; c < columns_.size(); ++c) {
    int width = DisplayWidth(columns_[c].name);
    for (const auto& row : rows_) width = std::max(width, DisplayWidth(row[c]));
    widths.push_back(width);
  }
  // Give back room from the widest left-aligned columns, the last one first.
  int total = indent + kGap * (static_cast<int>(widths.size()) - 1);
  for (int width : widths) total += width;
  while (total > terminal.width()) {
    size_t widest = widths.size();
    for (size_t c = 0; c < widths.size(); ++c) {
      if (columns_[c].right || widths[c] <= 12) continue;
      if (widest == widths.size() || widths[c] >= widths[widest]) widest = c;
    }
    if (widest == widths.size()) break;
    const int cut = std::min(total - terminal.width(), widths[widest] - 12);
    // Only down to the next widest, so that columns shrink together.
    int next = 12;
    for (size_t c = 0; c < widths.size(); ++c) {
      if (c != widest && !columns_[c].right) next = std::max(next, widths[c]);
    }
    const int step = std::max(1, std::min(cut, widths[widest] - std::min(next, widths[widest])));
    widths[widest] -= step;
    total -= step;
  }
  auto print = [&](const std::vector<std::string>& cells, bool header) {
    std::string line(static_cast<size_t>(indent), ' ');
    for (size_t c = 0; c < cells.size(); ++c) {
      const std::string text = Shorten(cells[c], widths[c]);
      const auto padding = static_cast<size_t>(std::max(0, widths[c] - DisplayWidth(text)));
      const std::string painted = terminal.Paint(text, header ? Tone::kBold : columns_[c].tone);
      if (columns_[c].right) line.append(padding, ' ');
      line += painted;
      if (c + 1 == cells.size()) break;
      if (!columns_[c].right) line.append(padding, ' ');
      line.append(kGap, ' ');
    }
    terminal.Line(line);
  };
  std::vector<std::string> names;
  for (const Column& column : columns_) names.push_back(column.name);
  print(names, true);
  for (const auto& row : rows_) print(row, false);
}

Progress::Progress(std::ostream& out, bool terminal, bool quiet, std::string label, int64_t total,
                   std::string unit)
    : out_(out),
      terminal_(terminal),
      quiet_(quiet),
      label_(std::move(label)),
      total_(total),
      unit_(std::move(unit)),
      shown_(started_) {}

std::string Progress::Text(int64_t done) const {
  const double seconds =
      std::max(1e-3, std::chrono::duration<double>(Clock::now() - started_).count());
  const double rate = static_cast<double>(done) / seconds;
  const bool bytes = unit_ == "bytes";
  const auto amount = [&](int64_t n) { return bytes ? HumanBytes(n) : WithCommas(n); };
  std::string text = amount(done);
  if (total_ > 0) text += " of " + amount(total_);
  if (!bytes) text += " " + unit_;
  text += ", " + amount(static_cast<int64_t>(rate)) + "/s";
  if (total_ > done && rate > 0) {
    const auto left = static_cast<int64_t>(static_cast<double>(total_ - done) / rate + 0.5);
    char eta[32];
    std::snprintf(eta, sizeof eta, ", %lld:%02lld left", static_cast<long long>(left / 60),
                  static_cast<long long>(left % 60));
    text += eta;
  }
  return text;
}

void Progress::Update(int64_t done) {
  if (quiet_) return;
  const auto now = Clock::now();
  const auto pause = terminal_ ? std::chrono::milliseconds(100) : std::chrono::seconds(5);
  if (now - shown_ < pause) return;
  shown_ = now;
  if (!terminal_) {
    out_ << label_ << ": " << Text(done) << std::endl;
    return;
  }
  constexpr int kCells = 24;
  std::string bar;
  if (total_ > 0) {
    const int filled =
        static_cast<int>(std::min<int64_t>(kCells, done * kCells / std::max<int64_t>(total_, 1)));
    for (int i = 0; i < kCells; ++i) bar += i < filled ? "█" : "░";
    bar += "  ";
  }
  out_ << "\r\x1b[K" << label_ << "  " << bar << Text(done) << std::flush;
  drawn_ = true;
}

void Progress::Finish(int64_t done) {
  Abandon();
  if (quiet_) return;
  const auto micros =
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - started_).count();
  const double rate =
      static_cast<double>(done) * 1e6 / static_cast<double>(std::max<int64_t>(micros, 1));
  const bool bytes = unit_ == "bytes";
  out_ << label_ << ": " << (bytes ? HumanBytes(done) : WithCommas(done) + " " + unit_) << " in "
       << HumanMicros(micros) << " ("
       << (bytes ? HumanBytes(static_cast<int64_t>(rate)) : WithCommas(static_cast<int64_t>(rate)))
       << "/s)" << std::endl;
}

void Progress::Abandon() {
  if (drawn_) out_ << "\r\x1b[K" << std::flush;
  drawn_ = false;
}

}  // namespace cookix::cli
