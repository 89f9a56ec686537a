// Text indexes where the system has no memory: whatever cannot be had, at any place.
#include "engine/text/no_memory.h"

#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "cookix/internal/v1/records.pb.h"
#include "engine/call_context.h"
#include "engine/text/analyzed_query.h"
#include "engine/text/text_collection.h"
#include "engine/text/text_field.h"
#include "gtest/gtest.h"
#include "storage/memory_checked_file.h"

namespace {

// Allocations of this thread until one fails; below 0: none does.
thread_local int64_t allocations_left = -1;

void* Allocate(std::size_t bytes) {
  if (allocations_left >= 0 && allocations_left-- == 0) throw std::bad_alloc();
  void* const memory = std::malloc(bytes > 0 ? bytes : 1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) { return Allocate(bytes); }
void* operator new[](std::size_t bytes) { return Allocate(bytes); }
// Sanitizers have their own of these, whose memory is not for free().
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  try {
    return Allocate(bytes);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new[](std::size_t bytes, const std::nothrow_t& tag) noexcept {
  return operator new(bytes, tag);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace cookix::engine {
namespace {

// As long as it lives, one allocation fails: the one after so many.
class FailAfter {
 public:
  explicit FailAfter(int64_t allocations) { allocations_left = allocations; }
  ~FailAfter() { allocations_left = -1; }
};

v1::Collection Definition() {
  v1::Collection definition;
  *definition.add_text_fields() = ResolveTextField(DefaultTextField(), "").value();
  return definition;
}

class NoMemoryTest : public testing::Test {
 protected:
  static constexpr int kWords = 12;

  NoMemoryTest() { Restart(); }

  void Restart() {
    texts_ = TextCollection::Create({definition_.text_fields(0)}).value();
    commit_ = 0;
  }

  static std::string Record(int number) {
    internal::v1::ObjectRecord record;
    record.set_exists(true);
    std::string content;
    for (int w = 0; w < kWords; ++w) {
      if (number % (w + 2) == 0) content += "word" + std::to_string(w) + " ";
    }
    record.set_content(content + "all n" + std::to_string(number));
    return record.SerializeAsString();
  }
  absl::Status Put(int first, int count) {
    for (int i = first; i < first + count; ++i) {
      COOKIX_RETURN_IF_ERROR(texts_->Add(static_cast<Ordinal>(i), {}, Record(i)));
    }
    return texts_->Flush(++commit_);
  }
  absl::Status Delete(int number) {
    COOKIX_RETURN_IF_ERROR(texts_->Add(static_cast<Ordinal>(number), Record(number), {}));
    return texts_->Flush(++commit_);
  }

  static AnalyzedQuery Query() {
    AnalyzedQuery query{.kind = AnalyzedQuery::Kind::kOr};
    query.children.push_back({.kind = AnalyzedQuery::Kind::kTerm, .term = "word1"});
    query.children.push_back({.kind = AnalyzedQuery::Kind::kPrefix, .term = "word1"});
    AnalyzedQuery phrase{.kind = AnalyzedQuery::Kind::kPhrase};
    phrase.phrase = {{"word0", 0}, {"word2", 1}};
    query.children.push_back(phrase);
    return query;
  }
  absl::StatusOr<bool> Search(TextSearchResult* result) {
    const TextSearch search{.definition = &definition_,
                            .query = &query_,
                            .limit = 5000,
                            .count = true,
                            .max_expansions = 1000};
    return texts_->Search(CallContext(), search, commit_, result);
  }
  std::vector<std::pair<Ordinal, double>> Found() {
    TextSearchResult result;
    const auto answered = Search(&result);
    EXPECT_TRUE(answered.ok() && *answered) << answered.status();
    std::vector<std::pair<Ordinal, double>> found;
    for (const TextHit& hit : result.hits) found.emplace_back(hit.ordinal, hit.score);
    EXPECT_EQ(result.total, static_cast<int64_t>(found.size()));
    return found;
  }

  const v1::Collection definition_ = Definition();
  const AnalyzedQuery query_ = Query();
  std::shared_ptr<TextCollection> texts_;
  uint64_t commit_ = 0;
};

TEST_F(NoMemoryTest, SearchesSaySo) {
  ASSERT_TRUE(Put(0, 3000).ok());
  while (texts_->WorkSome()) {
  }
  const auto found = Found();
  ASSERT_GT(found.size(), 100u);
  int64_t refused = 0;
  for (bool answered = false; !answered; ++refused) {
    TextSearchResult result;
    absl::StatusOr<bool> status(false);
    {
      const FailAfter failing(refused);
      status = Search(&result);
    }
    answered = status.ok();
    if (!answered) {
      ASSERT_EQ(status.status().code(), absl::StatusCode::kResourceExhausted) << status.status();
      ASSERT_EQ(GetErrorDetail(status.status())->reason, "MEMORY_LIMIT");
    }
  }
  EXPECT_GT(refused, 20);
  EXPECT_EQ(Found(), found);
}

// What could not be sealed or merged is where it was, and is done later.
TEST_F(NoMemoryTest, WorkIsLeftForLater) {
  int failures = 0;
  bool finished = false;
  for (int64_t allocations = 0; !finished; allocations += 1 + allocations / 8) {
    Restart();
    // Two segments, one of them with so many dead that it is made anew, and a full buffer.
    ASSERT_TRUE(Put(0, 1024).ok());
    while (texts_->WorkSome()) {
    }
    for (int i = 0; i < 400; ++i) ASSERT_TRUE(Delete(2 * i).ok());
    ASSERT_TRUE(Put(2000, 1100).ok());
    ASSERT_TRUE(Delete(2001).ok());
    const auto found = Found();
    {
      const FailAfter failing(allocations);
      while (texts_->WorkSome()) {
      }
    }
    finished = texts_->backlog() == 0 && texts_->stats().dead == 0;
    failures += finished ? 0 : 1;
    ASSERT_EQ(Found(), found) << allocations;
    ASSERT_TRUE(Delete(2003).ok());
    while (texts_->WorkSome()) {
    }
    EXPECT_EQ(texts_->backlog(), 0u) << allocations;
    EXPECT_LE(texts_->stats().dead, 1) << allocations;
    EXPECT_EQ(texts_->stats().documents, 1024 - 400 + 1100 - 2);
  }
  EXPECT_GT(failures, 10);
}

TEST_F(NoMemoryTest, WritesAndLoadsSaySo) {
  int64_t refused = 0;
  for (bool applied = false; !applied; ++refused) {
    Restart();
    for (int i = 0; i < 40; ++i)
      ASSERT_TRUE(texts_->Add(static_cast<Ordinal>(i), {}, Record(i)).ok());
    absl::Status status;
    {
      const FailAfter failing(refused);
      status = WithinMemory([&] { return texts_->Flush(1); });
    }
    applied = status.ok();
    ASSERT_TRUE(applied || status.code() == absl::StatusCode::kResourceExhausted) << status;
  }
  EXPECT_GT(refused, 20);
  commit_ = 1;
  const auto found = Found();
  storage::MemoryFileWriter file;
  ASSERT_TRUE(TextCollection::TakeSnapshot(texts_).Write(file).ok());
  refused = 0;
  for (bool loaded = false; !loaded; ++refused) {
    Restart();
    storage::MemoryFileReader reader(file.contents);
    absl::Status status;
    {
      const FailAfter failing(refused);
      status = WithinMemory([&] { return texts_->Load(reader); });
    }
    loaded = status.ok();
    ASSERT_TRUE(loaded || status.code() == absl::StatusCode::kResourceExhausted) << status;
  }
  EXPECT_GT(refused, 10);
  EXPECT_EQ(Found(), found);
}

}  // namespace
}  // namespace cookix::engine
