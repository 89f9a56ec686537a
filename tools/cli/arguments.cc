#include "tools/cli/arguments.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "storage/base/status.h"

namespace cookix::cli {
namespace {

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

absl::Status UsageError(std::string_view message, std::string_view field, std::string_view remedy) {
  return MakeError(absl::StatusCode::kInvalidArgument, message,
                   {.reason = "USAGE", .field = std::string(field), .remedy = std::string(remedy)});
}

std::optional<int64_t> ParseInt(std::string_view text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || at != end || text.empty()) return std::nullopt;
  return value;
}

std::optional<double> ParseDouble(std::string_view text) {
  double value = 0;
  const char* end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || at != end || text.empty() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

std::optional<int64_t> ParseDurationMs(std::string_view text) {
  static constexpr std::pair<std::string_view, double> kUnits[] = {
      {"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
  const size_t digits = text.find_first_not_of("0123456789.");
  const std::string_view number = text.substr(0, digits);
  const std::string_view unit = digits == std::string_view::npos ? "s" : text.substr(digits);
  const auto amount = ParseDouble(number);
  if (!amount) return std::nullopt;
  for (const auto& [name, factor] : kUnits) {
    if (unit != name) continue;
    const double ms = *amount * factor;
    if (ms > 9e15) return std::nullopt;
    return static_cast<int64_t>(std::llround(ms));
  }
  return std::nullopt;
}

std::string Suggest(std::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  size_t best_distance = std::max<size_t>(1, std::min<size_t>(3, word.size() / 2)) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

bool Arguments::Has(std::string_view flag) const { return flags_.find(flag) != flags_.end(); }

std::string Arguments::Get(std::string_view flag, std::string_view fallback) const {
  auto it = flags_.find(flag);
  return it == flags_.end() ? std::string(fallback) : it->second.back();
}

std::vector<std::string> Arguments::GetAll(std::string_view flag) const {
  auto it = flags_.find(flag);
  return it == flags_.end() ? std::vector<std::string>() : it->second;
}

std::string Arguments::Positional(size_t index) const {
  return index < positionals_.size() ? positionals_[index] : std::string();
}

absl::StatusOr<int64_t> Arguments::GetInt(std::string_view flag, int64_t fallback, int64_t low,
                                          int64_t high) const {
  if (!Has(flag)) return fallback;
  const std::string name = "--" + std::string(flag);
  const auto value = ParseInt(Get(flag));
  if (!value) {
    return UsageError(name + " needs a whole number, not \"" + Get(flag) + "\"", name,
                      "give digits only");
  }
  if (*value < low || *value > high) {
    return UsageError(
        name + " is " + Get(flag) + ", out of range", name,
        high == std::numeric_limits<int64_t>::max()
            ? "give a number of at least " + std::to_string(low)
            : "give a number from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return *value;
}

absl::StatusOr<double> Arguments::GetDouble(std::string_view flag, double fallback) const {
  if (!Has(flag)) return fallback;
  const auto value = ParseDouble(Get(flag));
  if (!value) {
    const std::string name = "--" + std::string(flag);
    return UsageError(name + " needs a number, not \"" + Get(flag) + "\"", name,
                      "give a number such as 0.5");
  }
  return *value;
}

absl::StatusOr<int64_t> Arguments::GetDurationMs(std::string_view flag, int64_t fallback) const {
  if (!Has(flag)) return fallback;
  const auto value = ParseDurationMs(Get(flag));
  if (!value) {
    const std::string name = "--" + std::string(flag);
    return UsageError(name + " needs a duration, not \"" + Get(flag) + "\"", name,
                      "give a number with a unit: 250ms, 30s, 5m, 2h or 7d");
  }
  return *value;
}

absl::StatusOr<Arguments> ParseArguments(const std::vector<std::string>& words,
                                         const std::vector<FlagSpec>& flags,
                                         const std::vector<PositionalSpec>& positionals) {
  Arguments result;
  std::vector<std::string> names;
  for (const FlagSpec& spec : flags) names.push_back("--" + spec.name);

  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") {
      result.rest.assign(words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
      break;
    }
    // A negative number is a value, not a flag.
    if (word.size() < 2 || word[0] != '-' || ParseDouble(word)) {
      result.positionals_.push_back(word);
      continue;
    }
    std::string name = word;
    std::optional<std::string> inline_value;
    const FlagSpec* found = nullptr;
    if (word[1] == '-') {
      if (const size_t equals = word.find('='); equals != std::string::npos) {
        name = word.substr(0, equals);
        inline_value = word.substr(equals + 1);
      }
      for (const FlagSpec& spec : flags) {
        if (name.substr(2) == spec.name) found = &spec;
      }
    } else {
      name = word.substr(0, 2);
      if (word.size() > 2) inline_value = word.substr(word[2] == '=' ? 3 : 2);
      for (const FlagSpec& spec : flags) {
        if (spec.letter != 0 && word[1] == spec.letter) found = &spec;
      }
    }
    if (found == nullptr) {
      const std::string close = Suggest(name, names);
      return UsageError("unknown flag " + name, name,
                        close.empty() ? "see `cookix help`" : "did you mean " + close + "?");
    }
    auto& values = result.flags_[found->name];
    if (!values.empty() && !found->repeated) {
      return UsageError("--" + found->name + " is given twice", "--" + found->name, "give it once");
    }
    if (found->value.empty()) {
      if (inline_value) {
        return UsageError("--" + found->name + " takes no value", "--" + found->name,
                          "leave out \"" + *inline_value + "\"");
      }
      values.emplace_back("true");
    } else if (inline_value) {
      values.push_back(*inline_value);
    } else if (i + 1 < words.size()) {
      values.push_back(words[++i]);
    } else {
      return UsageError("--" + found->name + " needs a value", "--" + found->name,
                        "give --" + found->name + " " + found->value);
    }
  }

  for (const FlagSpec& spec : flags) {
    if (spec.required && !result.Has(spec.name)) {
      return UsageError("--" + spec.name + " is missing", "--" + spec.name,
                        "give --" + spec.name + " " + spec.value);
    }
  }
  size_t needed = 0;
  bool open_ended = false;
  for (const PositionalSpec& spec : positionals) {
    if (!spec.optional) ++needed;
    if (spec.repeated) open_ended = true;
  }
  if (result.positionals_.size() < needed) {
    const PositionalSpec& missing = positionals[result.positionals_.size()];
    return UsageError(missing.name + " is missing", missing.name, "give " + missing.help);
  }
  if (!open_ended && result.positionals_.size() > positionals.size()) {
    const std::string& extra = result.positionals_[positionals.size()];
    return UsageError("unexpected argument \"" + extra + "\"", extra,
                      "quote values that contain spaces");
  }
  return result;
}

}  // namespace cookix::cli
