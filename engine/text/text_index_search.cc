// Answers searches.
#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

#include "engine/stopwatch.h"
#include "engine/text/conjunction_search.h"
#include "engine/text/document_scorer.h"
#include "engine/text/range_search.h"
#include "engine/text/search_nodes.h"
#include "engine/text/text_index_impl.h"
#include "engine/text/top_documents.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using Kind = AnalyzedQuery::Kind;

constexpr size_t kAcceptedKept = 64;
// Expansions between looks at the clock.
constexpr size_t kCheckEvery = 256;

// A word of a term or of a phrase.
struct QueryWord {
  size_t leaf = 0;
  std::string_view text;
  uint32_t hash = 0;
  // Live documents that have it.
  int64_t df = 0;
};

std::vector<QueryWord> WordsOf(const std::vector<const AnalyzedQuery*>& leaves) {
  std::vector<QueryWord> words;
  for (size_t i = 0; i < leaves.size(); ++i) {
    const AnalyzedQuery& leaf = *leaves[i];
    const auto add = [&](std::string_view text) {
      words.push_back({.leaf = i, .text = text, .hash = TextDocument::Hash(leaf.field, text)});
    };
    if (leaf.kind == Kind::kPhrase) {
      for (const AnalyzedQuery::PhraseWord& word : leaf.phrase) add(word.term);
    } else if (!leaf.expands()) {
      add(leaf.term);
    }
  }
  return words;
}

// What a prefix or fuzzy word stands for in one source.
struct ExpandedPostings {
  std::vector<uint32_t> docs, tfs;
};

// A segment or a buffer as it was when the search began.
struct SourceView {
  std::shared_ptr<const TextSegment> segment;
  std::shared_ptr<const TextBuffer> buffer;
  DocId documents = 0;
  const TextBuffer::Term* newest = nullptr;
  std::shared_ptr<const DocBits> dead;
  // By word: of a segment, without documents where it has none; of a buffer, null there.
  std::vector<PackedPostings> packed;
  std::vector<const TextBuffer::Term*> terms;
  // By leaf.
  std::vector<ExpandedPostings> expanded;

  Ordinal ordinal(DocId doc) const {
    return segment != nullptr ? segment->ordinal(doc) : buffer->ordinal(doc);
  }
  bool Has(size_t word) const {
    return segment != nullptr ? packed[word].df > 0 : terms[word] != nullptr;
  }
};

}  // namespace

// One search.
class TextSearcher {
 public:
  TextSearcher(const TextIndex::Impl& index, const CallContext& context, const TextSearch& search,
               TextSearchResult* result)
      : index_(index),
        context_(context),
        search_(search),
        query_(*search.query),
        leaves_(LeavesOf(query_)),
        words_(WordsOf(leaves_)),
        expanded_df_(leaves_.size()),
        result_(*result),
        top_(static_cast<size_t>(std::max<int64_t>(search.limit, 0)),
             search.exhaustive ? std::numeric_limits<float>::infinity()
                               : ScoreMargin(leaves_.size())) {}

  absl::StatusOr<bool> Run(uint64_t commit);

 private:
  // Takes what there is at one moment. False when changes since `commit` are forgotten.
  bool Capture(uint64_t commit);
  bool CaptureLocked(uint64_t commit, std::vector<TextChange>* changes);
  void CaptureSegments();
  void CaptureBuffer(const TextBufferSource& source);
  void TakeBack(const TextChange& change);
  void Count(const TextDocument& document, int sign);

  // Prefixes and fuzzy words.
  absl::Status Expand();
  absl::Status ExpandIn(size_t source, size_t leaf, const TermExpander& expander,
                        std::set<std::string, std::less<>>* found);
  absl::Status ExpandInChanged(size_t leaf, const TermExpander& expander,
                               std::set<std::string, std::less<>>* found);
  absl::Status AddExpansion(size_t leaf, std::string_view text,
                            std::set<std::string, std::less<>>* found) const;
  bool Live(size_t source, DocId doc) const;

