#include "engine/text/text_collection.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/text/document_scorer.h"
#include "engine/text/no_memory.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

// Objects kept for reuse after a large commit.
constexpr size_t kObjectsKept = 64;

// The numbers that an index gives to the fields of a definition; none for those it does
// not have as they are defined.
std::vector<std::optional<uint32_t>> NumbersOf(const v1::Collection& definition,
                                               const std::vector<v1::TextField>& fields) {
  std::vector<std::optional<uint32_t>> numbers;
  for (const v1::TextField& wanted : definition.text_fields()) {
    const auto it = std::find_if(fields.begin(), fields.end(), [&](const v1::TextField& field) {
      return SamePostings(field, wanted);
    });
    numbers.emplace_back();
    if (it != fields.end()) numbers.back() = static_cast<uint32_t>(it - fields.begin());
  }
  return numbers;
}

// Renumbers the fields of a query. False when one of them has no number.
bool Renumber(const std::vector<std::optional<uint32_t>>& numbers, AnalyzedQuery* query) {
  if (query->leaf()) {
    if (query->field >= numbers.size() || !numbers[query->field].has_value()) return false;
    query->field = *numbers[query->field];
  }
  for (auto* parts : {&query->children, &query->excluded}) {
    for (AnalyzedQuery& part : *parts) {
      if (!Renumber(numbers, &part)) return false;
    }
  }
  return true;
}

bool InOrder(const std::vector<std::optional<uint32_t>>& numbers) {
  for (uint32_t i = 0; i < numbers.size(); ++i) {
    if (numbers[i] != i) return false;
  }
  return true;
}

}  // namespace

absl::StatusOr<std::shared_ptr<TextCollection>> TextCollection::Create(
    std::vector<v1::TextField> fields) {
  std::vector<TextIndexField> index_fields;
  for (const v1::TextField& field : fields) {
    COOKIX_ASSIGN_OR_RETURN(std::shared_ptr<const Analyzer> analyzer,
                            AnalyzerFor(field, field.name()));
    index_fields.push_back({std::move(analyzer), !field.no_positions()});
  }
  return std::shared_ptr<TextCollection>(
      new TextCollection(std::move(fields), std::move(index_fields)));
}

bool TextCollection::Serves(const v1::Collection& definition) const {
  if (static_cast<size_t>(definition.text_fields_size()) != fields_.size()) return false;
  const auto numbers = NumbersOf(definition, fields_);
  return std::all_of(numbers.begin(), numbers.end(), [](const auto& n) { return n.has_value(); });
}

std::string TextCollection::version() const {
  std::string version;
  for (const TextIndexField& field : index_fields_) {
    absl::StrAppend(&version, field.analyzer->version(), "\n");
  }
  return version;
}

TextIndex& TextCollection::MakeIndex() {
  if (owned_ == nullptr) {
    owned_ = std::make_unique<TextIndex>(index_fields_);
    index_.store(owned_.get(), std::memory_order_release);
  }
  return *owned_;
}

absl::Status TextCollection::Add(Ordinal ordinal, std::string_view before, std::string_view after) {
  if (noted_ == objects_.size()) objects_.emplace_back();
  Noted& object = objects_[noted_];
  if (!object.before.Read(before, fields_) || !object.after.Read(after, fields_)) {
    return Corruption("an object record is malformed", "Restore the store from a checkpoint");
  }
  if (object.before == object.after) return absl::OkStatus();
  object.ordinal = ordinal;
  noted_bytes_ += object.before.bytes() + object.after.bytes();
  ++noted_;
  return absl::OkStatus();
}

absl::Status TextCollection::Flush(uint64_t commit) {
  if (noted_ == 0) return absl::OkStatus();
  std::vector<TextPut> puts;
  puts.reserve(noted_);
  for (size_t i = 0; i < noted_; ++i) {
    const Noted& object = objects_[i];
    puts.push_back({object.ordinal, object.before.fields(), object.after.fields()});
  }
  const absl::Status applied = MakeIndex().Apply(puts, commit);
  Forget();
  return applied;
}

void TextCollection::Forget() {
  if (objects_.size() > kObjectsKept) objects_.resize(0);
  noted_ = 0;
  noted_bytes_ = 0;
}

absl::StatusOr<bool> TextCollection::Search(const CallContext& context, const TextSearch& search,
                                            uint64_t commit, TextSearchResult* result) const {
  return WithinMemory([&] { return SearchIndex(context, search, commit, result); });
}

absl::StatusOr<bool> TextCollection::SearchIndex(const CallContext& context,
                                                 const TextSearch& search, uint64_t commit,
                                                 TextSearchResult* result) const {
  if (commit < oldest_commit_.load()) return false;
  const auto numbers = NumbersOf(*search.definition, fields_);
  AnalyzedQuery renumbered;
  TextSearch mine = search;
  if (!InOrder(numbers)) {
    renumbered = *search.query;
    if (!Renumber(numbers, &renumbered)) return false;
    mine.query = &renumbered;
  }
  const TextIndex* const present = index();
  if (present != nullptr) return present->Search(context, mine, commit, result);
  COOKIX_RETURN_IF_ERROR(CheckPhrases(*mine.query, index_fields_));
  result->strategy = "inverted";
  if (search.count) result->total = 0;
  return true;
}

void TextCollection::TrimChanges(size_t bytes) {
  if (owned_ != nullptr) owned_->TrimChanges(bytes);
}

bool TextCollection::WorkSome() {
  TextIndex* const present = index_.load(std::memory_order_acquire);
  return present != nullptr && present->WorkSome();
}

bool TextCollection::TidySome() {
  TextIndex* const present = index_.load(std::memory_order_acquire);
  return present != nullptr && present->TidySome();
}

size_t TextCollection::backlog() const { return index() == nullptr ? 0 : index()->backlog(); }

uint64_t TextCollection::filled_buffers() const {
  return index() == nullptr ? 0 : index()->filled_buffers();
}

int64_t TextCollection::MemoryBytes() const {
  return index() == nullptr ? 0 : index()->MemoryBytes();
}

TextIndex::Stats TextCollection::stats() const {
  if (index() != nullptr) return index()->stats();
  TextIndex::Stats stats;
  stats.fields.resize(fields_.size());
  return stats;
}

TextCollection::Snapshot TextCollection::TakeSnapshot(
    std::shared_ptr<const TextCollection> collection) {
  Snapshot snapshot;
  if (collection->index() != nullptr) snapshot.index_ = collection->index()->TakeSnapshot();
  snapshot.owner_ = std::move(collection);
  return snapshot;
}

absl::Status TextCollection::Snapshot::Write(storage::CheckedFileWriter& writer) const {
  COOKIX_RETURN_IF_ERROR(writer.AppendFixed<uint8_t>(index_ != nullptr));
  return index_ == nullptr ? absl::OkStatus() : owner_->index()->Save(*index_, writer);
}

absl::Status TextCollection::Load(storage::CheckedFileReader& reader) {
  uint8_t has_index = 0;
  COOKIX_RETURN_IF_ERROR(reader.ReadFixed(&has_index));
  if (has_index > 1) {
    return Corruption("a saved text index is malformed", "It is built again from the store");
  }
  return has_index == 0 ? absl::OkStatus() : MakeIndex().Load(reader);
}

}  // namespace cookix::engine
