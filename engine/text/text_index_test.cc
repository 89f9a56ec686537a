// The text index against a model that goes through all texts, with fixed seeds.
#include "engine/text/text_index.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/text/document_scorer.h"
#include "engine/text/text_index_model.h"
#include "gtest/gtest.h"
#include "storage/base/status.h"
#include "storage/memory_checked_file.h"
#include "storage/store.h"

namespace cookix::engine {
namespace {

using Kind = AnalyzedQuery::Kind;

std::vector<TextIndexField> Fields(size_t count, bool positions = true) {
  const auto analyzer = Analyzer::Create({}, "analyzer").value();
  return std::vector<TextIndexField>(count, {analyzer, positions});
}

AnalyzedQuery Term(const std::string& term, uint32_t field = 0) {
  return {.kind = Kind::kTerm, .field = field, .term = term};
}
AnalyzedQuery Or(std::vector<AnalyzedQuery> children) {
  return {.kind = Kind::kOr, .children = std::move(children)};
}
AnalyzedQuery Prefix(const std::string& term) { return {.kind = Kind::kPrefix, .term = term}; }
AnalyzedQuery Phrase(const std::vector<std::string>& words) {
  AnalyzedQuery phrase{.kind = Kind::kPhrase};
  for (const std::string& word : words) {
    phrase.phrase.push_back({word, static_cast<uint32_t>(phrase.phrase.size())});
  }
  return phrase;
}

// A put with all that it borrows.
class Put {
 public:
  Put(Ordinal ordinal, const ModelTexts& before, const ModelTexts& after)
      : before_(before), after_(after), put_{ordinal, before_.span(), after_.span()} {}
  const TextPut& put() const { return put_; }

 private:
  struct Side {
    explicit Side(ModelTexts own) : texts(std::move(own)) {
      for (const auto& elements : texts) {
        views.emplace_back(elements.begin(), elements.end());
      }
      for (const auto& elements : views) spans.emplace_back(elements);
    }
    Side(const Side&) = delete;
    std::span<const TextElements> span() const { return spans; }
    const ModelTexts texts;
    std::vector<std::vector<std::string_view>> views;
    std::vector<TextElements> spans;
  };
  const Side before_;
  const Side after_;
  const TextPut put_;
};

TextIndex::Options Small() {
  return {.buffer_documents = 150,
          .buffer_bytes = 1 << 20,
          .change_bytes = 1 << 20,
          .changes = 400,
          .merge_width = 3};
}

// An index and what it should hold, at the last commits.
class World {
 public:
  explicit World(size_t fields, TextIndex::Options options = Small(), bool positions = true)
      : index_(new TextIndex(Fields(fields, positions), options)), fields_(fields) {}

  // An empty list of texts removes the object.
  void Set(Ordinal ordinal, ModelTexts texts) {
    const auto held = state_.find(ordinal);
    const ModelTexts before = held == state_.end() ? ModelTexts() : held->second;
    puts_.emplace_back(ordinal, before, texts);
    if (texts.empty()) {
      state_.erase(ordinal);
    } else {
      state_[ordinal] = std::move(texts);
    }
  }
  void Commit() {
    std::vector<TextPut> puts;
    for (const Put& put : puts_) puts.push_back(put.put());
    ASSERT_TRUE(index_->Apply(puts, ++commit_).ok());
    puts_.clear();
  }

