// EXPECT_ERROR(statement, code, part): the statement throws Error with that exit code and a
// sentence that contains the part.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/check.hpp"

#define EXPECT_ERROR(statement, wanted, part)                 \
  do {                                                        \
    bool thrown = false;                                      \
    try {                                                     \
      statement;                                              \
    } catch (const ::llmpq::Error& error) {                   \
      thrown = true;                                          \
      EXPECT_EQ(error.code(), wanted) << error.what();        \
      EXPECT_THAT(error.what(), ::testing::HasSubstr(part));  \
    }                                                         \
    EXPECT_TRUE(thrown) << #statement " did not throw Error"; \
  } while (false)
