// The KVM ioctls by name, and accessors for the anonymous union in struct kvm_run.
#pragma once

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define CLINUX_KVM_REQUEST(name) \
  static inline unsigned long clinux_##name(void) { return (unsigned long)name; }

CLINUX_KVM_REQUEST(KVM_GET_API_VERSION)
CLINUX_KVM_REQUEST(KVM_CHECK_EXTENSION)
CLINUX_KVM_REQUEST(KVM_CREATE_VM)
CLINUX_KVM_REQUEST(KVM_GET_VCPU_MMAP_SIZE)
CLINUX_KVM_REQUEST(KVM_GET_SUPPORTED_CPUID)
CLINUX_KVM_REQUEST(KVM_CREATE_VCPU)
CLINUX_KVM_REQUEST(KVM_SET_USER_MEMORY_REGION)
CLINUX_KVM_REQUEST(KVM_CREATE_IRQCHIP)
CLINUX_KVM_REQUEST(KVM_CREATE_PIT2)
CLINUX_KVM_REQUEST(KVM_SET_TSS_ADDR)
CLINUX_KVM_REQUEST(KVM_SET_IDENTITY_MAP_ADDR)
CLINUX_KVM_REQUEST(KVM_IRQ_LINE)
CLINUX_KVM_REQUEST(KVM_IRQFD)
CLINUX_KVM_REQUEST(KVM_IOEVENTFD)
CLINUX_KVM_REQUEST(KVM_SIGNAL_MSI)
CLINUX_KVM_REQUEST(KVM_SET_GSI_ROUTING)
CLINUX_KVM_REQUEST(KVM_REGISTER_COALESCED_MMIO)
CLINUX_KVM_REQUEST(KVM_UNREGISTER_COALESCED_MMIO)
CLINUX_KVM_REQUEST(KVM_GET_STATS_FD)
CLINUX_KVM_REQUEST(KVM_RUN)
CLINUX_KVM_REQUEST(KVM_GET_REGS)
CLINUX_KVM_REQUEST(KVM_SET_REGS)
CLINUX_KVM_REQUEST(KVM_GET_SREGS)
CLINUX_KVM_REQUEST(KVM_SET_SREGS)
CLINUX_KVM_REQUEST(KVM_SET_CPUID2)
CLINUX_KVM_REQUEST(KVM_GET_LAPIC)
CLINUX_KVM_REQUEST(KVM_SET_LAPIC)
CLINUX_KVM_REQUEST(KVM_GET_MP_STATE)
CLINUX_KVM_REQUEST(KVM_ENABLE_CAP)

/// The argument of KVM_GET_SUPPORTED_CPUID and KVM_SET_CPUID2: a header, followed by the entries.
struct clinux_cpuid {
  uint32_t count, padding;
  struct kvm_cpuid_entry2 entries[256];
};

static inline struct kvm_irq_routing_entry clinux_route_pin(uint32_t gsi, uint32_t chip, uint32_t pin) {
  struct kvm_irq_routing_entry e;
  memset(&e, 0, sizeof e);
  e.gsi = gsi;
  e.type = KVM_IRQ_ROUTING_IRQCHIP;
  e.u.irqchip.irqchip = chip;
  e.u.irqchip.pin = pin;
  return e;
}
static inline struct kvm_irq_routing_entry clinux_route_msi(uint32_t gsi, uint64_t address, uint32_t data) {
  struct kvm_irq_routing_entry e;
  memset(&e, 0, sizeof e);
  e.gsi = gsi;
  e.type = KVM_IRQ_ROUTING_MSI;
  e.u.msi.address_lo = (uint32_t)address;
  e.u.msi.address_hi = (uint32_t)(address >> 32);
  e.u.msi.data = data;
  return e;
}

