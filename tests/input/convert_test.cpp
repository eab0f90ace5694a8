#include "input/convert.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/expect_error.hpp"
#include "base/file.hpp"
#include "base/hdf5.hpp"
#include "base/temp_folder.hpp"
#include "input/prompts.hpp"

namespace llmpq {
namespace {

class Convert : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  std::filesystem::path convert(const std::filesystem::path& from, const std::string& to) {
    const auto sink = make_prompt_sink(folder_ / to, kind_of_name(to));
    const auto source = open_prompt_source(from);
    PromptRecord record;
    while (source->next(record)) sink->add(record);
    sink->finish();
    return folder_ / to;
  }
  std::string text_of(const std::filesystem::path& path) {
    return read_file(path, 1 << 30, Exit::kInternal);
  }
  void expect_error(const std::string& name, const std::string& text, const std::string& part) {
    const auto path = write(name, text);
    EXPECT_ERROR(convert(path, "out.h5"), Exit::kPrompts, part);
  }

  TempFolder folder_;
};

TEST_F(Convert, JsonlToHdf5AndBackIsTheSame) {
  const std::string jsonl =
      R"({"id":"a","prompt":"one\nline","max_tokens":5,"temperature":0.25,"stop":["x","y"]})"
      "\n"
      R"({"id":"","prompt":"żółć"})"
      "\n"
      R"({"id":"c","prompt":"","ignore_eos":true,"seed":9007199254740993,"stop":"z"})"
      "\n";
  const auto h5 = convert(write("in.jsonl", jsonl), "p.h5");
  EXPECT_EQ(text_of(convert(h5, "back.jsonl")), jsonl);
  const auto window = PromptsFile::open(h5).read(0, 3, {});
  EXPECT_EQ(window[0].text, "one\nline");
  EXPECT_EQ(window[0].sampling.max_tokens, 5);
  EXPECT_EQ(window[0].sampling.temperature, 0.25F);
  EXPECT_EQ(window[1].sampling.max_tokens, 256);
  EXPECT_EQ(window[2].sampling.seed, 9007199254740993u);
  EXPECT_TRUE(window[2].sampling.ignore_eos);
  EXPECT_EQ(window[2].sampling.stop, std::vector<std::string>{"z"});
}

TEST_F(Convert, BatchLinesOfOpenAi) {
  const auto h5 = convert(
      write(
          "in.jsonl",
          R"({"custom_id":"r1","method":"POST","url":"/v1/completions","body":{"model":"m","prompt":"hi","max_tokens":3}})"
          "\n\n"
          R"({"custom_id":"r2","method":"POST","url":"/v1/completions","body":{"prompt":"ho","top_p":0.5,"max_completion_tokens":4}})"),
      "p.h5");
  const PromptsFile prompts = PromptsFile::open(h5);
  EXPECT_EQ(prompts.read_ids(0, 2), (std::vector<std::string>{"r1", "r2"}));
  const auto window = prompts.read(0, 2, {});
  EXPECT_EQ(window[0].text, "hi");
  EXPECT_EQ(window[0].sampling.max_tokens, 3);
  EXPECT_EQ(window[1].sampling.max_tokens, 4);
  EXPECT_EQ(window[1].sampling.top_p, 0.5F);
}

TEST_F(Convert, TheBodyOfABatchLineCounts) {
  const auto in =
      write("in.jsonl",
            R"({"max_tokens":3,"top_p":0.5,"body":{"prompt":"hi","max_tokens":4,"min_p":0.25}})");
  const auto flat = convert(in, "once.jsonl");
  const std::string once = text_of(flat);
  EXPECT_NE(once.find("\"max_tokens\":4"), std::string::npos) << once;
  EXPECT_EQ(text_of(convert(flat, "twice.jsonl")), once);
}

TEST_F(Convert, TokenIdsKeepTheirForm) {
  const std::string jsonl = "{\"prompt_token_ids\":[5,6,7]}\n{\"prompt_token_ids\":[]}\n";
  const auto h5 = convert(write("in.jsonl", jsonl), "p.h5");
  EXPECT_TRUE(PromptsFile::open(h5).read(0, 1, {})[0].has_tokens);
  EXPECT_EQ(text_of(convert(h5, "back.jsonl")), jsonl);
  EXPECT_ERROR(convert(h5, "back.txt"), Exit::kPrompts, "the prompts are token ids");
}

TEST_F(Convert, CsvWithQuotesCommasAndLineBreaks) {
  const std::string csv =
      "\xEF\xBB\xBFid,prompt,max_tokens,temperature,ignore_eos,note\r\n"
      "1,\"a, \"\"b\"\"\nc\",7,,true,x\r\n"
      "2,,,0.5,,\r\n";
  const auto h5 = convert(write("in.csv", csv), "p.h5");
  const auto window = PromptsFile::open(h5).read(0, 2, {});
  EXPECT_EQ(window[0].text, "a, \"b\"\nc");
  EXPECT_EQ(window[0].sampling.max_tokens, 7);
  EXPECT_TRUE(window[0].sampling.ignore_eos);
  EXPECT_EQ(window[1].text, "");
  EXPECT_EQ(window[1].sampling.temperature, 0.5F);
  const auto again = convert(convert(h5, "again.csv"), "q.h5");
  EXPECT_EQ(PromptsFile::open(again).content_hash(),
            PromptsFile::open(convert(h5, "r.h5")).content_hash());
  EXPECT_EQ(text_of(convert(again, "again.jsonl")), text_of(convert(h5, "once.jsonl")));
}

TEST_F(Convert, NumbersAndBooleansAsPandasWritesThem) {
  const std::string csv =
      "prompt,max_tokens,seed,ignore_eos,top_p\n"
      "a,5.0,7.0,True,nan\n"
      "nan,,NaN,False,0.5\n";
  EXPECT_EQ(text_of(convert(convert(write("in.csv", csv), "p.h5"), "p.jsonl")),
            "{\"prompt\":\"a\",\"max_tokens\":5,\"ignore_eos\":true,\"seed\":7}\n"
            "{\"prompt\":\"nan\",\"top_p\":0.5,\"ignore_eos\":false}\n");
}

TEST_F(Convert, TextThatJsonCannotHoldIsNotChangedSilently) {
  const auto h5 = convert(write("in.txt", "good\nbad \xff\n"), "p.h5");
  EXPECT_ERROR(convert(h5, "p.jsonl"), Exit::kPrompts,
               "record 1: the text is not valid UTF-8 at byte 4");
  EXPECT_EQ(text_of(convert(h5, "p.txt")), "good\nbad \xff\n");
  for (const char* what : {"id", "stop"}) {
    const auto csv = write("in.csv", std::string(what) + ",prompt\nM\xfcller,good\n");
    EXPECT_ERROR(convert(csv, "p.jsonl"), Exit::kPrompts,
                 std::string("record 0: the ") + what + " is not valid UTF-8 at byte 1");
    EXPECT_EQ(text_of(convert(csv, "p.csv")).find("\xef\xbf\xbd"), std::string::npos);
  }
}

TEST_F(Convert, BlankLinesOfCsvArePassedOverWhereTheyCannotBePrompts) {
  const auto two = convert(write("in.csv", "id,prompt\r\n1,a\r\n\r\n2,b\r\n\r\n\r\n"), "p.h5");
  EXPECT_EQ(text_of(convert(two, "two.txt")), "a\nb\n");
  const auto one = convert(write("one.csv", "prompt\na\n\nb\n"), "q.h5");
  EXPECT_EQ(text_of(convert(one, "one.txt")), "a\n\nb\n");
}

TEST_F(Convert, TextIsOnePromptALine) {
  const auto h5 = convert(write("in.txt", "first\r\n\nthird"), "p.h5");
  const auto window = PromptsFile::open(h5).read(0, 3, {});
  EXPECT_EQ(window[0].text, "first");
  EXPECT_EQ(window[1].text, "");
  EXPECT_EQ(window[2].text, "third");
  EXPECT_EQ(text_of(convert(h5, "back.txt")), "first\n\nthird\n");
  EXPECT_EQ(one_line("a\nb\rc"), "a\\nb\\rc");
}

TEST_F(Convert, ColumnsMayBeginLateInLongFiles) {
  std::string jsonl;
  for (int row = 0; row < 5000; ++row) {
    jsonl += row == 3000
                 ? "{\"prompt\": \"p\", \"max_tokens\": 9, \"top_p\": 0.5}\n"
                 : "{\"prompt\": \"" + std::string(static_cast<size_t>(row % 90), 'x') + "\"}\n";
  }
  const PromptsFile prompts = PromptsFile::open(convert(write("in.jsonl", jsonl), "p.h5"));
  ASSERT_EQ(prompts.rows(), 5000);
  const auto window = prompts.read(2999, 3, {});
  EXPECT_EQ(window[0].sampling.max_tokens, 256);
  EXPECT_EQ(window[1].sampling.max_tokens, 9);
  EXPECT_EQ(window[1].sampling.top_p, 0.5F);
  EXPECT_EQ(window[2].sampling.top_p, 1);
  EXPECT_EQ(prompts.read(4999, 1, {})[0].text.size(), 4999u % 90);
}

TEST_F(Convert, ASeedThatDoesNotFitIsNotTurnedIntoAnother) {
  {
    auto file = h5::File::create(folder_ / "p.h5", false, Exit::kInternal);
    file.create_dataset("prompt", {h5::text_type(0), 16, {}})
        .write_text(0, std::vector<std::string>{"a"});
    const std::vector<uint64_t> seeds{uint64_t{1} << 63};
    file.create_dataset("seed", {h5::value_type<uint64_t>(), 16, {}})
        .write(0, std::span<const uint64_t>(seeds));
  }
  EXPECT_ERROR(convert(folder_ / "p.h5", "p.jsonl"), Exit::kPrompts,
               "row 0: seed is 9223372036854775808, want at most 9223372036854775807");
}

TEST_F(Convert, ARowInErrorIsNotTurnedIntoAnother) {
  const auto write_h5 = [&](const std::vector<double>& max_tokens) {
    auto file = h5::File::create(folder_ / "p.h5", false, Exit::kInternal);
    file.create_dataset("prompt", {h5::text_type(0), 16, {}})
        .write_text(0, std::vector<std::string>{"a", "b"});
    file.create_dataset("max_tokens", {h5::value_type<double>(), 16, {}})
        .write(0, std::span<const double>(max_tokens));
    return folder_ / "p.h5";
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(text_of(convert(write_h5({5, nan}), "p.jsonl")),
            "{\"prompt\":\"a\",\"max_tokens\":5}\n{\"prompt\":\"b\"}\n");
  EXPECT_ERROR(convert(write_h5({5, 1.5}), "q.jsonl"), Exit::kPrompts,
               "p.h5: row 1: max_tokens is 1.5, want a whole number");
}

TEST_F(Convert, AnEmptyFileMakesNoRows) {
  EXPECT_EQ(PromptsFile::open(convert(write("in.jsonl", ""), "p.h5")).rows(), 0);
  EXPECT_EQ(PromptsFile::open(convert(write("in.csv", "prompt\n"), "q.h5")).rows(), 0);
}

TEST_F(Convert, ChatMessagesAreKeptInTheirOrder) {
  const auto path = convert(
      write(
          "chat.jsonl",
          R"({"custom_id": "7", "body": {"tools": [{"z": 1, "a": 2}], "max_tokens": 3, "model": "m", "messages": [{"role": "user", "content": "Grüße"}]}})"
          "\n"),
      "chat.h5");
  const PromptsFile prompts = PromptsFile::open(path);
  const Prompt prompt = prompts.read(0, 1, {}).at(0);
  EXPECT_EQ(prompt.text,
            R"({"tools":[{"z":1,"a":2}],"messages":[{"role":"user","content":"Grüße"}]})");
  EXPECT_EQ(prompt.sampling.max_tokens, 3);
}

TEST_F(Convert, FaultsAreToldWithFileAndLine) {
  expect_error("a.jsonl", "{\"prompt\": \"x\"}\n{\"prompt\": ", "a.jsonl:2: not JSON");
  expect_error("b.jsonl", "[1]", "b.jsonl:1: want a JSON object, found array");
  expect_error("c.jsonl", "{\"max_tokens\": 3}", "c.jsonl:1: want one of the keys prompt, text");
  expect_error("d.jsonl", "{\"prompt\": \"x\", \"max_tokens\": \"many\"}",
               "d.jsonl:1: max_tokens: want a number, found \"many\"");
  expect_error("e.jsonl", "{\"prompt\": \"x\", \"top_k\": 1.5}", "top_k: want an integer");
  expect_error("f.jsonl", R"({"custom_id": "1", "body": {"messages": "x"}})",
               "f.jsonl:1: messages: want an array, found string");
  expect_error("f2.jsonl", "{\"prompt\": \"a\"}\n{\"messages\": []}",
               "f2.jsonl:2: a line with messages among lines with prompts");
  expect_error("f3.jsonl", R"({"prompt": "a", "messages": []})", "found 2 of them");
  expect_error("g.jsonl", "{\"prompt\": [1, -2]}", "prompt: want token ids, found -2");
  expect_error("h.jsonl", "{\"prompt\": \"a\"}\n{\"prompt\": [1]}", "record 1 is token ids");
  expect_error("i.jsonl", "{\"prompt\": \"a\\u0000b\"}", "U+0000");
  expect_error("j.csv", "id,max_tokens\n1,2\n", "want a column prompt or text in the header");
  expect_error("k.csv", "id,prompt\n1\n", "k.csv:2: want 2 fields like the header, found 1");
  expect_error("l.csv", "prompt\n\"open", "l.csv:2: a quoted field does not end");
  expect_error("m.csv", "prompt\na\"b\n", "m.csv:2: a quote inside a field");
  expect_error("n.csv", "", "want a header");
  expect_error("p.csv", "prompt,id,prompt\nx,1,y\n", "p.csv: the header has two columns prompt");
  expect_error("o.csv", "prompt,seed\nx,12.5\n", "seed: want an integer, found 12.5");
  expect_error("p.jsonl", "{\"prompt\": \"x\", \"seed\": 18446744073709551615}",
               "seed: want at most");
  EXPECT_ERROR(open_prompt_source(folder_ / "none.jsonl"), Exit::kPrompts, "cannot be opened");
  expect_error("q.csv", "prompt;id\nx;1\n", "found prompt;id; columns are separated by commas");
  EXPECT_ERROR(kind_of_name("p.json"), Exit::kUsage, "jq -c '.[]' makes the lines of a .jsonl");
  EXPECT_ERROR(kind_of_name("prompts.parquet"), Exit::kUsage, "must show in its name");
  EXPECT_ERROR(make_prompt_sink(folder_ / "no/x.jsonl", FileKind::kJsonl), Exit::kOutput,
               "cannot be written");
}

}  // namespace
}  // namespace llmpq
