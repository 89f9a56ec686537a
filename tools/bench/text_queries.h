// Queries over a made-up corpus, as a log of searches has them.
#ifndef COOKIX_TOOLS_BENCH_TEXT_QUERIES_H_
#define COOKIX_TOOLS_BENCH_TEXT_QUERIES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tools/bench/text_corpus.h"

namespace cookix::bench {

enum class TextQueryKind {
  kAnyWords,  // finds what has any of the words
  kAllWords,  // finds what has all of them
  kPhrase,    // finds what has them one after the other
};

struct WordQuery {
  TextQueryKind kind = TextQueryKind::kAnyWords;
  std::vector<WordId> words;
};

// `count` queries of two to four words (9, 7 and 4 of 20), each out of some document, so that
// all of them find something.
//
// Words are drawn by how many of the documents have them: a tenth a tenth of them or more,
// four tenths 1 % or more, three tenths one in a thousand or more, a fifth fewer; every other
// of these queries begins with a word and its partner, and none has a word twice. Phrases are
// words side by side that begin with a word and its partner, so that they come up as often as
// phrases do that people ask for; none is of such words alone as a tenth of the documents have.
std::vector<WordQuery> MakeQueries(const TextCorpus& corpus, TextQueryKind kind, size_t count,
                                   uint64_t seed);

// The words of a query with blanks between them.
std::string WordsOf(const WordQuery& query, const Vocabulary& vocabulary);

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_TEXT_QUERIES_H_
