// The names of --strategy: how a plan is found. Read by the job's options and by plan/.
#pragma once

#include <cstdint>

namespace llmpq {

/// kAuto: spare ranks may idle and stages may be of unlike size. kUniform: a stage of even size on
/// every rank. kManual: exactly what is asked for.
enum class Strategy : uint8_t { kAuto, kUniform, kManual };

}  // namespace llmpq
