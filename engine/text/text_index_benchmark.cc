// How long searches by words and the making of their index take, on one thread.
//
// Data: 1,000,000 documents of a made-up vocabulary of 500,000 words whose ranks follow
// Zipf's law with exponent 1, made with a fixed seed. Lengths are log-normal with a mean of
// 60 words, 4 at least. Queries: 400 of each kind, of words that a document has together (so
// that there are answers to AND), the rank of each drawn evenly from the logarithms of 10 to
// 50,000; phrases are two or three words that follow each other in a document. The best 10
// are compared with exhaustive scoring before anything is timed. Isolates the index: queries
// are trees of terms, nothing is read from a store.
//
// "Index" is the analysis and Apply() of the first 100,000 documents, in commits of 1,000;
// segments are made behind by one other thread. Counters: bytes of the index by byte of
// text, without positions and with.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "benchmark/benchmark.h"
#include "engine/text/text_index.h"

namespace cookix::engine {
namespace {

using Kind = AnalyzedQuery::Kind;

#ifndef COOKIX_TEXT_BENCHMARK_DOCUMENTS
#define COOKIX_TEXT_BENCHMARK_DOCUMENTS 1'000'000
#endif
constexpr size_t kDocuments = COOKIX_TEXT_BENCHMARK_DOCUMENTS;
constexpr size_t kVocabulary = 500'000;
constexpr size_t kQueries = 400;
constexpr size_t kCommit = 1000;

std::string WordOf(size_t rank) {
  static constexpr char kConsonants[] = "bcdfghlmnprstvwz";
  static constexpr char kVowels[] = "aeiou";
  std::string word;
  for (size_t left = rank + 1; left > 0; left /= 80) {
    word += kConsonants[left % 80 / 5];
    word += kVowels[left % 5];
  }
  // Frequent words are short, others are not as short as numbers would have them.
  return rank < 2000 ? word : word + kConsonants[rank % 16] + kVowels[rank % 5];
}

class Corpus {
 public:
  Corpus() {
    std::mt19937_64 random(17);
    std::uniform_real_distribution<double> part(0, 1);
    std::lognormal_distribution<double> length(std::log(60.0) - 0.125, 0.5);
    const double all = std::log(static_cast<double>(kVocabulary));
    for (size_t i = 0; i < kDocuments; ++i) {
      const size_t words = std::max<size_t>(4, static_cast<size_t>(length(random)));
      begins_.push_back(ranks_.size());
      for (size_t w = 0; w < words; ++w) {
        ranks_.push_back(static_cast<uint32_t>(std::exp(part(random) * all)) - 1);
      }
    }
    begins_.push_back(ranks_.size());
  }
  std::string Text(size_t document) const {
    std::string text;
    for (size_t i = begins_[document]; i < begins_[document + 1]; ++i) {
      text += WordOf(ranks_[i]);
      text += i % 11 == 10 ? ". " : " ";
    }
    return text;
  }
  std::span<const uint32_t> Ranks(size_t document) const {
    return std::span(ranks_).subspan(begins_[document], begins_[document + 1] - begins_[document]);
  }

