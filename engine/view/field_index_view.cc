#include "engine/view/field_index_view.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "engine/filter/filter_node.h"
#include "engine/view/ordinal_bitmap.h"
#include "engine/view/posting_map.h"
#include "google/protobuf/arena.h"
#include "storage/base/coding.h"
#include "storage/base/status.h"

namespace cookix::engine {
namespace {

using internal::v1::ObjectRecord;
using NodeKind = FilterNode::Kind;

// Longer text and bytes are not kept: their objects are looked at instead.
constexpr size_t kMaxIndexedBytes = 256;
// Different names in a namespace; objects with others are looked at instead.
constexpr size_t kMaxFields = 1 << 16;
// Recent changes remembered for each namespace: ordinals, and commits.
constexpr size_t kMaxRecentOrdinals = 1 << 17;
constexpr size_t kMaxRecentCommits = 1 << 16;
// Objects applied while readers are kept out.
constexpr size_t kApplyChunk = 64;
// Records read from a snapshot at a time.
constexpr size_t kReadBatch = 256;
// This many objects may always be read to complete an answer; beyond, at most a
// quarter of the namespace.
constexpr uint64_t kAlwaysRead = 1000;

// Lets one writer in although readers come all the time: a writer that waits
// holds the door, and later readers queue behind it.
class FairSharedMutex {
 public:
  void lock() {
    std::lock_guard<std::mutex> door(door_);
    mutex_.lock();
  }
  void unlock() { mutex_.unlock(); }
  void lock_shared() {
    std::lock_guard<std::mutex> door(door_);
    mutex_.lock_shared();
  }
  void unlock_shared() { mutex_.unlock_shared(); }

 private:
  std::mutex door_;
  std::shared_mutex mutex_;
};

using ReaderLock = std::shared_lock<FairSharedMutex>;
using WriterLock = std::unique_lock<FairSharedMutex>;

// Which objects have any value, and which several different ones, of one kind.
struct Presence {
  OrdinalBitmap any;
  OrdinalBitmap several;

  void Set(Ordinal ordinal, size_t values) {
    if (values > 0) any.Add(ordinal);
    if (values > 1) several.Add(ordinal);
  }
  void Clear(Ordinal ordinal) {
    any.Remove(ordinal);
    several.Remove(ordinal);
  }
};

// Everything about one name.
struct Field {
  std::string name;
  OrdinalBitmap exists;
  OrdinalBitmap truth[2];
  // Numbers that are doubles, by NumberKey::bits, and the other integers.
  PostingMap<FixedKeys<uint64_t>> doubles;
  PostingMap<FixedKeys<NumberKey>> integers;
  Presence numbers;
  PostingMap<TextKeys> text;
  Presence texts;
  PostingMap<TextKeys> bytes;
  Presence byte_strings;
  // Objects with text or bytes that are too long to be kept.
  OrdinalBitmap unsure;

  int64_t MemoryBytes() const {
    int64_t total = static_cast<int64_t>(sizeof(Field) + name.capacity());
    for (const OrdinalBitmap* bitmap :
         {&exists, &truth[0], &truth[1], &numbers.any, &numbers.several, &texts.any, &texts.several,
          &byte_strings.any, &byte_strings.several, &unsure}) {
      total += bitmap->MemoryBytes();
    }
    return total + doubles.MemoryBytes() + integers.MemoryBytes() + text.MemoryBytes() +
           bytes.MemoryBytes();
  }
};

// One thing to index: a value of a field. Text is borrowed from the record.
struct Entry {
  enum Kind : uint8_t { kExists, kTruth, kNumber, kText, kBytes, kLong };
  Field* field = nullptr;
  Kind kind = kExists;
  NumberKey number;  // kTruth: bits is 0 or 1
  std::string_view text;

  auto Tied() const { return std::tie(field, kind, number, text); }
  bool operator<(const Entry& other) const { return Tied() < other.Tied(); }
  bool operator==(const Entry& other) const { return Tied() == other.Tied(); }
};

// The objects that one commit changed, in order, and whether each existed before:
// ordinal * 2 + existed.
struct RecentCommit {
  uint64_t commit = 0;
  std::vector<uint64_t> changed;
};

struct CollectionIndex {
  OrdinalBitmap objects;
  // Known once the catalog has shown the collection; it never changes.
  bool known = false;
  std::string name;
  std::set<std::string, std::less<>> unindexed;
};

// The index of one namespace.
struct NamespaceIndex {
  OrdinalBitmap all;
  std::unordered_map<CollectionId, CollectionIndex> collections;
  absl::flat_hash_map<std::string, std::unique_ptr<Field>> fields;
  Field labels;
  // Objects with names beyond kMaxFields.
  OrdinalBitmap overflow;

  // The last commit that changed an object here.
  uint64_t last_commit = 0;
  // The commit is being applied: what is evaluated now is not to be kept.
  bool applying = false;
  // Readers of snapshots before this commit cannot be served.
  uint64_t floor = 0;
  std::deque<RecentCommit> recent;
  size_t recent_ordinals = 0;
};

// An evaluated filter.
class BitmapSet : public OrdinalSet {
 public:
  explicit BitmapSet(OrdinalBitmap bitmap)
      : bitmap_(std::move(bitmap)), count_(bitmap_.Count()), words_(bitmap_.PlainWords()) {}
  bool Contains(Ordinal ordinal) const override {
    // Traversals ask this of every object they come by.
    const uint64_t chunk = ordinal >> 16;
    if (chunk < words_.size() && words_[chunk] != nullptr) {
      return (words_[chunk][(ordinal >> 6) & 1023] >> (ordinal & 63)) & 1;
    }
    return bitmap_.Contains(ordinal);
  }
  uint64_t Count() const override { return count_; }
  void ForEach(absl::FunctionRef<void(Ordinal)> each) const override {
    bitmap_.ForEach([&](Ordinal ordinal) { each(ordinal); });
  }
  const OrdinalBitmap& bitmap() const { return bitmap_; }
  int64_t MemoryBytes() const {
    return static_cast<int64_t>(sizeof(*this) + words_.capacity() * sizeof(words_[0])) +
           bitmap_.MemoryBytes();
  }

