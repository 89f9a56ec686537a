#include "tools/cli/vector_file.h"

#include <cstring>
#include <fstream>
#include <limits>
#include <sstream>

#include "gtest/gtest.h"
#include "storage/base/status.h"

namespace cookix::cli {
namespace {

template <class T>
std::string Raw(std::initializer_list<T> values) {
  std::string bytes;
  for (T value : values) bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  return bytes;
}

std::string Npy(const std::string& header, const std::string& data, int version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  bytes += version == 1 ? Raw<uint16_t>({static_cast<uint16_t>(header.size())})
                        : Raw<uint32_t>({static_cast<uint32_t>(header.size())});
  return bytes + header + data;
}

std::string NpyOf(const std::string& type, const std::string& shape, const std::string& data) {
  return Npy("{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }\n", data);
}

struct Contents {
  std::vector<std::vector<float>> rows;
  absl::Status status;
};

Contents ReadAll(const std::string& bytes, VectorFormat format) {
  std::istringstream in(bytes);
  Contents contents;
  auto file = VectorFile::Read(in, format);
  contents.status = file.status();
  while (contents.status.ok()) {
    std::vector<float> row;
    const auto more = (*file)->Next(&row);
    contents.status = more.status();
    if (!more.ok() || !*more) break;
    contents.rows.push_back(std::move(row));
  }
  return contents;
}

using Rows = std::vector<std::vector<float>>;

void ExpectError(const std::string& bytes, VectorFormat format, const std::string& part) {
  const Contents contents = ReadAll(bytes, format);
  EXPECT_EQ(contents.status.code(), absl::StatusCode::kInvalidArgument) << part;
  EXPECT_NE(std::string(contents.status.message()).find(part), std::string::npos)
      << contents.status << "\nwanted: " << part;
  const auto detail = GetErrorDetail(contents.status);
  ASSERT_TRUE(detail.has_value());
  EXPECT_EQ(detail->field, "FILE");
  EXPECT_FALSE(detail->remedy.empty());
}

std::string Written(const std::string& name, const std::string& bytes) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

TEST(VectorFileTest, KnowsFormatsByName) {
  EXPECT_EQ(VectorFormatOf("a/b.fvecs"), VectorFormat::kFvecs);
  EXPECT_EQ(VectorFormatOf("base.bvecs"), VectorFormat::kBvecs);
  EXPECT_EQ(VectorFormatOf("npy"), VectorFormat::kNpy);
  EXPECT_EQ(VectorFormatOf("x.jsonl"), std::nullopt);
  EXPECT_EQ(VectorFormatOf("xnpy"), std::nullopt);
}

TEST(VectorFileTest, ReadsFvecs) {
  const std::string row0 = Raw<int32_t>({3}) + Raw<float>({1, -2.5, 3});
  const std::string row1 = Raw<int32_t>({3}) + Raw<float>({0, 0.25, 1e30f});
  const Contents contents = ReadAll(row0 + row1, VectorFormat::kFvecs);
  EXPECT_TRUE(contents.status.ok()) << contents.status;
  EXPECT_EQ(contents.rows, (Rows{{1, -2.5, 3}, {0, 0.25, 1e30f}}));
  EXPECT_TRUE(ReadAll("", VectorFormat::kFvecs).status.ok());
}

TEST(VectorFileTest, ReadsBvecsAsNumbersAndAsBytes) {
  const std::string bytes = Raw<int32_t>({2}) + "\x01\xff" + Raw<int32_t>({2}) + "\x80\x07";
  EXPECT_EQ(ReadAll(bytes, VectorFormat::kBvecs).rows, (Rows{{1, 255}, {128, 7}}));
  std::istringstream in(bytes);
  auto file = VectorFile::Read(in, VectorFormat::kBvecs);
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE((*file)->bytes());
  std::string raw;
  EXPECT_TRUE(*(*file)->NextBytes(&raw));
  EXPECT_TRUE(*(*file)->NextBytes(&raw));
  EXPECT_FALSE(*(*file)->NextBytes(&raw));
  EXPECT_EQ(raw, "\x01\xff\x80\x07");
}

TEST(VectorFileTest, ReadsEveryTypeOfNpy) {
  EXPECT_EQ(ReadAll(NpyOf("<f4", "(2, 2)", Raw<float>({1, 2, 3, -4})), VectorFormat::kNpy).rows,
            (Rows{{1, 2}, {3, -4}}));
  EXPECT_EQ(ReadAll(NpyOf("<f8", "(1, 2)", Raw<double>({1.5, -2})), VectorFormat::kNpy).rows,
            (Rows{{1.5, -2}}));
  EXPECT_EQ(ReadAll(NpyOf("|u1", "(1, 2)", "\x02\xfe"), VectorFormat::kNpy).rows, (Rows{{2, 254}}));
  EXPECT_EQ(ReadAll(NpyOf("|i1", "(1, 2)", "\x02\xfe"), VectorFormat::kNpy).rows, (Rows{{2, -2}}));
  // One, a half, minus two, the smallest subnormal, the largest number.
  const Contents halves =
      ReadAll(NpyOf("<f2", "(1, 5)", Raw<uint16_t>({0x3c00, 0x3800, 0xc000, 0x0001, 0x7bff})),
              VectorFormat::kNpy);
  EXPECT_EQ(halves.rows, (Rows{{1, 0.5, -2, 5.9604644775390625e-8f, 65504}}));
}

TEST(VectorFileTest, ReadsEveryVersionOfNpy) {
  const std::string header =
      "{\"shape\": (1, 1), 'fortran_order': False, 'descr': '<f4'}            \n";
  for (int version : {1, 2, 3}) {
    EXPECT_EQ(ReadAll(Npy(header, Raw<float>({7}), version), VectorFormat::kNpy).rows, (Rows{{7}}))
        << version;
  }
  ExpectError(Npy(header, Raw<float>({7}), 4), VectorFormat::kNpy, "version 4");
}

TEST(VectorFileTest, RefusesArraysThatAreNotRowsOfNumbers) {
  const VectorFormat npy = VectorFormat::kNpy;
  const std::string four = Raw<float>({1, 2, 3, 4});
  ExpectError("PK\x03\x04 and so on", npy, "not an npy file");
  ExpectError(Npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }", four), npy,
              "Fortran order");
  ExpectError(NpyOf(">f4", "(2, 2)", four), npy, ">f4");
  ExpectError(NpyOf("<i8", "(2, 1)", four), npy, "<i8");
  ExpectError(NpyOf("<f4", "(4,)", four), npy, "1 dimension, not two");
  ExpectError(NpyOf("<f4", "()", four), npy, "0 dimensions, not two");
  ExpectError(NpyOf("<f4", "(1, 2, 2)", four), npy, "3 dimensions, not two");
  ExpectError(NpyOf("<f4", "(2, 0)", ""), npy, "0 components");
  ExpectError(NpyOf("<f4", "(1, 65537)", four), npy, "65,537 components");
  ExpectError(NpyOf("<f4", "(2, -2)", four), npy, "not one that NumPy writes");
  ExpectError(NpyOf("<f4", "(99999999999999999999, 2)", four), npy, "not one that NumPy writes");
  ExpectError(NpyOf("<f4", "(9999999999999, 2)", four), npy, "9,999,999,999,999 rows");
  ExpectError(Npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 2), }", four),
              npy, "named fields");
  ExpectError(Npy("{'descr': '<f4', 'shape': (2, 2), }", four), npy, "not one that NumPy writes");
  ExpectError(Npy("{'descr': '<f4'", four), npy, "not one that NumPy writes");
  ExpectError(std::string("\x93NUMPY\x01\x00\xff\xff{", 11), npy, "ends in its header at byte 11");
  ExpectError(std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12), npy, "4,294,967,295 bytes");
  ExpectError(NpyOf("<f4", "(2, 2)", Raw<float>({1, 2, 3})), npy, "row 1 at byte");
}