  void SetScorers();
  absl::Status ScoreChanged();
  absl::Status SearchSource(size_t source);
  // Null: nothing of the source matches. `word` is the first of the leaf.
  struct Place {
    size_t leaf = 0;
    size_t word = 0;
  };
  std::unique_ptr<SearchNode> Build(const AnalyzedQuery& node, size_t source, Place* place);
  std::unique_ptr<SearchNode> BuildLeaf(size_t source, Place* place);
  LeafScoring ScoringOf(size_t leaf, const SourceView& view) const;
  // All of the query is that documents have all of some terms.
  bool AsksForAllTerms() const;
  absl::Status SearchAllTerms(size_t source);
  std::shared_ptr<const DocBits> AcceptOf(const SourceView& source) const;
  absl::Status Finish();

  const TextIndex::Impl& index_;
  const CallContext& context_;
  const TextSearch& search_;
  const AnalyzedQuery& query_;
  const std::vector<const AnalyzedQuery*> leaves_;
  // By leaf.
  std::vector<QueryWord> words_;
  // By leaf: live documents that have what a prefix or fuzzy word stands for.
  std::vector<int64_t> expanded_df_;
  TextSearchResult& result_;

  std::vector<SourceView> sources_;
  std::vector<TextFieldTotals> totals_;
  // Objects that were changed since, and what they were at the commit: null, if nothing.
  std::unordered_map<Ordinal, std::shared_ptr<const TextDocument>> changed_;
  std::vector<Bm25Leaf> scorers_;

  TopDocuments top_;
  std::vector<TextHit> hits_;  // scored exactly, of changed_
  std::vector<std::unique_ptr<SearchNode>> roots_;
  SearchCounters counters_;
  int64_t matched_ = 0;
};

// ---- what there is --------------------------------------------------------------

bool TextSearcher::Capture(uint64_t commit) {
  std::vector<TextChange> changes;
  if (!CaptureLocked(commit, &changes)) return false;
  for (const TextChange& change : changes) TakeBack(change);
  return true;
}

bool TextSearcher::CaptureLocked(uint64_t commit, std::vector<TextChange>* changes) {
  std::shared_lock<std::shared_mutex> lock(index_.mutex);
  if (commit < index_.forgotten) return false;
  totals_ = index_.totals;
  sources_.reserve(index_.segments.size() + index_.buffers.size());
  CaptureSegments();
  for (const auto& source : index_.buffers) CaptureBuffer(*source);
  auto first = index_.changes.end();
  while (first != index_.changes.begin() && std::prev(first)->commit > commit) --first;
  changes->assign(first, index_.changes.end());
  return true;
}

void TextSearcher::CaptureSegments() {
  const auto field_of = [this](const QueryWord& word) { return leaves_[word.leaf]->field; };
  std::vector<size_t> located;
  located.reserve(index_.segments.size() * words_.size());
  for (const auto& source : index_.segments) {
    for (const QueryWord& word : words_) {
      located.push_back(source->segment->field(field_of(word)).Locate(word.text));
    }
  }
  auto at = located.begin();
  for (const auto& source : index_.segments) {
    for (const QueryWord& word : words_) source->segment->field(field_of(word)).Approach(*at++);
  }
  at = located.begin();
  for (const auto& source : index_.segments) {
    SourceView& view = sources_.emplace_back();
    view.segment = source->segment;
    view.documents = source->segment->documents();
    view.dead = source->dead;
    view.packed.resize(words_.size());
    for (size_t i = 0; i < words_.size(); ++i) {
      const uint32_t field = field_of(words_[i]);
      PackedPostings& packed = view.packed[i];
      if (!source->segment->field(field).FindLocated(*at++, words_[i].text, &packed)) continue;
      packed.Approach();
      words_[i].df += source->LiveDf(field, packed);
    }
  }
}

void TextSearcher::CaptureBuffer(const TextBufferSource& source) {
  const TextBuffer& buffer = *source.buffer;
  if (buffer.documents() == 0) return;
  SourceView& view = sources_.emplace_back();
  view.buffer = source.buffer;
  view.documents = buffer.documents();
  view.newest = buffer.newest();
  view.dead = source.dead;
  for (QueryWord& word : words_) {
    view.terms.push_back(buffer.FindTerm(leaves_[word.leaf]->field, word.text, word.hash));
    if (view.terms.back() != nullptr) word.df += view.terms.back()->df;
  }
}

void TextSearcher::TakeBack(const TextChange& change) {
  // The first change after the commit knows what was before.
  changed_.emplace(change.ordinal, change.before);
  if (change.after != nullptr) Count(*change.after, -1);
  if (change.before != nullptr) Count(*change.before, 1);
}

