import CLinux
import Failures
import Glibc
import GuestMemory
import Threads

/// One virtual machine in the kernel: memory slots, interrupt controllers, ioeventfds, irqfds and coalesced zones.
public final class VirtualMachine: Sendable {
  public let system: System
  public let descriptor: Int32
  public let memory: GuestMemory
  /// The GSI routes of this machine.
  public let routing: InterruptRouting
  /// Memory slots that `removePage` released, and the number of the next new one.
  private let pageSlots: Guarded<(free: [UInt32], next: UInt32)>

  /// Creates a machine with PIC, IOAPIC and PIT in the kernel and `memory` as its RAM.
  public init(system: System, memory: GuestMemory) throws(Failure) {
    self.system = system
    self.memory = memory
    let created = try systemCall("create a virtual machine") {
      clinux_ioctl(system.descriptor, clinux_KVM_CREATE_VM(), 0)
    }
    do {
      try Self.setUp(created, memory: memory)
      if system.check(.readOnlyMemory) > 0 { try Self.showResetVector(created, memory: memory) }
      routing = try InterruptRouting(descriptor: created)
    } catch {
      close(created)
      throw error
    }
    descriptor = created
    // After the slots of RAM and of the reset vector.
    pageSlots = Guarded(.leaf, ([], UInt32(memory.regions.count + 1)))
    system.keepShadowPages(of: created)
  }

  private static func setUp(_ machine: Int32, memory: GuestMemory) throws(Failure) {
    // VT-x needs three pages for real mode and one for its identity map. No device uses these addresses below the BIOS.
    var identity: UInt64 = 0xFEFF_C000
    _ = clinux_ioctl_pointer(machine, clinux_KVM_SET_IDENTITY_MAP_ADDR(), &identity)
    _ = clinux_ioctl(machine, clinux_KVM_SET_TSS_ADDR(), 0xFEFF_D000)
    try systemCall("create the interrupt controllers") { clinux_ioctl(machine, clinux_KVM_CREATE_IRQCHIP(), 0) }
    var pit = kvm_pit_config()
    // KVM_PIT_SPEAKER_DUMMY: the kernel also serves port 0x61, whose bit 5 is the output of channel 2.
    pit.flags = 1
    try systemCall("create the timer") { clinux_ioctl_pointer(machine, clinux_KVM_CREATE_PIT2(), &pit) }
    for (index, region) in memory.regions.enumerated() {
      var slot = kvm_userspace_memory_region(
        slot: UInt32(index), flags: 0, guest_phys_addr: region.guestAddress, memory_size: UInt64(region.count),
        userspace_addr: UInt64(UInt(bitPattern: region.host)))
      try systemCall("add \(region.count >> 20) MiB of memory to the machine") {
        clinux_ioctl_pointer(machine, clinux_KVM_SET_USER_MEMORY_REGION(), &slot)
      }
    }
  }

  /// Maps the BIOS segment, F0000H to FFFFFH, also at the end of the low 4 GiB, as chipsets do. A processor starts
  /// there after a reset.
  private static func showResetVector(_ machine: Int32, memory: GuestMemory) throws(Failure) {
    let size = 0x1_0000
    guard let segment = memory.slice(at: 0xF_0000, count: size) else { return }
    var slot = kvm_userspace_memory_region(
      slot: UInt32(memory.regions.count), flags: 1 << 1,  // KVM_MEM_READONLY
      guest_phys_addr: 0xFFFF_0000, memory_size: UInt64(size),
      userspace_addr: UInt64(UInt(bitPattern: segment.baseAddress)))
    try systemCall("map the reset vector") {
      clinux_ioctl_pointer(machine, clinux_KVM_SET_USER_MEMORY_REGION(), &slot)
    }
  }

  deinit { close(descriptor) }

  // MARK: Pages of registers

  /// Maps the page of host memory at `host` as RAM at `address`.
  ///
  /// - Returns: the number of its memory slot, for `removePage`.
  public func addPage(_ host: UnsafeMutableRawPointer, at address: UInt64) throws(Failure) -> UInt32 {
    let number = pageSlots.withLock { slots in
      if let number = slots.free.popLast() { return number }
      slots.next += 1
      return slots.next - 1
    }
    do {
      try setPage(number, host, at: address, size: 4096)
    } catch {
      pageSlots.withLock { $0.free.append(number) }
      throw error
    }
    return number
  }

  /// Removes the page in memory slot `number`. When this returns, no vCPU accesses it any more.
  public func removePage(_ number: UInt32) throws(Failure) {
    try setPage(number, nil, at: 0, size: 0)
    pageSlots.withLock { $0.free.append(number) }
  }

