#include "tools/bench/cookix_text.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/call_context.h"
#include "storage/base/status.h"
#include "tools/bench/measure.h"

namespace cookix::bench {
namespace {

using engine::AnalyzedQuery;

constexpr size_t kCommit = 1000;

const v1::Collection& Definition() {
  static const v1::Collection* const definition = [] {
    auto* const collection = new v1::Collection;
    collection->set_name("texts");
    collection->add_text_fields()->set_name("text");
    return collection;
  }();
  return *definition;
}

// What analysis makes of the query: all words are terms.
AnalyzedQuery Analyzed(const WordQuery& query, const Vocabulary& vocabulary) {
  AnalyzedQuery analyzed;
  if (query.kind == TextQueryKind::kPhrase) {
    analyzed.kind = AnalyzedQuery::Kind::kPhrase;
    for (const WordId word : query.words) {
      const auto offset = static_cast<uint32_t>(analyzed.phrase.size());
      analyzed.phrase.push_back({vocabulary.Word(word), offset});
    }
    return analyzed;
  }
  analyzed.kind =
      query.kind == TextQueryKind::kAllWords ? AnalyzedQuery::Kind::kAnd : AnalyzedQuery::Kind::kOr;
  for (const WordId word : query.words) {
    AnalyzedQuery leaf;
    leaf.kind = AnalyzedQuery::Kind::kTerm;
    leaf.term = vocabulary.Word(word);
    analyzed.children.push_back(std::move(leaf));
  }
  return analyzed;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CookixText>> CookixText::Create(
    const TextCorpus& corpus, bool positions, const engine::TextIndex::Options& options) {
  engine::TextIndexField field;
  COOKIX_ASSIGN_OR_RETURN(field.analyzer, engine::Analyzer::Create({}, "analyzer"));
  field.positions = positions;
  return std::unique_ptr<CookixText>(new CookixText(corpus, std::move(field), options));
}

CookixText::CookixText(const TextCorpus& corpus, engine::TextIndexField field,
                       const engine::TextIndex::Options& options)
    : corpus_(corpus),
      field_(std::move(field)),
      index_({field_}, options),
      worker_([this] { Work(); }) {}

CookixText::~CookixText() { StopWorker(); }

void CookixText::StopWorker() {
  if (!worker_.joinable()) return;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  worker_.join();
}

void CookixText::Work() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stop_) {
    wake_.wait(lock, [this] { return pending_ || stop_; });
    pending_ = false;
    lock.unlock();
    while (index_.WorkSome()) {
    }
    lock.lock();
  }
}

absl::Status CookixText::Add(size_t first, std::span<const std::string> texts) {
  for (size_t begin = 0; begin < texts.size(); begin += kCommit) {
    const size_t count = std::min(kCommit, texts.size() - begin);
    std::vector<std::string_view> elements(
        texts.begin() + static_cast<std::ptrdiff_t>(begin),
        texts.begin() + static_cast<std::ptrdiff_t>(begin + count));
    std::vector<engine::TextElements> fields;
    for (const std::string_view& element : elements) fields.push_back({&element, 1});
    std::vector<engine::TextPut> puts(count);
    for (size_t i = 0; i < count; ++i) {
      puts[i].ordinal = first + begin + i;
      puts[i].after = {&fields[i], 1};
    }
    COOKIX_RETURN_IF_ERROR(index_.Apply(puts, ++commit_));
    if (index_.backlog() == 0) continue;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      pending_ = true;
    }
    wake_.notify_one();
  }
  return absl::OkStatus();
}

absl::Status CookixText::Finish() {
  StopWorker();
  while (index_.WorkSome() || index_.TidySome()) {
  }
  return absl::OkStatus();
}

absl::Status CookixText::Search(const WordQuery& query, size_t k, bool exhaustive,
                                std::vector<RankedDocument>* hits) {
  const AnalyzedQuery analyzed = Analyzed(query, corpus_.vocabulary());
  engine::TextSearch search;
  search.definition = &Definition();
  search.query = &analyzed;
  search.limit = static_cast<int64_t>(k);
  search.exhaustive = exhaustive;
  engine::TextSearchResult result;
  COOKIX_ASSIGN_OR_RETURN(const bool answered,
                          index_.Search(engine::CallContext(), search, commit_, &result));
  if (!answered) return absl::InternalError("the index cannot answer as of its last commit");
  hits->clear();
  for (const engine::TextHit& hit : result.hits) {
    hits->push_back({static_cast<uint32_t>(hit.ordinal), hit.score});
  }
  return absl::OkStatus();
}

absl::Status CookixText::Search(const WordQuery& query, size_t k,
                                std::vector<RankedDocument>* hits) {
  return Search(query, k, /*exhaustive=*/false, hits);
}

absl::Status CookixText::SearchBothWays(const WordQuery& query, size_t k,
                                        std::vector<RankedDocument>* hits) {
  std::vector<RankedDocument> all;
  COOKIX_RETURN_IF_ERROR(Search(query, k, /*exhaustive=*/true, &all));
  COOKIX_RETURN_IF_ERROR(Search(query, k, /*exhaustive=*/false, hits));
  const bool same = std::equal(all.begin(), all.end(), hits->begin(), hits->end(),
                               [](const RankedDocument& a, const RankedDocument& b) {
                                 return a.document == b.document && a.score == b.score;
                               });
  return same ? absl::OkStatus()
              : Wrong(absl::StrCat("\"", WordsOf(query, corpus_.vocabulary()),
                                   "\" finds other documents than by scoring everything that "
                                   "matches"));
}

absl::Status CookixText::CheckAnalysis(size_t document) const {
  std::string terms;
  field_.analyzer->Analyze(corpus_.Text(document), [&](const engine::Token& token) {
    if (!terms.empty()) terms += ' ';
    terms += token.term;
  });
  if (terms == corpus_.Terms(document)) return absl::OkStatus();
  return Wrong(absl::StrCat("analysis makes other terms of document ", document));
}

}  // namespace cookix::bench