 private:
  const OrdinalBitmap bitmap_;
  const uint64_t count_;
  const std::vector<const uint64_t*> words_;
};

// What a filter evaluates to.
struct Answer {
  OrdinalBitmap sure;
  // Includes `sure`. Not set = the same.
  std::optional<OrdinalBitmap> maybe;

  const OrdinalBitmap& upper() const { return maybe.has_value() ? *maybe : sure; }
};

// The smallest text greater than all that start with `prefix`; nothing when there
// is none.
std::optional<std::string> AfterPrefix(std::string prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xff) prefix.pop_back();
  if (prefix.empty()) return std::nullopt;
  prefix.back() = static_cast<char>(static_cast<uint8_t>(prefix.back()) + 1);
  return prefix;
}

// Evaluates a filter on the newest state of a namespace. The reader lock is held.
class Evaluator {
 public:
  Evaluator(const CallContext& context, const NamespaceIndex& index)
      : context_(context), index_(index) {}

  absl::StatusOr<Answer> Node(const FilterNode& node) {
    COOKIX_RETURN_IF_ERROR(context_.Check());
    switch (node.kind) {
      case NodeKind::kTrue:
        return Answer{index_.all, std::nullopt};
      case NodeKind::kFalse:
        return Answer{};
      case NodeKind::kAll: {
        Answer all;
        for (size_t i = 0; i < node.operands.size(); ++i) {
          COOKIX_ASSIGN_OR_RETURN(Answer each, Node(node.operands[i]));
          if (i == 0) {
            all = std::move(each);
          } else {
            if (all.maybe.has_value() || each.maybe.has_value()) {
              OrdinalBitmap maybe = all.upper();
              maybe &= each.upper();
              all.maybe = std::move(maybe);
            }
            all.sure &= each.sure;
          }
          if (all.upper().empty()) break;
        }
        return all;
      }
      case NodeKind::kAny: {
        Answer any;
        for (const FilterNode& operand : node.operands) {
          COOKIX_ASSIGN_OR_RETURN(const Answer each, Node(operand));
          if (any.maybe.has_value() || each.maybe.has_value()) {
            OrdinalBitmap maybe = any.upper();
            maybe |= each.upper();
            any.maybe = std::move(maybe);
          }
          any.sure |= each.sure;
        }
        return any;
      }
      case NodeKind::kNot: {
        COOKIX_ASSIGN_OR_RETURN(const Answer operand, Node(node.operands.front()));
        Answer opposite;
        opposite.sure = index_.all;
        opposite.sure -= operand.upper();
        if (operand.maybe.has_value()) {
          opposite.maybe = index_.all;
          *opposite.maybe -= operand.sure;
        }
        return opposite;
      }
      default:
        return Leaf(node);
    }
  }

 private:
  Answer Leaf(const FilterNode& node) const {
    switch (node.field) {
      case FilterField::kProperty: {
        const auto it = index_.fields.find(node.name);
        const Field* field = it == index_.fields.end() ? nullptr : it->second.get();
        OrdinalBitmap unsure = index_.overflow;
        for (const auto& [id, collection] : index_.collections) {
          if (SkipsName(collection, node.name)) unsure |= collection.objects;
        }
        if (field != nullptr && node.kind != NodeKind::kExistence) unsure |= field->unsure;
        return WithUnsure(field == nullptr ? OrdinalBitmap() : OfField(*field, node),
                          std::move(unsure));
      }
      case FilterField::kLabel:
        return WithUnsure(OfField(index_.labels, node), node.kind == NodeKind::kExistence
                                                            ? OrdinalBitmap()
                                                            : index_.labels.unsure);
      case FilterField::kCollection: {
        OrdinalBitmap sure;
        OrdinalBitmap unsure;
        for (const auto& [id, collection] : index_.collections) {
          if (!collection.known) {
            unsure |= collection.objects;
          } else if (NodeMatches(node, ObjectRecord::default_instance(), collection.name)) {
            sure |= collection.objects;
          }
        }
        return WithUnsure(std::move(sure), std::move(unsure));
      }
      case FilterField::kExpires:
        return WithUnsure(OrdinalBitmap(), index_.all);
      case FilterField::kKey:
      case FilterField::kVersion:
      case FilterField::kCreated:
      case FilterField::kUpdated:
        if (node.kind == NodeKind::kExistence) return Answer{index_.all, std::nullopt};
        return WithUnsure(OrdinalBitmap(), index_.all);
    }
    return Answer{};
  }

  static Answer WithUnsure(OrdinalBitmap sure, OrdinalBitmap unsure) {
    Answer answer;
    answer.sure = std::move(sure);
    if (unsure.empty()) return answer;
    answer.maybe = answer.sure;
    *answer.maybe |= unsure;
    answer.sure -= unsure;
    return answer;
  }

