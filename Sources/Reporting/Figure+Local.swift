import Measurement

private let fileAndNumbers =
  "Each point is the mean of its samples, which are the small dots, and its error bar is the 95\u{A0}% interval. Higher is "
  + "better. Beneath are the exits of one request: returns to user space, and in parentheses all exits."

/// Experiments on one machine without a network.
extension Figure {
  static let amplificationUnit = "bytes per byte"

  static var processor: [Figure] {
    [
      Figure(
        .cpu, title: "A program that only computes",
        question: "Does a program run more slowly in a virtual machine if it needs no device?",
        source: "Figure 3", finding: "With four processors, the overhead of every system was below 2\u{A0}%.",
        reading:
          "The host and the guest run the same object code. Bars of equal height mean that virtualization costs nothing.",
        change:
          "Little. In 2009 the processors already ran guest code natively with VT-x and AMD-V, and they still do. "
          + "Nested page tables came in 2008 and made memory management in the guest cheaper too.",
        values: [
          PaperValue(side: "host", mode: .host, value: 100, unit: "% of the host"),
          PaperValue(side: "KVM guest", mode: .guest, value: 98, unit: "% of the host", isExact: false),
        ])
    ]
  }

  static var disks: [Figure] {
    [
      Figure(
        .diskWrite, title: "Writing to a disk",
        question: "How much of the host's write rate does a guest reach, and how does it depend on the block size?",
        source: "Figure 4",
        finding:
          "The host wrote about 120 MB/s. KVM's emulated disk was close to it, and virtio was well below. Xen's "
          + "paravirtualized disk seemed faster than the host, with a high variability.",
        reading: fileAndNumbers,
        change:
          "The virtio of KVM 84 had a bug that wrote 1.7 bytes for each byte, so paravirtualization lost. That bug is gone. "
          + "An emulated disk still needs several register accesses for each request, and virtio none or one kick. A "
          + "solid-state disk or a page cache answers in microseconds, so these exits now count, where a rotating disk "
          + "hid them.",
        values: [PaperValue(side: "host", mode: .host, value: 120, unit: "MB/s", isExact: false)],
        scale: ("MB/s", "bytes/s", 1e6), isReference: { $0.blockBytes == 1 << 20 && $0.disabled == ["polling"] }),
      Figure(
        .diskRead, title: "Reading from a disk",
        question: "The same as for writes: how much of the host's read rate does a guest reach?",
        reading: fileAndNumbers,
        change:
          "The paper measured writes only. Reads have the same exits and no flush, so they show the cost of the device "
          + "model more clearly."),
      Figure(
        .diskRandomRead, title: "Reading small blocks at random",
        question: "What does it bring to have many requests in flight, which only virtio can?",
        reading: fileAndNumbers,
        change:
          "The paper measured no random reads: its disks rotated. An IDE disk takes one command at a time. A virtio disk takes "
          + "a queue of requests with one kick, so the cost of a kick is shared."),
      Figure(
        .diskAmplification, title: "Bytes that reach the disk",
        question: "How many bytes reach the disk for each byte that the guest writes?",
        source: "Section 4.2",
        finding: "For a file of 1 GB, 1.0 GB reached the disk with the emulated disk, and 1.7 GB with virtio.",
        reading:
          "A bar of 1 is ideal, and lower is better. The kernel's counters of the disk give the bytes, also after what was "
          + "still in the page cache. The table has the bytes by the last flush too: below 1, a loss of power would lose data "
          + "that the guest believes safe.",
        change:
          "The authors suspected a bug in the virtio of KVM 84, and KVM 85 was already better. A write today is one "
          + "request with the guest's own buffers.",
        values: [
          PaperValue(side: "KVM FV", mode: .fullVirtualization, value: 1.0, unit: amplificationUnit, isExact: false),
          PaperValue(side: "KVM PV", mode: .paravirtualization, value: 1.7, unit: amplificationUnit),
        ], scale: (amplificationUnit, amplificationUnit, 1)),
      Figure(
        .fairness, title: "Sharing a disk",
        question: "Do several machines that read at the same time get equal shares?",
        source: "Section 7, future work", finding: "The paper leaves fairness between machines as an open question.",
        reading:
          "The total of all machines. The table has Jain's index, which is 1 if all shares are equal, and the slowest "
          + "machine's share of the mean. Processors and networks have the same columns."),
    ]
  }

  /// A machine as a process, and the host's limit for copies.
  static var processes: [Figure] {
    [
      Figure(
        .start, title: "Starting a machine",
        question: "How long does it take from the start of the process to the first byte that the guest prints?",
        reading: "Lower is better.",
        change: "A guest that starts in milliseconds makes one machine for each job possible."),
      Figure(
        .memory, title: "Memory of a machine", question: "How much memory does a machine need beyond its guest's RAM?",
        reading: "Lower is better."),
      Figure(
        .memcpy, title: "Plain copies",
        question: "How fast does the host copy frames that are as large as those of TSO?",
        reading: "This is a limit: a network path that copies each frame once cannot be faster."),
    ]
  }

  static var exits: [Figure] {
    [
      Figure(
        .exitCost, title: "The cost of an exit",
        question: "How often in a second can a guest leave its own code and come back?",
        reading:
          "An exit reads a register that user space serves. A kick only notifies the kernel. A coalesced write waits in "
          + "the kernel until the next exit. Higher is better.",
        change:
          "On processors of 2009 an exit took several microseconds, and today it takes about one with VT-x or AMD-V. A "
          + "software KVM (pvm) needs tens of microseconds, so ratios between FV and PV are larger there."),
      Figure(
        .exitModel, title: "Exits that were added on purpose",
        question: "Does an operation really take longer by the exits that it makes?",
        reading:
          "The guest adds this number of exits to each operation. If an exit stops the guest, each one costs its own time."
      ),
    ]
  }
}
