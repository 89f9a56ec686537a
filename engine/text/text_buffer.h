// Inverted lists in memory, which are read while one thread adds documents.
//
// Lists are chains of chunks that never move: whoever knows how many documents there were
// at some moment reads the beginnings of lists up to there, without waiting for the writer.
#ifndef COOKIX_ENGINE_TEXT_TEXT_BUFFER_H_
#define COOKIX_ENGINE_TEXT_TEXT_BUFFER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "engine/records.h"
#include "engine/text/text_document.h"
#include "engine/text/text_segment.h"

namespace cookix::engine {

// "Locked" methods are called with the index's lock, alone where they change something.
class TextBuffer {
 public:
  // A term in a document. Where it stands is here when that is one place, as mostly, so
  // that whoever goes through a list does not jump about in memory.
  struct Posting {
    DocId doc;
    uint32_t tf;
    union {
      uint32_t position;          // tf == 1
      const uint32_t* positions;  // otherwise, tf of them
    };

    // REQUIRES: the field keeps positions.
    std::span<const uint32_t> Positions() const { return {tf == 1 ? &position : positions, tf}; }
  };

  struct Chunk {
    Chunk* next = nullptr;
    uint32_t size = 0;
    Posting* postings = nullptr;
  };

  struct Term {
    std::string_view text;
    uint32_t hash = 0;
    uint32_t field = 0;
    // The term that was new before this one.
    const Term* previous = nullptr;
    std::atomic<uint32_t> count{0};
    Chunk* first = nullptr;
    Chunk* last = nullptr;
    // Where the next posting goes, and for how many more there is room.
    Posting* next = nullptr;
    uint32_t room = 0;
    // Live documents that have it. Locked.
    uint32_t df = 0;

    // Calls each(posting) for the documents before `end`; postings stay where they are. Any
    // thread that learnt of `end` under the lock.
    template <typename Each>
    void ForEach(DocId end, Each&& each) const {
      uint32_t left = count.load(std::memory_order_acquire);
      for (const Chunk* chunk = first; left > 0; chunk = chunk->next) {
        const uint32_t size = left < chunk->size ? left : chunk->size;
        for (const Posting& posting : std::span(chunk->postings, size)) {
          if (posting.doc >= end) return;
          each(posting);
        }
        left -= size;
        if (left == 0) return;
      }
    }
  };

  TextBuffer(size_t fields, size_t capacity);
  TextBuffer(const TextBuffer&) = delete;
  TextBuffer& operator=(const TextBuffer&) = delete;

  // Locked.
  DocId Add(Ordinal ordinal, const TextDocument& document);
  // Locked: a document that was added does not count any more in df.
  void CountOff(const TextDocument& document);
  // Locked. kNoDoc: there is no such document, or it was forgotten.
  DocId Find(Ordinal ordinal) const;
  // Locked.
  void Forget(Ordinal ordinal) { by_ordinal_.erase(ordinal); }
  // Locked. Null: no document has it.
  const Term* FindTerm(uint32_t field, std::string_view text, uint32_t hash) const;
  // Locked: the newest term, from which `previous` leads to all.
  const Term* newest() const { return newest_; }
  // Locked.
  size_t terms() const { return terms_; }

  DocId documents() const { return end_.load(std::memory_order_acquire); }
  size_t capacity() const { return capacity_; }
  size_t MemoryBytes() const { return bytes_.load(std::memory_order_relaxed); }

  // Of documents below an end learnt under the lock.
  Ordinal ordinal(DocId doc) const { return ordinals_[doc]; }
  const uint32_t* lengths(size_t field) const { return lengths_[field].get(); }

 private:
  // Blocks of the arena double, so that a buffer of few documents takes little.
  static constexpr size_t kFirstBlock = 1 << 10;
  static constexpr size_t kLargestBlock = 1 << 18;
  static constexpr uint32_t kLongestChunk = 128;

  void* Allocate(size_t bytes);
  Term* FindOrAdd(const TextDocument::Term& term);
  void GrowTable();
  void Prefetch(const TextDocument& document, size_t index) const;
  Posting MakePosting(DocId doc, const TextDocument::Term& term);
  void Append(Term* term, const Posting& posting);

  const size_t capacity_;
  std::atomic<DocId> end_{0};
  std::atomic<size_t> bytes_{0};
  std::vector<Ordinal> ordinals_;
  struct Free {
    void operator()(uint32_t* memory) const;
  };
  // By field; pages that nothing was written to take no memory.
  std::vector<std::unique_ptr<uint32_t[], Free>> lengths_;
  absl::flat_hash_map<Ordinal, DocId> by_ordinal_;
  std::vector<Term*> table_;
  size_t terms_ = 0;
  const Term* newest_ = nullptr;
  std::vector<std::unique_ptr<char[]>> arena_;
  char* arena_at_ = nullptr;
  size_t arena_left_ = 0;
  size_t next_block_ = kFirstBlock;
};

}  // namespace cookix::engine

#endif  // COOKIX_ENGINE_TEXT_TEXT_BUFFER_H_