void TextSearcher::Count(const TextDocument& document, int sign) {
  for (uint32_t i = 0; i < totals_.size(); ++i) {
    if (document.length(i) == 0) continue;
    totals_[i].documents += sign;
    totals_[i].words += sign * int64_t{document.length(i)};
  }
  for (QueryWord& word : words_) {
    TextDocument::Term term;
    if (document.Find(leaves_[word.leaf]->field, word.text, &term)) word.df += sign;
  }
}

bool TextSearcher::Live(size_t source, DocId doc) const {
  const SourceView& view = sources_[source];
  return !TestBit(view.dead.get(), doc) &&
         (changed_.empty() || changed_.count(view.ordinal(doc)) == 0);
}

// ---- prefixes and fuzzy words ----------------------------------------------------

absl::Status TextSearcher::Expand() {
  std::set<std::string> all;
  for (size_t i = 0; i < leaves_.size(); ++i) {
    if (!leaves_[i]->expands()) continue;
    const TermExpander expander(*leaves_[i]);
    std::set<std::string, std::less<>> found;
    for (size_t source = 0; source < sources_.size(); ++source) {
      COOKIX_RETURN_IF_ERROR(ExpandIn(source, i, expander, &found));
    }
    COOKIX_RETURN_IF_ERROR(ExpandInChanged(i, expander, &found));
    all.insert(found.begin(), found.end());
  }
  result_.expansions.assign(all.begin(), all.end());
  return absl::OkStatus();
}

absl::Status TextSearcher::AddExpansion(size_t leaf, std::string_view text,
                                        std::set<std::string, std::less<>>* found) const {
  if (found->find(text) != found->end()) return absl::OkStatus();
  if (found->size() >= search_.max_expansions) {
    return TooManyExpansions(*leaves_[leaf], search_.max_expansions);
  }
  found->emplace(text);
  return absl::OkStatus();
}

// Collects the live documents of all terms that match, with the sums of their tf.
absl::Status TextSearcher::ExpandIn(size_t source, size_t leaf, const TermExpander& expander,
                                    std::set<std::string, std::less<>>* found) {
  const SourceView& view = sources_[source];
  std::vector<uint64_t> postings;  // document, tf
  size_t steps = 0;
  const auto add = [&](std::string_view text, auto&& each_posting) -> absl::Status {
    const size_t before = postings.size();
    each_posting([&](DocId doc, uint32_t tf) {
      if (Live(source, doc)) postings.push_back(uint64_t{doc} << 32 | tf);
    });
    if (postings.size() == before) return absl::OkStatus();
    return AddExpansion(leaf, text, found);
  };
  if (view.segment != nullptr) {
    SegmentField::Cursor cursor(view.segment->field(leaves_[leaf]->field));
    cursor.Seek(expander.common_prefix());
    while (cursor.Next() && cursor.text().starts_with(expander.common_prefix())) {
      if (++steps % kCheckEvery == 0) COOKIX_RETURN_IF_ERROR(context_.Check());
      if (!expander.Matches(cursor.text())) continue;
      COOKIX_RETURN_IF_ERROR(add(cursor.text(), [&](auto&& each) {
        uint32_t docs[kPostingBlock], tfs[kPostingBlock];
        for (size_t block = 0; block < cursor.postings().blocks(); ++block) {
          cursor.postings().ReadBlock(block, docs, tfs);
          for (size_t i = 0; i < cursor.postings().BlockSize(block); ++i) each(docs[i], tfs[i]);
        }
      }));
    }
  } else {
    for (const TextBuffer::Term* term = view.newest; term != nullptr; term = term->previous) {
      if (++steps % kCheckEvery == 0) COOKIX_RETURN_IF_ERROR(context_.Check());
      if (term->field != leaves_[leaf]->field || !expander.Matches(term->text)) continue;
      COOKIX_RETURN_IF_ERROR(add(term->text, [&](auto&& each) {
        term->ForEach(view.documents,
                      [&](const TextBuffer::Posting& posting) { each(posting.doc, posting.tf); });
      }));
    }
  }
  std::sort(postings.begin(), postings.end());
  sources_[source].expanded.resize(leaves_.size());
  ExpandedPostings& to = sources_[source].expanded[leaf];
  for (const uint64_t posting : postings) {
    const DocId doc = static_cast<DocId>(posting >> 32);
    const uint32_t tf = static_cast<uint32_t>(posting);
    if (!to.docs.empty() && to.docs.back() == doc) {
      to.tfs.back() += tf;
    } else {
      to.docs.push_back(doc);
      to.tfs.push_back(tf);
    }
  }
  expanded_df_[leaf] += static_cast<int64_t>(to.docs.size());
  return absl::OkStatus();
}

