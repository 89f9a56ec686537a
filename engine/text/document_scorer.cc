#include "engine/text/document_scorer.h"

#include <algorithm>

#include "engine/text/phrase_match.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using Kind = AnalyzedQuery::Kind;

void AddLeaves(const AnalyzedQuery& node, std::vector<const AnalyzedQuery*>* leaves) {
  if (node.leaf()) leaves->push_back(&node);
  for (const AnalyzedQuery& child : node.children) AddLeaves(child, leaves);
  for (const AnalyzedQuery& child : node.excluded) AddLeaves(child, leaves);
}

size_t CountLeaves(const AnalyzedQuery& node) {
  size_t leaves = node.leaf() ? 1 : 0;
  for (const AnalyzedQuery& child : node.children) leaves += CountLeaves(child);
  for (const AnalyzedQuery& child : node.excluded) leaves += CountLeaves(child);
  return leaves;
}

uint32_t TermTf(const AnalyzedQuery& leaf, const std::string& text, const TextDocument& document) {
  TextDocument::Term term;
  return document.Find(leaf.field, text, &term) ? term.tf : 0;
}

uint32_t PhraseTf(const AnalyzedQuery& leaf, const TextDocument& document) {
  std::vector<std::span<const uint32_t>> positions;
  for (const AnalyzedQuery::PhraseWord& word : leaf.phrase) {
    TextDocument::Term term;
    if (!document.Find(leaf.field, word.term, &term)) return 0;
    positions.push_back(term.positions);
  }
  return CountPhrase(leaf.phrase, leaf.slop, positions);
}

}  // namespace

std::vector<const AnalyzedQuery*> LeavesOf(const AnalyzedQuery& query) {
  std::vector<const AnalyzedQuery*> leaves;
  AddLeaves(query, &leaves);
  return leaves;
}

absl::Status CheckPhrases(const AnalyzedQuery& query, std::span<const TextIndexField> fields) {
  for (const AnalyzedQuery* leaf : LeavesOf(query)) {
    if (leaf->kind != Kind::kPhrase || leaf->field >= fields.size() ||
        fields[leaf->field].positions) {
      continue;
    }
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "a phrase was asked of a text field that does not keep positions",
                     {"FROZEN_SETTING", "text",
                      "Search for the words without quotes, or add a text field that keeps "
                      "positions.",
                      false});
  }
  return absl::OkStatus();
}

DocumentScorer::DocumentScorer(const AnalyzedQuery& query, size_t fields, size_t max_expansions)
    : query_(query), max_expansions_(max_expansions), leaves_(LeavesOf(query)), totals_(fields) {
  expanders_.resize(leaves_.size());
  expansions_.resize(leaves_.size());
  scorers_.resize(leaves_.size());
  for (size_t i = 0; i < leaves_.size(); ++i) {
    const AnalyzedQuery& leaf = *leaves_[i];
    if (leaf.expands()) expanders_[i].emplace_back(leaf);
    df_.emplace_back(leaf.kind == Kind::kPhrase ? leaf.phrase.size() : 1);
    totals_.resize(std::max<size_t>(totals_.size(), leaf.field + 1));
  }
}

absl::Status DocumentScorer::Count(const TextDocument& document) {
  for (uint32_t field = 0; field < totals_.size(); ++field) {
    totals_[field].documents += document.length(field) > 0;
    totals_[field].words += document.length(field);
  }
  for (size_t i = 0; i < leaves_.size(); ++i) {
    const AnalyzedQuery& leaf = *leaves_[i];
    if (document.length(leaf.field) == 0) continue;
    if (leaf.kind == Kind::kPhrase) {
      for (size_t w = 0; w < leaf.phrase.size(); ++w) {
        df_[i][w] += TermTf(leaf, leaf.phrase[w].term, document) > 0;
      }
      continue;
    }
    if (!leaf.expands()) {
      df_[i][0] += TermTf(leaf, leaf.term, document) > 0;
      continue;
    }
    bool any = false;
    for (size_t t = 0; t < document.size(); ++t) {
      const TextDocument::Term term = document.term(t);
      if (term.field != leaf.field || !expanders_[i][0].Matches(term.text)) continue;
      any = true;
      if (expansions_[i].find(term.text) != expansions_[i].end()) continue;
      if (expansions_[i].size() == max_expansions_) return TooManyExpansions(leaf, max_expansions_);
      expansions_[i].emplace(term.text);
    }
    df_[i][0] += any;
  }
  return absl::OkStatus();
}

void DocumentScorer::Finish() {
  for (size_t i = 0; i < leaves_.size(); ++i) {
    const AnalyzedQuery& leaf = *leaves_[i];
    const TextFieldTotals& totals = totals_[leaf.field];
    double idf = 0;
    for (const int64_t df : df_[i]) idf += Bm25Idf(totals.documents, df);
    scorers_[i] = Bm25Leaf(leaf.boost, idf, totals);
  }
}

uint32_t DocumentScorer::Tf(size_t leaf_number, const TextDocument& document) const {
  const AnalyzedQuery& leaf = *leaves_[leaf_number];
  if (document.length(leaf.field) == 0) return 0;
  if (leaf.kind == Kind::kPhrase) return PhraseTf(leaf, document);
  if (!leaf.expands()) return TermTf(leaf, leaf.term, document);
  uint32_t tf = 0;
  for (size_t t = 0; t < document.size(); ++t) {
    const TextDocument::Term term = document.term(t);
    if (term.field == leaf.field && expanders_[leaf_number][0].Matches(term.text)) tf += term.tf;
  }
  return tf;
}

bool DocumentScorer::Score(const TextDocument& document, double* score) const {
  size_t leaf = 0;
  *score = 0;
  return Match(query_, document, &leaf, score);
}

// Adds to `score` what the node does where it matches; else leaves it as it was.
bool DocumentScorer::Match(const AnalyzedQuery& node, const TextDocument& document, size_t* leaf,
                           double* score) const {
  if (node.kind == Kind::kNothing) return false;
  if (node.leaf()) {
    const size_t number = (*leaf)++;
    const uint32_t tf = Tf(number, document);
    if (tf == 0) return false;
    *score += scorers_[number].Score(tf, document.length(node.field));
    return true;
  }
  const size_t begin = *leaf;
  const double before = *score;
  bool any = false, all = true;
  for (const AnalyzedQuery& child : node.children) {
    const bool found = Match(child, document, leaf, score);
    any |= found;
    all &= found;
  }
  bool matches = node.kind == Kind::kAnd ? all : any;
  for (const AnalyzedQuery& child : node.excluded) {
    double ignored = 0;
    matches = !Match(child, document, leaf, &ignored) && matches;
  }
  *leaf = begin + CountLeaves(node);
  if (!matches) *score = before;
  return matches;
}

std::vector<std::string> DocumentScorer::Expansions() const {
  std::set<std::string> all;
  for (const auto& terms : expansions_) all.insert(terms.begin(), terms.end());
  return {all.begin(), all.end()};
}

}  // namespace cookix::engine
