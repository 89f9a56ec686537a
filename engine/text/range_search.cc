#include "engine/text/range_search.h"

#include <algorithm>
#include <bit>

#include "engine/text/thread_scratch.h"

namespace cookix::engine {
namespace {

// With fewer accepted documents in a step than this, each is looked up.
constexpr size_t kFew = 64;
// Steps between looks at the clock.
constexpr size_t kCheckEvery = 64;

class Searcher {
 public:
  Searcher(const RangeSearch& search, TopDocuments* top, int64_t* found)
      : search_(search), top_(*top), found_(*found), candidates_(*scratch_.get()) {}

  // Searches a step from `begin` on, and returns where the next begins.
  DocId Step(DocId begin) {
    if (search_.accept != nullptr) {
      begin = NextAccepted(begin);
      if (begin >= search_.documents) return search_.documents;
    }
    const float cut = search_.all ? kNoCut : top_.cut();
    const SearchNode::Step step = search_.root->Plan(begin, cut);
    const DocRange range{begin, std::min(step.end, search_.documents)};
    if (step.bound <= 0 || step.bound < cut) return range.end;
    if (search_.accept == nullptr || !LookUpFew(range)) {
      search_.root->Generate(range, cut, &candidates_);
    }
    Take();
    return range.end;
  }

 private:
  // What is accepted of the 64 documents of a word, without those that are not in the range.
  uint64_t AcceptedOf(size_t word, DocRange range) const {
    uint64_t bits = (*search_.accept)[word];
    if (word == range.begin / 64) bits &= ~uint64_t{0} << (range.begin % 64);
    if (word == range.end / 64) bits &= ~(~uint64_t{0} << (range.end % 64));
    return bits;
  }

  DocId NextAccepted(DocId doc) const {
    const DocRange rest{doc, search_.documents};
    for (size_t word = doc / 64; word < search_.accept->size(); ++word) {
      const uint64_t bits = AcceptedOf(word, rest);
      if (bits != 0) return FirstOf(word, bits);
    }
    return search_.documents;
  }

  static DocId FirstOf(size_t word, uint64_t bits) {
    return static_cast<DocId>(word * 64 + static_cast<size_t>(std::countr_zero(bits)));
  }

  // False when many are accepted; then nothing was done.
  bool LookUpFew(DocRange range) {
    const size_t end = (range.end + 63) / 64;
    size_t count = 0;
    for (size_t word = range.begin / 64; word < end && count < kFew; ++word) {
      count += static_cast<size_t>(std::popcount(AcceptedOf(word, range)));
    }
    if (count >= kFew) return false;
    candidates_.count = 0;
    for (size_t word = range.begin / 64; word < end; ++word) {
      for (uint64_t bits = AcceptedOf(word, range); bits != 0; bits &= bits - 1) {
        const DocId doc = FirstOf(word, bits);
        float score = 0;
        if (!search_.root->Probe(doc, &score)) continue;
        candidates_.docs[candidates_.count] = doc;
        candidates_.scores[candidates_.count++] = score;
      }
    }
    return true;
  }

  void Take() {
    for (size_t i = 0; i < candidates_.count; ++i) {
      const DocId doc = candidates_.docs[i];
      if (!search_.all && candidates_.scores[i] < top_.cut()) continue;
      if (search_.accept != nullptr && !TestBit(search_.accept, doc)) continue;
      if (search_.accepts != nullptr && !(*search_.accepts)(doc)) continue;
      ++found_;
      top_.Add(candidates_.scores[i], search_.source, doc);
    }
  }

  const RangeSearch& search_;
  TopDocuments& top_;
  int64_t& found_;
  ThreadScratch<Candidates> scratch_;
  Candidates& candidates_;
};

}  // namespace

absl::Status SearchRanges(const CallContext& context, const RangeSearch& search, TopDocuments* top,
                          int64_t* found) {
  Searcher searcher(search, top, found);
  size_t steps = 0;
  for (DocId begin = 0; begin < search.documents;) {
    if (++steps % kCheckEvery == 0) {
      if (const absl::Status status = context.Check(); !status.ok()) return status;
    }
    begin = searcher.Step(begin);
  }
  return absl::OkStatus();
}

}  // namespace cookix::engine
