#include <xapian.h>

#include <filesystem>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/base/status.h"
#include "tools/bench/text_peers.h"

namespace cookix::bench {
namespace {

// Written side by side, and made one by compaction.
constexpr size_t kParts = 2;

class XapianIndex : public TextContestant {
 public:
  XapianIndex(const TextCorpus& corpus, std::string directory)
      : corpus_(corpus), directory_(std::move(directory)) {
    for (size_t i = 0; i < kParts; ++i) {
      parts_[i].directory = absl::StrCat(directory_, "/part", i);
    }
  }

  std::string name() const override { return "xapian"; }

  // Half of them by each of two threads.
  absl::Status Add(size_t first, std::span<const std::string> texts) override {
    absl::Status statuses[kParts];
    std::vector<std::thread> threads;
    for (size_t part = 0; part < kParts; ++part) {
      threads.emplace_back([&, part] {
        statuses[part] = AddTo(parts_[part], first + texts.size() * part / kParts,
                               first + texts.size() * (part + 1) / kParts);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& status : statuses) COOKIX_RETURN_IF_ERROR(status);
    return absl::OkStatus();
  }

  absl::Status Finish() override {
    return Guarded([&] {
      Xapian::Database all;
      for (Part& part : parts_) {
        part.writer->commit();
        all.add_database(*part.writer);
        documents_.insert(documents_.end(), part.documents.begin(), part.documents.end());
      }
      all.compact(directory_ + "/compact");
      all = Xapian::Database();
      for (Part& part : parts_) {
        part = Part{part.directory};
        std::filesystem::remove_all(part.directory);
      }
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
        hits->push_back({documents_[*hit - 1], hit.get_weight()});
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
  struct Part {
    std::string directory;
    std::optional<Xapian::WritableDatabase> writer = std::nullopt;
    // In the order in which they were added.
    std::vector<uint32_t> documents = {};
  };

  absl::Status AddTo(Part& part, size_t begin, size_t end) const {
    return Guarded([&] {
      if (!part.writer.has_value()) {
        part.writer.emplace(part.directory, Xapian::DB_CREATE | Xapian::DB_NO_SYNC);
      }
      for (size_t i = begin; i < end; ++i) {
        Xapian::Document document;
        Xapian::termpos position = 0;
        for (const WordId word : corpus_.Words(i)) {
          document.add_posting(corpus_.vocabulary().Word(word), position++);
        }
        part.writer->add_document(document);
        part.documents.push_back(static_cast<uint32_t>(i));
      }
    });
  }

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
  Part parts_[kParts];
  // By its own numbers, which count from one in the order of the parts.
  std::vector<uint32_t> documents_;
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
