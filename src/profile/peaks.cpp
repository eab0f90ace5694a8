#include "profile/peaks.hpp"

#include <nlohmann/json.hpp>

#include "base/json.hpp"

namespace llmpq {

std::vector<Peaks> measure_peaks_of_ranks(const Mpi& mpi, Backend& backend, Isa isa) {
  Peaks mine;
  mpi.barrier();
  mpi.agreed([&] { mine = measure_peaks(backend, isa); });
  const std::string text =
      dump_json(nlohmann::json{mine.read_gbps, mine.f32_gflops, mine.int8_gops, mine.half_gflops});
  std::vector<Peaks> all;
  for (const std::string& of_rank : mpi.all_gather(text)) {
    const auto json = parse_json(of_rank, "a rank's peaks", Exit::kMpi);
    all.push_back({json.at(0), json.at(1), json.at(2), json.at(3)});
  }
  return all;
}

}  // namespace llmpq
