// The text of a query while a parser reads it: what both grammars share.
#ifndef COOKIX_ENGINE_QUERY_QUERY_SOURCE_H_
#define COOKIX_ENGINE_QUERY_QUERY_SOURCE_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cookix/v1/common.pb.h"

namespace cookix::engine {

// A place in a text, and the errors that name places. Borrows text and field.
//
// Errors are INVALID_ARGUMENT about `field`, the request's name of the text, and say
// line, column (in characters, from 1), byte (from 0) and what was expected.
class QuerySource {
 public:
  QuerySource(std::string_view text, std::string_view field) : text_(text), field_(field) {}

  // Not longer than `max_bytes`, and UTF-8 without the character NUL.
  absl::Status Check(size_t max_bytes) const;

  size_t at() const { return at_; }
  bool AtEnd() const { return at_ == text_.size(); }
  // '\0' behind the end.
  char Peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  // The same text at another place.
  QuerySource Again(size_t at) const {
    QuerySource again = *this;
    again.at_ = at;
    return again;
  }
  void Skip(size_t bytes) { at_ += bytes; }
  std::string_view From(size_t begin) const { return text_.substr(begin, at_ - begin); }
  // Spaces, tabs, line ends.
  void SkipSpace();

  // A number as JSON writes it: an integer of 64 bits without a fraction and an
  // exponent, else a finite double.
  absl::StatusOr<v1::Value> TakeNumber();

  // A number, rounded once.
  absl::StatusOr<float> TakeFloat();

  absl::Status ErrorAt(size_t byte, std::string_view message) const;
  absl::Status LimitAt(size_t byte, std::string_view message) const;
  // "expected ..., found ...". `end` is the end of what was found.
  absl::Status Expected(size_t begin, size_t end, std::string_view what) const;

 private:
  std::string Located(size_t byte, std::string_view message) const;

  const std::string_view text_;
  const std::string_view field_;
  size_t at_ = 0;
};

inline bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// What a double is written as so that TakeNumber() reads the same double.
std::string WriteDouble(double value);
// The shortest text that becomes the same float.
std::string WriteFloat(float value);

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_QUERY_QUERY_SOURCE_H_
