#include <xapian.h>

#include <filesystem>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"
#include "tools/bench/text_peers.h"

namespace cookix::bench {
namespace {

// Documents between commits: by default 10,000, with which a million takes longer.
constexpr size_t kCommitEvery = 100'000;

class XapianIndex : public TextContestant {
 public:
  XapianIndex(const TextCorpus& corpus, std::string directory)
      : corpus_(corpus), directory_(std::move(directory)) {}

  std::string name() const override { return "xapian"; }

  absl::Status Add(size_t first, std::span<const std::string> texts) override {
    return Guarded([&] {
      if (!writer_.has_value()) writer_.emplace(directory_ + "/written", Xapian::DB_CREATE);
      for (size_t i = 0; i < texts.size(); ++i) {
        Xapian::Document document;
        Xapian::termpos position = 0;
        for (const WordId word : corpus_.Words(first + i)) {
          document.add_posting(corpus_.vocabulary().Word(word), position++);
        }
        // Its documents count from one.
        writer_->replace_document(static_cast<Xapian::docid>(first + i + 1), document);
        if ((first + i + 1) % kCommitEvery == 0) writer_->commit();
      }
    });
  }

  absl::Status Finish() override {
    return Guarded([&] {
      writer_->commit();
      writer_->compact(directory_ + "/compact");
      writer_.reset();
      std::filesystem::remove_all(directory_ + "/written");
      reader_.emplace(directory_ + "/compact");
    });
  }

  absl::Status Search(const WordQuery& query, size_t k,
                      std::vector<RankedDocument>* hits) override {
    return Guarded([&] {
      std::vector<std::string> terms;
      for (const WordId word : query.words) terms.push_back(corpus_.vocabulary().Word(word));
      Xapian::Enquire enquire(*reader_);
      enquire.set_weighting_scheme(Xapian::BM25Weight(1.2, 0, 1, 0.75, 0));
      enquire.set_query(Xapian::Query(
          OperatorOf(query.kind), terms.begin(), terms.end(),
          query.kind == TextQueryKind::kPhrase ? terms.size() : Xapian::termcount{0}));
      const Xapian::MSet found = enquire.get_mset(0, static_cast<Xapian::doccount>(k));
      hits->clear();
      for (auto hit = found.begin(); hit != found.end(); ++hit) {
        hits->push_back({*hit - 1, hit.get_weight()});
      }
    });
  }

  absl::StatusOr<int64_t> Bytes() const override {
    int64_t bytes = 0;
    for (const auto& file : std::filesystem::directory_iterator(directory_ + "/compact")) {
      bytes += static_cast<int64_t>(file.file_size());
    }
    return bytes;
  }

 private:
  static Xapian::Query::op OperatorOf(TextQueryKind kind) {
    switch (kind) {
      case TextQueryKind::kAnyWords:
        return Xapian::Query::OP_OR;
      case TextQueryKind::kAllWords:
        return Xapian::Query::OP_AND;
      case TextQueryKind::kPhrase:
        break;
    }
    return Xapian::Query::OP_PHRASE;
  }

  template <typename Work>
  static absl::Status Guarded(const Work& work) {
    try {
      work();
    } catch (const Xapian::Error& error) {
      return absl::InternalError(absl::StrCat("xapian: ", error.get_description()));
    }
    return absl::OkStatus();
  }

  const TextCorpus& corpus_;
  const std::string directory_;
  std::optional<Xapian::WritableDatabase> writer_;
  std::optional<Xapian::Database> reader_;
};

}  // namespace

TextContestantFactory XapianPeer() {
  return [](const TextCorpus& corpus,
            const std::string& directory) -> absl::StatusOr<std::unique_ptr<TextContestant>> {
    return std::make_unique<XapianIndex>(corpus, directory);
  };
}

}  // namespace cookix::bench
