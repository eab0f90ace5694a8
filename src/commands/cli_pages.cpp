#include "commands/cli_pages.hpp"

#include <array>
#include <string>

namespace llmpq {
namespace {

constexpr std::array kExits{
    HelpLine{"1", "internal error: please report it"},
    HelpLine{"2", "usage: a flag, a job file, or options that exclude each other"},
    HelpLine{"3", "no plan fits into the memory there is; the sentence says what would"},
    HelpLine{"4", "model or tokenizer: missing, damaged, not supported"},
    HelpLine{"5", "prompts, or another text to read"},
    HelpLine{"6", "output: exists, locked, of another job, or the disk refuses it"},
    HelpLine{"7", "GPU: none, shared, out of memory, or its library failed"},
    HelpLine{"8", "MPI or NCCL failed, or a rank does not answer"},
    HelpLine{"10", "rows failed, with --strict; everything is saved"},
    HelpLine{"75", "stopped early, everything is saved: start it again with --resume"},
};

constexpr std::array kEnvironment{
    HelpLine{"LLMPQ_DATA", "where clusters/ and shapes/ lie, instead of beside the program"},
    HelpLine{"LLMPQ_CUDA_MODULE",
             "the CUDA module, instead of libllmpq_cuda.so beside the program"},
    HelpLine{"CUDA_VISIBLE_DEVICES", "the GPUs that a rank may see"},
    HelpLine{"XDG_CACHE_HOME", "its folder llmpq keeps measured profiles; else ~/.cache/llmpq"},
    HelpLine{"TMPDIR", "for files that go away again (eval --divergence)"},
};

constexpr std::array kRunCodes{3, 4, 5, 6, 7, 8};
constexpr std::array kGenerateCodes{3, 4, 5, 6, 7, 8, 10, 75};
constexpr std::array kConvertCodes{4, 5, 6};
constexpr std::array kInspectCodes{5, 6};

constexpr std::array kGenerateFiles{
    HelpLine{"OUTPUT",
             "HDF5: /text, /token_ids, /finish_reason, /status, ... one row for each "
             "prompt (and sample), in order; /run has job, plans and times"},
    HelpLine{"OUTPUT.part*", "journal and lock while it is not complete; gone at the end"},
};
constexpr std::array kGenerateExamples{
    HelpExample{"one rank, one GPU or the CPU", "llmpq generate job.toml --resume"},
    HelpExample{"four ranks, options of the file changed",
                "mpirun -n 4 llmpq generate job.toml --temperature 0.7 --output hot.h5"},
    HelpExample{"a third of the rows, on Slurm", "srun llmpq generate job.toml --shard 0/3"},
    HelpExample{"4 bits, and half a percent of perplexity to spare for speed",
                "mpirun -n 4 llmpq generate job.toml --sensitivity model.h5 "
                "--max-perplexity-increase 0.5%"},
};

constexpr std::array kPlanFiles{
    HelpLine{"PLAN.json",
             "layers, ranks, formats and sizes: --save-plan writes it, --plan of "
             "plan, generate, eval and bench reads it; people may edit it"},
    HelpLine{"PROBLEM.json", "all that the optimizer sees (--save-problem, --problem)"},
};
constexpr std::array kPlanExamples{
    HelpExample{"the plan of a job, kept", "mpirun -n 4 llmpq plan job.toml --save-plan plan.json"},
    HelpExample{"for GPUs that are not here, with a picture",
                "llmpq plan --cluster a100-l4 --svg plan.svg"},
    HelpExample{"beside the planners of earlier systems",
                "llmpq plan --cluster paper-03 --strategy all"},
    HelpExample{"the longest context that fits", "mpirun -n 4 llmpq plan job.toml --max-context"},
};

constexpr std::array kEvalFiles{
    HelpLine{"TEXT", "UTF-8; a few hundred KB make errors small"},
    HelpLine{"TASKS.jsonl",
             "{\"prompt\": ..., \"answer\": ..., \"kind\": ...} a line; answers: a "
             "list of right ones; messages instead of prompt with --chat"},
};
constexpr std::array kEvalExamples{
    HelpExample{"the job's plan",
                "mpirun -n 4 llmpq eval job.toml --text heldout.txt --divergence"},
    HelpExample{"a plan that was kept, as JSON",
                "mpirun -n 4 llmpq eval job.toml --plan plan.json --text heldout.txt --json"},
    HelpExample{"accuracy of 4 bits with a KV cache in 8",
                "llmpq eval --model DIR --tasks tasks.jsonl --format w4 --kv-cache-dtype int8"},
};

constexpr std::array kConvertExamples{
    HelpExample{"prompts, or chats, for generate",
                "llmpq convert --input prompts.jsonl --output prompts.h5"},
    HelpExample{"an output as JSONL", "llmpq convert --input answers.h5 --output answers.jsonl"},
    HelpExample{"shards into one output",
                "llmpq convert --input answers.h5.shard-*-of-16 --output answers.h5"},
    HelpExample{"tokenized beforehand",
                "llmpq convert --input p.jsonl --output p.h5 --model DIR --to token-ids"},
};

constexpr std::array kInspectExamples{
    HelpExample{"how far a job is, from any machine", "llmpq inspect answers.h5"},
    HelpExample{"for scripts", "llmpq inspect answers.h5 --json"},
};

constexpr std::array kCheckExamples{
    HelpExample{"as the job will run", "srun llmpq check job.toml"},
    HelpExample{"what the devices can do at most", "mpirun -n 2 llmpq check --peaks"},
};

constexpr std::array kProfileFiles{
    HelpLine{"PROFILE.json",
             "latency models by device: --save-profile writes it, --profile of "
             "plan, generate and bench reads it"},
};
constexpr std::array kProfileExamples{
    HelpExample{"a shape without its weights",
                "mpirun -n 3 llmpq profile --model DIR --load-format dummy --save-profile p.json"},
};

constexpr std::array kBenchExamples{
    HelpExample{"without a dataset",
                "mpirun -n 2 llmpq bench --model DIR --load-format dummy --input-len 512 "
                "--output-len 128 --num-prompts 64"},
    HelpExample{"strategies and mixes side by side",
                "mpirun -n 4 llmpq bench job.toml --strategy uniform,joint "
                "--mix separated,interleaved"},
    HelpExample{"where the time goes",
                "mpirun -n 4 llmpq bench job.toml --svg run.svg --trace run.json"},
};

constexpr std::array kSensitivityFiles{
    HelpLine{"MODEL.h5",
             "omega by layer and format, and what it means for the perplexity: "
             "--sensitivity of plan, generate and bench reads it"},
};
constexpr std::array kSensitivityExamples{
    HelpExample{"on a text",
                "mpirun -n 3 llmpq sensitivity job.toml --text corpus.txt --save-sensitivity s.h5"},
};

constexpr HelpPage kGeneratePage{
    .summary = "generate text for the rows of a prompts file",
    .synopsis = "llmpq generate [JOB] [--key value ...]",
    .description =
        "Each MPI rank holds some layers of the model, in formats that the plan chose; rank 0 "
        "plans, reads prompts and writes outputs. The result has the prompts' rows in their order. "
        "A row that cannot be run fails alone, with a sentence. Finished rows survive whatever "
        "kills the job: with --resume the same command goes on.",
    .success = "all rows done",
    .codes = kGenerateCodes,
    .files = kGenerateFiles,
    .examples = kGenerateExamples,
    .more = "plan, check, inspect, convert"};

constexpr HelpPage kPlanPage{
    .summary = "print the plan that generate would run, without running it",
    .synopsis =
        "llmpq plan [JOB] [--key value ...]\n"
        "llmpq plan --cluster FILE|NAME [--key value ...]\n"
        "llmpq plan --problem FILE [--key value ...]",
    .description =
        "Prints which layers each rank gets, in which formats, the bytes that it needs, and the "
        "speed that is promised. Takes generate's job files, and is run on as many ranks. With "
        "--cluster it plans for described machines, with --problem a problem from a file; neither "
        "needs a model or a GPU, and the best plan comes with a proven bound.",
    .success = "there is a plan",
    .codes = kRunCodes,
    .files = kPlanFiles,
    .examples = kPlanExamples,
    .more = "profile, sensitivity, generate"};

constexpr HelpPage kEvalPage{
    .summary = "the quality of the plan that generate would run: perplexity, divergence, accuracy",
    .synopsis = "llmpq eval [JOB] --text FILE [--divergence] [--tasks FILE] [--key value ...]",
    .description =
        "Judges the plan of the job's prompts as generate would make it, or one for what is scored "
        "if the job has none. Cuts the text's tokens into windows and scores each token once, but "
        "the first; special tokens are added once, at the beginning. Standard errors take windows "
        "for independent groups of tokens; accuracies have Wilson's 95 % interval.",
    .success = "the figures are printed",
    .codes = kRunCodes,
    .files = kEvalFiles,
    .examples = kEvalExamples,
    .more = "sensitivity, plan, generate"};

constexpr HelpPage kConvertPage{
    .summary = "convert prompts and outputs between HDF5, JSONL, text and CSV",
    .synopsis = "llmpq convert --input FILE ... --output FILE [--key value ...]",
    .description =
        "The kinds of the files follow from their names: .h5, .jsonl, .txt, .csv. Several inputs "
        "are the shards of one output, or files of prompts that are put in a row. Needs no mpirun.",
    .success = "the output is written",
    .codes = kConvertCodes,
    .files = {},
    .examples = kConvertExamples,
    .more = "inspect, generate"};

constexpr HelpPage kInspectPage{
    .summary = "show a prompts file or an output, also of a running or killed job",
    .synopsis = "llmpq inspect FILE [--json]",
    .description = "Needs no mpirun. Where the output is not complete it shows OUTPUT.part.",
    .success = "the file is shown",
    .codes = kInspectCodes,
    .files = {},
    .examples = kInspectExamples,
    .more = "convert, generate"};

constexpr HelpPage kCheckPage{
    .summary = "show what each rank would compute on, and what would go wrong",
    .synopsis = "llmpq check [JOB] [--key value ...]",
    .description =
        "Binds every rank as generate would, measures transfers between ranks and to GPUs, and "
        "opens the job's model and prompts. Takes generate's job files and flags, so that the word "
        "check may stand in the place of generate. The exit code is that of the first error that "
        "generate would stop with.",
    .success = "nothing would go wrong",
    .codes = kRunCodes,
    .files = {},
    .examples = kCheckExamples,
    .more = "plan, profile"};

constexpr HelpPage kProfilePage{
    .summary = "measure how long the model's layers take on each rank's device",
    .synopsis = "llmpq profile [JOB] [--key value ...]",
    .description =
        "Times layers in every format the job allows, embedding, head and links, on made-up "
        "weights of the model's shape; prints speeds and the error of the latency model that is "
        "fitted to them, and keeps it for the jobs to come. Takes generate's job files.",
    .success = "the devices are measured",
    .codes = kRunCodes,
    .files = kProfileFiles,
    .examples = kProfileExamples,
    .more = "plan, bench"};

constexpr HelpPage kBenchPage{
    .summary = "how fast a job would run, without a dataset",
    .synopsis = "llmpq bench [JOB] [--key value ...]",
    .description =
        "Runs random prompts through the pipeline that generate would run and writes nothing. "
        "Prints tokens per second, how each stage spent its time (computing, waiting for "
        "activations on their way, idle), and which shares of the memory's speed (MBU) and of the "
        "arithmetic's (MFU) it reached, against peaks that are measured first. Several strategies "
        "and mixes are shown side by side. Takes generate's job files.",
    .success = "the speeds are printed",
    .codes = kRunCodes,
    .files = {},
    .examples = kBenchExamples,
    .more = "plan, profile, generate"};

constexpr HelpPage kSensitivityPage{
    .summary = "how much each layer suffers from each weight format",
    .synopsis =
        "llmpq sensitivity [JOB] --text FILE --save-sensitivity FILE [--key value ...]\n"
        "llmpq sensitivity [JOB] --prompts FILE --save-sensitivity FILE [--key value ...]",
    .description =
        "Runs the unquantized model over a text (else the job's prompts) once, on all ranks as "
        "generate would, and foresees what rounding each layer does. Then scores the text with "
        "some layers rounded, to learn what that means for the perplexity: first each format for "
        "all layers, then formats drawn by --seed for each layer.",
    .success = "the file is written",
    .codes = kRunCodes,
    .files = kSensitivityFiles,
    .examples = kSensitivityExamples,
    .more = "eval, plan, generate"};

}  // namespace

HelpPage help_page(Command command) {
  switch (command) {
    case Command::kGenerate:
      return kGeneratePage;
    case Command::kPlan:
      return kPlanPage;
    case Command::kEval:
      return kEvalPage;
    case Command::kConvert:
      return kConvertPage;
    case Command::kInspect:
      return kInspectPage;
    case Command::kCheck:
      return kCheckPage;
    case Command::kProfile:
      return kProfilePage;
    case Command::kBench:
      return kBenchPage;
    case Command::kSensitivity:
      return kSensitivityPage;
  }
  return {};
}

std::string_view exit_meaning(int code) {
  for (const HelpLine& line : kExits)
    if (line.what == std::to_string(code)) return line.meaning;
  return {};
}

std::span<const HelpLine> environment_lines() { return kEnvironment; }

}  // namespace llmpq
