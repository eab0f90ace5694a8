// Choosing the experts of rows: an entry of the table of operations.
#pragma once

#include "kernels/ops.hpp"

namespace llmpq {

void route(Context& context, const RouteArgs& args);

}  // namespace llmpq
