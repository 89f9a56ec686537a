#include "tools/cli/package_index.h"

#include <lz4frame.h>
#include <zlib.h>

#include <fstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace cookix::cli {
namespace {

constexpr char kIndex[] =
    "Package: mailer\nVersion: 2.0-1\nInstalled-Size: 10\nSize: 4096\nSection: mail\n"
    "Essential: yes\nMaintainer: Team <team@example.org>\nSource: mail-suite (1.9)\n"
    "Pre-Depends: libc (>= 2)\nDepends: libc (>= 1), tool (>= 1.0) | other-tool, mta-config:any\n"
    "Conflicts: mta, mailer\nProvides: mta (= 3), mail-reader\nDescription: sends mail\n long\n"
    "\n"
    "Package: mailer\nVersion: 2.0~rc1-1\nDescription: old\n"
    "\n"
    "Package: libc\nVersion: 3\nBreaks: mailer (<< 1.5), mailer (<< 1.0)\n"
    "\n"
    "Package: tool\nVersion: 1\nSuggests: nothing-has-this\n";

PackageIndex Built() {
  PackageIndex index;
  EXPECT_TRUE(index.Add(kIndex, false).ok());
  index.Finish();
  return index;
}

const v1::Edge* FindEdge(const PackageIndex& index, const std::string& source,
                         const std::string& relation, const std::string& target) {
  const auto* entry = index.Find(source);
  if (entry == nullptr) return nullptr;
  for (const v1::Edge& edge : entry->write.edges()) {
    if (edge.relation() == relation && edge.target().key() == target) return &edge;
  }
  return nullptr;
}

TEST(PackageIndexTest, KeepsTheNewestVersion) {
  const PackageIndex index = Built();
  ASSERT_NE(index.Find("mailer"), nullptr);
  EXPECT_EQ(index.Find("mailer")->version, "2.0-1");
  EXPECT_EQ(index.package_count(), 3);
}

TEST(PackageIndexTest, FillsProperties) {
  const PackageIndex index = Built();
  const v1::Object& object = index.Find("mailer")->write.object();
  EXPECT_EQ(object.content(), "sends mail\nlong");
  EXPECT_EQ(object.properties().at("size").int_value(), 4096);
  EXPECT_EQ(object.properties().at("installed_size").int_value(), 10240);
  EXPECT_EQ(object.properties().at("section").string_value(), "mail");
  EXPECT_EQ(object.properties().at("source").string_value(), "mail-suite");
  EXPECT_EQ(object.properties().at("maintainer").string_value(), "Team");
  ASSERT_EQ(object.labels_size(), 2);
  EXPECT_EQ(object.labels(1), "essential");
}

TEST(PackageIndexTest, WeighsAlternatives) {
  const PackageIndex index = Built();
  const v1::Edge* first = FindEdge(index, "mailer", "depends", "tool");
  const v1::Edge* second = FindEdge(index, "mailer", "depends", "other-tool");
  ASSERT_TRUE(first != nullptr && second != nullptr);
  EXPECT_EQ(first->weight(), 1.0);
  EXPECT_EQ(second->weight(), 1.5);
  EXPECT_EQ(first->properties().at("version").string_value(), ">= 1.0");
  EXPECT_EQ(second->properties().at("alternative").int_value(), 1);
  EXPECT_EQ(second->properties().at("alternatives").int_value(), 2);
  EXPECT_EQ(second->properties().at("group").int_value(), 1);
  EXPECT_EQ(FindEdge(index, "mailer", "pre_depends", "libc")->weight(), 0.5);
  EXPECT_EQ(FindEdge(index, "mailer", "depends", "mta-config")->properties().count("architecture"),
            0u);
}

TEST(PackageIndexTest, MergesSeveralConditionsOnOnePackage) {
  const PackageIndex index = Built();
  const v1::Edge* edge = FindEdge(index, "libc", "breaks", "mailer");
  ASSERT_NE(edge, nullptr);
  EXPECT_EQ(edge->properties().at("version").string_value(), "<< 1.5, << 1.0");
}

TEST(PackageIndexTest, MakesVirtualPackages) {
  const PackageIndex index = Built();
  const auto* mta = index.Find("mta");
  ASSERT_NE(mta, nullptr);
  EXPECT_TRUE(mta->is_virtual);
  EXPECT_EQ(mta->write.object().labels(0), "virtual-package");
  EXPECT_EQ(mta->write.object().properties().at("providers").int_value(), 1);
  const v1::Edge* provides = FindEdge(index, "mailer", "provides", "mta");
  ASSERT_NE(provides, nullptr);
  EXPECT_EQ(provides->properties().at("version").string_value(), "= 3");
  EXPECT_NE(FindEdge(index, "mailer", "conflicts", "mta"), nullptr);
  EXPECT_EQ(FindEdge(index, "mailer", "conflicts", "mailer"), nullptr);
}

TEST(PackageIndexTest, CountsWhatIsMissingAndNeeded) {
  const PackageIndex index = Built();
  // other-tool, mta-config, nothing-has-this.
  EXPECT_EQ(index.missing_count(), 3);
  EXPECT_EQ(index.Find("libc")->needed_by, 2);
  EXPECT_EQ(index.Find("mailer")->needs, 5);
}

TEST(PackageIndexTest, FingerprintFollowsTheContent) {
  EXPECT_EQ(Built().Fingerprint(), Built().Fingerprint());
  PackageIndex other;
  ASSERT_TRUE(other.Add("Package: a\nVersion: 1\n", false).ok());
  other.Finish();
  EXPECT_NE(other.Fingerprint(), Built().Fingerprint());
}

TEST(PackageIndexTest, TakesOnlyInstalledPackagesOfAStatusFile) {
  PackageIndex index;
  ASSERT_TRUE(index
                  .Add("Package: a\nStatus: install ok installed\n\n"
                       "Package: b\nStatus: deinstall ok config-files\n",
                       true)
                  .ok());
  index.Finish();
  EXPECT_NE(index.Find("a"), nullptr);
  EXPECT_EQ(index.Find("b"), nullptr);
}

TEST(PackageIndexTest, ReadsCompressedFiles) {
  const std::string text(kIndex);
  const std::string base = testing::TempDir() + "/x_Packages";
  std::ofstream(base) << text;
  gzFile gz = gzopen((base + ".gz").c_str(), "wb");
  gzwrite(gz, text.data(), static_cast<unsigned>(text.size()));
  gzclose(gz);
  std::vector<char> packed(LZ4F_compressFrameBound(text.size(), nullptr));
  const size_t size =
      LZ4F_compressFrame(packed.data(), packed.size(), text.data(), text.size(), nullptr);
  std::ofstream(base + ".lz4", std::ios::binary)
      .write(packed.data(), static_cast<std::streamsize>(size));
  std::ofstream(base + "_torn.lz4", std::ios::binary)
      .write(packed.data(), static_cast<std::streamsize>(size / 2));
  for (const char* ending : {"", ".gz", ".lz4"}) {
    auto read = ReadIndexFile(base + ending);
    ASSERT_TRUE(read.ok()) << ending << read.status();
    EXPECT_EQ(*read, text) << ending;
  }
  EXPECT_FALSE(ReadIndexFile(base + "_torn.lz4").ok());
  EXPECT_FALSE(ReadIndexFile(base + ".xz").ok());
  EXPECT_FALSE(ReadIndexFile(base + ".absent").ok());
  auto source = FindPackageSource(testing::TempDir());
  ASSERT_TRUE(source.ok());
  EXPECT_EQ(source->files.size(), 3u);
  EXPECT_FALSE(FindPackageSource(testing::TempDir() + "/none").ok());
}

}  // namespace
}  // namespace cookix::cli
