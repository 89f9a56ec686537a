#include <algorithm>
#include <bit>
#include <utility>

#include "engine/text/posting_tail.h"
#include "engine/text/text_segment.h"
#include "engine/text/text_segment_format.h"
#include "storage/base/coding.h"

namespace cookix::engine {
namespace {

constexpr uint32_t kMost = 0xFFFF;

// The pairs that no other is as good as, the shortest first.
std::vector<Impacts::Pair> BestPairs(std::span<Impacts::Pair> all) {
  // Few are left of many equal ones: of each small tf the one of the least length.
  std::array<uint32_t, 32> least;
  least.fill(kMost + 1);
  size_t count = 0;
  for (const Impacts::Pair pair : all) {
    if (pair.tf < least.size()) {
      least[pair.tf] = std::min<uint32_t>(least[pair.tf], pair.length);
    } else {
      all[count++] = pair;
    }
  }
  for (uint16_t tf = 0; tf < least.size(); ++tf) {
    if (least[tf] <= kMost) all[count++] = {tf, static_cast<uint16_t>(least[tf])};
  }
  all = all.first(count);
  std::sort(all.begin(), all.end(), [](const Impacts::Pair& a, const Impacts::Pair& b) {
    return a.length < b.length || (a.length == b.length && a.tf > b.tf);
  });
  std::vector<Impacts::Pair> best;
  for (const Impacts::Pair& pair : all) {
    if (best.empty() || pair.tf > best.back().tf) best.push_back(pair);
  }
  return best;
}

// What of a score depends on the document, at an ordinary length.
double Worth(const Impacts::Pair& pair, double mean) {
  return pair.tf / (pair.tf + 0.3 + 0.9 * pair.length / mean);
}

// Joins neighbours, where that lifts the bound least, until four are left.
void Reduce(double mean, std::vector<Impacts::Pair>* pairs) {
  while (pairs->size() > std::tuple_size_v<decltype(Impacts::pairs)>) {
    size_t best = 0;
    double least = 2;
    for (size_t i = 0; i + 1 < pairs->size(); ++i) {
      const Impacts::Pair joined{(*pairs)[i + 1].tf, (*pairs)[i].length};
      const double lift =
          Worth(joined, mean) - std::max(Worth((*pairs)[i], mean), Worth((*pairs)[i + 1], mean));
      if (lift >= least) continue;
      least = lift;
      best = i;
    }
    (*pairs)[best].tf = (*pairs)[best + 1].tf;
    pairs->erase(pairs->begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

}  // namespace

void TermPostings::Clear() {
  docs.clear();
  tfs.clear();
  positions.clear();
  position_offsets.clear();
}

void TermPostings::Add(DocId doc, uint32_t tf, std::string_view doc_positions) {
  if (docs.size() % kPostingBlock == 0) {
    position_offsets.push_back(static_cast<uint32_t>(positions.size()));
  }
  docs.push_back(doc);
  tfs.push_back(tf);
  positions.append(doc_positions);
}

TextSegmentWriter::TextSegmentWriter(std::span<const Ordinal> ordinals,
                                     const std::vector<bool>& with_positions,
                                     std::span<const std::vector<uint32_t>> lengths)
    : segment_(std::make_shared<TextSegment>()) {
  segment_->ordinals_ = DocOrdinals(ordinals);
  segment_->fields_.resize(with_positions.size());
  for (size_t i = 0; i < with_positions.size(); ++i) {
    SegmentField& field = segment_->fields_[i];
    field.has_positions_ = with_positions[i];
    for (const uint32_t length : lengths[i]) {
      field.totals_.documents += length > 0;
      field.totals_.words += length;
    }
    if (field.totals_.documents > 0) field.lengths_ = DocLengths(lengths[i]);
  }
}

void TextSegmentWriter::Add(size_t field_number, std::string_view text,
                            const TermPostings& postings) {
  if (postings.docs.empty()) return;
  SegmentField& field = segment_->fields_[field_number];
  if (field_number != field_) last_text_.clear();
  field_ = field_number;
  if (field.terms_ % kDictionaryBlock == 0) {
    field.heads_.push_back(SegmentField::Head(text));
    field.dictionary_blocks_.push_back({.text = field.dictionary_.size(),
                                        .postings = field.postings_.size(),
                                        .positions = field.positions_.size(),
                                        .block = static_cast<uint32_t>(field.last_docs_.size())});
    last_text_.clear();
  }
  const size_t before = field.postings_.size();
  AddBlocks(field, postings);
  const size_t shared = SharedBytes(last_text_, text);
  PutVarint64(&field.dictionary_, shared);
  PutVarint64(&field.dictionary_, text.size() - shared);
  field.dictionary_.append(text.substr(shared));
  PutVarint64(&field.dictionary_, postings.docs.size());
  PutVarint64(&field.dictionary_, field.postings_.size() - before);
  if (field.has_positions_) {
    PutVarint64(&field.dictionary_, postings.positions.size());
    field.positions_.append(postings.positions);
  }
  last_text_ = text;
  ++field.terms_;
}

void TextSegmentWriter::AddBlocks(SegmentField& field, const TermPostings& postings) {
  const size_t df = postings.docs.size();
  const size_t begin_bytes = field.postings_.size();
  DocId next = 0;
  for (size_t begin = 0; begin < df; begin += kPostingBlock) {
    const size_t end = std::min(df, begin + kPostingBlock);
    if (df >= kPostingBlock) {
      field.last_docs_.push_back(postings.docs[end - 1]);
      field.offsets_.push_back(static_cast<uint32_t>(field.postings_.size() - begin_bytes));
      if (field.has_positions_) {
        field.position_offsets_.push_back(postings.position_offsets[begin / kPostingBlock]);
      }
      field.impacts_.push_back(ImpactsOf(field, postings, begin, end));
    }
    if (end - begin < kPostingBlock) {
      AppendPostingTail(std::span(postings.docs).subspan(begin),
                        std::span(postings.tfs).subspan(begin), next, &field.postings_);
      return;
    }
    uint32_t distances[kPostingBlock], tfs[kPostingBlock];
    for (size_t i = 0; i < kPostingBlock; ++i) {
      distances[i] = postings.docs[begin + i] - next;
      next = postings.docs[begin + i] + 1;
      tfs[i] = postings.tfs[begin + i] - 1;
    }
    const int doc_bits = PackedBits(distances);
    const int tf_bits = PackedBits(tfs);
    field.postings_.push_back(static_cast<char>(doc_bits));
    field.postings_.push_back(static_cast<char>(tf_bits));
    Pack(distances, doc_bits, &field.postings_);
    Pack(tfs, tf_bits, &field.postings_);
  }
}

Impacts TextSegmentWriter::ImpactsOf(const SegmentField& field, const TermPostings& postings,
                                     size_t begin, size_t end) const {
  std::array<Impacts::Pair, kPostingBlock> all;
  for (size_t i = begin; i < end; ++i) {
    all[i - begin] = {static_cast<uint16_t>(std::min(postings.tfs[i], kMost)),
                      static_cast<uint16_t>(std::min(field.lengths_[postings.docs[i]], kMost))};
  }
  std::vector<Impacts::Pair> best = BestPairs(std::span(all).first(end - begin));
  Reduce(static_cast<double>(field.totals_.words) / static_cast<double>(field.totals_.documents),
         &best);
  Impacts impacts;
  for (size_t i = 0; i < impacts.pairs.size(); ++i) {
    impacts.pairs[i] = best[std::min(i, best.size() - 1)];
  }
  return impacts;
}

std::shared_ptr<const TextSegment> TextSegmentWriter::Finish() {
  for (SegmentField& field : segment_->fields_) {
    field.heads_.shrink_to_fit();
    field.dictionary_blocks_.shrink_to_fit();
    field.dictionary_.shrink_to_fit();
    field.postings_.shrink_to_fit();
    field.positions_.shrink_to_fit();
    field.last_docs_.shrink_to_fit();
    field.offsets_.shrink_to_fit();
    field.position_offsets_.shrink_to_fit();
    field.impacts_.shrink_to_fit();
  }
  segment_->CountMemory();
  return std::move(segment_);
}

}  // namespace cookix::engine
