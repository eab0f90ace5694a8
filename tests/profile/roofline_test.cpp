#include "profile/roofline.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "kernels/check.hpp"

namespace llmpq {
namespace {

ModelConfig llama_8b() {
  return load_model_config(std::filesystem::path(LLMPQ_DATA) / "shapes" / "llama-3.1-8b");
}

LatencyModel model_of(const std::string& gpu) {
  const GpuSpec* spec = find_gpu(gpu);
  CHECK(spec, Exit::kUsage, "{}", gpu);
  return roofline(*spec, llama_8b(), DType::kBf16).model;
}

TEST(Roofline, SaysWhatItIs) {
  const DeviceProfile profile = roofline(*find_gpu("L4"), llama_8b(), DType::kBf16);
  EXPECT_EQ(profile.device, "L4");
  EXPECT_EQ(profile.source, "specification");
  EXPECT_EQ(profile.backend, BackendKind::kCuda);
  EXPECT_EQ(profile.held_out_error, std::nullopt);
}

TEST(Roofline, EveryGpuHasSensibleCurves) {
  for (const GpuSpec& spec : gpu_specs()) {
    const LatencyModel model = roofline(spec, llama_8b(), DType::kBf16).model;
    for (const auto& curves : {model.layer, model.head})
      for (const auto& [format, curve] : curves) {
        ASSERT_GE(curve.rows.size(), 14u);
        EXPECT_EQ(curve.rows.front(), 1);
        EXPECT_EQ(curve.rows.back(), 8192);
        for (size_t i = 0; i < curve.rows.size(); ++i) {
          EXPECT_TRUE(std::isfinite(curve.seconds[i]) && curve.seconds[i] > 0) << spec.name;
          if (i == 0) continue;
          EXPECT_GT(curve.rows[i], curve.rows[i - 1]);
          // Where another kernel takes over, more rows may be a little faster.
          EXPECT_GE(curve.seconds[i], 0.85 * curve.seconds[i - 1])
              << spec.name << " " << name(format) << " " << curve.rows[i];
        }
      }
    EXPECT_GT(model.prefill_key_s, 0);
    EXPECT_GT(model.decode_key_s, 0);
  }
}

TEST(Roofline, KnowsWhatACapabilityCannot) {
  EXPECT_FALSE(model_of("V100-32G").layer.contains(Format::kBf16));
  EXPECT_TRUE(model_of("V100-32G").layer.contains(Format::kF16));
  EXPECT_TRUE(model_of("A100-80G").layer.contains(Format::kBf16));
  // Before 7.5 packed weights are written out for cuBLAS each time: fewer bits save no time there.
  const auto decode = [](const std::string& gpu, Format format) {
    return model_of(gpu).layer.at(format).at(8);
  };
  EXPECT_GT(decode("V100-32G", Format::kW4), decode("V100-32G", Format::kF16));
  EXPECT_LT(decode("T4", Format::kW4), 0.5 * decode("T4", Format::kF16));
}

TEST(Roofline, DecodeFollowsBandwidthAndPrefillFlops) {
  const LatencyModel h20 = model_of("H20"), l40s = model_of("L40S");
  const auto ratio = [&](double rows) {
    return h20.layer.at(Format::kBf16).at(rows) / l40s.layer.at(Format::kBf16).at(rows);
  };
  EXPECT_LT(ratio(1), 0.4);     // 4000 against 864 GB/s
  EXPECT_GT(ratio(4096), 1.8);  // 148 against 362 TFLOP/s
  EXPECT_NEAR(model_of("H20").decode_key_s / model_of("L40S").decode_key_s, 864.0 / 4000, 1e-9);
}

/// Closed form: one row of a bf16 layer reads all of its weights once.
TEST(Roofline, OneRowReadsTheWeightsOnce) {
  const ModelConfig c = llama_8b();
  const auto weights =
      static_cast<double>(c.hidden * (c.qkv_rows() + c.heads * c.head_dim + c.up_rows() + c.ffn));
  const double reading = weights * 2 / (3350e9 * 0.85);
  const double seconds = model_of("H100-SXM").layer.at(Format::kBf16).at(1);
  EXPECT_GT(seconds, reading);
  EXPECT_LT(seconds, reading + 50e-6);
}

TEST(Roofline, FewerKvBytesAreFasterToRead) {
  const GpuSpec& spec = *find_gpu("A100-80G");
  const double bf16 = roofline(spec, llama_8b(), DType::kBf16).model.decode_key_s;
  const double int8 = roofline(spec, llama_8b(), DType::kInt8).model.decode_key_s;
  EXPECT_NEAR(int8 / bf16, (128.0 + 4) / 256, 1e-9);
}

}  // namespace
}  // namespace llmpq