absl::Status TextSearcher::ExpandInChanged(size_t leaf, const TermExpander& expander,
                                           std::set<std::string, std::less<>>* found) {
  for (const auto& [ordinal, document] : changed_) {
    if (document == nullptr) continue;
    bool any = false;
    for (size_t i = 0; i < document->size(); ++i) {
      const TextDocument::Term term = document->term(i);
      if (term.field != leaves_[leaf]->field || !expander.Matches(term.text)) continue;
      any = true;
      COOKIX_RETURN_IF_ERROR(AddExpansion(leaf, term.text, found));
    }
    expanded_df_[leaf] += any;
  }
  return absl::OkStatus();
}

// ---- finding --------------------------------------------------------------------

void TextSearcher::SetScorers() {
  std::vector<double> idf(leaves_.size(), 0);
  const auto add = [&](size_t leaf, int64_t df) {
    const int64_t documents = totals_[leaves_[leaf]->field].documents;
    idf[leaf] += Bm25Idf(documents, std::clamp<int64_t>(df, 0, documents));
  };
  for (const QueryWord& word : words_) add(word.leaf, word.df);
  for (size_t i = 0; i < leaves_.size(); ++i) {
    if (leaves_[i]->expands()) add(i, expanded_df_[i]);
    scorers_.emplace_back(leaves_[i]->boost, idf[i], totals_[leaves_[i]->field]);
  }
}

absl::Status TextSearcher::ScoreChanged() {
  if (changed_.empty()) return absl::OkStatus();
  DocumentScorer scorer(query_, index_.fields.size(), search_.max_expansions);
  for (size_t i = 0; i < leaves_.size(); ++i) scorer.SetLeaf(i, scorers_[i]);
  for (const auto& [ordinal, document] : changed_) {
    double score = 0;
    if (document == nullptr || !scorer.Score(*document, &score)) continue;
    if (search_.accept != nullptr && !search_.accept->Contains(ordinal)) continue;
    ++matched_;
    hits_.push_back({ordinal, score});
    top_.AddScore(static_cast<float>(score));
  }
  return context_.Check();
}

LeafScoring TextSearcher::ScoringOf(size_t leaf, const SourceView& view) const {
  const uint32_t field = leaves_[leaf]->field;
  if (view.segment == nullptr) {
    return MakeLeafScoring(scorers_[leaf], nullptr, view.buffer->lengths(field));
  }
  const DocLengths& lengths = view.segment->field(field).lengths();
  return MakeLeafScoring(scorers_[leaf], lengths.shorts(), lengths.longs());
}

std::unique_ptr<SearchNode> TextSearcher::BuildLeaf(size_t source, Place* place) {
  SourceView& view = sources_[source];
  const size_t leaf = place->leaf++;
  const AnalyzedQuery& query = *leaves_[leaf];
  const size_t begin = place->word;
  while (place->word < words_.size() && words_[place->word].leaf == leaf) ++place->word;
  for (size_t word = begin; word < place->word; ++word) {
    if (!view.Has(word)) return nullptr;
  }
  const LeafScoring scoring = ScoringOf(leaf, view);
  std::vector<LeafPostings> words;
  words.reserve(place->word - begin + 1);
  for (size_t word = begin; word < place->word; ++word) {
    words.push_back(view.segment != nullptr
                        ? LeafPostings::OfSegment(view.packed[word])
                        : LeafPostings::OfBuffer(*view.terms[word], view.documents));
  }
  if (query.expands()) {
    ExpandedPostings& expanded = view.expanded[leaf];
    words.push_back(LeafPostings::OfArrays(std::move(expanded.docs), std::move(expanded.tfs)));
  }
  for (const LeafPostings& word : words) {
    if (word.size() == 0) return nullptr;
  }
  if (query.kind == Kind::kPhrase) {
    return MakePhraseNode(query, std::move(words), scoring, &counters_);
  }
  return MakeTermNode(std::move(words[0]), scoring, &counters_);
}