  // True when some reading of the dotted `name` starts with a property that the
  // collection does not index.
  static bool SkipsName(const CollectionIndex& collection, std::string_view name) {
    if (collection.unindexed.empty()) return false;
    if (collection.unindexed.contains(name)) return true;
    for (size_t dot = name.find('.'); dot != std::string_view::npos;
         dot = name.find('.', dot + 1)) {
      if (collection.unindexed.contains(name.substr(0, dot))) return true;
    }
    return false;
  }

  static OrdinalBitmap OfField(const Field& field, const FilterNode& node) {
    if (node.kind == NodeKind::kExistence) return field.exists;
    if (node.kind == NodeKind::kMembership) {
      OrdinalCollector collector;
      for (const Scalar& value : node.values) {
        if (value.kind == ScalarKind::kBool) {
          collector.Add(field.truth[value.truth]);
        } else if (const Posting* posting = Find(field, value)) {
          posting->AddTo(&collector);
        }
      }
      return collector.Finish();
    }
    const Scalar& value = node.values.front();
    switch (node.op) {
      case v1::COMPARISON_OPERATOR_EQUAL: {
        if (value.kind == ScalarKind::kBool) return field.truth[value.truth];
        const Posting* posting = Find(field, value);
        return posting == nullptr ? OrdinalBitmap() : posting->ToBitmap();
      }
      case v1::COMPARISON_OPERATOR_NOT_EQUAL: {
        if (value.kind == ScalarKind::kBool) return field.truth[!value.truth];
        const Presence& presence = PresenceOf(field, value.kind);
        OrdinalBitmap result = presence.any;
        if (const Posting* posting = Find(field, value)) {
          // Who has several values has one that is not equal.
          OrdinalBitmap only = posting->ToBitmap();
          only -= presence.several;
          result -= only;
        }
        return result;
      }
      case v1::COMPARISON_OPERATOR_PREFIX: {
        if (value.text.empty()) return field.texts.any;
        const std::optional<std::string> after = AfterPrefix(value.text);
        return Between(field.text, field.text.LowerBound(value.text),
                       after.has_value() ? field.text.LowerBound(*after) : field.text.End(),
                       field.texts);
      }
      default:
        return value.kind == ScalarKind::kNumber ? NumberRange(field, node.op, value.number)
                                                 : TextRange(field, node.op, value.text);
    }
  }

  static const Posting* Find(const Field& field, const Scalar& value) {
    switch (value.kind) {
      case ScalarKind::kNumber:
        return value.number.rest == 0 ? field.doubles.Find(value.number.bits)
                                      : field.integers.Find(value.number);
      case ScalarKind::kText:
        return field.text.Find(value.text);
      case ScalarKind::kBytes:
        return field.bytes.Find(value.text);
      case ScalarKind::kBool:
        break;
    }
    return nullptr;
  }

  static const Presence& PresenceOf(const Field& field, ScalarKind kind) {
    if (kind == ScalarKind::kNumber) return field.numbers;
    return kind == ScalarKind::kText ? field.texts : field.byte_strings;
  }

  // True for the operators whose range begins at the value rather than ending.
  static bool IsLower(v1::ComparisonOperator op) {
    return op == v1::COMPARISON_OPERATOR_GREATER || op == v1::COMPARISON_OPERATOR_GREATER_EQUAL;
  }
  // True when the range's border lies after the value.
  static bool IsAfter(v1::ComparisonOperator op) {
    return op == v1::COMPARISON_OPERATOR_GREATER || op == v1::COMPARISON_OPERATOR_LESS_EQUAL;
  }

  static OrdinalBitmap NumberRange(const Field& field, v1::ComparisonOperator op,
                                   const NumberKey& number) {
    // A double orders after an integer that rounds to it from above, and before
    // one that rounds to it from below.
    const bool after = number.rest == 0 ? IsAfter(op) : number.rest > 0;
    const auto doubles =
        after ? field.doubles.UpperBound(number.bits) : field.doubles.LowerBound(number.bits);
    const auto integers =
        IsAfter(op) ? field.integers.UpperBound(number) : field.integers.LowerBound(number);
    const size_t below = field.doubles.Count(field.doubles.Begin(), doubles) +
                         field.integers.Count(field.integers.Begin(), integers);
    const size_t above = field.doubles.size() + field.integers.size() - below;
    const bool lower = IsLower(op);
    const bool outside = (lower ? above > below : below > above) && field.numbers.several.empty();
    OrdinalCollector collector;
    if (lower != outside) {
      field.doubles.Collect(doubles, field.doubles.End(), &collector);
      field.integers.Collect(integers, field.integers.End(), &collector);
    } else {
      field.doubles.Collect(field.doubles.Begin(), doubles, &collector);
      field.integers.Collect(field.integers.Begin(), integers, &collector);
    }
    OrdinalBitmap collected = collector.Finish();
    if (!outside) return collected;
    OrdinalBitmap result = field.numbers.any;
    result -= collected;
    return result;
  }

  static OrdinalBitmap TextRange(const Field& field, v1::ComparisonOperator op,
                                 std::string_view text) {
    const auto border = IsAfter(op) ? field.text.UpperBound(text) : field.text.LowerBound(text);
    return IsLower(op) ? Between(field.text, border, field.text.End(), field.texts)
                       : Between(field.text, field.text.Begin(), border, field.texts);
  }