TEST(VectorFileTest, ErrorsSayRowAndByte) {
  const VectorFormat fvecs = VectorFormat::kFvecs;
  const std::string row = Raw<int32_t>({2}) + Raw<float>({1, 2});
  ExpectError(row + Raw<int32_t>({3}) + Raw<float>({1, 2, 3}), fvecs,
              "row 1 at byte 12 has 3 components, those before it 2");
  ExpectError(row + row + "\x02", fvecs, "row 2 at byte 24 is cut short");
  ExpectError(row + Raw<int32_t>({2}) + Raw<float>({1}), fvecs, "it has 4 of 8 bytes");
  ExpectError(Raw<int32_t>({0}), fvecs, "row 0 at byte 0 says that it has 0 components");
  ExpectError(Raw<int32_t>({-5}), fvecs, "says that it has -5 components");
  ExpectError(Raw<int32_t>({65537}), fvecs, "says that it has 65537 components");
  const float bad = std::numeric_limits<float>::quiet_NaN();
  ExpectError(row + Raw<int32_t>({2}) + Raw<float>({1, bad}), fvecs,
              "row 1 at byte 16: component 1 is not a finite float32");
  ExpectError(NpyOf("<f8", "(1, 1)", Raw<double>({1e39})), VectorFormat::kNpy,
              "component 0 is not a finite float32");
  ExpectError(NpyOf("<f2", "(1, 1)", Raw<uint16_t>({0xfc00})), VectorFormat::kNpy,
              "component 0 is not a finite float32");
}

