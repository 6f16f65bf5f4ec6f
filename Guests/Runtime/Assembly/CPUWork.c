// The CPU experiment's work: one function in its own section, without relocations, so that the host can map the same
// bytes and run them.
#include <stdint.h>

/// Runs `rounds` of integer mixing and double-precision multiply-adds over 4096 elements; returns a checksum.
__attribute__((section(".cpu_work"), used)) uint64_t cpu_work(uint64_t *buffer, uint64_t rounds) {
  uint64_t state = 0x9E3779B97F4A7C15u;
  for (int i = 0; i < 4096; i++) buffer[i] = state * (uint64_t)(i + 1);
  // Constants in the data section would need relocations, so these come from registers.
  int64_t three = 3, four = 4;
  __asm__("" : "+r"(three), "+r"(four));
  const double grow = (double)three, shrink = (double)four;
  double sum = (double)(three - 3);
  for (uint64_t round = 0; round < rounds; round++) {
    for (int i = 0; i < 4096; i++) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      buffer[i] += state;
      sum = sum * grow / shrink + (double)(int64_t)(buffer[i] >> 40);
    }
  }
  return state ^ buffer[rounds & 4095] ^ (uint64_t)(int64_t)sum;
}
