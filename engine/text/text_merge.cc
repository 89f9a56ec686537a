#include "engine/text/text_merge.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace cookix::engine {
namespace {

// Terms between two steps of fetching what is about to be read.
constexpr size_t kAhead = 8;

struct Renumbering {
  std::vector<Ordinal> ordinals;
  // By source: the new number of each document, or kNoDoc.
  std::vector<std::vector<DocId>> numbers;
};

// The documents of all sources in order of ordinals.
Renumbering Renumber(std::span<const MergeSource> sources) {
  Renumbering result;
  result.numbers.resize(sources.size());
  std::vector<DocId> at(sources.size(), 0);
  for (size_t s = 0; s < sources.size(); ++s) {
    result.numbers[s].assign(sources[s].segment->documents(), kNoDoc);
  }
  const auto skip_dead = [&](size_t s) {
    while (at[s] < sources[s].segment->documents() && TestBit(sources[s].dead, at[s])) ++at[s];
    return at[s] < sources[s].segment->documents();
  };
  // Sources by their next ordinal, the least at the end.
  std::vector<std::pair<Ordinal, size_t>> waiting;
  const auto insert = [&](size_t s) {
    if (!skip_dead(s)) return;
    const std::pair<Ordinal, size_t> next{sources[s].segment->ordinal(at[s]), s};
    waiting.insert(std::upper_bound(waiting.begin(), waiting.end(), next, std::greater<>()), next);
  };
  for (size_t s = 0; s < sources.size(); ++s) insert(s);
  while (!waiting.empty()) {
    const size_t s = waiting.back().second;
    waiting.pop_back();
    // As long as this source is first.
    const Ordinal limit = waiting.empty() ? ~Ordinal{0} : waiting.back().first;
    while (skip_dead(s) && sources[s].segment->ordinal(at[s]) <= limit) {
      result.numbers[s][at[s]] = static_cast<DocId>(result.ordinals.size());
      result.ordinals.push_back(sources[s].segment->ordinal(at[s]++));
    }
    insert(s);
  }
  return result;
}

// The live postings of one term in one source, renumbered.
class RenumberedPostings {
 public:
  void Read(const PackedPostings& postings, bool with_positions,
            const std::vector<DocId>& numbers) {
    docs_.clear();
    tfs_.clear();
    positions_.clear();
    next_ = 0;
    uint32_t docs[kPostingBlock], tfs[kPostingBlock];
    for (size_t block = 0; block < postings.blocks(); ++block) {
      postings.ReadBlock(block, docs, tfs);
      const uint8_t* at = postings.BlockPositions(block);
      for (size_t i = 0; i < postings.BlockSize(block); ++i) {
        const uint8_t* begin = at;
        if (with_positions) at = SkipPositions(at, tfs[i]);
        if (numbers[docs[i]] == kNoDoc) continue;
        docs_.push_back(numbers[docs[i]]);
        tfs_.push_back(tfs[i]);
        positions_.emplace_back(reinterpret_cast<const char*>(begin),
                                static_cast<size_t>(at - begin));
      }
    }
  }
  bool done() const { return next_ == docs_.size(); }
  DocId doc() const { return docs_[next_]; }
  // Moves what is below `limit`.
  void MoveTo(DocId limit, TermPostings* to) {
    for (; !done() && docs_[next_] < limit; ++next_) {
      to->Add(docs_[next_], tfs_[next_], positions_[next_]);
    }
  }

 private:
  std::vector<DocId> docs_;
  std::vector<uint32_t> tfs_;
  std::vector<std::string_view> positions_;
  size_t next_ = 0;
};

// Puts the parts together in order of documents.
void Join(std::span<RenumberedPostings> parts, TermPostings* joined) {
  joined->Clear();
  while (true) {
    RenumberedPostings* first = nullptr;
    DocId limit = kNoDoc;
    for (RenumberedPostings& part : parts) {
      if (part.done()) continue;
      if (first == nullptr || part.doc() < first->doc()) {
        if (first != nullptr) limit = std::min(limit, first->doc());
        first = &part;
      } else {
        limit = std::min(limit, part.doc());
      }
    }
    if (first == nullptr) return;
    first->MoveTo(limit, joined);
  }
}

void MergeField(std::span<const MergeSource> sources, size_t field, const Renumbering& numbering,
                TextSegmentWriter* writer) {
  std::vector<SegmentField::Cursor> cursors;
  std::vector<bool> more;
  for (const MergeSource& source : sources) {
    cursors.emplace_back(source.segment->field(field));
    more.push_back(cursors.back().Next());
  }
  std::vector<RenumberedPostings> parts(sources.size());
  TermPostings joined;
  std::string text;
  while (true) {
    const std::string* least = nullptr;
    for (size_t s = 0; s < sources.size(); ++s) {
      if (more[s] && (least == nullptr || cursors[s].text() < *least)) least = &cursors[s].text();
    }
    if (least == nullptr) return;
    text = *least;
    size_t count = 0;
    for (size_t s = 0; s < sources.size(); ++s) {
      if (!more[s] || cursors[s].text() != text) continue;
      parts[count++].Read(cursors[s].postings(), sources[s].segment->field(field).has_positions(),
                          numbering.numbers[s]);
      more[s] = cursors[s].Next();
    }
    Join(std::span(parts).first(count), &joined);
    writer->Add(field, text, joined);
  }
}

std::vector<const TextBuffer::Term*> SortedTerms(const TextBuffer::Term* newest) {
  std::vector<const TextBuffer::Term*> terms;
  for (const TextBuffer::Term* term = newest; term != nullptr; term = term->previous) {
    terms.push_back(term);
  }
  std::sort(terms.begin(), terms.end(), [](const TextBuffer::Term* a, const TextBuffer::Term* b) {
    return a->field < b->field || (a->field == b->field && a->text < b->text);
  });
  return terms;
}

}  // namespace