  TextSearchResult Search(const AnalyzedQuery& query, int64_t limit, uint64_t commit,
                          std::shared_ptr<const OrdinalSet> accept = nullptr,
                          bool exhaustive = false, bool count = false) const {
    const TextSearch search{.query = &query,
                            .limit = limit,
                            .accept = std::move(accept),
                            .count = count,
                            .exhaustive = exhaustive,
                            .max_expansions = 100'000};
    TextSearchResult result;
    const CallContext context;
    const auto answered = index_->Search(context, search, commit, &result);
    EXPECT_TRUE(answered.ok()) << answered.status();
    EXPECT_TRUE(answered.ok() && *answered);
    return result;
  }

  // The answers of all paths, against each other to the last bit and against the model.
  void Check(const AnalyzedQuery& query, const ModelState& state, uint64_t commit,
             std::shared_ptr<const OrdinalSet> accept = nullptr) const {
    SCOPED_TRACE(ToString(query, names_));
    const std::map<Ordinal, double> all = Model(state, fields_).Scores(query);
    std::vector<TextHit> expected;
    for (const auto& [ordinal, score] : all) {
      if (accept == nullptr || accept->Contains(ordinal)) expected.push_back({ordinal, score});
    }
    const auto everything = static_cast<int64_t>(state.size()) + 10;
    const TextSearchResult full = Search(query, everything, commit, accept, true, true);
    EXPECT_EQ(full.total, static_cast<int64_t>(expected.size()));
    ASSERT_EQ(full.hits.size(), expected.size());
    std::map<Ordinal, double> scores;
    for (const TextHit& hit : full.hits) scores[hit.ordinal] = hit.score;
    for (const TextHit& hit : expected) {
      ASSERT_EQ(scores.count(hit.ordinal), 1u) << hit.ordinal;
      EXPECT_NEAR(scores[hit.ordinal], hit.score, 1e-9 * hit.score);
    }
    EXPECT_TRUE(std::is_sorted(full.hits.begin(), full.hits.end()));
    CheckRecords(query, state, scores);
    for (const int64_t limit : {1, 3, 10, 1000}) {
      const TextSearchResult best = Search(query, limit, commit, accept);
      const size_t count = std::min<size_t>(full.hits.size(), static_cast<size_t>(limit));
      ASSERT_EQ(best.hits.size(), count);
      EXPECT_EQ(best.total, -1);
      for (size_t i = 0; i < count; ++i) {
        EXPECT_EQ(best.hits[i].ordinal, full.hits[i].ordinal) << i;
        EXPECT_EQ(best.hits[i].score, full.hits[i].score) << i;
      }
    }
    const std::set<std::string> expansions = Model(state, fields_).Expansions(query);
    EXPECT_EQ(full.expansions, std::vector<std::string>(expansions.begin(), expansions.end()));
    EXPECT_EQ(Search(query, 0, commit, accept, false, true).total, full.total);
  }

  void CheckNow(const AnalyzedQuery& query,
                std::shared_ptr<const OrdinalSet> accept = nullptr) const {
    Check(query, state_, commit_, std::move(accept));
  }

  // Document by document, without an index.
  void CheckRecords(const AnalyzedQuery& query, const ModelState& state,
                    const std::map<Ordinal, double>& scores) const {
    DocumentScorer scorer(query, fields_, 100'000);
    std::map<Ordinal, std::unique_ptr<TextDocument>> documents;
    for (const auto& [ordinal, texts] : state) {
      const Put put(ordinal, {}, texts);
      auto document = std::make_unique<TextDocument>(index_->fields(), put.put().after);
      ASSERT_TRUE(scorer.Count(*document).ok());
      documents.emplace(ordinal, std::move(document));
    }
    scorer.Finish();
    for (const auto& [ordinal, document] : documents) {
      double score = 0;
      if (!scorer.Score(*document, &score)) continue;
      const auto found = scores.find(ordinal);
      if (found != scores.end()) {
        EXPECT_EQ(score, found->second);
      }
    }
  }

  void CheckStats() const {
    const TextIndex::Stats stats = index_->stats();
    for (size_t f = 0; f < fields_; ++f) {
      int64_t documents = 0, words = 0;
      for (const auto& [ordinal, texts] : state_) {
        const Put put(ordinal, {}, texts);
        const TextDocument document(index_->fields(), put.put().after);
        documents += document.length(static_cast<uint32_t>(f)) > 0;
        words += document.length(static_cast<uint32_t>(f));
      }
      EXPECT_EQ(stats.fields[f].totals.documents, documents);
      EXPECT_EQ(stats.fields[f].totals.words, words);
    }
  }

  std::unique_ptr<TextIndex> index_;
  const size_t fields_;
  const std::vector<TextQueryField> names_ = {{.name = "a"}, {.name = "b"}, {.name = "c"}};
  ModelState state_;
  uint64_t commit_ = 0;
  std::deque<Put> puts_;
};

std::shared_ptr<const OrdinalSet> RandomSet(ModelRandom* random, uint64_t end, uint64_t one_in) {
  std::set<Ordinal> ordinals;
  for (uint64_t i = 1; i < end; ++i) {
    if (random->Below(one_in) == 0) ordinals.insert(i);
  }
  return std::make_shared<ModelSet>(std::move(ordinals));
}

// ---- everything at once --------------------------------------------------------

class TextIndexRandomTest : public testing::TestWithParam<int> {};

TEST_P(TextIndexRandomTest, AnswersAsTheModelAtEveryStep) {
  const auto seed = static_cast<uint64_t>(GetParam());
  ModelRandom random(seed, 20 + 60 * (seed % 3), 2);
  World world(2);
  std::deque<std::pair<uint64_t, ModelState>> past;
  const uint64_t objects = 400;
  for (int step = 0; step < 60; ++step) {
    const uint64_t changes = 1 + random.Below(step % 7 == 0 ? 120 : 20);
    for (uint64_t i = 0; i < changes; ++i) {
      const Ordinal ordinal = 1 + random.Below(objects);
      world.Set(ordinal, random.Below(4) == 0 ? ModelTexts() : random.Texts());
    }
    world.Commit();
    past.emplace_back(world.commit_, world.state_);
    if (past.size() > 3) past.pop_front();
    if (random.Below(3) == 0) world.index_->WorkSome();
    if (random.Below(12) == 0) world.index_->CompactForTest();
    world.CheckStats();
    for (int i = 0; i < 3; ++i) world.CheckNow(random.Query(2));
    world.CheckNow(random.Query(1), RandomSet(&random, objects, 1 + random.Below(40)));
    // Readers of commits before, with and without a filter.
    const auto& [commit, state] = past.front();
    world.Check(random.Query(2), state, commit);
    world.Check(random.Query(1), state, commit, RandomSet(&random, objects, 3));
    if (HasFailure()) return;
  }
}
INSTANTIATE_TEST_SUITE_P(Seeds, TextIndexRandomTest, testing::Range(0, 8));

// Enough documents for many steps and blocks.
TEST(TextIndexTest, LargeSegmentsAnswerAsTheModel) {
  ModelRandom random(5, 90, 1);
  World world(1, {.buffer_documents = 8000, .merge_width = 3});
  constexpr Ordinal kObjects = 12'000;
  for (Ordinal ordinal = 1; ordinal <= kObjects; ++ordinal) world.Set(ordinal, random.Texts());
  world.Commit();
  while (world.index_->WorkSome()) {
  }
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 6; ++i) world.CheckNow(random.Query(static_cast<size_t>(i) % 3));
    for (const uint64_t one_in : {2, 30, 3000}) {
      world.CheckNow(random.Query(1), RandomSet(&random, kObjects, one_in));
    }
    for (int i = 0; i < 1500; ++i) {
      const Ordinal ordinal = 1 + random.Below(kObjects);
      world.Set(ordinal, random.Below(2) == 0 ? ModelTexts() : random.Texts());
    }
    world.Commit();
    if (round == 1) world.index_->CompactForTest();
  }
}

// Lists of which one has a block where another has many, in two segments and a buffer.
TEST(TextIndexTest, RareAndFrequentWordsTogether) {
  World world(1, {.buffer_documents = 1500, .merge_width = 3});
  ModelRandom random(11, 40, 1);
  constexpr Ordinal kObjects = 3500;
  const auto text_of = [&](Ordinal ordinal) {
    std::string text = random.Text(1 + random.Below(12));
    if (ordinal % 3 == 0) text += " often";
    if (ordinal % 41 == 0) text += random.Below(2) == 0 ? " seldom often" : " often x seldom";
    if (ordinal % 45 < 2) text += " seldom seldom";
    if (ordinal % 700 == 1) text += " rare seldom often rare";
    return text;
  };
  for (Ordinal ordinal = 1; ordinal <= kObjects; ++ordinal) {
    world.Set(ordinal, {{text_of(ordinal)}});
    if (ordinal % 500 == 0) world.Commit();
    world.index_->WorkSome();
  }
  const auto both = [](std::vector<AnalyzedQuery> children, std::vector<AnalyzedQuery> excluded) {
    return AnalyzedQuery{
        .kind = Kind::kAnd, .children = std::move(children), .excluded = std::move(excluded)};
  };
  AnalyzedQuery near = Phrase({"often", "seldom"});
  near.slop = 2;
  const std::string frequent = ModelRandom::WordNumber(0);
  const std::vector<AnalyzedQuery> queries = {
      both({Term("often"), Term("seldom")}, {}),
      both({Term("often"), Term("rare"), Term("seldom")}, {}),
      both({Term(frequent), Term("often")}, {Term("seldom")}),
      both({Term("seldom"), Or({Term("rare"), Term(frequent)})}, {}),
      both({Or({Term("rare"), Term("seldom")}), Or({Term("often"), Term(frequent)})}, {}),
      both({Phrase({"seldom", "often"}), Term(frequent)}, {}),
      Or({both({Term("often"), Term("seldom")}, {}), Term("rare"), Term(frequent)}),
      Or({Term("rare"), Term("seldom"), Term("often"), Term(frequent)}),
      Or({Phrase({"seldom", "often"}), Term("rare")}),
      Phrase({"seldom", "often"}),
      Phrase({"rare", "seldom", "often"}),
      near};
  for (int round = 0; round < 3; ++round) {
    for (const AnalyzedQuery& query : queries) {
      world.CheckNow(query);
      if (round == 1) world.CheckNow(query, RandomSet(&random, kObjects, 20));
    }
    for (int i = 0; i < 200; ++i) {
      const Ordinal ordinal = 1 + random.Below(kObjects);
      world.Set(ordinal, i % 3 == 0 ? ModelTexts{{text_of(ordinal)}} : ModelTexts());
    }
    world.Commit();
    if (round == 1) world.index_->CompactForTest();
  }
}

// The best of many ties and of lists of all lengths, by segments and a buffer, with deletions
// and for readers of before: to the last bit as by scoring everything, which goes another way.
TEST(TextIndexTest, AllOfSomeTermsIsFoundAsByScoringEverything) {
  ModelRandom random(21, 70, 2);
  World world(2, {.buffer_documents = 5000, .merge_width = 8});
  constexpr Ordinal kObjects = 18'000;
  const auto set = [&](Ordinal ordinal) {
    std::string text = random.Text(1 + random.Below(30));
    for (const uint64_t one_in : {2, 7, 50, 300, 4000}) {
      const uint64_t more = random.Below(one_in) == 0 ? 1 + random.Below(3) : 0;
      for (uint64_t i = 0; i < more; ++i) text += " of" + std::to_string(one_in);
    }
    world.Set(ordinal, {{text}, {random.Text(3)}});
  };
  for (Ordinal ordinal = 1; ordinal <= kObjects; ++ordinal) {
    set(ordinal);
    if (ordinal % 2000 == 0) world.Commit();
    world.index_->WorkSome();
  }
  const auto term = [&] {
    static constexpr const char* kMarks[] = {"of2", "of7", "of50", "of300", "of4000"};
    AnalyzedQuery leaf = random.Below(2) == 0 ? Term(kMarks[random.Below(5)])
                                              : Term(random.Word(), random.Below(4) == 0);
    if (random.Below(4) == 0) leaf.boost = 0.5 * static_cast<double>(1 + random.Below(20));
    return leaf;
  };
  int64_t scored = 0, scored_of_all = 0;
  for (int round = 0; round < 4; ++round) {
    const uint64_t before = world.commit_;
    for (int i = 0; i < 400; ++i) {
      const Ordinal ordinal = 1 + random.Below(kObjects);
      random.Below(2) == 0 ? world.Set(ordinal, {}) : set(ordinal);
    }
    world.Commit();
    for (int i = 0; i < 120; ++i) {
      AnalyzedQuery query{.kind = Kind::kAnd};
      const uint64_t terms = i % 40 == 0 ? 15 + random.Below(4) : 2 + random.Below(3);
      while (query.children.size() < terms) query.children.push_back(term());
      SCOPED_TRACE(ToString(query, world.names_));
      for (const uint64_t commit : {world.commit_, before}) {
        for (const int64_t limit : {1, 10, 300}) {
          const TextSearchResult best = world.Search(query, limit, commit);
          const TextSearchResult all = world.Search(query, limit, commit, nullptr, true);
          ASSERT_EQ(best.hits.size(), all.hits.size());
          for (size_t hit = 0; hit < all.hits.size(); ++hit) {
            ASSERT_EQ(best.hits[hit].ordinal, all.hits[hit].ordinal) << hit;
            ASSERT_EQ(best.hits[hit].score, all.hits[hit].score) << hit;
          }
          scored += best.scored;
          scored_of_all += all.scored;
        }
      }
    }
    if (round == 1) world.index_->CompactForTest();
  }
  EXPECT_LT(scored * 2, scored_of_all);
}

TEST(TextIndexTest, AllOfSomeTermsAsTheModel) {
  ModelRandom random(22, 25, 2);
  World world(2, {.buffer_documents = 300, .merge_width = 8});
  for (Ordinal ordinal = 1; ordinal <= 700; ++ordinal) {
    world.Set(ordinal, random.Texts());
    if (ordinal % 100 == 0) world.Commit();
    world.index_->WorkSome();
  }
  for (int i = 0; i < 40; ++i) {
    AnalyzedQuery query{.kind = Kind::kAnd};
    const uint64_t terms = 2 + random.Below(3);
    for (uint64_t t = 0; t < terms; ++t) {
      query.children.push_back(Term(random.Word(), static_cast<uint32_t>(random.Below(2))));
    }
    world.CheckNow(query);
    if (i == 20) world.index_->CompactForTest();
  }
}

TEST(TextIndexTest, PassesOverWhatCannotBeAmongTheBest) {
  World world(1, {.buffer_documents = 1 << 15});
  ModelRandom random(6, 100, 1);
  for (Ordinal ordinal = 1; ordinal <= 30'000; ++ordinal) {
    std::string text = random.Text(20);
    if (ordinal % 300 == 0) text += " rare rare";
    world.Set(ordinal, {{text}});
  }
  world.Commit();
  world.index_->CompactForTest();
  const AnalyzedQuery query = Or({Term(ModelRandom::WordNumber(0)), Term("rare")});
  const TextSearchResult best = world.Search(query, 10, world.commit_);
  const TextSearchResult all = world.Search(query, 10, world.commit_, nullptr, true);
  EXPECT_EQ(best.hits.size(), 10u);
  EXPECT_LT(best.scored * 5, all.scored);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(best.hits[i].ordinal, all.hits[i].ordinal);
    EXPECT_EQ(best.hits[i].score, all.hits[i].score);
  }
}

// ---- block boundaries and extremes ---------------------------------------------

TEST(TextIndexTest, ListsOfEveryLengthAroundABlock) {
  World world(1, {.buffer_documents = 1 << 12});
  const std::vector<size_t> lengths = {1, 2, 127, 128, 129, 255, 256, 257, 383, 384, 385};
  for (Ordinal ordinal = 1; ordinal <= 400; ++ordinal) {
    std::string text = "all";
    for (const size_t length : lengths) {
      if (ordinal <= length) text += " upto" + std::to_string(length);
    }
    world.Set(ordinal * 3, {{text}});
  }
  world.Commit();
  for (int round = 0; round < 2; ++round) {
    for (const size_t length : lengths) {
      world.CheckNow(Term("upto" + std::to_string(length)));
      world.CheckNow(Phrase({"all", "upto" + std::to_string(length)}));
    }
    world.index_->CompactForTest();
  }
  // In the blocks at the end some die.
  for (Ordinal ordinal = 120; ordinal <= 135; ++ordinal) world.Set(ordinal * 3, {});
  world.Commit();
  for (const size_t length : lengths) world.CheckNow(Term("upto" + std::to_string(length)));
}

TEST(TextIndexTest, TiesAreInTheOrderOfOrdinals) {
  World world(1);
  for (Ordinal ordinal = 1000; ordinal > 0; --ordinal) world.Set(ordinal, {{"same words"}});
  world.Commit();
  for (int round = 0; round < 2; ++round) {
    const TextSearchResult result = world.Search(Term("same"), 5, world.commit_);
    ASSERT_EQ(result.hits.size(), 5u);
    for (size_t i = 0; i < 5; ++i) EXPECT_EQ(result.hits[i].ordinal, i + 1);
    world.index_->CompactForTest();
  }
}

TEST(TextIndexTest, Extremes) {
  World world(2);
  std::string many = "needle";
  for (int i = 0; i < 1'000'000; ++i)
    many += i % 10 == 0 ? " often" : " w" + std::to_string(i % 50);
  world.Set(1, {{many}, {}});
  world.Set(2, {{""}, {"  "}});
  world.Set(3, {{std::string(1 << 20, 'x')}, {"short"}});
  world.Set(4, {{"often needle"}, {"short"}});
  world.Set(uint64_t{1} << 39, {{"needle"}, {}});
  world.Commit();
  const AnalyzedQuery queries[] = {Term("often"),
                                   Term("needle"),
                                   Term("short", 1),
                                   Phrase({"needle", "often"}),
                                   Or({Term("often"), Term("needle")}),
                                   Prefix("w")};
  // A megabyte of one letter is no term here, though it is a word to the model.
  ModelState state = world.state_;
  state[3][0].clear();
  for (int round = 0; round < 2; ++round) {
    for (const AnalyzedQuery& query : queries) world.Check(query, state, world.commit_);
    world.index_->CompactForTest();
  }
}

TEST(TextIndexTest, SixtyFourFields) {
  World world(64);
  ModelRandom random(8, 10, 64);
  for (Ordinal ordinal = 1; ordinal <= 60; ++ordinal) world.Set(ordinal, random.Texts());
  world.Commit();
  for (uint32_t field = 0; field < 64; field += 9) {
    const AnalyzedQuery query = Term(ModelRandom::WordNumber(field % 10), field);
    const auto scores = Model(world.state_, 64).Scores(query);
    EXPECT_EQ(world.Search(query, 0, world.commit_, nullptr, false, true).total,
              static_cast<int64_t>(scores.size()));
  }
  world.index_->CompactForTest();
  EXPECT_EQ(world.index_->stats().documents, 60);
}

// There may be one for each of thousands of namespaces, and their memory has one bound.
TEST(TextIndexTest, ASmallIndexTakesLittleMemory) {
  World world(1, TextIndex::Options());
  world.Set(1, {{"heavy rain"}});
  world.Commit();
  EXPECT_LT(world.index_->stats().memory_bytes, 48 << 10);
}

TEST(TextIndexTest, EmptyIndexAndEmptyQuery) {
  World world(1);
  EXPECT_TRUE(world.Search(Term("word"), 10, 0).hits.empty());
  EXPECT_FALSE(world.index_->WorkSome());
  world.Set(1, {{"word"}});
  world.Commit();
  EXPECT_TRUE(world.Search(AnalyzedQuery(), 10, world.commit_).hits.empty());
  world.Set(1, {});
  world.Commit();
  EXPECT_TRUE(world.Search(Term("word"), 10, world.commit_).hits.empty());
  world.index_->CompactForTest();
  EXPECT_EQ(world.index_->stats().segments, 0);
}

TEST(TextIndexTest, MergedIsWhatIsBuiltAtOnce) {
  ModelRandom random(9, 60, 2);
  World merged(2), built(2, {.buffer_documents = 4096});
  for (int step = 0; step < 30; ++step) {
    for (int i = 0; i < 40; ++i) {
      merged.Set(1 + random.Below(700), random.Below(5) == 0 ? ModelTexts() : random.Texts());
    }
    merged.Commit();
    merged.index_->WorkSome();
  }
  merged.index_->CompactForTest();
  for (const auto& [ordinal, texts] : merged.state_) built.Set(ordinal, texts);
  built.Commit();
  built.index_->CompactForTest();
  EXPECT_EQ(merged.index_->stats().dead, 0);
  EXPECT_EQ(merged.index_->stats().segments, 1);
  for (size_t f = 0; f < 2; ++f) {
    EXPECT_EQ(merged.index_->stats().fields[f].totals, built.index_->stats().fields[f].totals);
    EXPECT_EQ(merged.index_->stats().fields[f].terms, built.index_->stats().fields[f].terms);
  }
  for (int i = 0; i < 40; ++i) {
    const AnalyzedQuery query = random.Query(2);
    const auto a = merged.Search(query, 50, merged.commit_);
    const auto b = built.Search(query, 50, built.commit_);
    ASSERT_EQ(a.hits.size(), b.hits.size());
    for (size_t h = 0; h < a.hits.size(); ++h) {
      EXPECT_EQ(a.hits[h].ordinal, b.hits[h].ordinal);
      EXPECT_EQ(a.hits[h].score, b.hits[h].score);
    }
  }
}

// ---- quiet times ---------------------------------------------------------------

TEST(TextIndexTest, QuietTimesLeaveOneSegment) {
  ModelRandom random(31, 60, 1);
  World world(1, {.buffer_documents = 100, .merge_width = 8});
  for (Ordinal ordinal = 1; ordinal <= 2050; ++ordinal) world.Set(ordinal, {{random.Text(5)}});
  world.Commit();
  while (world.index_->WorkSome()) {
  }
  EXPECT_GT(world.index_->stats().segments, 4);
  while (world.index_->TidySome()) {
  }
  EXPECT_EQ(world.index_->stats().segments, 1);
  // The buffer is fuller than a quarter.
  EXPECT_EQ(world.index_->stats().indexed, 2050);
  for (int i = 0; i < 5; ++i) world.CheckNow(random.Query(1));
}

TEST(TextIndexTest, QuietTimesMergeWithinWhatWasWritten) {
  // Nothing has to be merged, and all is quiet after each commit.
  World world(1, {.buffer_documents = 100, .merge_width = 1000});
  ModelRandom random(32, 60, 1);
  for (Ordinal ordinal = 1; ordinal <= 10'000; ++ordinal) {
    world.Set(ordinal, {{random.Text(2)}});
    if (ordinal % 100 != 0) continue;
    world.Commit();
    while (world.index_->WorkSome() || world.index_->TidySome()) {
    }
    const TextIndex::Stats stats = world.index_->stats();
    ASSERT_EQ(stats.indexed, static_cast<int64_t>(ordinal));
    ASSERT_LE(stats.merged, 2 * stats.indexed);
  }
  EXPECT_GT(world.index_->stats().merged, 10'000);
  EXPECT_LT(world.index_->stats().segments, 50);
  world.CheckNow(random.Query(1));
}

// ---- errors --------------------------------------------------------------------

TEST(TextIndexTest, Errors) {
  World world(1, Small(), false);
  for (Ordinal ordinal = 1; ordinal <= 50; ++ordinal) {
    world.Set(ordinal, {{"word" + std::to_string(ordinal)}});
  }
  world.Commit();
  TextSearchResult result;
  const CallContext context;
  const AnalyzedQuery phrase = Phrase({"word1", "word2"});
  TextSearch search{.query = &phrase, .limit = 10};
  auto answered = world.index_->Search(context, search, world.commit_, &result);
  EXPECT_TRUE(absl::IsFailedPrecondition(answered.status())) << answered.status();
  const AnalyzedQuery prefix = Prefix("word");
  search.query = &prefix;
  search.max_expansions = 50;
  for (int round = 0; round < 2; ++round) {
    search.max_expansions = 50;
    EXPECT_TRUE(world.index_->Search(context, search, world.commit_, &result).ok());
    search.max_expansions = 49;
    answered = world.index_->Search(context, search, world.commit_, &result);
    ASSERT_FALSE(answered.ok());
    EXPECT_EQ(GetErrorDetail(answered.status())->reason, "LIMIT_EXCEEDED");
    world.index_->CompactForTest();
  }
  CallContext cancelled;
  cancelled.Cancel();
  EXPECT_TRUE(
      absl::IsCancelled(world.index_->Search(cancelled, search, world.commit_, &result).status()));
  // A reader from before what is remembered.
  for (Ordinal ordinal = 100; ordinal < 700; ++ordinal) {
    world.Set(ordinal, {{"more"}});
    world.Commit();
  }
  const AnalyzedQuery term = Term("more");
  search.query = &term;
  answered = world.index_->Search(context, search, 1, &result);
  ASSERT_TRUE(answered.ok());
  EXPECT_FALSE(*answered);
}

// ---- files ---------------------------------------------------------------------

TEST(TextIndexFileTest, GoesOnWhereItWasSaved) {
  ModelRandom random(11, 60, 2);
  World world(2);
  for (int step = 0; step < 25; ++step) {
    for (int i = 0; i < 30; ++i) {
      world.Set(1 + random.Below(500), random.Below(5) == 0 ? ModelTexts() : random.Texts());
    }
    world.Commit();
    if (step % 2 == 0) world.index_->WorkSome();
  }
  storage::Options options;
  options.in_memory = true;
  options.path = "/memory/text_index";
  auto store = storage::Store::Open(options);
  ASSERT_TRUE(store.ok()) << store.status();
  auto writer = (*store)->CreateViewFile("text", 1);
  ASSERT_TRUE(writer.ok()) << writer.status();
  const auto snapshot = world.index_->TakeSnapshot();
  const ModelState saved = world.state_;
  const uint64_t saved_commit = world.commit_;
  // What comes after is not saved.
  world.Set(1, {{"later"}, {}});
  world.Commit();
  ASSERT_TRUE(world.index_->Save(*snapshot, **writer).ok());
  ASSERT_TRUE((*writer)->Finish().ok());

  World again(2);
  auto reader = (*store)->OpenViewFile("text", 1);
  ASSERT_TRUE(reader.ok()) << reader.status();
  const absl::Status loaded = again.index_->Load(**reader);
  ASSERT_TRUE(loaded.ok()) << loaded;
  EXPECT_TRUE(*(*reader)->AtEnd());
  again.state_ = saved;
  again.commit_ = saved_commit;
  again.CheckStats();
  for (int step = 0; step < 6; ++step) {
    for (int i = 0; i < 6; ++i) again.CheckNow(random.Query(2));
    for (int i = 0; i < 60; ++i) {
      again.Set(1 + random.Below(500), random.Below(5) == 0 ? ModelTexts() : random.Texts());
    }
    again.Commit();
    again.index_->WorkSome();
    again.CheckStats();
  }
}

// Checksums do not help against a file that a faulty program made: whatever is loaded can
// be searched and merged.
TEST(TextIndexFileTest, WhateverIsReadDoesNoHarm) {
  ModelRandom random(12, 30, 1);
  World world(1);
  for (Ordinal ordinal = 1; ordinal <= 300; ++ordinal) world.Set(ordinal, {{random.Text(6)}});
  world.Commit();
  world.index_->CompactForTest();
  for (Ordinal ordinal = 5; ordinal <= 40; ordinal += 5) world.Set(ordinal, {{"new words here"}});
  world.Commit();
  storage::MemoryFileWriter file;
  ASSERT_TRUE(world.index_->Save(*world.index_->TakeSnapshot(), file).ok());
  const auto load = [&](std::string_view contents) {
    TextIndex index(Fields(1), Small());
    storage::MemoryFileReader reader(contents);
    const absl::Status status = index.Load(reader);
    if (!status.ok()) {
      EXPECT_TRUE(absl::IsDataLoss(status)) << status;
      return false;
    }
    for (int i = 0; i < 3; ++i) {
      const AnalyzedQuery query = random.Query(1);
      const TextSearch search{.query = &query, .limit = 10, .max_expansions = 100'000};
      TextSearchResult result;
      EXPECT_TRUE(index.Search(CallContext(), search, 10, &result).ok());
    }
    index.CompactForTest();
    return true;
  };
  ASSERT_TRUE(load(file.contents));
  for (size_t size = 0; size < file.contents.size(); size += 1 + size / 100) {
    EXPECT_FALSE(load(std::string_view(file.contents).substr(0, size))) << size;
  }
  size_t refused = 0, tried = 0;
  for (size_t byte = 0; byte < file.contents.size(); ++byte) {
    std::string contents = file.contents;
    contents[byte] = static_cast<char>(contents[byte] ^ (1 << random.Below(8)));
    ++tried;
    refused += !load(contents);
  }
  EXPECT_GT(refused, tried / 2);
}

// ---- threads -------------------------------------------------------------------

TEST(TextIndexThreadsTest, ReadersSeeWholeCommits) {
  // Each commit has ten objects with its own word and replaces one of the commit before, so
  // that every reader knows how many it must find.
  World world(1, {.buffer_documents = 64, .changes = 1 << 16, .merge_width = 3});
  std::atomic<uint64_t> visible{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  constexpr uint64_t kCommits = 300;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      while (!stop.load()) {
        if (!world.index_->WorkSome() && !world.index_->TidySome()) std::this_thread::yield();
      }
    });
    threads.emplace_back([&, t] {
      ModelRandom random(static_cast<uint64_t>(t) + 70, 10, 1);
      while (!stop.load()) {
        const uint64_t commit = visible.load();
        if (commit < 2) continue;
        const AnalyzedQuery query = Term("common");
        const TextSearch search{.query = &query, .limit = 5, .count = true};
        TextSearchResult result;
        const auto answered = world.index_->Search(CallContext(), search, commit, &result);
        ASSERT_TRUE(answered.ok() && *answered);
        EXPECT_EQ(result.total, static_cast<int64_t>(10 * commit - (commit - 1)));
        const AnalyzedQuery words = Or({Term("commit" + std::to_string(commit)), Term("gone")});
        const TextSearch best{.query = &words, .limit = 100};
        ASSERT_TRUE(*world.index_->Search(CallContext(), best, commit, &result));
        EXPECT_EQ(result.hits.size(), 10u);
        const AnalyzedQuery both{.kind = Kind::kAnd, .children = {query, words.children[0]}};
        const TextSearch all_words{.query = &both, .limit = 100};
        ASSERT_TRUE(*world.index_->Search(CallContext(), all_words, commit, &result));
        EXPECT_EQ(result.hits.size(), 10u);
      }
    });
  }
  for (uint64_t commit = 1; commit <= kCommits; ++commit) {
    for (uint64_t i = 0; i < 10; ++i) {
      world.Set(commit * 10 + i, {{"common commit" + std::to_string(commit)}});
    }
    if (commit > 1) world.Set((commit - 1) * 10, {});
    world.Commit();
    visible.store(commit);
    if (commit % 100 == 0) {
      storage::MemoryFileWriter file;
      ASSERT_TRUE(world.index_->Save(*world.index_->TakeSnapshot(), file).ok());
    }
  }
  stop.store(true);
  for (std::thread& thread : threads) thread.join();
  world.CheckNow(Term("common"));
}

}  // namespace
}  // namespace cookix::engine