/// An exit's fields, copied once from the union in struct kvm_run.
struct clinux_kvm_io {
  uint8_t is_write, width;
  uint16_t port;
  uint32_t count;
  void *data;
};
static inline struct clinux_kvm_io clinux_run_io(struct kvm_run *run) {
  struct clinux_kvm_io io = {run->io.direction == KVM_EXIT_IO_OUT, run->io.size, run->io.port, run->io.count,
                             (uint8_t *)run + run->io.data_offset};
  return io;
}
struct clinux_kvm_mmio {
  uint64_t address;
  uint32_t length;
  uint8_t is_write;
  void *data;
};
static inline struct clinux_kvm_mmio clinux_run_mmio(struct kvm_run *run) {
  struct clinux_kvm_mmio m = {run->mmio.phys_addr, run->mmio.len, run->mmio.is_write, run->mmio.data};
  return m;
}
static inline uint32_t clinux_run_suberror(struct kvm_run *run) { return run->internal.suberror; }
static inline uint32_t clinux_run_internal_count(struct kvm_run *run) { return run->internal.ndata; }
static inline uint64_t clinux_run_internal_data(struct kvm_run *run, uint32_t i) {
  return i < 16 ? run->internal.data[i] : 0;
}
static inline uint64_t clinux_run_fail_reason(struct kvm_run *run) {
  return run->fail_entry.hardware_entry_failure_reason;
}
static inline uint32_t clinux_run_system_event(struct kvm_run *run) { return run->system_event.type; }
static inline void clinux_run_set_immediate_exit(struct kvm_run *run, uint8_t value) {
  __atomic_store_n(&run->immediate_exit, value, __ATOMIC_SEQ_CST);
}

/// The coalesced ring fills one page. KVM advances `last`, and the VMM advances `first`.
static inline uint32_t clinux_coalesced_capacity(void) { 
  return (4096 - sizeof(struct kvm_coalesced_mmio_ring)) / sizeof(struct kvm_coalesced_mmio);
 }
static inline uint32_t clinux_coalesced_first(struct kvm_coalesced_mmio_ring *r) {
  return __atomic_load_n(&r->first, __ATOMIC_ACQUIRE);
}
static inline uint32_t clinux_coalesced_last(struct kvm_coalesced_mmio_ring *r) {
  return __atomic_load_n(&r->last, __ATOMIC_ACQUIRE);
}
static inline struct kvm_coalesced_mmio *clinux_coalesced_entry(struct kvm_coalesced_mmio_ring *r, uint32_t i) {
  return &r->coalesced_mmio[i];
}
static inline void clinux_coalesced_set_first(struct kvm_coalesced_mmio_ring *r, uint32_t i) {
  __atomic_store_n(&r->first, i, __ATOMIC_RELEASE);
}
static inline uint32_t clinux_coalesced_is_pio(const struct kvm_coalesced_mmio *e) { return e->pio; }
static inline void clinux_zone_set_pio(struct kvm_coalesced_mmio_zone *zone) { zone->pio = 1; }

/// Sets the MSRs `indices` to `values`, at most 16. KVM stops at the first MSR that it refuses.
/// Returns the number of MSRs that were set, or -1.
static inline int clinux_set_msrs(int vcpu, const uint32_t *indices, const uint64_t *values, uint32_t count) {
  _Alignas(struct kvm_msrs) unsigned char bytes[sizeof(struct kvm_msrs) + 16 * sizeof(struct kvm_msr_entry)] = {0};
  struct kvm_msrs *request = (struct kvm_msrs *)bytes;
  if (count > 16) return -1;
  request->nmsrs = count;
  for (uint32_t i = 0; i < count; i++) {
    request->entries[i].index = indices[i];
    request->entries[i].data = values[i];
  }
  return ioctl(vcpu, KVM_SET_MSRS, request);
}

/// Calls KVM_SET_GSI_ROUTING, whose argument is a header followed by the entries.
static inline int clinux_set_gsi_routing(int vm, const struct kvm_irq_routing_entry *entries, uint32_t count) {
  struct kvm_irq_routing *table = calloc(1, sizeof *table + count * sizeof *entries);
  if (!table) return -1;
  table->nr = count;
  memcpy(table->entries, entries, count * sizeof *entries);
  int result = ioctl(vm, KVM_SET_GSI_ROUTING, table);
  free(table);
  return result;
}
