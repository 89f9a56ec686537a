// Other text indexes, from Debian's packages (kind `bench` in tools/packages.txt).
#ifndef COOKIX_TOOLS_BENCH_TEXT_PEERS_H_
#define COOKIX_TOOLS_BENCH_TEXT_PEERS_H_

#include "tools/bench/text_contestant.h"

namespace cookix::bench {

// Xapian's glass backend on disk, written in two parts by two threads and compacted into one;
// BM25Weight with k1 1.2, b 0.75, k2 0 and no least length. It is given words that are cut and
// folded already.
TextContestantFactory XapianPeer();

// SQLite's FTS5, in memory, without the texts (content=''), the ascii tokenizer, merged by
// 'optimize'; bm25(), whose k1 and b are 1.2 and 0.75, by ORDER BY rank LIMIT k.
TextContestantFactory Fts5Peer();

}  // namespace cookix::bench

#endif  // COOKIX_TOOLS_BENCH_TEXT_PEERS_H_
