// Objects with texts, streamed into a real cookixd over gRPC until its index of words has them all:
// what the index makes of the log, writing it included.
#ifndef COOKIX_TOOLS_BENCH_TEXT_SERVER_BENCH_H_
#define COOKIX_TOOLS_BENCH_TEXT_SERVER_BENCH_H_

#include <string>

#include "absl/status/status.h"
#include "tools/bench/report.h"
#include "tools/bench/text_corpus.h"

namespace cookix::bench {

// Starts a server on an empty directory, with every commit synced, and writes an object for each
// text. Checks the best ten of `queries` questions, and that each of these shows what was written
// last. INTERNAL says what is wrong with an answer.
absl::Status RunTextServerBench(const std::string& data_dir, const TextCorpus& texts,
                                size_t queries, Report* report);

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_TEXT_SERVER_BENCH_H_
