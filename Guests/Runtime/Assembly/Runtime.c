// The C side of the runtime: the IDT, processors, and the C library functions that the Swift compiler needs.
#include "CGuest.h"
#include "Layout.h"

struct gate {
  uint16_t offset_low, selector;
  uint8_t stack, type;
  uint16_t offset_middle;
  uint32_t offset_high, reserved;
};

extern struct gate idt[256];
extern uint8_t interrupt_stubs[], acknowledging_stubs[], service_entry[], ap_trampoline[], ap_trampoline_end[], image_end[];
extern uint64_t gdt[], crash_record[4], acknowledge_registers[16];
extern uint32_t start_info_address, vector_counts[256], ap_parameters[8];
extern void processor_started(uint32_t argument);

static void fill_gate(uint32_t vector, const uint8_t *entry) {
  uint64_t offset = (uint64_t)entry;
  idt[vector].offset_low = offset;
  idt[vector].offset_middle = offset >> 16;
  idt[vector].selector = KERNEL_CODE64;
  idt[vector].type = vector == 3 ? 0xEE : 0x8E;  // interrupt gates; DPL 3 for the system call
}

void guest_fill_idt(void) {
  for (uint32_t vector = 0; vector < 256; vector++) {
    fill_gate(vector, vector == 3 ? service_entry : interrupt_stubs + 16 * vector);
  }
}

void guest_acknowledge_by_read(uint32_t vector, uint64_t address) {
  uint32_t index = (vector - DEFERRABLE_VECTORS) & 15;
  acknowledge_registers[index] = address;
  fill_gate(DEFERRABLE_VECTORS + index, acknowledging_stubs + 32 * index);
}

uint64_t guest_start_info(void) { return start_info_address; }
uint64_t guest_vector_count_address(uint32_t vector) { return (uint64_t)&vector_counts[vector & 255]; }
uint64_t guest_crash_field(uint32_t index) { return crash_record[index & 3]; }
uint64_t guest_idt(void) { return (uint64_t)idt; }
uint64_t guest_image_end(void) { return (uint64_t)image_end; }

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
  void *result = to;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
  return result;
}
void *memset(void *to, int value, size_t n) {
  void *result = to;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(value) : "memory");
  return result;
}
void *memmove(void *to, const void *from, size_t n) {
  if ((uintptr_t)to - (uintptr_t)from >= n) return memcpy(to, from, n);
  for (size_t i = n; i > 0; i--) ((volatile uint8_t *)to)[i - 1] = ((const uint8_t *)from)[i - 1];
  return to;
}
int memcmp(const void *a, const void *b, size_t n) {
  const uint8_t *x = a, *y = b;
  for (; n >= 8; n -= 8, x += 8, y += 8) {
    if (*(const uint64_t *)x != *(const uint64_t *)y) break;
  }
  for (; n > 0; n--, x++, y++) {
    if (*x != *y) return *x - *y;
  }
  return 0;
}

// A heap that only grows: programs allocate only during set-up. Several processors may do so at the same time.
static uint64_t heap_next, heap_end;

void guest_set_heap(uint64_t start, uint64_t end) {
  heap_next = start;
  heap_end = end;
}
uint64_t guest_allocate(uint64_t bytes, uint64_t alignment) {
  uint64_t start, next = __atomic_load_n(&heap_next, __ATOMIC_RELAXED);
  do {
    start = (next + alignment - 1) & ~(alignment - 1);
    if (start + bytes > heap_end || start + bytes < start) return 0;
  } while (!__atomic_compare_exchange_n(&heap_next, &next, start + bytes, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return start;
}
int posix_memalign(void **out, size_t alignment, size_t size) {
  *out = (void *)guest_allocate(size, alignment < 16 ? 16 : alignment);
  return *out ? 0 : 12;
}
void free(void *pointer) { (void)pointer; }

void guest_prepare_processor(uint32_t index, uint64_t task_state, uint64_t kernel_stack_top, uint64_t stack_top,
                             uint32_t argument) {
  uint8_t *task = (uint8_t *)task_state;
  memset(task, 0, 0x2069);
  *(uint64_t *)(task + 4) = kernel_stack_top;
  *(uint16_t *)(task + 0x66) = 0x68;
  task[0x2068] = 0xFF;
  uint32_t selector = TASK_STATE + 16 * index;
  gdt[selector / 8] = 0x0000890000002068 | (task_state & 0xFFFFFF) << 16 | (task_state >> 24 & 0xFF) << 56;
  gdt[selector / 8 + 1] = task_state >> 32;
  ap_parameters[AP_TASK_SELECTOR / 4] = selector;
  ap_parameters[AP_KERNEL_STACK / 4] = kernel_stack_top;
  // The entry function expects a stack as after a call: 8 below a multiple of 16.
  ap_parameters[AP_STACK / 4] = stack_top - 8;
  ap_parameters[AP_ENTRY / 4] = (uint32_t)(uint64_t)processor_started;
  ap_parameters[AP_ARGUMENT / 4] = argument;
  memcpy((void *)AP_TRAMPOLINE, ap_trampoline, ap_trampoline_end - ap_trampoline);
}