 private:
  std::vector<uint32_t> ranks_;
  std::vector<size_t> begins_;
};

const Corpus& GetCorpus() {
  static const Corpus corpus;
  return corpus;
}

// Returns the bytes of text.
size_t Fill(TextIndex* index, size_t begin, size_t end, uint64_t* commit) {
  size_t bytes = 0;
  for (size_t at = begin; at < end; at += kCommit) {
    const size_t count = std::min(kCommit, end - at);
    std::vector<std::string> texts(count);
    std::vector<std::string_view> views(count);
    std::vector<TextElements> elements(count);
    std::vector<TextPut> puts(count);
    for (size_t i = 0; i < count; ++i) {
      texts[i] = GetCorpus().Text(at + i);
      bytes += texts[i].size();
      views[i] = texts[i];
      elements[i] = std::span(&views[i], 1);
      puts[i] = {.ordinal = at + i + 1, .after = std::span(&elements[i], 1)};
    }
    if (!index->Apply(puts, ++*commit).ok()) std::abort();
  }
  return bytes;
}

std::unique_ptr<TextIndex> MakeIndex(bool positions) {
  const auto analyzer = Analyzer::Create({.language = "en"}, "analyzer").value();
  return std::make_unique<TextIndex>(std::vector<TextIndexField>{{analyzer, positions}});
}

struct Filled {
  Filled() : index(MakeIndex(true)) {
    bytes = Fill(index.get(), 0, kDocuments, &commit);
    while (index->WorkSome()) {
    }
  }
  std::unique_ptr<TextIndex> index;
  uint64_t commit = 0;
  size_t bytes = 0;
};

const Filled& GetFilled() {
  static const Filled filled;
  return filled;
}

enum QueryKind { kOr2, kOr3, kOr4, kAnd2, kAnd3, kPhrase2, kPhrase3, kTerm, kPrefix, kMixed };

std::string Analyzed(const std::string& word) {
  static const auto analyzer = Analyzer::Create({.language = "en"}, "analyzer").value();
  std::string term;
  analyzer->Analyze(word, [&](const Token& token) { term = token.term; });
  return term;
}

AnalyzedQuery MakeQuery(QueryKind kind, std::mt19937_64* random) {
  const size_t words = kind == kTerm || kind == kPrefix                    ? 1
                       : kind == kOr2 || kind == kAnd2 || kind == kPhrase2 ? 2
                       : kind == kOr3 || kind == kAnd3 || kind == kPhrase3 ? 3
                                                                           : 4;
  std::uniform_real_distribution<double> logarithm(std::log(10.0), std::log(50'000.0));
  while (true) {
    const auto ranks = GetCorpus().Ranks((*random)() % kDocuments);
    std::vector<uint32_t> chosen;
    const size_t start = (*random)() % ranks.size();
    for (size_t i = 0; i < words; ++i) {
      if (kind == kPhrase2 || kind == kPhrase3) {
        if (start + i < ranks.size()) chosen.push_back(ranks[start + i]);
        continue;
      }
      // The word of the document whose rank is nearest to the one drawn.
      const double drawn = logarithm(*random);
      chosen.push_back(*std::min_element(ranks.begin(), ranks.end(), [&](uint32_t a, uint32_t b) {
        return std::abs(std::log(a + 1.0) - drawn) < std::abs(std::log(b + 1.0) - drawn);
      }));
    }
    std::vector<uint32_t> different = chosen;
    std::sort(different.begin(), different.end());
    different.erase(std::unique(different.begin(), different.end()), different.end());
    if (different.size() < words) continue;
    AnalyzedQuery query{.kind = kind == kAnd2 || kind == kAnd3 ? Kind::kAnd : Kind::kOr};
    bool complete = true;
    for (const uint32_t rank : chosen) {
      const std::string term = Analyzed(WordOf(rank));
      complete &= !term.empty();
      query.children.push_back({.kind = Kind::kTerm, .term = term});
      query.phrase.push_back({term, static_cast<uint32_t>(query.phrase.size())});
    }
    if (!complete) continue;
    if (kind == kPhrase2 || kind == kPhrase3) {
      query.kind = Kind::kPhrase;
      query.children.clear();
      return query;
    }
    query.phrase.clear();
    if (kind == kTerm) return query.children[0];
    if (kind == kPrefix) {
      query = query.children[0];
      query.kind = Kind::kPrefix;
      if (query.term.size() < 4) continue;
      query.term.resize(4);
      return query;
    }
    if (kind == kMixed) {
      // (a b) AND c NOT d
      AnalyzedQuery mixed{.kind = Kind::kAnd};
      mixed.excluded.push_back(query.children[3]);
      mixed.children.push_back(query.children[2]);
      query.children.resize(2);
      mixed.children.push_back(query);
      return mixed;
    }
    return query;
  }
}

TextSearchResult Run(const AnalyzedQuery& query, bool exhaustive) {
  const TextSearch search{
      .query = &query, .limit = 10, .exhaustive = exhaustive, .max_expansions = 100'000};
  TextSearchResult result;
  const auto answered =
      GetFilled().index->Search(CallContext(), search, GetFilled().commit, &result);
  if (!answered.ok() || !*answered) std::abort();
  return result;
}

// Pruned against exhaustive.
void CheckBest(std::span<const AnalyzedQuery> queries) {
  size_t found = 0;
  for (const AnalyzedQuery& query : queries) {
    const TextSearchResult best = Run(query, false);
    const TextSearchResult all = Run(query, true);
    found += best.hits.size();
    if (best.hits.size() != all.hits.size()) std::abort();
    for (size_t i = 0; i < best.hits.size(); ++i) {
      if (best.hits[i].ordinal != all.hits[i].ordinal || best.hits[i].score != all.hits[i].score) {
        std::abort();
      }
    }
  }
  if (found == 0) std::abort();
}

void Search(benchmark::State& state, QueryKind kind) {
  std::mt19937_64 random(static_cast<uint64_t>(kind) + 99);
  std::vector<AnalyzedQuery> queries;
  while (queries.size() < kQueries) queries.push_back(MakeQuery(kind, &random));
  static std::set<QueryKind> checked;
  if (checked.insert(kind).second) CheckBest(std::span(queries).first(40));
  std::vector<double> times;
  size_t next = 0;
  int64_t scored = 0;
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    scored += Run(queries[next], false).scored;
    times.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin)
            .count());
    if (++next == kQueries) next = 0;
  }
  std::sort(times.begin(), times.end());
  state.counters["median_us"] = times[times.size() / 2];
  state.counters["p95_us"] = times[times.size() * 95 / 100];
  state.counters["scored"] = static_cast<double>(scored) / static_cast<double>(times.size());
}

void Index(benchmark::State& state) {
  const size_t documents = std::min<size_t>(100'000, kDocuments);
  GetCorpus();
  for (auto _ : state) {
    const auto index = MakeIndex(true);
    std::atomic<bool> stop{false};
    std::thread worker([&] {
      while (!stop.load()) {
        if (!index->WorkSome()) std::this_thread::yield();
      }
    });
    uint64_t commit = 0;
    Fill(index.get(), 0, documents, &commit);
    stop.store(true);
    worker.join();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(documents));
}

void Memory(benchmark::State& state) {
  for (auto _ : state) {
    const auto bare = MakeIndex(false);
    uint64_t commit = 0;
    const size_t documents = std::min<size_t>(300'000, kDocuments);
    const size_t bytes = Fill(bare.get(), 0, documents, &commit);
    bare->CompactForTest();
    state.counters["bare"] = static_cast<double>(bare->SegmentBytes()) / static_cast<double>(bytes);
    state.counters["with_positions"] = static_cast<double>(GetFilled().index->SegmentBytes()) /
                                       static_cast<double>(GetFilled().bytes);
    state.counters["segments"] = static_cast<double>(GetFilled().index->stats().segments);
  }
}

BENCHMARK(Index)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(1);
BENCHMARK_CAPTURE(Search, or2, kOr2)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Search, or3, kOr3)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Search, or4, kOr4)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Search, and2, kAnd2)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Search, and3, kAnd3)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Search, phrase2, kPhrase2)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Search, phrase3, kPhrase3)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Search, term, kTerm)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Search, prefix, kPrefix)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Search, mixed, kMixed)->Unit(benchmark::kMicrosecond);
BENCHMARK(Memory)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace
}  // namespace cookix::engine

BENCHMARK_MAIN();
