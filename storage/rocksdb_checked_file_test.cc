#include "storage/rocksdb_checked_file.h"

#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "storage/base/crc32c.h"
#include "storage/base/status.h"
#include "storage/fault_injection_file_system.h"

namespace cookix::storage {
namespace {

using Fs = FaultInjectionFileSystem;

constexpr char kPath[] = "/files/a.view";

std::string Pattern(size_t size, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

class CheckedFileTest : public testing::Test {
 protected:
  CheckedFileTest() { MakeFs(); }

  void MakeFs() {
    fs_ = Fs::InMemory();
    ASSERT_TRUE(fs_->CreateDirIfMissing("/files", {}, nullptr).ok());
  }

  absl::Status Save(const std::string& content, size_t block_bytes = kCheckedFileBlock,
                    uint32_t version = 1) {
    COOKIX_ASSIGN_OR_RETURN(
        auto writer, CreateCheckedFile(*fs_, kPath, "test", version, {.block_bytes = block_bytes}));
    COOKIX_RETURN_IF_ERROR(writer->Append(content));
    EXPECT_EQ(writer->bytes(), content.size());
    return writer->Finish();
  }

  // Reads in pieces of `step` bytes, which must divide the content's size.
  absl::StatusOr<std::string> Load(size_t step = 7) {
    COOKIX_ASSIGN_OR_RETURN(auto reader, OpenCheckedFile(*fs_, kPath, "test", 1));
    std::string content;
    while (true) {
      COOKIX_ASSIGN_OR_RETURN(const bool at_end, reader->AtEnd());
      if (at_end) return content;
      std::string part(step, '\0');
      if (absl::Status status = reader->Read(part.data(), part.size()); !status.ok()) {
        return status;
      }
      content += part;
    }
  }

  std::string Bytes() {
    std::string bytes;
    EXPECT_TRUE(rocksdb::ReadFileToString(fs_.get(), kPath, &bytes).ok());
    return bytes;
  }
  void SetBytes(const std::string& bytes) {
    ASSERT_TRUE(rocksdb::WriteStringToFile(fs_.get(), bytes, kPath).ok());
  }
  bool Exists(const std::string& path) { return fs_->FileExists(path, {}, nullptr).ok(); }

  std::shared_ptr<Fs> fs_;
};

TEST_F(CheckedFileTest, RoundTripAtEverySizeAroundABlock) {
  for (const size_t size : {0, 1, 15, 16, 17, 31, 32, 33, 1000}) {
    const std::string content = Pattern(size, size);
    ASSERT_TRUE(Save(content, 16).ok());
    for (const size_t step : {size_t{1}, size_t{3}, size}) {
      if (step == 0 || size % step != 0) continue;
      const auto loaded = Load(step);
      ASSERT_TRUE(loaded.ok()) << loaded.status();
      EXPECT_EQ(*loaded, content);
    }
  }
}

TEST_F(CheckedFileTest, AppendsOfAnySizeGiveTheSameFile) {
  const std::string content = Pattern(3 * kCheckedFileBlock + 12345, 1);
  ASSERT_TRUE(Save(content).ok());
  const std::string whole = Bytes();
  std::mt19937_64 random(2);
  auto writer = CreateCheckedFile(*fs_, kPath, "test", 1, {});
  ASSERT_TRUE(writer.ok());
  for (size_t at = 0; at < content.size();) {
    const size_t size = std::min<size_t>(random() % 2'000'000, content.size() - at);
    ASSERT_TRUE((*writer)->Append(std::string_view(content).substr(at, size)).ok());
    at += size;
  }
  ASSERT_TRUE((*writer)->Finish().ok());
  EXPECT_EQ(Bytes(), whole);
  const auto loaded = Load(content.size());
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(*loaded, content);
}

TEST_F(CheckedFileTest, StringsAndLengthsThatCannotBe) {
  auto writer = CreateCheckedFile(*fs_, kPath, "test", 1, {});
  ASSERT_TRUE(writer.ok());
  const std::string text = Pattern(5000, 3);
  ASSERT_TRUE((*writer)->AppendString(text).ok());
  ASSERT_TRUE((*writer)->AppendString("").ok());
  ASSERT_TRUE((*writer)->AppendFixed(uint32_t{4'000'000'000}).ok());
  ASSERT_TRUE((*writer)->Finish().ok());
  auto reader = OpenCheckedFile(*fs_, kPath, "test", 1);
  ASSERT_TRUE(reader.ok());
  std::string read = "before";
  ASSERT_TRUE((*reader)->ReadString(&read).ok());
  EXPECT_EQ(read, text);
  ASSERT_TRUE((*reader)->ReadString(&read).ok());
  EXPECT_EQ(read, "");
  EXPECT_TRUE(absl::IsDataLoss((*reader)->ReadString(&read)));
  EXPECT_LT(read.capacity(), 1'000'000u);
}

TEST_F(CheckedFileTest, NumbersAndWhatIsLeft) {
  auto writer = CreateCheckedFile(*fs_, kPath, "test", 1, {});
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE((*writer)->AppendFixed<uint64_t>(1ull << 40).ok());
  ASSERT_TRUE((*writer)->AppendFixed<float>(0.5f).ok());
  ASSERT_TRUE((*writer)->AppendFixed<uint8_t>(7).ok());
  ASSERT_TRUE((*writer)->Finish().ok());
  EXPECT_EQ((*writer)->Append("x").code(), absl::StatusCode::kInternal);
  auto reader = OpenCheckedFile(*fs_, kPath, "test", 3);
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ((*reader)->version(), 1u);
  uint64_t large = 0;
  float half = 0;
  uint8_t small = 0;
  EXPECT_GE((*reader)->MaxLeft(), 13u);
  ASSERT_TRUE((*reader)->ReadFixed(&large).ok());
  EXPECT_GE((*reader)->MaxLeft(), 5u);
  EXPECT_LE((*reader)->MaxLeft(), 5u + 24);
  ASSERT_TRUE((*reader)->ReadFixed(&half).ok());
  ASSERT_TRUE((*reader)->ReadFixed(&small).ok());
  EXPECT_EQ(large, 1ull << 40);
  EXPECT_EQ(half, 0.5f);
  EXPECT_EQ(small, 7);
  EXPECT_TRUE(*(*reader)->AtEnd());
  EXPECT_EQ((*reader)->MaxLeft(), 0u);
  // Beyond the end, and for ever after.
  EXPECT_EQ((*reader)->ReadFixed(&small).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ((*reader)->AtEnd().status().code(), absl::StatusCode::kDataLoss);
}

// The example in storage/doc/view_file.md.
TEST_F(CheckedFileTest, TheWorkedExample) {
  ASSERT_TRUE(Save("hello, world", 8, 1).ok());
  const auto number = [](uint64_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
    return out;
  };
  const std::string header = "CXV\x01" + number(1, 4) + "\x04test";
  const std::string first = number(8, 4) + "hello, w";
  const std::string second = number(4, 4) + "orld";
  const std::string end = number(0, 4) + number(12, 8) + number(2, 8);
  const auto sum = [&](const std::string& all) { return number(MaskCrc32c(Crc32c(all)), 4); };
  std::string expected = header + sum(header);
  expected += number(8, 4) + sum(header + first) + "hello, w";
  expected += number(4, 4) + sum(header + first + second) + "orld";
  expected += number(0, 4) + sum(header + first + second + end) + number(12, 8) + number(2, 8);
  EXPECT_EQ(Bytes(), expected);
  // As the document prints it.
  std::string hex;
  for (const char c : Bytes()) {
    constexpr char kDigits[] = "0123456789abcdef";
    hex.push_back(kDigits[static_cast<uint8_t>(c) >> 4]);
    hex.push_back(kDigits[c & 15]);
  }
  EXPECT_EQ(hex,
            "43585601"
            "01000000"
            "0474657374"
            "8a8bb733"
            "08000000"
            "3ca81f51"
            "68656c6c6f2c2077"
            "04000000"
            "0945205e"
            "6f726c64"
            "00000000"
            "e7a3cedc"
            "0c00000000000000"
            "0200000000000000");
}

TEST_F(CheckedFileTest, EveryFlippedBitIsFound) {
  const std::string content = Pattern(50, 3);
  ASSERT_TRUE(Save(content, 16).ok());
  const std::string good = Bytes();
  for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    SetBytes(bad);
    const auto loaded = Load(1);
    ASSERT_FALSE(loaded.ok()) << bit;
    // A higher format may look any way it likes.
    const bool is_format = bit / 8 == 3 && bad[3] != 0;
    EXPECT_EQ(loaded.status().code(),
              is_format ? absl::StatusCode::kFailedPrecondition : absl::StatusCode::kDataLoss)
        << bit << loaded.status();
    EXPECT_NE(loaded.status().message().find(kPath), absl::string_view::npos);
    if (!is_format) {
      EXPECT_NE(loaded.status().message().find("at offset "), absl::string_view::npos);
    }
  }
  SetBytes(good);
  EXPECT_EQ(*Load(1), content);
}

TEST_F(CheckedFileTest, EveryCutAndEveryAdditionIsFound) {
  ASSERT_TRUE(Save(Pattern(50, 4), 16).ok());
  const std::string good = Bytes();
  for (size_t size = 0; size < good.size(); ++size) {
    SetBytes(good.substr(0, size));
    EXPECT_EQ(Load(1).status().code(), absl::StatusCode::kDataLoss) << size;
  }
  SetBytes(good + std::string(1, '\0'));
  EXPECT_EQ(Load(1).status().code(), absl::StatusCode::kDataLoss);
  SetBytes(good + good);
  EXPECT_EQ(Load(1).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(CheckedFileTest, BlocksInAnotherOrderAreFound) {
  ASSERT_TRUE(Save(std::string(16, 'a') + std::string(16, 'b'), 16).ok());
  const std::string good = Bytes();
  constexpr size_t kHeader = 17;
  constexpr size_t kFramed = 8 + 16;
  SetBytes(good.substr(0, kHeader) + good.substr(kHeader + kFramed, kFramed) +
           good.substr(kHeader, kFramed) + good.substr(kHeader + 2 * kFramed));
  EXPECT_EQ(Load(1).status().code(), absl::StatusCode::kDataLoss);
  // Nothing of a block is handed out before it is checked.
  auto reader = OpenCheckedFile(*fs_, kPath, "test", 1);
  ASSERT_TRUE(reader.ok());
  char c = 0;
  EXPECT_EQ((*reader)->Read(&c, 1).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(c, 0);
}

TEST_F(CheckedFileTest, OtherKindsAndVersions) {
  ASSERT_TRUE(Save("content", 16, 5).ok());
  EXPECT_EQ(OpenCheckedFile(*fs_, kPath, "other", 5).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(OpenCheckedFile(*fs_, kPath, "test", 4).status().code(),
            absl::StatusCode::kFailedPrecondition);
  const auto reader = OpenCheckedFile(*fs_, kPath, "test", 6);
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ((*reader)->version(), 5u);
  EXPECT_EQ(OpenCheckedFile(*fs_, "/files/none", "test", 5).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(CreateCheckedFile(*fs_, kPath, "", 1, {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(CreateCheckedFile(*fs_, kPath, std::string(65, 'k'), 1, {}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(CheckedFileTest, AnAbandonedWriterLeavesTheOldFile) {
  ASSERT_TRUE(Save("old").ok());
  {
    auto writer = CreateCheckedFile(*fs_, kPath, "test", 1, {});
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE((*writer)->Append("new").ok());
    EXPECT_TRUE(Exists(std::string(kPath) + ".tmp"));
  }
  EXPECT_FALSE(Exists(std::string(kPath) + ".tmp"));
  EXPECT_EQ(*Load(1), "old");
}

TEST_F(CheckedFileTest, KeepsSpaceFree) {
  ASSERT_TRUE(Save("old").ok());
  fs_->SetFreeSpace(999);
  const auto refused = CreateCheckedFile(*fs_, kPath, "test", 1, {.keep_free_bytes = 1000});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  fs_->SetFreeSpace(1000);
  auto writer = CreateCheckedFile(*fs_, kPath, "test", 1, {.keep_free_bytes = 1000});
  ASSERT_TRUE(writer.ok());
  // Runs out on the way.
  fs_->SetFreeSpace(10);
  const std::string block(kCheckedFileBlock, 'x');
  absl::Status status;
  int blocks = 0;
  for (; status.ok() && blocks < 100; ++blocks) status = (*writer)->Append(block);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(GetErrorDetail(status)->reason, "DISK_LOW");
  EXPECT_LT(blocks, 10);
  EXPECT_EQ((*writer)->Finish(), status);
  writer->reset();
  EXPECT_EQ(*Load(1), "old");
}

// Whatever fails, and if the power goes with it: the old file or the new one.
TEST_F(CheckedFileTest, EveryFailureLeavesTheOldOrTheNewFile) {
  const std::string content = Pattern(100, 5);
  for (const Fs::Fault fault : {Fs::Fault::kIoError, Fs::Fault::kNoSpace}) {
    for (const uint64_t power_seed : {0, 1, 2, 3}) {
      int64_t step = 0;
      while (true) {
        MakeFs();
        ASSERT_TRUE(Save("old", 16).ok());
        fs_->FailAt(Fs::kAnyWrite, step, fault, /*sticky=*/true);
        const absl::Status saved = Save(content, 16);
        const bool failed = fs_->Failures() > 0;
        EXPECT_EQ(saved.ok(), !failed) << saved;
        fs_->PowerFailure(power_seed);
        fs_->Heal();
        const auto loaded = Load(1);
        ASSERT_TRUE(loaded.ok()) << loaded.status() << " at step " << step;
        EXPECT_TRUE(*loaded == "old" || *loaded == content) << step;
        if (!failed) {
          EXPECT_EQ(*loaded, content);
          break;
        }
        ++step;
      }
      // Created, header, 7 blocks and the end in two appends each, sync, rename,
      // directory.
      EXPECT_EQ(step, 1 + 1 + 16 + 1 + 1 + 1);
    }
  }
}

// A crash at any moment, without an error that the writer would see.
TEST_F(CheckedFileTest, EveryCrashLeavesTheOldOrTheNewFile) {
  const std::string content = Pattern(100, 6);
  ASSERT_TRUE(Save("old", 16).ok());
  std::vector<std::shared_ptr<Fs>> crashed;
  {
    auto writer = CreateCheckedFile(*fs_, kPath, "test", 1, {.block_bytes = 16});
    ASSERT_TRUE(writer.ok());
    for (const char c : content) {
      ASSERT_TRUE((*writer)->Append(std::string(1, c)).ok());
      crashed.push_back(fs_->Clone("/files"));
    }
    ASSERT_TRUE((*writer)->Finish().ok());
    crashed.push_back(fs_->Clone("/files"));
  }
  for (size_t i = 0; i < crashed.size(); ++i) {
    for (const bool power : {false, true}) {
      fs_ = crashed[i]->Clone("/files");
      if (power) fs_->PowerFailure(i);
      const auto loaded = Load(1);
      ASSERT_TRUE(loaded.ok()) << loaded.status();
      EXPECT_EQ(*loaded, i + 1 == crashed.size() ? content : "old");
      // What is left of the other does not disturb the next one.
      ASSERT_TRUE(Save("next", 16).ok());
      EXPECT_EQ(*Load(1), "next");
    }
  }
}

}  // namespace
}  // namespace cookix::storage
