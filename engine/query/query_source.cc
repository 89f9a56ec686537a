#include "engine/query/query_source.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <system_error>

#include "engine/text/source_position.h"
#include "storage/base/status.h"
#include "storage/base/utf8.h"

namespace cookix::engine {
namespace {

constexpr size_t kShownBytes = 40;

template <typename Float>
std::string Shortest(Float value) {
  char buffer[64];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), value);
  return error == std::errc() ? std::string(buffer, end) : std::string("0");
}

}  // namespace

absl::Status QuerySource::Check(size_t max_bytes) const {
  if (text_.size() > max_bytes) {
    return LimitExceeded(field_, "the query has " + std::to_string(text_.size()) + " bytes",
                         "Use at most " + std::to_string(max_bytes));
  }
  if (const size_t nul = text_.find('\0'); nul != std::string_view::npos) {
    return ErrorAt(nul, "the character NUL is not allowed");
  }
  if (const size_t valid = Utf8PrefixSize(text_); valid < text_.size()) {
    return ErrorAt(valid, "the query is not UTF-8 here");
  }
  return absl::OkStatus();
}

void QuerySource::SkipSpace() {
  while (Peek() == ' ' || (Peek() >= '\t' && Peek() <= '\r')) ++at_;
}

absl::StatusOr<v1::Value> QuerySource::TakeNumber() {
  const size_t begin = at_;
  const auto skip_digits = [this] {
    while (IsDigit(Peek())) ++at_;
  };
  bool whole = true;
  if (Peek() == '-') ++at_;
  const size_t first = at_;
  skip_digits();
  bool good = at_ > first && (text_[first] != '0' || at_ == first + 1);
  if (Peek() == '.') {
    whole = false;
    ++at_;
    good &= IsDigit(Peek());
    skip_digits();
  }
  if (Peek() == 'e' || Peek() == 'E') {
    whole = false;
    ++at_;
    if (Peek() == '+' || Peek() == '-') ++at_;
    good &= IsDigit(Peek());
    skip_digits();
  }
  const std::string_view digits = From(begin);
  if (!good) return ErrorAt(begin, "expected a number, such as 12, -3 or 2.5e3");
  v1::Value value;
  std::errc error;
  if (whole) {
    int64_t number = 0;
    error = std::from_chars(digits.data(), digits.data() + digits.size(), number).ec;
    value.set_int_value(number);
  } else {
    double number = 0;
    error = std::from_chars(digits.data(), digits.data() + digits.size(), number).ec;
    value.set_double_value(number);
  }
  if (error != std::errc()) return ErrorAt(begin, "the number does not fit into 64 bits");
  return value;
}

absl::StatusOr<float> QuerySource::TakeFloat() {
  const size_t begin = at_;
  COOKIX_RETURN_IF_ERROR(TakeNumber().status());
  const std::string_view digits = From(begin);
  float number = 0;
  if (std::from_chars(digits.data(), digits.data() + digits.size(), number).ec != std::errc()) {
    return ErrorAt(begin, "the number does not fit into a 32-bit float");
  }
  return number;
}

absl::Status QuerySource::ErrorAt(size_t byte, std::string_view message) const {
  return InvalidField(field_, Located(byte, message),
                      "Correct the query: docs/queries.md has the grammar");
}

absl::Status QuerySource::LimitAt(size_t byte, std::string_view message) const {
  return LimitExceeded(field_, Located(byte, message), "Make the query simpler");
}

absl::Status QuerySource::Expected(size_t begin, size_t end, std::string_view what) const {
  std::string found = "the end";
  if (begin < text_.size()) {
    size_t shown = std::min(end, begin + kShownBytes);
    // Not in the middle of a character.
    while (shown < text_.size() && (static_cast<uint8_t>(text_[shown]) & 0xC0) == 0x80) ++shown;
    found = std::string(text_.substr(begin, shown - begin));
    if (shown < end) found += "...";
  }
  return ErrorAt(begin, "expected " + std::string(what) + ", found " + found);
}

std::string QuerySource::Located(size_t byte, std::string_view message) const {
  return ToString(LocateByte(text_, byte)) + ": " + std::string(message);
}

std::string WriteDouble(double value) {
  std::string text = Shortest(value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string WriteFloat(float value) { return Shortest(value); }

}  // namespace cookix::engine
