#include "engine/text/text_buffer.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

namespace cookix::engine {

void TextBuffer::Free::operator()(uint32_t* memory) const { std::free(memory); }

TextBuffer::TextBuffer(size_t fields, size_t capacity)
    : capacity_(capacity), ordinals_(capacity), documents_(capacity), table_(1 << 10) {
  for (size_t i = 0; i < fields; ++i) {
    auto* memory = static_cast<uint32_t*>(std::calloc(capacity, sizeof(uint32_t)));
    if (memory == nullptr) throw std::bad_alloc();
    lengths_.emplace_back(memory);
  }
  bytes_ = sizeof(*this) + capacity * (sizeof(Ordinal) + sizeof(documents_[0]));
}

DocId TextBuffer::Add(Ordinal ordinal, std::shared_ptr<const TextDocument> document) {
  const DocId doc = end_.load(std::memory_order_relaxed);
  ordinals_[doc] = ordinal;
  by_ordinal_[ordinal] = doc;
  for (uint32_t field = 0; field < lengths_.size(); ++field) {
    if (document->length(field) > 0) lengths_[field][doc] = document->length(field);
  }
  for (uint32_t i = 0; i < document->size(); ++i) {
    const TextDocument::Term of_document = document->term(i);
    Term* term = FindOrAdd(of_document);
    Append(term, {doc, of_document.tf, i});
    ++term->df;
  }
  bytes_.fetch_add(document->MemoryBytes() + 64, std::memory_order_relaxed);
  documents_[doc] = std::move(document);
  end_.store(doc + 1, std::memory_order_release);
  return doc;
}

void TextBuffer::CountOff(DocId doc) {
  const TextDocument& document = *documents_[doc];
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
  auto* text = static_cast<char*>(Allocate(term.text.size()));
  std::copy(term.text.begin(), term.text.end(), text);
  Term* added = new (Allocate(sizeof(Term))) Term;
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
  Chunk* chunk = term->last;
  if (chunk == nullptr || term->last_count == chunk->size) {
    const uint32_t size = chunk == nullptr ? 1 : std::min(kLongestChunk, chunk->size * 2);
    auto* added = new (Allocate(sizeof(Chunk))) Chunk;
    added->size = size;
    added->postings = static_cast<Posting*>(Allocate(size * sizeof(Posting)));
    (chunk == nullptr ? term->first : chunk->next) = added;
    term->last = chunk = added;
    term->last_count = 0;
  }
  new (&chunk->postings[term->last_count++]) Posting(posting);
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
