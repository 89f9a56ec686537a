// The made-up corpus is what it says it is, and the same everywhere.
#include "tools/bench/text_corpus.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tools/bench/text_queries.h"
#include "tools/bench/text_truth.h"

namespace cookix::bench {
namespace {

const TextCorpus& Corpus() {
  static const auto* const corpus = new TextCorpus({.documents = 20'000});
  return *corpus;
}

TEST(TextCorpusTest, IsTheSameEverywhere) {
  uint64_t hash = 0;
  for (size_t i = 0; i < Corpus().size(); ++i) {
    for (const char c : Corpus().Text(i)) hash = hash * 1'000'003 + static_cast<unsigned char>(c);
  }
  EXPECT_EQ(hash, 229'852'657'890'616'885u);
  const TextCorpus fewer({.documents = 100});
  for (size_t i = 0; i < fewer.size(); ++i) EXPECT_EQ(fewer.Text(i), Corpus().Text(i));
  const TextCorpus other({.documents = 100, .seed = 2});
  EXPECT_NE(other.Text(0), Corpus().Text(0));
}

TEST(TextCorpusTest, HasNaturalLengthsAndWords) {
  const auto documents = static_cast<double>(Corpus().size());
  EXPECT_NEAR(static_cast<double>(Corpus().total_words()) / documents, 60, 1);
  // As in English, blanks included.
  EXPECT_NEAR(
      static_cast<double>(Corpus().text_bytes()) / static_cast<double>(Corpus().total_words()), 6,
      0.7);
  std::vector<size_t> lengths;
  for (size_t i = 0; i < Corpus().size(); ++i) lengths.push_back(Corpus().Words(i).size());
  std::sort(lengths.begin(), lengths.end());
  // The quantiles of a log-normal distribution of that mean.
  const auto quantile = [&](double share) {
    return static_cast<double>(lengths[static_cast<size_t>(share * documents)]);
  };
  EXPECT_NEAR(quantile(0.5), 53.7, 2);
  EXPECT_NEAR(quantile(0.1), 29.4, 2);
  EXPECT_NEAR(quantile(0.9), 98.1, 3);

  const Vocabulary& vocabulary = Corpus().vocabulary();
  std::set<std::string> different;
  for (WordId id = 0; id < vocabulary.size(); ++id) different.insert(vocabulary.Word(id));
  EXPECT_EQ(different.size(), vocabulary.size());
  EXPECT_LT(vocabulary.Word(0).size(), 6u);
}

TEST(TextCorpusTest, KeepsBringingNewWords) {
  const TextCorpus half({.documents = 10'000});
  const double growth =
      static_cast<double>(Corpus().distinct_words()) / static_cast<double>(half.distinct_words());
  EXPECT_GT(growth, 1.3);
  EXPECT_LT(growth, 1.7);
}

TEST(TextCorpusTest, FollowsTheLawOfItsWords) {
  std::vector<double> counts(Corpus().vocabulary().size());
  for (size_t i = 0; i < Corpus().size(); ++i) {
    for (const WordId word : Corpus().Words(i)) ++counts[word];
  }
  const auto sum = [&](size_t begin, size_t end) {
    double of_all = 0;
    for (size_t i = begin; i < end; ++i) of_all += counts[i];
    return of_all;
  };
  const auto law = [](size_t begin, size_t end) {
    double of_all = 0;
    for (size_t r = begin; r < end; ++r) {
      of_all += 1 / ((static_cast<double>(r) + 3.7) * (1 + static_cast<double>(r) / 20'000));
    }
    return of_all;
  };
  const double all = sum(0, counts.size());
  const double all_by_law = law(0, counts.size());
  for (size_t begin = 16; begin < counts.size(); begin *= 4) {
    const size_t end = std::min(begin * 4, counts.size());
    const double share = law(begin, end) / all_by_law;
    EXPECT_NEAR(sum(begin, end) / all, share, share / 10) << "ranks from " << begin;
  }
}

TEST(TextCorpusTest, WordsOfATopicAreFoundTogether) {
  // Pairs of words that some document has apart from each other: in how many others they
  // are together, as against what chance would make of it.
  std::vector<WordQuery> pairs;
  for (size_t i = 0; i < 2000; ++i) {
    std::vector<WordId> found;
    size_t last = 0;
    const auto words = Corpus().Words(i);
    for (size_t at = 0; at < words.size() && found.size() < 2; ++at) {
      if (words[at] < 500 || words[at] >= 5000) continue;
      if (!found.empty() && (at < last + 2 || words[at] == found[0])) continue;
      if (!found.empty() && PartnerOf(found[0]) == words[at]) continue;
      found.push_back(words[at]);
      last = at;
    }
    if (found.size() == 2) pairs.push_back({TextQueryKind::kAllWords, found});
  }
  const TextTruth truth(Corpus(), pairs);
  double together = 0;
  double by_chance = 0;
  for (const WordQuery& pair : pairs) {
    together += static_cast<double>(truth.SearchAll(pair).size()) - 1;
    by_chance += static_cast<double>(Corpus().DocumentFrequency(pair.words[0])) *
                 Corpus().DocumentFrequency(pair.words[1]) / static_cast<double>(Corpus().size());
  }
  EXPECT_GT(together, 1.5 * by_chance);
}

TEST(TextCorpusTest, PartnersFollow) {
  size_t followed = 0;
  size_t all = 0;
  for (size_t i = 0; i < Corpus().size(); ++i) {
    const auto words = Corpus().Words(i);
    for (size_t at = 0; at + 1 < words.size(); ++at) {
      if (PartnerOf(words[at]) == words[at]) continue;
      ++all;
      followed += words[at + 1] == PartnerOf(words[at]) ? 1 : 0;
    }
  }
  EXPECT_NEAR(static_cast<double>(followed) / static_cast<double>(all), 0.125, 0.01);
}

TEST(TextQueriesTest, FindSomething) {
  for (const TextQueryKind kind :
       {TextQueryKind::kAnyWords, TextQueryKind::kAllWords, TextQueryKind::kPhrase}) {
    const std::vector<WordQuery> queries = MakeQueries(Corpus(), kind, 100, 7);
    ASSERT_EQ(queries.size(), 100u);
    const TextTruth truth(Corpus(), queries);
    std::set<size_t> lengths;
    for (const WordQuery& query : queries) {
      lengths.insert(query.words.size());
      EXPECT_FALSE(truth.SearchAll(query).empty()) << WordsOf(query, Corpus().vocabulary());
    }
    EXPECT_EQ(lengths, (std::set<size_t>{2, 3, 4}));
    EXPECT_NE(MakeQueries(Corpus(), kind, 1, 8)[0].words, queries[0].words);
  }
}

// Three documents by hand.
TEST(TextTruthTest, SeesWrongAnswers) {
  const std::vector<RankedDocument> all = {{4, 3.0}, {1, 2.0}, {7, 2.0}, {2, 1.0}};
  EXPECT_EQ(TextTruth::Check(all, 3, {{4, 3.0}, {1, 2.0}, {7, 2.0}}), absl::OkStatus());
  EXPECT_EQ(TextTruth::Check(all, 2, {{4, 3.0}, {7, 2.0}}), absl::OkStatus());
  const std::vector<std::vector<RankedDocument>> wrong = {
      {{4, 3.0}, {1, 2.0}},              // one is missing
      {{4, 3.0}, {7, 2.0}, {1, 2.0}},    // equal ones the wrong way round
      {{1, 2.0}, {4, 3.0}, {7, 2.0}},    // not the best first
      {{4, 3.0}, {1, 2.0}, {1, 2.0}},    // one twice
      {{4, 3.0}, {1, 2.0}, {2, 2.0}},    // not its score
      {{4, 3.0}, {1, 2.0}, {9, 2.0}},    // does not match
      {{4, 3.0}, {1, 2.001}, {7, 2.0}},  // a score that is not right
  };
  for (const auto& hits : wrong) EXPECT_FALSE(TextTruth::Check(all, 3, hits).ok());
}

}  // namespace
}  // namespace cookix::bench
