#include "storage/epoch_history.h"

#include <algorithm>
#include <tuple>

#include "storage/base/coding.h"

namespace cookix::storage {
namespace {

constexpr size_t kEpochBytes = 24;

}  // namespace

bool Holds(const EpochHistory& history, const EpochHistory& of, uint64_t epoch, uint64_t commit) {
  size_t i = 0;
  while (true) {
    if (i >= of.size() || i >= history.size() || history[i] != of[i]) return false;
    if (of[i].epoch == epoch) break;
    ++i;
  }
  return i + 1 == history.size() || history[i + 1].first_commit > commit;
}

uint64_t EpochOf(const EpochHistory& history, uint64_t commit) {
  uint64_t epoch = history.empty() ? 0 : history.front().epoch;
  for (const EpochStart& start : history) {
    if (start.first_commit <= commit) epoch = start.epoch;
  }
  return epoch;
}

size_t CommonEpochs(const EpochHistory& a, const EpochHistory& b) {
  const auto parted = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<size_t>(parted.first - a.begin());
}

std::string WhyDiverged(const EpochHistory& mine, uint64_t commit, const EpochHistory& theirs) {
  const size_t common = CommonEpochs(mine, theirs);
  if (common < mine.size()) {
    const EpochStart& own = mine[common];
    const bool superseded = common > 0 && own.first_commit > commit && !theirs.empty() &&
                            theirs.back().epoch > mine.back().epoch;
    if (!superseded) {
      return "epoch " + std::to_string(own.epoch) + ", which began with commit " +
             std::to_string(own.first_commit) + " here, is not in the history of the other";
    }
  }
  if (common < theirs.size() && theirs[common].first_commit <= commit) {
    return "epoch " + std::to_string(theirs[common].epoch) + " began with commit " +
           std::to_string(theirs[common].first_commit) + " there, and commit " +
           std::to_string(commit) + " here is of another history";
  }
  return "";
}

EpochHistory UpTo(const EpochHistory& history, uint64_t epoch) {
  EpochHistory cut = history;
  std::erase_if(cut, [&](const EpochStart& start) { return start.epoch > epoch; });
  return cut;
}

bool IsNewer(const EpochHistory& a, const EpochHistory& b) {
  if (a.empty() || b.empty()) return b.empty() && !a.empty();
  const auto key = [](const EpochStart& start) {
    return std::make_tuple(start.epoch, start.time_ms, start.first_commit);
  };
  return key(a.back()) > key(b.back());
}

std::string EncodeHistory(const EpochHistory& history) {
  std::string text;
  PutFixed32(&text, static_cast<uint32_t>(history.size()));
  for (const EpochStart& start : history) {
    PutFixed64(&text, start.epoch);
    PutFixed64(&text, start.first_commit);
    PutFixed64(&text, static_cast<uint64_t>(start.time_ms));
  }
  return text;
}

bool DecodeHistory(std::string_view* in, EpochHistory* history) {
  history->clear();
  uint32_t count = 0;
  if (!GetFixed32(in, &count) || count == 0 || count > in->size() / kEpochBytes) return false;
  for (uint32_t i = 0; i < count; ++i) {
    EpochStart start;
    uint64_t time_ms = 0;
    GetFixed64(in, &start.epoch);
    GetFixed64(in, &start.first_commit);
    GetFixed64(in, &time_ms);
    start.time_ms = static_cast<int64_t>(time_ms);
    if (!history->empty() && (start.epoch <= history->back().epoch ||
                              start.first_commit < history->back().first_commit)) {
      return false;
    }
    history->push_back(start);
  }
  return true;
}

}  // namespace cookix::storage
