// Where the files are that come with the program: shapes of models, descriptions of clusters.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace llmpq {

/// The folder in which `inside` ("shapes") lies: $LLMPQ_DATA; else beside the program (data,
/// ../share/llmpq/data); else the folder `data` of a source tree above it. Nothing if none has it.
std::optional<std::filesystem::path> find_data_folder(const std::string& inside);

/// Names in data/INSIDE, without their extensions, sorted; empty if there is no such folder.
std::vector<std::string> data_names(const std::string& inside);

}  // namespace llmpq
