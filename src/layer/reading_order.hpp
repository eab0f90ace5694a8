// In which order the weights of a stage are read: what lets threads that wait ask for the next
// ones.
#pragma once

#include <span>

#include "layer/weights.hpp"

namespace llmpq {

/// Sets Matrix::next of the layers' products and of the head's (nullptr: none here). After the last
/// comes the first again. Nothing is set where routes decide what comes next.
void tell_reading_order(std::span<LayerWeights> layers, HeadWeights* head);

}  // namespace llmpq
