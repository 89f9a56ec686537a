#include "engine/text/record_text_search.h"

#include <algorithm>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "engine/stopwatch.h"
#include "engine/text/document_scorer.h"
#include "engine/text/no_memory.h"
#include "engine/text/object_texts.h"
#include "engine/text/text_document.h"
#include "storage/base/coding.h"
#include "storage/base/status.h"
#include "storage/store.h"

namespace cookix::engine {
namespace {

// Bytes of records between two looks at the clock.
constexpr size_t kBytesPerCheck = 1 << 20;

absl::Status Malformed() {
  return Corruption("an object record is malformed", "Restore the store from a checkpoint");
}

// Marks the fields that a query asks of.
void MarkFields(const AnalyzedQuery& query, std::vector<bool>* asked) {
  if (query.leaf() && query.field < asked->size()) (*asked)[query.field] = true;
  for (const AnalyzedQuery& part : query.children) MarkFields(part, asked);
  for (const AnalyzedQuery& part : query.excluded) MarkFields(part, asked);
}

// Reads the documents of a collection, as often as one likes.
class Documents {
 public:
  Documents(const CallContext& context, const NamespaceView& view, const TextSearch& search)
      : context_(context),
        view_(view),
        collection_(search.collection),
        fields_(search.definition->text_fields().begin(), search.definition->text_fields().end()),
        asked_(fields_.size()) {
    MarkFields(*search.query, &asked_);
  }

  absl::Status Init() {
    for (const v1::TextField& field : fields_) {
      COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<const Analyzer> analyzer,
                              AnalyzerFor(field, field.name()));
      index_fields_.push_back({std::move(analyzer), !field.no_positions()});
    }
    return absl::OkStatus();
  }

  const std::vector<TextIndexField>& fields() const { return index_fields_; }

  // Calls `each` with every document of which `accept` is null or has the ordinal.
  absl::Status ForEach(const OrdinalSet* accept,
                       absl::FunctionRef<absl::Status(Ordinal, const TextDocument&)> each) {
    if (view_.ns->dropped_collections.count(collection_) > 0) return absl::OkStatus();
    storage::ScanBounds bounds = storage::PrefixBounds(NamespacePrefix(view_.id()));
    bounds.bypass_cache = true;
    const auto it = view_.snapshot->Scan(storage::Family::kObjects, std::move(bounds));
    size_t bytes = 0;
    std::string name;
    ObjectTexts texts;
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      std::string_view key = it->key();
      NamespaceId ns = 0;
      Ordinal ordinal = 0;
      CollectionId collection = 0;
      if (!GetBigEndian32(&key, &ns) || !GetBigEndian64(&key, &ordinal) ||
          !DecodeObjectName(it->value(), &collection, &name)) {
        return Malformed();
      }
      bytes += it->value().size() + 64;
      if (bytes >= kBytesPerCheck) {
        COOKIX_RETURN_IF_ERROR(context_.Check());
        bytes = 0;
      }
      if (collection != collection_) continue;
      if (accept != nullptr && !accept->Contains(ordinal)) continue;
      if (!texts.Read(it->value(), fields_, &asked_)) return Malformed();
      if (texts.empty()) continue;
      COOKIX_RETURN_IF_ERROR(each(ordinal, TextDocument(index_fields_, texts.fields())));
    }
    return it->status();
  }

 private:
  const CallContext& context_;
  const NamespaceView& view_;
  const CollectionId collection_;
  const std::vector<v1::TextField> fields_;
  std::vector<bool> asked_;
  std::vector<TextIndexField> index_fields_;
};

absl::Status Search(const CallContext& context, const NamespaceView& view, const TextSearch& search,
                    TextSearchResult* result) {
  const Stopwatch watch;
  COOKIX_RETURN_IF_ERROR(context.Check());
  Documents documents(context, view, search);
  COOKIX_RETURN_IF_ERROR(documents.Init());
  COOKIX_RETURN_IF_ERROR(CheckPhrases(*search.query, documents.fields()));
  result->strategy = "records";
  if (search.count) result->total = 0;
  if (search.query->kind == AnalyzedQuery::Kind::kNothing) return absl::OkStatus();

  // The statistics are those of all documents, whichever are accepted.
  DocumentScorer scorer(*search.query, documents.fields().size(), search.max_expansions);
  COOKIX_RETURN_IF_ERROR(documents.ForEach(
      nullptr, [&](Ordinal, const TextDocument& document) { return scorer.Count(document); }));
  scorer.Finish();
  // The worst on top.
  std::priority_queue<TextHit> best;
  const auto limit = static_cast<size_t>(std::max<int64_t>(0, search.limit));
  COOKIX_RETURN_IF_ERROR(
      documents.ForEach(search.accept.get(), [&](Ordinal ordinal, const TextDocument& document) {
        TextHit hit{ordinal, 0};
        if (!scorer.Score(document, &hit.score)) return absl::OkStatus();
        ++result->scored;
        best.push(hit);
        if (best.size() > limit) best.pop();
        return absl::OkStatus();
      }));
  result->hits.resize(best.size());
  for (size_t i = best.size(); i > 0; --i) {
    result->hits[i - 1] = best.top();
    best.pop();
  }
  if (search.count) result->total = result->scored;
  result->expansions = scorer.Expansions();
  result->search_us += watch.Elapsed();
  return absl::OkStatus();
}

}  // namespace

absl::Status SearchTextRecords(const CallContext& context, const NamespaceView& view,
                               const TextSearch& search, TextSearchResult* result) {
  return WithinMemory([&] { return Search(context, view, search, result); });
}

}  // namespace cookix::engine