  template <typename Map>
  static OrdinalBitmap Between(const Map& map, typename Map::Cursor from, typename Map::Cursor to,
                               const Presence& presence) {
    OrdinalCollector collector;
    if (map.Count(from, to) <= map.size() / 2 || !presence.several.empty()) {
      map.Collect(from, to, &collector);
      return collector.Finish();
    }
    map.Collect(map.Begin(), from, &collector);
    map.Collect(to, map.End(), &collector);
    OrdinalBitmap result = presence.any;
    result -= collector.Finish();
    return result;
  }

  const CallContext& context_;
  const NamespaceIndex& index_;
};

// Changes the index of one namespace. The writer lock is held, or nobody else
// knows the index yet.
class Updater {
 public:
  explicit Updater(NamespaceIndex& index) : index_(index) {}

  // `before` and `after` may be null: no such object.
  void Update(Ordinal ordinal, const ObjectRecord* before, const ObjectRecord* after,
              const Catalog* catalog, NamespaceId ns) {
    CollectionIndex* const from =
        before == nullptr ? nullptr : Collection(before->collection_id(), catalog, ns);
    CollectionIndex* const to =
        after == nullptr ? nullptr : Collection(after->collection_id(), catalog, ns);
    old_entries_.clear();
    new_entries_.clear();
    const bool overflowed = index_.overflow.Contains(ordinal);
    bool overflows = false;
    if (before != nullptr) Entries(*before, *from, false, &old_entries_, &overflows);
    overflows = false;
    if (after != nullptr) Entries(*after, *to, true, &new_entries_, &overflows);
    if (overflowed != overflows) {
      if (overflows) {
        index_.overflow.Add(ordinal);
      } else {
        index_.overflow.Remove(ordinal);
      }
    }
    // What an object with too many names has in the index is not known for sure,
    // so none of it can be left as it is.
    const bool all = overflowed || overflows;
    bool changed = false;
    for (const Entry& entry : old_entries_) {
      if (all || !std::binary_search(new_entries_.begin(), new_entries_.end(), entry)) {
        Remove(entry, ordinal);
        changed = true;
      }
    }
    for (const Entry& entry : new_entries_) {
      if (all || !std::binary_search(old_entries_.begin(), old_entries_.end(), entry)) {
        Add(entry, ordinal);
        changed = true;
      }
    }
    if (changed) {
      for (const Entry& entry : old_entries_) {
        if (Presence* presence = PresenceOf(entry)) presence->Clear(ordinal);
      }
      for (size_t i = 0; i < new_entries_.size();) {
        size_t end = i + 1;
        while (end < new_entries_.size() && new_entries_[end].field == new_entries_[i].field &&
               new_entries_[end].kind == new_entries_[i].kind) {
          ++end;
        }
        if (Presence* presence = PresenceOf(new_entries_[i])) presence->Set(ordinal, end - i);
        i = end;
      }
      Field* last = nullptr;
      for (const Entry& entry : old_entries_) {
        if (entry.field == last || entry.field == &index_.labels) continue;
        last = entry.field;
        if (!last->exists.empty()) continue;
        // The name may have come back with `after` only if it exists.
        const auto it = index_.fields.find(last->name);
        if (it != index_.fields.end()) index_.fields.erase(it);
      }
    }
    if (from != to) {
      if (to != nullptr) to->objects.Add(ordinal);
      if (from != nullptr) from->objects.Remove(ordinal);
      if (from != nullptr && from->objects.empty()) {
        index_.collections.erase(before->collection_id());
      }
    }
    if (before != nullptr && after == nullptr) index_.all.Remove(ordinal);
    if (before == nullptr && after != nullptr) index_.all.Add(ordinal);
  }

 private:
  CollectionIndex* Collection(CollectionId id, const Catalog* catalog, NamespaceId ns) {
    CollectionIndex& collection = index_.collections[id];
    if (!collection.known && catalog != nullptr) {
      const auto in = catalog->namespaces_by_id.find(ns);
      if (in != catalog->namespaces_by_id.end()) {
        const auto found = in->second->collections_by_id.find(id);
        if (found != in->second->collections_by_id.end()) {
          const v1::Collection& proto = found->second->record.collection();
          collection.known = true;
          collection.name = proto.name();
          collection.unindexed.insert(proto.unindexed_fields().begin(),
                                      proto.unindexed_fields().end());
        }
      }
    }
    return &collection;
  }