std::shared_ptr<const TextSegment> SegmentOfBuffer(const TextBuffer& buffer, DocId end,
                                                   const TextBuffer::Term* newest,
                                                   const DocBits* dead,
                                                   const std::vector<bool>& with_positions) {
  std::vector<DocId> live;
  for (DocId doc = 0; doc < end; ++doc) {
    if (!TestBit(dead, doc)) live.push_back(doc);
  }
  std::sort(live.begin(), live.end(),
            [&](DocId a, DocId b) { return buffer.ordinal(a) < buffer.ordinal(b); });
  std::vector<Ordinal> ordinals(live.size());
  std::vector<DocId> numbers(end, kNoDoc);
  for (size_t i = 0; i < live.size(); ++i) {
    ordinals[i] = buffer.ordinal(live[i]);
    numbers[live[i]] = static_cast<DocId>(i);
  }
  std::vector<std::vector<uint32_t>> lengths(with_positions.size());
  for (size_t field = 0; field < lengths.size(); ++field) {
    for (const DocId doc : live) lengths[field].push_back(buffer.lengths(field)[doc]);
  }
  TextSegmentWriter writer(ordinals, with_positions, lengths);
  std::vector<std::pair<DocId, TextBuffer::Posting>> postings;
  TermPostings renumbered;
  const std::vector<const TextBuffer::Term*> terms = SortedTerms(newest);
  for (size_t t = 0; t < terms.size(); ++t) {
    // Terms and their postings are anywhere in memory.
    if (t + 2 * kAhead < terms.size()) __builtin_prefetch(terms[t + 2 * kAhead]);
    if (t + kAhead < terms.size()) __builtin_prefetch(terms[t + kAhead]->first);
    const TextBuffer::Term* const term = terms[t];
    postings.clear();
    term->ForEach(end, [&](const TextBuffer::Posting& posting) {
      if (numbers[posting.doc] != kNoDoc) postings.emplace_back(numbers[posting.doc], posting);
    });
    const auto by_number = [](const auto& a, const auto& b) { return a.first < b.first; };
    if (!std::is_sorted(postings.begin(), postings.end(), by_number)) {
      std::sort(postings.begin(), postings.end(), by_number);
    }
    renumbered.Clear();
    for (const auto& [doc, posting] : postings) {
      renumbered.Add(doc, posting.tf, {});
      if (with_positions[term->field]) AppendPositions(posting.Positions(), &renumbered.positions);
    }
    writer.Add(term->field, term->text, renumbered);
  }
  return writer.Finish();
}

std::shared_ptr<const TextSegment> MergeSegments(std::span<const MergeSource> sources,
                                                 const std::vector<bool>& with_positions) {
  const Renumbering numbering = Renumber(sources);
  std::vector<std::vector<uint32_t>> lengths(with_positions.size());
  for (size_t field = 0; field < lengths.size(); ++field) {
    for (size_t s = 0; s < sources.size(); ++s) {
      const SegmentField& from = sources[s].segment->field(field);
      if (from.totals().documents == 0) continue;
      lengths[field].resize(numbering.ordinals.size());
      for (DocId doc = 0; doc < numbering.numbers[s].size(); ++doc) {
        const DocId number = numbering.numbers[s][doc];
        if (number != kNoDoc) lengths[field][number] = from.lengths()[doc];
      }
    }
  }
  TextSegmentWriter writer(numbering.ordinals, with_positions, lengths);
  for (size_t field = 0; field < with_positions.size(); ++field) {
    MergeField(sources, field, numbering, &writer);
  }
  return writer.Finish();
}

}  // namespace cookix::engine