  private func setPage(
    _ number: UInt32, _ host: UnsafeMutableRawPointer?, at address: UInt64, size: UInt64
  ) throws(Failure) {
    var slot = kvm_userspace_memory_region(
      slot: number, flags: 0, guest_phys_addr: address, memory_size: size,
      userspace_addr: UInt64(UInt(bitPattern: host)))
    try systemCall("\(size > 0 ? "map" : "unmap") a page of registers at 0x\(String(address, radix: 16))") {
      clinux_ioctl_pointer(descriptor, clinux_KVM_SET_USER_MEMORY_REGION(), &slot)
    }
  }

  // MARK: Interrupts

  /// Drives the inputs of the interrupt controllers to which `gsi` is routed.
  public func setInterruptLine(_ gsi: UInt32, asserted: Bool) throws(Failure) {
    var level = kvm_irq_level()
    level.irq = gsi
    level.level = asserted ? 1 : 0
    try systemCall("drive interrupt line \(gsi)") {
      clinux_ioctl_pointer(descriptor, clinux_KVM_IRQ_LINE(), &level)
    }
  }

  /// Makes `event` raise `gsi`. With `resample`, `gsi` is level-triggered: it stays asserted until the guest's EOI, and
  /// the EOI signals `resample`.
  public func addIrqfd(_ event: EventDescriptor, gsi: UInt32, resample: EventDescriptor? = nil) throws(Failure) {
    try setIrqfd(event, gsi: gsi, resample: resample, flags: resample == nil ? 0 : UInt32(KVM_IRQFD_FLAG_RESAMPLE))
  }

  public func removeIrqfd(_ event: EventDescriptor, gsi: UInt32) throws(Failure) {
    try setIrqfd(event, gsi: gsi, resample: nil, flags: UInt32(KVM_IRQFD_FLAG_DEASSIGN))
  }

  private func setIrqfd(
    _ event: EventDescriptor, gsi: UInt32, resample: EventDescriptor?, flags: UInt32
  ) throws(Failure) {
    var request = kvm_irqfd()
    request.fd = UInt32(bitPattern: event.descriptor)
    request.gsi = gsi
    request.flags = flags
    request.resamplefd = resample.map { UInt32(bitPattern: $0.descriptor) } ?? 0
    try systemCall("bind an eventfd to GSI \(gsi)") {
      clinux_ioctl_pointer(descriptor, clinux_KVM_IRQFD(), &request)
    }
  }

  /// Sends one message that has no route.
  public func signalMSI(address: UInt64, data: UInt32) throws(Failure) {
    var message = kvm_msi()
    message.address_lo = UInt32(truncatingIfNeeded: address)
    message.address_hi = UInt32(truncatingIfNeeded: address >> 32)
    message.data = data
    try systemCall("send an MSI") { clinux_ioctl_pointer(descriptor, clinux_KVM_SIGNAL_MSI(), &message) }
  }

  // MARK: Writes that do not exit

  /// The addresses of an ioeventfd or of a coalesced zone.
  public struct Place: Sendable, Hashable {
    public var isPort: Bool
    public var address: UInt64
    public var size: UInt32
    public init(isPort: Bool, address: UInt64, size: UInt32) {
      self.isPort = isPort
      self.address = address
      self.size = size
    }
  }

  /// Adds or removes an ioeventfd: the kernel signals `event` on each write of `place.size` bytes (0: any size) at
  /// `place.address`. With `match`, only writes of that value signal it.
  public func setIoeventfd(
    _ event: EventDescriptor, at place: Place, match: UInt64? = nil, added: Bool
  ) throws(Failure) {
    var request = kvm_ioeventfd()
    request.addr = place.address
    request.len = place.size
    request.fd = event.descriptor
    request.datamatch = match ?? 0
    var flags: UInt32 = added ? 0 : 1 << 2  // KVM_IOEVENTFD_FLAG_DEASSIGN
    if match != nil { flags |= 1 << 0 }  // KVM_IOEVENTFD_FLAG_DATAMATCH
    if place.isPort { flags |= 1 << 1 }  // KVM_IOEVENTFD_FLAG_PIO
    request.flags = flags
    try systemCall("bind an eventfd to writes at 0x\(String(place.address, radix: 16))") {
      clinux_ioctl_pointer(descriptor, clinux_KVM_IOEVENTFD(), &request)
    }
  }

  /// Adds or removes a coalesced zone: KVM holds writes at `place` in the coalesced ring.
  public func setCoalesced(_ place: Place, added: Bool) throws(Failure) {
    var zone = kvm_coalesced_mmio_zone()
    zone.addr = place.address
    zone.size = place.size
    if place.isPort { clinux_zone_set_pio(&zone) }
    let request = added ? clinux_KVM_REGISTER_COALESCED_MMIO() : clinux_KVM_UNREGISTER_COALESCED_MMIO()
    try systemCall("coalesce writes at 0x\(String(place.address, radix: 16))") {
      clinux_ioctl_pointer(descriptor, request, &zone)
    }
  }
}
