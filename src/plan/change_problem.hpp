// Problems with other machines than the given one. Used by what_if.
#pragma once

#include "plan/problem.hpp"

namespace llmpq {

/// The group gets another device, with the next unused rank, linked as the others of its group; one
/// that was alone in it as fast as its fastest link to another. In a fixed order it follows them.
Problem with_another_device(const Problem& problem, int group);

/// The rank becomes a group of its own, the last one, so that it can be changed alone.
Problem with_own_group(const Problem& problem, int rank);

/// One of the group's devices must hold that layer.
Problem with_layer_on(const Problem& problem, int group, int layer);

}  // namespace llmpq
