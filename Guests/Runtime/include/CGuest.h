// Operations that Embedded Swift cannot express: ports, device memory, and the services of CPL 0.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Ports. The TSS bitmap permits all of them at CPL 3.
static inline void guest_outb(uint16_t port, uint8_t v) { __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port) : "memory"); }
static inline void guest_outw(uint16_t port, uint16_t v) { __asm__ volatile("outw %0, %1" ::"a"(v), "Nd"(port) : "memory"); }
static inline void guest_outl(uint16_t port, uint32_t v) { __asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port) : "memory"); }
static inline uint8_t guest_inb(uint16_t port) {
  uint8_t v;
  __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
  return v;
}
static inline uint16_t guest_inw(uint16_t port) {
  uint16_t v;
  __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
  return v;
}
static inline uint32_t guest_inl(uint16_t port) {
  uint32_t v;
  __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
  return v;
}
static inline void guest_insb(uint16_t port, void *to, size_t bytes) {
  __asm__ volatile("rep insb" : "+D"(to), "+c"(bytes) : "d"(port) : "memory");
}
static inline void guest_insw(uint16_t port, void *to, size_t words) {
  __asm__ volatile("rep insw" : "+D"(to), "+c"(words) : "d"(port) : "memory");
}
static inline void guest_outsw(uint16_t port, const void *from, size_t words) {
  __asm__ volatile("rep outsw" : "+S"(from), "+c"(words) : "d"(port) : "memory");
}

// Device registers: each access is exactly one plain mov.
static inline uint8_t mmio_read8(uint64_t a) { return *(volatile uint8_t *)a; }
static inline uint16_t mmio_read16(uint64_t a) { return *(volatile uint16_t *)a; }
static inline uint32_t mmio_read32(uint64_t a) {
  uint32_t v;
  __asm__ volatile("movl (%1), %0" : "=r"(v) : "r"(a) : "memory");
  return v;
}
static inline void mmio_write8(uint64_t a, uint8_t v) { __asm__ volatile("movb %0, (%1)" ::"q"(v), "r"(a) : "memory"); }
static inline void mmio_write16(uint64_t a, uint16_t v) { __asm__ volatile("movw %0, (%1)" ::"r"(v), "r"(a) : "memory"); }
static inline void mmio_write32(uint64_t a, uint32_t v) { __asm__ volatile("movl %0, (%1)" ::"r"(v), "r"(a) : "memory"); }
static inline void mmio_write64(uint64_t a, uint64_t v) { __asm__ volatile("movq %0, (%1)" ::"r"(v), "r"(a) : "memory"); }

// Rings in RAM that a device or another CPU changes.
static inline uint8_t ring_load8(uint64_t a) { return __atomic_load_n((uint8_t *)a, __ATOMIC_ACQUIRE); }
static inline uint16_t ring_load16(uint64_t a) { return __atomic_load_n((uint16_t *)a, __ATOMIC_ACQUIRE); }
static inline uint32_t ring_load32(uint64_t a) { return __atomic_load_n((uint32_t *)a, __ATOMIC_ACQUIRE); }
static inline uint64_t ring_load64(uint64_t a) { return __atomic_load_n((uint64_t *)a, __ATOMIC_ACQUIRE); }
static inline void ring_store8(uint64_t a, uint8_t v) { __atomic_store_n((uint8_t *)a, v, __ATOMIC_RELEASE); }
static inline void ring_store16(uint64_t a, uint16_t v) { __atomic_store_n((uint16_t *)a, v, __ATOMIC_RELEASE); }
static inline void ring_store32(uint64_t a, uint32_t v) { __atomic_store_n((uint32_t *)a, v, __ATOMIC_RELEASE); }
static inline void ring_store64(uint64_t a, uint64_t v) { __atomic_store_n((uint64_t *)a, v, __ATOMIC_RELEASE); }
static inline uint32_t ring_exchange32(uint64_t a, uint32_t v) {
  return __atomic_exchange_n((uint32_t *)a, v, __ATOMIC_SEQ_CST);
}
static inline uint32_t ring_add32(uint64_t a, uint32_t v) {
  return __atomic_add_fetch((uint32_t *)a, v, __ATOMIC_SEQ_CST);
}
static inline void ring_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
static inline void cpu_pause(void) { __asm__ volatile("pause"); }

static inline uint64_t guest_rdtsc(void) {
  uint32_t low, high;
  __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
  return (uint64_t)high << 32 | low;
}

// Services of CPL 0 (Entry.S).
/// Sleeps until an interrupt, unless *address != value already.
static inline void service_halt(uint64_t address, uint32_t value) {
  __asm__ volatile("int3" ::"a"(0), "D"(address), "S"(value) : "memory", "rcx", "rdx");
}
static inline void service_wrmsr(uint32_t msr, uint64_t value) {
  uint64_t a = 1, s = value;
  __asm__ volatile("int3" : "+a"(a), "+S"(s) : "D"(msr) : "memory", "rcx", "rdx");
}
static inline void service_enable_interrupts(void) {
  __asm__ volatile("int3" ::"a"(2) : "memory", "rcx", "rdx");
}
static inline void service_cpuid(uint32_t leaf, uint32_t out[4]) {
  uint64_t a = 3;
  __asm__ volatile("int3" : "+a"(a) : "D"(leaf), "S"(out) : "memory", "rcx", "rdx");
}

// Runtime.c
void guest_fill_idt(void);
uint64_t guest_start_info(void);
uint64_t guest_vector_count_address(uint32_t vector);
/// Makes the stub of a vector from 0x30 to 0x3F read the register of 32 bits at `address`.
void guest_acknowledge_by_read(uint32_t vector, uint64_t address);
/// vector, error code, rip, cr2 of the exception that ended the program.
uint64_t guest_crash_field(uint32_t index);
/// Prepares CPU `index` (1..15) and the trampoline; `entry` runs at CPL 3 with `argument`.
void guest_prepare_processor(uint32_t index, uint64_t task_state, uint64_t kernel_stack_top, uint64_t stack_top,
                             uint32_t argument);
uint64_t guest_allocate(uint64_t bytes, uint64_t alignment);
void guest_set_heap(uint64_t start, uint64_t end);
uint64_t guest_image_end(void);
uint64_t guest_idt(void);

// CPUWork.c: the host runs the same object code.
uint64_t cpu_work(uint64_t *buffer, uint64_t rounds);
