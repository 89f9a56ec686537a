#include "engine/text/window_search.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <numeric>
#include <vector>

namespace cookix::engine {
namespace {

// Windows that are searched first, the best by their bounds, to have a cut early.
constexpr size_t kFirst = 4;
// With fewer accepted documents in a window than this, each is looked up.
constexpr size_t kFew = 64;
// Windows between looks at the clock.
constexpr size_t kCheckEvery = 16;

class Runner {
 public:
  Runner(const WindowSearch& search, TopDocuments* top, int64_t* found)
      : search_(search), top_(*top), found_(*found), candidates_(new Candidates) {}

  void Run(size_t window) {
    const float cut = search_.all ? kNoCut : top_.cut();
    const float bound = search_.root->bounds()[window];
    if (bound <= 0 || bound < cut) return;
    if (search_.accept != nullptr) {
      const size_t accepted = Accepted(window);
      if (accepted == 0) return;
      if (accepted < kFew) {
        Lookup(window);
        Take();
        return;
      }
    }
    search_.root->Generate(window, cut, candidates_.get());
    Take();
  }

 private:
  static constexpr size_t kWords = kWindow / 64;

  size_t WordsBegin(size_t window) const { return window * kWords; }
  size_t WordsEnd(size_t window) const {
    return std::min(search_.accept->size(), (window + 1) * kWords);
  }

  size_t Accepted(size_t window) const {
    size_t count = 0;
    for (size_t i = WordsBegin(window); i < WordsEnd(window); ++i) {
      count += static_cast<size_t>(std::popcount((*search_.accept)[i]));
    }
    return count;
  }

  void Lookup(size_t window) {
    candidates_->count = 0;
    for (size_t i = WordsBegin(window); i < WordsEnd(window); ++i) {
      for (uint64_t word = (*search_.accept)[i]; word != 0; word &= word - 1) {
        const DocId doc = static_cast<DocId>(i * 64 + static_cast<size_t>(std::countr_zero(word)));
        float score = 0;
        if (!search_.root->Probe(doc, &score)) continue;
        candidates_->docs[candidates_->count] = doc;
        candidates_->scores[candidates_->count++] = score;
      }
    }
  }

  void Take() {
    for (size_t i = 0; i < candidates_->count; ++i) {
      const DocId doc = candidates_->docs[i];
      if (!search_.all && candidates_->scores[i] < top_.cut()) continue;
      if (search_.accept != nullptr && !TestBit(search_.accept, doc)) continue;
      if (search_.accepts != nullptr && !(*search_.accepts)(doc)) continue;
      ++found_;
      top_.Add(candidates_->scores[i], search_.source, doc);
    }
  }

  const WindowSearch& search_;
  TopDocuments& top_;
  int64_t& found_;
  const std::unique_ptr<Candidates> candidates_;
};

}  // namespace

absl::Status RunWindows(const CallContext& context, const WindowSearch& search, TopDocuments* top,
                        int64_t* found) {
  const size_t windows = WindowsOf(search.documents);
  const std::vector<float>& bounds = search.root->bounds();
  Runner runner(search, top, found);
  std::vector<size_t> first;
  if (!search.all && windows > 2 * kFirst) {
    first.resize(windows);
    std::iota(first.begin(), first.end(), size_t{0});
    std::partial_sort(first.begin(), first.begin() + kFirst, first.end(), [&](size_t a, size_t b) {
      return bounds[a] > bounds[b] || (bounds[a] == bounds[b] && a < b);
    });
    first.resize(kFirst);
    for (const size_t window : first) runner.Run(window);
  }
  for (size_t window = 0; window < windows; ++window) {
    if (window % kCheckEvery == 0) {
      if (const absl::Status status = context.Check(); !status.ok()) return status;
    }
    if (std::find(first.begin(), first.end(), window) == first.end()) runner.Run(window);
  }
  return absl::OkStatus();
}

}  // namespace cookix::engine
