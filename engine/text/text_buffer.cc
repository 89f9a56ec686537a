#include "engine/text/text_buffer.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

namespace cookix::engine {

namespace {

// Of a document in the table of ordinals.
constexpr size_t kBytesOfDocument = 32;
// Terms between two steps of fetching what is about to be added to.
constexpr size_t kAhead = 4;

}  // namespace

void TextBuffer::Free::operator()(uint32_t* memory) const { std::free(memory); }

TextBuffer::TextBuffer(size_t fields, size_t capacity)
    : capacity_(capacity), ordinals_(capacity), table_(1 << 10) {
  for (size_t i = 0; i < fields; ++i) {
    auto* memory = static_cast<uint32_t*>(std::calloc(capacity, sizeof(uint32_t)));
    if (memory == nullptr) throw std::bad_alloc();
    lengths_.emplace_back(memory);
  }
  bytes_ = sizeof(*this) + capacity * sizeof(Ordinal);
}

DocId TextBuffer::Add(Ordinal ordinal, const TextDocument& document) {
  const DocId doc = end_.load(std::memory_order_relaxed);
  ordinals_[doc] = ordinal;
  by_ordinal_[ordinal] = doc;
  for (uint32_t field = 0; field < lengths_.size(); ++field) {
    if (document.length(field) > 0) lengths_[field][doc] = document.length(field);
  }
  for (size_t i = 0; i < document.size(); ++i) {
    Prefetch(document, i);
    const TextDocument::Term of_document = document.term(i);
    Term* term = FindOrAdd(of_document);
    Append(term, MakePosting(doc, of_document));
    ++term->df;
  }
  bytes_.fetch_add(kBytesOfDocument, std::memory_order_relaxed);
  end_.store(doc + 1, std::memory_order_release);
  return doc;
}

// The table, the terms and their postings are larger than the processor's caches, and the
// words of a document are anywhere in them: so what comes a little later is fetched
// meanwhile, step by step.
void TextBuffer::Prefetch(const TextDocument& document, size_t index) const {
  const auto slot = [&](size_t ahead) -> Term* const* {
    if (index + ahead >= document.size()) return nullptr;
    return &table_[document.hash(index + ahead) & (table_.size() - 1)];
  };
  if (Term* const* at = slot(3 * kAhead); at != nullptr) __builtin_prefetch(at);
  if (Term* const* at = slot(2 * kAhead); at != nullptr) __builtin_prefetch(*at);
  if (Term* const* at = slot(kAhead); at != nullptr && *at != nullptr) {
    __builtin_prefetch((*at)->next, 1);
  }
}

TextBuffer::Posting TextBuffer::MakePosting(DocId doc, const TextDocument::Term& term) {
  Posting posting{.doc = doc, .tf = term.tf, .positions = nullptr};
  if (term.positions.empty()) return posting;
  if (term.tf == 1) {
    posting.position = term.positions[0];
    return posting;
  }
  auto* positions = static_cast<uint32_t*>(Allocate(term.positions.size_bytes()));
  std::copy(term.positions.begin(), term.positions.end(), positions);
  posting.positions = positions;
  return posting;
}

void TextBuffer::CountOff(const TextDocument& document) {
  for (size_t i = 0; i < document.size(); ++i) --FindOrAdd(document.term(i))->df;
}

DocId TextBuffer::Find(Ordinal ordinal) const {
  const auto found = by_ordinal_.find(ordinal);
  return found == by_ordinal_.end() ? kNoDoc : found->second;
}

const TextBuffer::Term* TextBuffer::FindTerm(uint32_t field, std::string_view text,
                                             uint32_t hash) const {
  const size_t mask = table_.size() - 1;
  for (size_t slot = hash & mask; table_[slot] != nullptr; slot = (slot + 1) & mask) {
    const Term* term = table_[slot];
    if (term->hash == hash && term->field == field && term->text == text) return term;
  }
  return nullptr;
}

TextBuffer::Term* TextBuffer::FindOrAdd(const TextDocument::Term& term) {
  const size_t mask = table_.size() - 1;
  size_t slot = term.hash & mask;
  for (; table_[slot] != nullptr; slot = (slot + 1) & mask) {
    Term* there = table_[slot];
    if (there->hash == term.hash && there->field == term.field && there->text == term.text) {
      return there;
    }
  }
  // The text beside the term, as one is looked at after the other.
  auto* memory = static_cast<char*>(Allocate(sizeof(Term) + term.text.size()));
  Term* added = new (memory) Term;
  char* text = memory + sizeof(Term);
  std::copy(term.text.begin(), term.text.end(), text);
  added->text = {text, term.text.size()};
  added->hash = term.hash;
  added->field = term.field;
  added->previous = newest_;
  newest_ = added;
  table_[slot] = added;
  if (++terms_ * 2 > table_.size()) GrowTable();
  return added;
}

void TextBuffer::GrowTable() {
  std::vector<Term*> larger(table_.size() * 2);
  for (Term* term : table_) {
    if (term == nullptr) continue;
    size_t slot = term->hash & (larger.size() - 1);
    while (larger[slot] != nullptr) slot = (slot + 1) & (larger.size() - 1);
    larger[slot] = term;
  }
  bytes_.fetch_add(table_.size() * sizeof(Term*), std::memory_order_relaxed);
  table_ = std::move(larger);
}

void TextBuffer::Append(Term* term, const Posting& posting) {
  if (term->room == 0) {
    Chunk* const last = term->last;
    const uint32_t size = last == nullptr ? 1 : std::min(kLongestChunk, last->size * 2);
    auto* added = new (Allocate(sizeof(Chunk))) Chunk;
    added->size = size;
    added->postings = static_cast<Posting*>(Allocate(size * sizeof(Posting)));
    (last == nullptr ? term->first : last->next) = added;
    term->last = added;
    term->next = added->postings;
    term->room = size;
  }
  new (term->next++) Posting(posting);
  --term->room;
  term->count.store(term->count.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

void* TextBuffer::Allocate(size_t bytes) {
  bytes = (bytes + 7) / 8 * 8;
  if (bytes > arena_left_) {
    const size_t size = std::max(bytes, next_block_);
    next_block_ = std::min(2 * next_block_, kLargestBlock);
    arena_.push_back(std::make_unique_for_overwrite<char[]>(size));
    arena_at_ = arena_.back().get();
    arena_left_ = size;
    bytes_.fetch_add(size, std::memory_order_relaxed);
  }
  void* memory = arena_at_;
  arena_at_ += bytes;
  arena_left_ -= bytes;
  return memory;
}

}  // namespace cookix::engine
