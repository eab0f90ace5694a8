// A model's sensitivity as an HDF5 file:
//
//   /omega (layers, formats) float64    /formats (formats,) their names, in the columns' order
//   /quality/loss_increase (layers, formats) float64, nats; /quality/relative_error (1,);
//   /quality/runs/{formats (runs, layers) columns of /formats, loss_increase (runs,), error
//   (runs,)} attributes: indicator, quantizer (rtn where it is missing), model_hash (hexadecimal),
//   tokens, seed
//
// /quality is missing where nothing was calibrated. Columns are found by their names.
#pragma once

#include <filesystem>

#include "input/checkpoint.hpp"
#include "profile/sensitivity.hpp"

namespace llmpq {

/// Makes it beside `path` and renames it over. Error(kOutput).
void save_sensitivity(const std::filesystem::path& path, const Sensitivity& sensitivity);

/// Error(kUsage): no such file, or a broken one: datasets or formats missing, shapes that disagree,
/// numbers that are negative or not finite. Error(kModel): it is of another model than
/// `checkpoint`.
Sensitivity load_sensitivity(const std::filesystem::path& path, const Checkpoint& checkpoint);

}  // namespace llmpq
