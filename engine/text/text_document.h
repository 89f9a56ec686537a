// What one object is found by: the terms of its texts.
#ifndef COOKIX_ENGINE_TEXT_TEXT_DOCUMENT_H_
#define COOKIX_ENGINE_TEXT_TEXT_DOCUMENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/analyzer.h"

namespace cookix::engine {

// A text field as an index has it.
struct TextIndexField {
  std::shared_ptr<const Analyzer> analyzer;
  // Keeps where terms stand, which phrases need.
  bool positions = true;
};

// The texts of one object in one field: one, or the elements of a list. No phrase reaches
// from one element to the next. Empty: the object has nothing in the field.
using TextElements = std::span<const std::string_view>;

// Immutable, thread-safe.
class TextDocument {
 public:
  // A term of one field.
  struct Term {
    std::string_view text;
    uint32_t hash = 0;
    uint32_t field = 0;
    // How often it occurs, and where; no positions in a field that does not keep them.
    uint32_t tf = 0;
    std::span<const uint32_t> positions;
  };

  // Positions between two elements of a list: more than the words of any query.
  static constexpr uint32_t kElementGap = 1 << 16;

  // `texts` has one element for each of `fields`, or none at all. From the 65,000th element
  // of a list on, elements are as one text.
  TextDocument(std::span<const TextIndexField> fields, std::span<const TextElements> texts);

  // Different terms, in ascending order of fields; within a field in order of their first
  // occurrence.
  size_t size() const { return entries_.size(); }
  Term term(size_t index) const;
  uint32_t hash(size_t index) const { return entries_[index].hash; }
  // Occurrences of terms in the field: its length, as BM25 has it.
  uint32_t length(uint32_t field) const { return field < lengths_.size() ? lengths_[field] : 0; }
  // False: there is no such term. O(terms).
  bool Find(uint32_t field, std::string_view text, Term* term) const;
  // Has no terms.
  bool empty() const { return entries_.empty(); }
  size_t MemoryBytes() const;

  static uint32_t Hash(uint32_t field, std::string_view text);

 private:
  struct Entry {
    uint32_t hash;
    uint32_t text_begin;
    uint32_t positions_begin;
    uint32_t tf;
    uint16_t text_bytes;
    uint16_t field;
  };
  class Builder;

  std::vector<Entry> entries_;
  std::vector<uint32_t> lengths_;
  std::vector<uint32_t> positions_;
  std::string text_;
  // Fields that keep positions, a bit each.
  uint64_t with_positions_ = 0;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_DOCUMENT_H_