  // What is to be indexed of `record`, sorted, without duplicates. Makes fields
  // that are not there yet when `make`; sets `overflows` when there are too many.
  void Entries(const ObjectRecord& record, const CollectionIndex& collection, bool make,
               std::vector<Entry>* entries, bool* overflows) {
    const auto add = [entries](Field* field, const v1::Value& value) {
      Entry entry;
      entry.field = field;
      switch (value.kind_case()) {
        case v1::Value::kNullValue:
        case v1::Value::KIND_NOT_SET:
          return;
        case v1::Value::kBoolValue:
          entry.kind = Entry::kTruth;
          entry.number.bits = value.bool_value();
          break;
        case v1::Value::kIntValue:
          entry.kind = Entry::kNumber;
          entry.number = NumberKey::FromInt(value.int_value());
          break;
        case v1::Value::kDoubleValue:
          if (value.double_value() == value.double_value()) {
            entry.kind = Entry::kNumber;
            entry.number = NumberKey::FromDouble(value.double_value());
          }
          break;
        case v1::Value::kStringValue:
          entry.kind = Entry::kText;
          entry.text = value.string_value();
          break;
        case v1::Value::kBytesValue:
          entry.kind = Entry::kBytes;
          entry.text = value.bytes_value();
          break;
        case v1::Value::kListValue:
        case v1::Value::kMapValue:
          break;
      }
      if (entry.text.size() > kMaxIndexedBytes) {
        entry.kind = Entry::kLong;
        entry.text = {};
      }
      if (entry.kind != Entry::kExists) entries->push_back(entry);
      Entry exists;
      exists.field = field;
      entries->push_back(exists);
    };
    VisitAllProperties(
        record,
        [&collection](std::string_view property) {
          return collection.unindexed.contains(property);
        },
        [&](std::string_view name, const v1::Value& value) {
          if (value.kind_case() == v1::Value::kNullValue ||
              value.kind_case() == v1::Value::KIND_NOT_SET) {
            return;
          }
          auto it = index_.fields.find(ToAbsl(name));
          if (it == index_.fields.end()) {
            if (!make) return;
            if (index_.fields.size() >= kMaxFields) {
              *overflows = true;
              return;
            }
            auto field = std::make_unique<Field>();
            field->name = std::string(name);
            it = index_.fields.emplace(field->name, std::move(field)).first;
          }
          add(it->second.get(), value);
        });
    for (const std::string& each : record.labels()) {
      Entry entry;
      entry.field = &index_.labels;
      entry.kind = each.size() > kMaxIndexedBytes ? Entry::kLong : Entry::kText;
      if (entry.kind == Entry::kText) entry.text = each;
      entries->push_back(entry);
      entry.kind = Entry::kExists;
      entry.text = {};
      entries->push_back(entry);
    }
    std::sort(entries->begin(), entries->end());
    entries->erase(std::unique(entries->begin(), entries->end()), entries->end());
  }

  static Presence* PresenceOf(const Entry& entry) {
    switch (entry.kind) {
      case Entry::kNumber:
        return &entry.field->numbers;
      case Entry::kText:
        return &entry.field->texts;
      case Entry::kBytes:
        return &entry.field->byte_strings;
      default:
        return nullptr;
    }
  }

  static void Add(const Entry& entry, Ordinal ordinal) {
    Field& field = *entry.field;
    switch (entry.kind) {
      case Entry::kExists:
        field.exists.Add(ordinal);
        return;
      case Entry::kTruth:
        field.truth[entry.number.bits].Add(ordinal);
        return;
      case Entry::kNumber:
        if (entry.number.rest == 0) {
          field.doubles.Add(entry.number.bits, ordinal);
        } else {
          field.integers.Add(entry.number, ordinal);
        }
        return;
      case Entry::kText:
        field.text.Add(entry.text, ordinal);
        return;
      case Entry::kBytes:
        field.bytes.Add(entry.text, ordinal);
        return;
      case Entry::kLong:
        field.unsure.Add(ordinal);
        return;
    }
  }

  static void Remove(const Entry& entry, Ordinal ordinal) {
    Field& field = *entry.field;
    switch (entry.kind) {
      case Entry::kExists:
        field.exists.Remove(ordinal);
        return;
      case Entry::kTruth:
        field.truth[entry.number.bits].Remove(ordinal);
        return;
      case Entry::kNumber:
        if (entry.number.rest == 0) {
          field.doubles.Remove(entry.number.bits, ordinal);
        } else {
          field.integers.Remove(entry.number, ordinal);
        }
        return;
      case Entry::kText:
        field.text.Remove(entry.text, ordinal);
        return;
      case Entry::kBytes:
        field.bytes.Remove(entry.text, ordinal);
        return;
      case Entry::kLong:
        field.unsure.Remove(ordinal);
        return;
    }
  }

  NamespaceIndex& index_;
  std::vector<Entry> old_entries_;
  std::vector<Entry> new_entries_;
};

// Everything that a bootstrap builds and Apply() changes.
struct State {
  std::unordered_map<NamespaceId, std::unique_ptr<NamespaceIndex>> namespaces;
  std::set<NamespaceId> dropped;
  // The commit of the bootstrap: no reader before it can be served.
  uint64_t base = 0;
  // The last commit applied.
  uint64_t applied = 0;

  NamespaceIndex& Namespace(NamespaceId id) {
    std::unique_ptr<NamespaceIndex>& index = namespaces[id];
    if (index == nullptr) {
      index = std::make_unique<NamespaceIndex>();
      index->floor = base;
      index->last_commit = base;
    }
    return *index;
  }
};

// Evaluated filters, least recently used first to go.
class FilterCache {
 public:
  explicit FilterCache(int64_t max_bytes) : max_bytes_(max_bytes) {}

  // Null when there is none of this `commit`.
  std::shared_ptr<const BitmapSet> Get(const std::string& key, uint64_t commit) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto it = index_.find(key);
    if (it == index_.end() || it->second->commit != commit) return nullptr;
    items_.splice(items_.begin(), items_, it->second);
    return it->second->set;
  }

  void Put(const std::string& key, uint64_t commit, std::shared_ptr<const BitmapSet> set) {
    const int64_t bytes =
        set->MemoryBytes() + static_cast<int64_t>(2 * key.size() + sizeof(Item) + 64);
    if (bytes > max_bytes_) return;
    std::lock_guard<std::mutex> lock(mutex_);
    if (const auto it = index_.find(key); it != index_.end()) {
      // Never replace what is newer.
      if (it->second->commit > commit) return;
      bytes_ -= it->second->bytes;
      items_.erase(it->second);
      index_.erase(it);
    }
    items_.push_front({key, commit, std::move(set), bytes});
    index_[key] = items_.begin();
    bytes_ += bytes;
    while (bytes_ > max_bytes_) {
      bytes_ -= items_.back().bytes;
      index_.erase(items_.back().key);
      items_.pop_back();
    }
  }

