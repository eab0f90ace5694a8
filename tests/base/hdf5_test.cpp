#include "base/hdf5.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <hdf5.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "base/expect_error.hpp"
#include "base/temp_folder.hpp"

namespace llmpq::h5 {
namespace {

const auto kCode = Exit::kPrompts;

class Hdf5 : public testing::Test {
 protected:
  File create(bool live = false) { return File::create(path_, live, kCode); }
  File open(File::Mode mode = File::Mode::kRead) { return File::open(path_, mode, kCode); }

  TempFolder folder_;
  std::filesystem::path path_ = folder_ / "a.h5";
};

TEST_F(Hdf5, NumbersComeBackInAnyWidthAndGrow) {
  {
    File file = create();
    Dataset ints = file.create_dataset("ints", {value_type<int32_t>(), 4, {}});
    for (int begin = 0; begin < 30; begin += 3) {
      const std::vector<int32_t> three = {begin, begin + 1, -begin};
      ints.write<int32_t>(begin, three);
    }
    Dataset table = file.create_dataset("table", {value_type<float>(), 4, {2}});
    table.write<float>(0, std::vector<float>{1, 2, 3, 4, 5, 6});
  }
  const File file = open();
  const Dataset ints = file.dataset("ints");
  EXPECT_EQ(ints.rows(), 30);
  EXPECT_EQ(ints.type().text(), "int32");
  EXPECT_EQ(ints.read<int64_t>(27, 3), (std::vector<int64_t>{27, 28, -27}));
  EXPECT_TRUE(ints.read<int32_t>(30, 0).empty());
  const Dataset table = file.dataset("table");
  EXPECT_EQ(table.shape(), (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(table.read<double>(1, 1), (std::vector<double>{3, 4}));
}

TEST_F(Hdf5, TextsOfBothKindsComeBack) {
  const std::vector<std::string> texts = {"", "żółć", std::string(100000, 'y'), "日本"};
  {
    File file = create();
    file.create_dataset("long", {text_type(), 2, {}}).write_text(0, texts);
    Dataset fixed = file.create_dataset("short", {text_type(7), 2, {}});
    fixed.write_text(0, std::vector<std::string>{"ok", "failed"});
    EXPECT_ERROR(fixed.write_text(2, std::vector<std::string>{"seven b"}), Exit::kInternal,
                 "longer than 6 bytes");
  }
  const File file = open();
  EXPECT_EQ(file.dataset("long").read_text(0, 4), texts);
  EXPECT_EQ(file.dataset("long").read_text(3, 1), std::vector<std::string>{"日本"});
  EXPECT_EQ(file.dataset("short").read_text(0, 2), (std::vector<std::string>{"ok", "failed"}));
  EXPECT_EQ(file.dataset("short").type().text(), "string of 7 bytes");
}

TEST_F(Hdf5, AttributesHoldLongTextAndMayBeReplaced) {
  const std::string plans(300000, 'p');  // beyond the 64 KiB of the old object header
  {
    File file = create();
    Group run = file.create_group("run");
    run.set_attribute("plans", "first");
    run.set_attribute("plans", plans);
    run.set_attribute("rows", int64_t{1} << 40);
  }
  const Group run = open().group("run");
  EXPECT_EQ(run.text_attribute("plans"), plans);
  EXPECT_EQ(run.integer_attribute("rows"), int64_t{1} << 40);
  EXPECT_FALSE(run.has_attribute("job"));
  EXPECT_ERROR(run.integer_attribute("plans"), kCode, "a.h5:/run/@plans: want one integer");
}

TEST_F(Hdf5, NamesAndKinds) {
  {
    File file = create();
    file.create_group("b");
    file.create_dataset("a", {value_type<uint64_t>(), 1, {}});
  }
  const File file = open();
  EXPECT_EQ(file.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(file.is_dataset("a"));
  EXPECT_FALSE(file.is_dataset("b"));
  EXPECT_FALSE(file.has("c"));
  EXPECT_EQ(file.dataset("a").type().text(), "uint64");
}

TEST_F(Hdf5, WrongUseTellsNameAndReason) {
  {
    File file = create();
    file.create_dataset("n", {value_type<int32_t>(), 4, {}}).write<int32_t>(0, std::vector{1, 2});
  }
  const File file = open();
  EXPECT_ERROR(file.dataset("n").read<int32_t>(1, 2), kCode, "rows 1 to 3 are wanted");
  EXPECT_ERROR(file.dataset("n").read<int32_t>(-1, 1), kCode, "rows -1 to 0");
  EXPECT_ERROR(file.dataset("n").read_text(0, 1), kCode, "found 1 dimensions of int32");
  EXPECT_ERROR(file.dataset("m"), kCode, "a.h5:/m: H5Dopen2 failed: ");
}

TEST_F(Hdf5, FilesThatAreNotHdf5AreRefusedQuietly) {
  EXPECT_ERROR(open(), kCode, "a.h5: cannot be opened: No such file");
  std::ofstream(path_) << "not hdf5";
  EXPECT_ERROR(open(), kCode, "a.h5: not an HDF5 file");
  EXPECT_ERROR(File::recover(path_, kCode), kCode, "not an HDF5 file");
  EXPECT_ERROR(File::create(folder_ / "no/such/folder.h5", false, Exit::kOutput), Exit::kOutput,
               "H5Fcreate failed: No such file or directory");
}

TEST_F(Hdf5, AFileThatIsBeingWrittenIsToldTheWay) {
  { create(); }
  const int other = ::open(path_.c_str(), O_RDWR);
  ASSERT_EQ(::flock(other, LOCK_EX), 0);
  EXPECT_ERROR(open(), kCode, "HDF5_USE_FILE_LOCKING=FALSE in the environment");
  ::close(other);
  EXPECT_NO_THROW(open());
}

TEST_F(Hdf5, ATruncatedFileIsAnErrorEverywhere) {
  {
    File file = create();
    std::vector<int32_t> values(100000);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int32_t>(i * 2654435761U);
    file.create_dataset("n", {value_type<int32_t>(), 1000, {}}).write<int32_t>(0, values);
  }
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) / 2);
  EXPECT_THROW(open(), Error);
}

TEST_F(Hdf5, AWriteThatTheSystemRefusesIsToldInItsWords) {
  const auto limit_files_to = [](rlim_t bytes) {
    rlimit limit{};
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  };
  std::signal(SIGXFSZ, SIG_IGN);
  File file = create();
  Dataset bytes = file.create_dataset("n", {value_type<uint8_t>(), 1 << 16, {}, false});
  limit_files_to(4096);
  EXPECT_ERROR(
      {
        bytes.write<uint8_t>(0, std::vector<uint8_t>(1 << 20));
        file.sync();
      },
      kCode, "failed: File too large");
  limit_files_to(RLIM_INFINITY);
}

TEST_F(Hdf5, AFilterThatIsNotThereIsNamedWithTheWayOut) {
  constexpr H5Z_filter_t kFilter = 300;  // of those for testing
  const H5Z_class2_t does_nothing{
      H5Z_CLASS_T_VERS,
      kFilter,
      1,
      1,
      "made-up; and where it is from",
      nullptr,
      nullptr,
      [](unsigned, size_t, const unsigned*, size_t bytes, size_t*, void**) { return bytes; }};
  ASSERT_GE(H5Zregister(&does_nothing), 0);
  {
    const hid_t file = H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t rows = 3;
    H5Pset_chunk(list, 1, &rows);
    H5Pset_filter(list, kFilter, H5Z_FLAG_MANDATORY, 0, nullptr);
    const hid_t space = H5Screate_simple(1, &rows, nullptr);
    for (const char* name : {"full", "empty"}) {
      const hid_t dataset =
          H5Dcreate2(file, name, H5T_STD_I32LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
      const int values[] = {1, 2, 3};
      if (*name == 'f') H5Dwrite(dataset, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
      H5Dclose(dataset);
    }
    H5Sclose(space);
    H5Pclose(list);
    H5Fclose(file);
  }
  EXPECT_EQ(open().dataset("full").read<int32_t>(0, 3), (std::vector{1, 2, 3}));
  ASSERT_GE(H5Zunregister(kFilter), 0);
  EXPECT_ERROR(open().dataset("full"), kCode,
               "a.h5:/full: compressed with made-up, which this machine's HDF5 lacks; make it with "
               "compression=\"gzip\"");
  EXPECT_EQ(open().dataset("empty").read<int32_t>(0, 3), (std::vector{0, 0, 0}));
}

TEST_F(Hdf5, ErrorsAreSilentOnOtherThreadsToo) {
  testing::internal::CaptureStderr();
  std::thread([&] { EXPECT_THROW(File::create("/no/where.h5", false, kCode), Error); }).join();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(Hdf5, ALiveReaderSeesWhatTheWriterFlushed) {
  File writer = create(true);
  Dataset growing = writer.create_dataset("n", {value_type<int32_t>(), 8, {}});
  writer.start_live_writing();
  writer.sync();
  const File reader = open(File::Mode::kLive);
  Dataset seen = reader.dataset("n");
  EXPECT_EQ(seen.rows(), 0);
  growing.write<int32_t>(0, std::vector{7, 8, 9});
  growing.flush();
  seen.refresh();
  EXPECT_EQ(seen.read<int32_t>(0, 3), (std::vector{7, 8, 9}));
}

}  // namespace
}  // namespace llmpq::h5
