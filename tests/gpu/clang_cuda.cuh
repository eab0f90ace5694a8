// What clang 16 lacks of nvcc; compile_cuda12.sh includes this first.
#pragma once

// CUDA 12's macro __noinline__ breaks libstdc++'s attribute of the same name.
#pragma push_macro("__noinline__")
#undef __noinline__
#include <memory>
#pragma pop_macro("__noinline__")

// Loads and stores that pass L1 by, for the types that the kernels use them with.
__device__ inline float __ldcg(const float* from) {
  float value;
  asm volatile("ld.global.cg.f32 %0, [%1];" : "=f"(value) : "l"(from));
  return value;
}
__device__ inline float4 __ldcg(const float4* from) {
  float4 v;
  asm volatile("ld.global.cg.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "l"(from));
  return v;
}
__device__ inline uint4 __ldcg(const uint4* from) {
  uint4 v;
  asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(from));
  return v;
}
__device__ inline void __stcg(float* to, float value) {
  asm volatile("st.global.cg.f32 [%0], %1;" ::"l"(to), "f"(value) : "memory");
}
__device__ inline void __stcg(float4* to, float4 v) {
  asm volatile("st.global.cg.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to), "f"(v.x), "f"(v.y),
               "f"(v.z), "f"(v.w)
               : "memory");
}