  void Clear() {
    std::lock_guard<std::mutex> lock(mutex_);
    index_.clear();
    items_.clear();
    bytes_ = 0;
  }

  int64_t bytes() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return bytes_;
  }

 private:
  struct Item {
    std::string key;
    uint64_t commit;
    std::shared_ptr<const BitmapSet> set;
    int64_t bytes;
  };
  const int64_t max_bytes_;
  mutable std::mutex mutex_;
  std::list<Item> items_;
  std::unordered_map<std::string, std::list<Item>::iterator> index_;
  int64_t bytes_ = 0;
};

// Parses a record that exists; null for none, a dangling target or empty bytes.
absl::StatusOr<const ObjectRecord*> ParseObject(const std::string& bytes,
                                                google::protobuf::Arena* arena) {
  if (bytes.empty()) return nullptr;
  auto* record = google::protobuf::Arena::CreateMessage<ObjectRecord>(arena);
  if (!record->ParseFromString(bytes)) {
    return Corruption("an object record cannot be decoded",
                      "Restore the store from a backup or seed it from a replica");
  }
  return record->exists() ? record : nullptr;
}

}  // namespace

struct FieldIndexView::Impl {
  explicit Impl(const FieldIndexOptions& options) : cache(options.cache_bytes) {}

  // Guards `state`, which is null until it is built.
  mutable FairSharedMutex mutex;
  std::unique_ptr<State> state;

  FilterCache cache;
  std::atomic<int64_t> evaluations{0};
  std::atomic<int64_t> cache_hits{0};
  std::atomic<int64_t> declined{0};
  std::atomic<int64_t> records_read{0};

  // Reads the objects `ordinals` from the snapshot and puts those that match into
  // `set`, the others out of it.
  absl::Status Recheck(const CallContext& context, const NamespaceView& view,
                       const CompiledFilter& filter, const OrdinalBitmap& ordinals,
                       OrdinalBitmap* set);
};

FieldIndexView::FieldIndexView(FieldIndexOptions options)
    : impl_(std::make_unique<Impl>(options)) {}

FieldIndexView::~FieldIndexView() = default;

absl::Status FieldIndexView::Bootstrap(const ReadView& view, BootstrapMonitor& monitor) {
  auto state = std::make_unique<State>();
  state->base = view.commit();
  state->applied = view.commit();
  storage::ScanBounds bounds;
  bounds.bypass_cache = true;
  const uint64_t expected =
      std::max<uint64_t>(view.snapshot->ApproximateBytes(storage::Family::kObjects, bounds), 1);
  uint64_t seen = 0;
  uint64_t rows = 0;
  std::unique_ptr<storage::Iterator> it =
      view.snapshot->Scan(storage::Family::kObjects, std::move(bounds));
  NamespaceId current = 0;
  std::optional<Updater> updater;
  ObjectRecord record;
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    if (++rows % 1024 == 0) {
      if (monitor.cancelled()) {
        return MakeError(absl::StatusCode::kCancelled, "the bootstrap was stopped",
                         {"QUERY_CANCELLED", "", "", true});
      }
      monitor.Report(std::min(0.99, static_cast<double>(seen) / static_cast<double>(expected)));
    }
    seen += it->key().size() + it->value().size();
    std::string_view key = it->key();
    NamespaceId ns = 0;
    Ordinal ordinal = 0;
    if (!GetBigEndian32(&key, &ns) || !GetBigEndian64(&key, &ordinal) || !key.empty() ||
        !record.ParseFromArray(it->value().data(), static_cast<int>(it->value().size()))) {
      return Corruption("an object record cannot be decoded",
                        "Restore the store from a backup or seed it from a replica");
    }
    if (!record.exists() || !view.catalog->namespaces_by_id.contains(ns)) continue;
    if (!updater.has_value() || ns != current) {
      updater.emplace(state->Namespace(ns));
      current = ns;
    }
    updater->Update(ordinal, nullptr, &record, view.catalog.get(), ns);
  }
  COOKIX_RETURN_IF_ERROR(it->status());
  updater.reset();
  WriterLock lock(impl_->mutex);
  impl_->state = std::move(state);
  return absl::OkStatus();
}

