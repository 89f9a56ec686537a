#include "engine/text/text_document.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

namespace cookix::engine {
namespace {

constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();

}  // namespace

uint32_t TextDocument::Hash(uint32_t field, std::string_view text) {
  uint64_t hash = (uint64_t{field} + 1) * 0x9E3779B97F4A7C15u + text.size();
  const char* at = text.data();
  size_t left = text.size();
  for (; left >= 8; at += 8, left -= 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    hash = (std::rotl(hash, 23) ^ word) * 0xFF51AFD7ED558CCDu;
  }
  uint64_t word = 0;
  std::memcpy(&word, at, left);
  hash = (std::rotl(hash, 23) ^ word) * 0xC4CEB9FE1A85EC53u;
  return static_cast<uint32_t>(hash ^ hash >> 29) ^ static_cast<uint32_t>(hash >> 32);
}

// Collects the terms of one field at a time. Kept by each thread, since its tables are
// larger than most documents.
class TextDocument::Builder {
 public:
  void Build(std::span<const TextIndexField> fields, std::span<const TextElements> texts,
             TextDocument* document) {
    document_ = document;
    const size_t count = std::min(fields.size(), texts.size());
    document->lengths_.resize(count);
    for (size_t i = 0; i < count; ++i) {
      if (texts[i].empty()) continue;
      AddField(static_cast<uint32_t>(i), fields[i], texts[i]);
    }
    document->entries_.shrink_to_fit();
    if (slots_.size() > kKeptSlots) slots_ = {};
    if (occurrences_.capacity() > kKeptSlots) occurrences_ = {};
  }

 private:
  static constexpr size_t kKeptSlots = 1 << 16;

  struct Occurrence {
    uint32_t entry;
    uint32_t position;
  };

  void AddField(uint32_t field, const TextIndexField& settings, TextElements elements) {
    field_ = field;
    first_entry_ = document_->entries_.size();
    occurrences_.clear();
    Reset(256);
    uint64_t base = 0;
    for (const std::string_view element : elements) {
      uint64_t end = base;
      settings.analyzer->Analyze(element, [&](const Token& token) {
        end = std::min<uint64_t>(base + token.position, kNone - 1);
        AddTerm(token.term, static_cast<uint32_t>(end));
      });
      base = end + 1 + kElementGap;
      // Where positions would run out, what follows is as one text with what is before.
      if (base > kNone - (uint64_t{1} << 31)) base = std::min<uint64_t>(end + 1, kNone - 1);
    }
    document_->lengths_[field] = static_cast<uint32_t>(occurrences_.size());
    if (settings.positions) PlacePositions();
  }

  void AddTerm(std::string_view text, uint32_t position) {
    const uint32_t hash = Hash(field_, text);
    std::vector<Entry>& entries = document_->entries_;
    size_t slot = hash & (slots_.size() - 1);
    for (; slots_[slot] != kNone; slot = (slot + 1) & (slots_.size() - 1)) {
      Entry& entry = entries[slots_[slot]];
      if (entry.hash != hash || TextOf(entry) != text) continue;
      ++entry.tf;
      occurrences_.push_back({slots_[slot], position});
      return;
    }
    const uint32_t index = static_cast<uint32_t>(entries.size());
    slots_[slot] = index;
    entries.push_back({.hash = hash,
                       .text_begin = static_cast<uint32_t>(document_->text_.size()),
                       .positions_begin = 0,
                       .tf = 1,
                       .text_bytes = static_cast<uint16_t>(text.size()),
                       .field = static_cast<uint16_t>(field_)});
    document_->text_.append(text);
    occurrences_.push_back({index, position});
    if ((entries.size() - first_entry_) * 2 > slots_.size()) Reset(slots_.size() * 4);
  }

  std::string_view TextOf(const Entry& entry) const {
    return std::string_view(document_->text_).substr(entry.text_begin, entry.text_bytes);
  }

  // Empties the table, and enters the terms of the field anew.
  void Reset(size_t size) {
    slots_.assign(size, kNone);
    for (size_t i = first_entry_; i < document_->entries_.size(); ++i) {
      size_t slot = document_->entries_[i].hash & (size - 1);
      while (slots_[slot] != kNone) slot = (slot + 1) & (size - 1);
      slots_[slot] = static_cast<uint32_t>(i);
    }
  }

  // Puts the positions of each term together.
  void PlacePositions() {
    document_->with_positions_ |= uint64_t{1} << field_;
    std::vector<uint32_t>& positions = document_->positions_;
    uint32_t next = static_cast<uint32_t>(positions.size());
    for (size_t i = first_entry_; i < document_->entries_.size(); ++i) {
      document_->entries_[i].positions_begin = next;
      next += document_->entries_[i].tf;
    }
    positions.resize(next);
    for (const Occurrence& occurrence : occurrences_) {
      positions[document_->entries_[occurrence.entry].positions_begin++] = occurrence.position;
    }
    for (size_t i = first_entry_; i < document_->entries_.size(); ++i) {
      document_->entries_[i].positions_begin -= document_->entries_[i].tf;
    }
  }

  TextDocument* document_ = nullptr;
  uint32_t field_ = 0;
  size_t first_entry_ = 0;
  std::vector<uint32_t> slots_;
  std::vector<Occurrence> occurrences_;
};

TextDocument::TextDocument(std::span<const TextIndexField> fields,
                           std::span<const TextElements> texts) {
  thread_local Builder builder;
  builder.Build(fields, texts, this);
}

TextDocument::Term TextDocument::term(size_t index) const {
  const Entry& entry = entries_[index];
  Term term{.text = std::string_view(text_).substr(entry.text_begin, entry.text_bytes),
            .hash = entry.hash,
            .field = entry.field,
            .tf = entry.tf};
  if ((with_positions_ >> entry.field & 1) != 0) {
    term.positions = std::span(positions_).subspan(entry.positions_begin, entry.tf);
  }
  return term;
}

bool TextDocument::Find(uint32_t field, std::string_view text, Term* term) const {
  const uint32_t hash = Hash(field, text);
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].hash != hash || entries_[i].field != field) continue;
    *term = this->term(i);
    if (term->text == text) return true;
  }
  return false;
}

size_t TextDocument::MemoryBytes() const {
  return sizeof(*this) + entries_.capacity() * sizeof(Entry) + lengths_.capacity() * 4 +
         positions_.capacity() * 4 + text_.capacity();
}

}  // namespace cookix::engine