std::unique_ptr<SearchNode> TextSearcher::Build(const AnalyzedQuery& node, size_t source,
                                                Place* place) {
  if (node.kind == Kind::kNothing) return nullptr;
  if (node.leaf()) return BuildLeaf(source, place);
  SearchNodes children, excluded;
  for (const AnalyzedQuery& child : node.children) {
    if (auto built = Build(child, source, place)) children.push_back(std::move(built));
  }
  for (const AnalyzedQuery& child : node.excluded) {
    if (auto built = Build(child, source, place)) excluded.push_back(std::move(built));
  }
  const bool all = children.size() == node.children.size();
  if (children.empty() || (node.kind == Kind::kAnd && !all)) return nullptr;
  if (children.size() == 1 && excluded.empty()) return std::move(children[0]);
  if (node.kind == Kind::kOr) return MakeOrNode(std::move(children));
  return MakeAndNode(std::move(children), std::move(excluded));
}

// Null: every document may be found.
std::shared_ptr<const DocBits> TextSearcher::AcceptOf(const SourceView& source) const {
  std::shared_ptr<const DocBits> accepted;
  if (search_.accept != nullptr && source.segment != nullptr) {
    accepted = index_.AcceptedBits(search_.accept, source.segment);
  }
  if (source.dead == nullptr && changed_.empty()) return accepted;
  const size_t words = (source.documents + 63) / 64;
  auto bits = std::make_shared<DocBits>();
  if (accepted != nullptr) {
    *bits = *accepted;
  } else {
    bits->assign(words, ~uint64_t{0});
    if (source.documents % 64 != 0) bits->back() = (uint64_t{1} << (source.documents % 64)) - 1;
  }
  if (source.dead != nullptr) {
    for (size_t i = 0; i < words; ++i) (*bits)[i] &= ~(*source.dead)[i];
  }
  if (source.segment != nullptr) {
    for (const auto& [ordinal, document] : changed_) {
      const DocId doc = source.segment->Find(ordinal);
      if (doc != kNoDoc) (*bits)[doc / 64] &= ~(uint64_t{1} << (doc % 64));
    }
  } else if (!changed_.empty()) {
    for (DocId doc = 0; doc < source.documents; ++doc) {
      if (changed_.count(source.buffer->ordinal(doc)) == 0) continue;
      (*bits)[doc / 64] &= ~(uint64_t{1} << (doc % 64));
    }
  }
  return bits;
}

bool TextSearcher::AsksForAllTerms() const {
  return query_.kind == Kind::kAnd && query_.excluded.empty() && query_.children.size() > 1 &&
         query_.children.size() <= kMostConjunctionTerms &&
         std::all_of(query_.children.begin(), query_.children.end(),
                     [](const AnalyzedQuery& child) { return child.kind == Kind::kTerm; });
}

// REQUIRES: AsksForAllTerms(), so that words are leaves.
absl::Status TextSearcher::SearchAllTerms(size_t source) {
  const SourceView& view = sources_[source];
  for (const PackedPostings& postings : view.packed) {
    if (postings.df == 0) return absl::OkStatus();
  }
  std::vector<ConjunctionTerm> terms;
  terms.reserve(leaves_.size());
  for (size_t i = 0; i < leaves_.size(); ++i) {
    terms.push_back({view.packed[i], ScoringOf(i, view)});
  }
  const auto live = [&](DocId doc) { return Live(source, doc); };
  const ConjunctionSearch search{
      .terms = terms, .source = static_cast<uint32_t>(source), .accepts = live};
  return SearchConjunction(context_, search, &top_, &counters_);
}

absl::Status TextSearcher::SearchSource(size_t source) {
  const SourceView& view = sources_[source];
  const bool all = search_.count || search_.exhaustive;
  // With a filter, a tree looks up the few that are accepted.
  if (!all && view.segment != nullptr && search_.accept == nullptr && AsksForAllTerms()) {
    return SearchAllTerms(source);
  }
  Place place;
  roots_[source] = Build(query_, source, &place);
  SearchNode* const root = roots_[source].get();
  if (root == nullptr || (!all && root->bound() < top_.cut())) return absl::OkStatus();
  const std::shared_ptr<const DocBits> accept = AcceptOf(view);
  const auto contains = [&](DocId doc) { return search_.accept->Contains(view.ordinal(doc)); };
  const absl::FunctionRef<bool(DocId)> accepts = contains;
  RangeSearch ranges{.root = root,
                     .documents = view.documents,
                     .source = static_cast<uint32_t>(source),
                     .accept = accept.get(),
                     .all = all};
  if (search_.accept != nullptr && view.segment == nullptr) ranges.accepts = &accepts;
  return SearchRanges(context_, ranges, &top_, &matched_);
}