absl::Status FieldIndexView::Apply(const AppliedCommit& commit) {
  struct Change {
    NamespaceId ns;
    Ordinal ordinal;
    const ObjectRecord* before;
    const ObjectRecord* after;
  };
  // Decode without the lock.
  google::protobuf::Arena arena;
  std::vector<Change> changes;
  std::vector<std::pair<NamespaceId, bool>> tombstones;  // and whether all of it
  for (const auto& event : commit.change.events()) {
    if (event.has_object()) {
      const auto& object = event.object();
      COOKIX_ASSIGN_OR_RETURN(const ObjectRecord* before, ParseObject(object.before(), &arena));
      COOKIX_ASSIGN_OR_RETURN(const ObjectRecord* after, ParseObject(object.after(), &arena));
      if (before == nullptr && after == nullptr) continue;
      changes.push_back({object.namespace_id(), object.ordinal(), before, after});
    } else if (event.has_tombstone()) {
      const auto& tombstone = event.tombstone();
      if (tombstone.has_namespace_()) {
        tombstones.emplace_back(tombstone.namespace_().namespace_id(), true);
      } else if (tombstone.has_collection()) {
        tombstones.emplace_back(tombstone.collection().namespace_id(), false);
      }
    }
  }

  std::vector<std::unique_ptr<NamespaceIndex>> forgotten;  // freed after the lock
  std::vector<NamespaceIndex*> touched;
  {
    WriterLock lock(impl_->mutex);
    if (impl_->state == nullptr) {
      return absl::InternalError("the field index got a commit before it was built");
    }
    State& state = *impl_->state;
    // First what changes, then the changes: whoever reads in between at an earlier
    // commit looks at these objects itself.
    for (const Change& change : changes) {
      if (state.dropped.contains(change.ns)) continue;
      NamespaceIndex& index = state.Namespace(change.ns);
      if (index.recent.empty() || index.recent.back().commit != commit.commit) {
        index.recent.push_back({commit.commit, {}});
        touched.push_back(&index);
        index.applying = true;
        index.last_commit = commit.commit;
      }
      index.recent.back().changed.push_back(change.ordinal << 1 |
                                            (change.before != nullptr ? 1 : 0));
      ++index.recent_ordinals;
    }
    for (NamespaceIndex* index : touched) {
      while (index->recent_ordinals > kMaxRecentOrdinals ||
             index->recent.size() > kMaxRecentCommits) {
        index->floor = index->recent.front().commit;
        index->recent_ordinals -= index->recent.front().changed.size();
        index->recent.pop_front();
      }
    }
    if (changes.empty() && tombstones.empty()) state.applied = commit.commit;
  }
  for (size_t begin = 0; begin < changes.size(); begin += kApplyChunk) {
    const size_t end = std::min(changes.size(), begin + kApplyChunk);
    WriterLock lock(impl_->mutex);
    State& state = *impl_->state;
    for (size_t i = begin; i < end; ++i) {
      const Change& change = changes[i];
      if (state.dropped.contains(change.ns)) continue;
      Updater(state.Namespace(change.ns))
          .Update(change.ordinal, change.before, change.after, commit.catalog.get(), change.ns);
    }
  }
  if (changes.empty() && tombstones.empty()) return absl::OkStatus();
  WriterLock lock(impl_->mutex);
  State& state = *impl_->state;
  for (NamespaceIndex* index : touched) index->applying = false;
  for (const auto& [ns, whole] : tombstones) {
    if (whole) {
      state.dropped.insert(ns);
      if (auto it = state.namespaces.find(ns); it != state.namespaces.end()) {
        forgotten.push_back(std::move(it->second));
        state.namespaces.erase(it);
      }
    }
    // The objects of a dropped collection are hidden by the catalog that a reader
    // has, and leave the index as they are collected.
  }
  state.applied = commit.commit;
  lock.unlock();
  return absl::OkStatus();
}

void FieldIndexView::Drop() {
  std::unique_ptr<State> state;
  {
    WriterLock lock(impl_->mutex);
    state = std::move(impl_->state);
  }
  impl_->cache.Clear();
}

absl::Status FieldIndexView::Impl::Recheck(const CallContext& context, const NamespaceView& view,
                                           const CompiledFilter& filter,
                                           const OrdinalBitmap& ordinals, OrdinalBitmap* set) {
  std::vector<Ordinal> batch;
  std::vector<std::string> keys;
  ObjectRecord record;
  const auto read = [&]() -> absl::Status {
    COOKIX_RETURN_IF_ERROR(context.Check());
    COOKIX_ASSIGN_OR_RETURN(const std::vector<std::optional<std::string>> values,
                            view.snapshot->MultiGet(storage::Family::kObjects, keys));
    for (size_t i = 0; i < batch.size(); ++i) {
      bool matches = false;
      if (values[i].has_value()) {
        if (!record.ParseFromString(*values[i])) {
          return Corruption("an object record cannot be decoded",
                            "Restore the store from a backup or seed it from a replica");
        }
        const auto collection = view.ns->collections_by_id.find(record.collection_id());
        matches = record.exists() && collection != view.ns->collections_by_id.end() &&
                  !view.ns->dropped_collections.contains(record.collection_id()) &&
                  filter.Matches(record, collection->second->record.collection().name());
      }
      if (matches) {
        set->Add(batch[i]);
      } else {
        set->Remove(batch[i]);
      }
    }
    records_read.fetch_add(static_cast<int64_t>(batch.size()), std::memory_order_relaxed);
    batch.clear();
    keys.clear();
    return absl::OkStatus();
  };
  absl::Status status;
  ordinals.ForEach([&](Ordinal ordinal) {
    if (!status.ok()) return;
    batch.push_back(ordinal);
    keys.push_back(ObjectKey(view.id(), ordinal));
    if (batch.size() == kReadBatch) status = read();
  });
  COOKIX_RETURN_IF_ERROR(status);
  return batch.empty() ? absl::OkStatus() : read();
}