TEST(VectorFileTest, FilesTellTheirRowsAndAreCheckedFirst) {
  const std::string row = Raw<int32_t>({2}) + Raw<float>({1, 2});
  auto file = VectorFile::Open(Written("three.fvecs", row + row + row), VectorFormat::kFvecs);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ((*file)->rows(), 3);
  EXPECT_EQ((*file)->dimension(), 2);
  EXPECT_FALSE((*file)->bytes());
  const auto cut = VectorFile::Open(Written("cut.fvecs", row + row + "x"), VectorFormat::kFvecs);
  EXPECT_EQ(cut.status().code(), absl::StatusCode::kInvalidArgument);
  const auto two = VectorFile::Open(
      Written("two.npy", NpyOf("<f4", "(1, 2)", Raw<float>({1, 2, 3, 4}))), VectorFormat::kNpy);
  EXPECT_EQ(two.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(std::string(two.status().message()).find("1 rows of 2 components"), std::string::npos)
      << two.status();
  EXPECT_FALSE(VectorFile::Open(testing::TempDir(), VectorFormat::kFvecs).ok());
  EXPECT_FALSE(VectorFile::Open("no such file", VectorFormat::kFvecs).ok());
}

TEST(VectorFileTest, PassesOverRows) {
  std::string fvecs;
  for (int i = 0; i < 10; ++i) {
    fvecs += Raw<int32_t>({1}) + Raw<float>({static_cast<float>(i)});
  }
  const std::string npy = NpyOf("|u1", "(10, 1)", std::string("\0\1\2\3\4\5\6\7\10\11", 10));
  for (const auto& [bytes, format] :
       {std::pair{fvecs, VectorFormat::kFvecs}, std::pair{npy, VectorFormat::kNpy}}) {
    const std::string path = Written("ten", bytes);
    for (bool stream : {false, true}) {
      std::istringstream in(bytes);
      auto file = stream ? VectorFile::Read(in, format) : VectorFile::Open(path, format);
      ASSERT_TRUE(file.ok()) << file.status();
      std::vector<float> row;
      EXPECT_TRUE((*file)->Skip(3).ok());
      EXPECT_TRUE(*(*file)->Next(&row));
      EXPECT_TRUE((*file)->Skip(5).ok());
      EXPECT_EQ((*file)->row(), 9);
      EXPECT_TRUE(*(*file)->Next(&row));
      EXPECT_EQ(row, (std::vector<float>{3, 9}));
      EXPECT_FALSE(*(*file)->Next(&row));
      EXPECT_EQ((*file)->Skip(1).code(), absl::StatusCode::kInvalidArgument);
      EXPECT_EQ((*file)->offset(), static_cast<int64_t>(bytes.size()));
    }
  }
}

}  // namespace
}  // namespace cookix::cli