// Scores exactly what may be among the best.
absl::Status TextSearcher::Finish() {
  std::vector<TopDocuments::Entry> entries = top_.Take();
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return a.source < b.source || (a.source == b.source && a.doc < b.doc);
  });
  for (size_t i = 0; i < entries.size(); ++i) {
    if (i % 1024 == 1023) COOKIX_RETURN_IF_ERROR(context_.Check());
    double score = entries[i].exact;
    if (score == TopDocuments::kUnknown) {
      score = 0;
      roots_[entries[i].source]->Match(entries[i].doc, &score);
    }
    hits_.push_back({sources_[entries[i].source].ordinal(entries[i].doc), score});
  }
  const size_t limit =
      std::min(hits_.size(), static_cast<size_t>(std::max<int64_t>(0, search_.limit)));
  std::partial_sort(hits_.begin(), hits_.begin() + static_cast<ptrdiff_t>(limit), hits_.end());
  hits_.resize(limit);
  result_.hits = std::move(hits_);
  result_.total = search_.count ? matched_ : -1;
  result_.scored = counters_.scored;
  result_.blocks_skipped = counters_.blocks_skipped;
  result_.blocks_read = counters_.blocks_read;
  for (const auto& root : roots_) {
    if (root != nullptr) result_.blocks_read += root->blocks_read();
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> TextSearcher::Run(uint64_t commit) {
  COOKIX_RETURN_IF_ERROR(context_.Check());
  for (const AnalyzedQuery* leaf : leaves_) {
    if (leaf->field >= index_.fields.size()) return false;
  }
  COOKIX_RETURN_IF_ERROR(CheckPhrases(query_, index_.fields));
  if (!Capture(commit)) return false;
  COOKIX_RETURN_IF_ERROR(Expand());
  SetScorers();
  COOKIX_RETURN_IF_ERROR(ScoreChanged());
  // The largest first: what it finds lets much of the others be passed over.
  std::vector<size_t> order(sources_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return sources_[a].documents > sources_[b].documents;
  });
  roots_.resize(sources_.size());
  for (const size_t source : order) COOKIX_RETURN_IF_ERROR(SearchSource(source));
  COOKIX_RETURN_IF_ERROR(Finish());
  return true;
}

std::shared_ptr<const DocBits> TextIndex::Impl::AcceptedBits(
    const std::shared_ptr<const OrdinalSet>& set,
    const std::shared_ptr<const TextSegment>& segment) const {
  {
    std::lock_guard<std::mutex> lock(accepted_mutex);
    for (const Accepted& entry : accepted) {
      if (entry.set.lock() == set && entry.segment.lock() == segment) return entry.bits;
    }
  }
  auto bits = std::make_shared<DocBits>((segment->documents() + 63) / 64);
  const auto accept = [&](DocId doc) { (*bits)[doc / 64] |= uint64_t{1} << (doc % 64); };
  if (set->Count() < segment->documents()) {
    DocId doc = 0;
    set->ForEach([&](Ordinal ordinal) {
      doc = segment->ordinals().LowerBound(doc, ordinal);
      if (doc < segment->documents() && segment->ordinal(doc) == ordinal) accept(doc);
    });
  } else {
    for (DocId doc = 0; doc < segment->documents(); ++doc) {
      if (set->Contains(segment->ordinal(doc))) accept(doc);
    }
  }
  std::lock_guard<std::mutex> lock(accepted_mutex);
  std::erase_if(accepted, [](const Accepted& entry) {
    return entry.set.expired() || entry.segment.expired();
  });
  if (accepted.size() >= kAcceptedKept) accepted.pop_front();
  accepted.push_back({set, segment, bits});
  return bits;
}

absl::StatusOr<bool> TextIndex::Search(const CallContext& context, const TextSearch& search,
                                       uint64_t commit, TextSearchResult* result) const {
  const Stopwatch watch;
  *result = {};
  result->strategy = "inverted";
  TextSearcher searcher(*impl_, context, search, result);
  COOKIX_ASSIGN_OR_RETURN(const bool answered, searcher.Run(commit));
  result->search_us = watch.Elapsed();
  return answered;
}

}  // namespace cookix::engine