absl::StatusOr<std::shared_ptr<const OrdinalSet>> FieldIndexView::Evaluate(
    const CallContext& context, const NamespaceView& view, const CompiledFilter& filter) {
  Impl& impl = *impl_;
  const auto decline = [&impl]() -> std::shared_ptr<const OrdinalSet> {
    impl.declined.fetch_add(1, std::memory_order_relaxed);
    return nullptr;
  };
  impl.evaluations.fetch_add(1, std::memory_order_relaxed);
  const uint64_t commit = view.commit();
  std::string key;
  key.reserve(4 + filter.fingerprint().size());
  PutFixed32(&key, view.id());
  key.append(filter.fingerprint());

  std::shared_ptr<const BitmapSet> cached;
  std::optional<Answer> answer;
  OrdinalBitmap unsure;   // of `answer`
  OrdinalBitmap hidden;   // objects of collections that this reader does not see
  OrdinalBitmap changed;  // existed at `commit` and changed since
  OrdinalBitmap newer;    // did not exist at `commit`
  uint64_t last_commit = 0;
  bool keep = false;
  uint64_t objects = 0;
  {
    ReaderLock lock(impl.mutex);
    if (impl.state == nullptr || commit < impl.state->base || commit > impl.state->applied ||
        impl.state->dropped.contains(view.id())) {
      return decline();
    }
    const auto found = impl.state->namespaces.find(view.id());
    if (found == impl.state->namespaces.end()) {
      return std::shared_ptr<const OrdinalSet>(std::make_shared<BitmapSet>(OrdinalBitmap()));
    }
    const NamespaceIndex& index = *found->second;
    if (commit < index.floor) return decline();
    last_commit = index.last_commit;
    for (const auto& [id, dropped_at] : view.ns->dropped_collections) {
      const auto collection = index.collections.find(id);
      if (collection != index.collections.end()) hidden |= collection->second.objects;
    }
    if (commit < last_commit) {
      auto first = index.recent.end();
      while (first != index.recent.begin() && std::prev(first)->commit > commit) --first;
      absl::flat_hash_set<Ordinal> seen;
      for (; first != index.recent.end(); ++first) {
        for (const uint64_t each : first->changed) {
          if (!seen.insert(each >> 1).second) continue;
          ((each & 1) != 0 ? changed : newer).Add(each >> 1);
        }
      }
    }
    if (!index.applying) {
      cached = impl.cache.Get(key, last_commit);
      keep = true;
    }
    if (cached == nullptr) {
      COOKIX_ASSIGN_OR_RETURN(answer, Evaluator(context, index).Node(filter.root()));
    } else {
      impl.cache_hits.fetch_add(1, std::memory_order_relaxed);
    }
    objects = index.all.Count();
  }

  if (cached != nullptr && changed.empty() && newer.empty() && hidden.empty()) return cached;
  if (answer.has_value() && answer->maybe.has_value()) {
    unsure = std::move(*answer->maybe);
    unsure -= answer->sure;
  }
  const bool exact = unsure.empty();
  OrdinalBitmap set = cached != nullptr ? cached->bitmap() : std::move(answer->sure);
  // What the index says of the newest state is worth keeping as it is.
  if (cached == nullptr && keep && exact) {
    auto newest = std::make_shared<BitmapSet>(set);
    impl.cache.Put(key, last_commit, newest);
    if (changed.empty() && newer.empty() && hidden.empty()) return newest;
  }
  OrdinalBitmap look = std::move(unsure);
  look |= changed;
  look -= newer;
  look -= hidden;
  if (look.Count() > std::max(kAlwaysRead, objects / 4)) return decline();
  COOKIX_RETURN_IF_ERROR(impl.Recheck(context, view, filter, look, &set));
  set -= newer;
  set -= hidden;
  auto result = std::make_shared<BitmapSet>(std::move(set));
  if (cached == nullptr && keep && !exact && changed.empty() && newer.empty() && hidden.empty()) {
    impl.cache.Put(key, last_commit, result);
  }
  return std::shared_ptr<const OrdinalSet>(std::move(result));
}

int64_t FieldIndexView::MemoryBytes() const {
  int64_t bytes = static_cast<int64_t>(sizeof(Impl)) + impl_->cache.bytes();
  ReaderLock lock(impl_->mutex);
  if (impl_->state == nullptr) return bytes;
  for (const auto& [id, index] : impl_->state->namespaces) {
    bytes +=
        static_cast<int64_t>(sizeof(NamespaceIndex)) + index->all.MemoryBytes() +
        index->overflow.MemoryBytes() + index->labels.MemoryBytes() +
        static_cast<int64_t>(index->fields.capacity() * (sizeof(std::string) + sizeof(void*) + 1)) +
        static_cast<int64_t>(index->recent.size() * sizeof(RecentCommit));
    for (const auto& [collection_id, collection] : index->collections) {
      bytes +=
          static_cast<int64_t>(sizeof(CollectionIndex) + 32) + collection.objects.MemoryBytes();
    }
    for (const auto& [name, field] : index->fields) bytes += field->MemoryBytes();
    for (const RecentCommit& recent : index->recent) {
      bytes += static_cast<int64_t>(recent.changed.capacity() * sizeof(uint64_t));
    }
  }
  return bytes;
}

std::map<std::string, int64_t> FieldIndexView::Counters() const {
  std::map<std::string, int64_t> counters = {
      {"evaluations", impl_->evaluations.load()}, {"cache_hits", impl_->cache_hits.load()},
      {"declined", impl_->declined.load()},       {"records_read", impl_->records_read.load()},
      {"cache_bytes", impl_->cache.bytes()},
  };
  ReaderLock lock(impl_->mutex);
  int64_t fields = 0;
  int64_t objects = 0;
  if (impl_->state != nullptr) {
    for (const auto& [id, index] : impl_->state->namespaces) {
      fields += static_cast<int64_t>(index->fields.size());
      objects += static_cast<int64_t>(index->all.Count());
    }
  }
  counters["fields"] = fields;
  counters["objects"] = objects;
  return counters;
}

}  // namespace cookix::engine
