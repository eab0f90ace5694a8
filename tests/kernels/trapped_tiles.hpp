// AMX on CPUs that lack it, for tests: the instructions of tiles_amx.hpp trap, and a handler does
// their work on PlainTiles. So the kernel that other machines run is tested here too, instruction
// by instruction; each takes some microseconds. Encodings: Intel's manual, volume 2, VEX.
#pragma once

#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>

#include "kernels/cpu/tiles_amx.hpp"
#include "kernels/cpu/tiles_plain.hpp"

namespace llmpq::test {
namespace {

/// C4, R X B map, W vvvv L pp, opcode, ModRM, and for memory SIB and displacement.
struct TileInstruction {
  int opcode, prefix;
  bool memory;
  int reg, rm, vvvv;  ///< tiles
  uint8_t* address;   ///< of row 0
  int64_t stride;
  int bytes;
};

/// The tiles of a thread: none while they are not configured.
struct TrappedUnit {
  bool configured = false;
  PlainTiles tiles;
};

inline TrappedUnit& trapped_unit() {
  static thread_local TrappedUnit unit;
  return unit;
}

/// Products that were trapped: a test that expects some must find some.
inline std::atomic<int64_t>& trapped_products() {
  static std::atomic<int64_t> count{0};
  return count;
}

/// For a signal handler, which may not throw.
inline void require(bool condition, const char* wanted) {
  if (condition) return;
  constexpr char kHead[] = "an instruction trapped: want ";
  static_cast<void>(!write(STDERR_FILENO, kHead, sizeof(kHead) - 1));
  static_cast<void>(!write(STDERR_FILENO, wanted, std::strlen(wanted)));
  static_cast<void>(!write(STDERR_FILENO, "\n", 1));
  std::abort();
}

inline int64_t register_value(const greg_t* registers, int number) {
  constexpr int kPlaces[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                               REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                               REG_R12, REG_R13, REG_R14, REG_R15};
  return registers[kPlaces[number]];
}

/// Address, stride and length of an operand in memory.
inline void decode_memory(const uint8_t* at, const greg_t* registers, TileInstruction& result) {
  const int high_index = at[1] & 0x40 ? 0 : 8, high_base = at[1] & 0x20 ? 0 : 8;
  const int mod = at[4] >> 6;
  int base = at[4] & 7;
  if (base == 4) {
    const int sib = at[result.bytes++];
    const int index = (sib >> 3 & 7) + high_index;
    base = sib & 7;
    if (index != 4) result.stride = register_value(registers, index) << (sib >> 6);
  }
  require(mod != 0 || base != 5, "a base register");
  int64_t address = register_value(registers, base + high_base);
  if (mod == 1) address += static_cast<int8_t>(at[result.bytes]);
  if (mod == 2) {
    int32_t displacement;
    std::memcpy(&displacement, at + result.bytes, sizeof(displacement));
    address += displacement;
  }
  result.bytes += mod == 0 ? 0 : mod == 1 ? 1 : 4;
  result.address = reinterpret_cast<uint8_t*>(address);
}

inline TileInstruction decode_tile_instruction(const uint8_t* at, const greg_t* registers) {
  require(at[0] == 0xc4 && (at[1] & 31) == 2 && (at[2] & 0x84) == 0, "a tile's instruction");
  TileInstruction result{};
  result.opcode = at[3];
  result.prefix = at[2] & 3;
  result.memory = at[4] >> 6 != 3;
  result.reg = (at[4] >> 3 & 7) + (at[1] & 0x80 ? 0 : 8);
  result.rm = (at[4] & 7) + (at[1] & 0x20 ? 0 : 8);
  result.vvvv = (at[2] >> 3 & 15) ^ 15;
  result.bytes = 5;
  if (result.memory) decode_memory(at, registers, result);
  return result;
}

inline void execute(const TileInstruction& i) {
  constexpr int kNone = 0, kF3 = 2, kF2 = 3;
  TrappedUnit& unit = trapped_unit();
  if (i.opcode == 0x49 && i.prefix == kNone) {  // ldtilecfg, tilerelease
    unit.configured = i.memory;
    const TileConfig wanted;
    require(!i.memory || std::memcmp(i.address + i.stride, &wanted, sizeof(wanted)) == 0,
            "tiles of 16 rows of 64 bytes");
    return;
  }
  require(unit.configured && i.reg < 8, "configured tiles");
  if (i.opcode == 0x49 && i.prefix == kF2 && !i.memory) return unit.tiles.zero(i.reg);
  if (i.opcode == 0x4b && i.prefix == kF2) return unit.tiles.load(i.reg, i.address, i.stride);
  if (i.opcode == 0x4b && i.prefix == kF3) return unit.tiles.store(i.reg, i.address, i.stride);
  require((i.opcode == 0x5e || i.opcode == 0x5c) && i.prefix == kF3 && !i.memory,
          "an instruction of tiles_amx.hpp");
  require(i.rm < 8 && i.vvvv < 8 && i.reg != i.rm && i.reg != i.vvvv && i.rm != i.vvvv,
          "three different tiles");
  if (i.opcode == 0x5e) unit.tiles.dot(i.reg, i.rm, i.vvvv);
  if (i.opcode == 0x5c) unit.tiles.dot_bf16(i.reg, i.rm, i.vvvv);
  ++trapped_products();
}

/// While it lives, instructions of AMX work on a CPU without it.
class TrappedTiles {
 public:
  TrappedTiles() {
    struct sigaction action = {};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = [](int, siginfo_t*, void* context) {
      greg_t* const registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
      const auto* const at = reinterpret_cast<const uint8_t*>(registers[REG_RIP]);
      const TileInstruction instruction = decode_tile_instruction(at, registers);
      execute(instruction);
      registers[REG_RIP] += instruction.bytes;
    };
    sigaction(SIGILL, &action, &before_);
  }
  ~TrappedTiles() { sigaction(SIGILL, &before_, nullptr); }
  TrappedTiles(const TrappedTiles&) = delete;
  TrappedTiles& operator=(const TrappedTiles&) = delete;

 private:
  struct sigaction before_ = {};
};

}  // namespace
}  // namespace llmpq::test
