import Measurement

private let frameNumbers =
  "Each bar is the mean of its samples, which are the dots, and its error bar is the 95\u{A0}% interval. Higher is better. TSO "
  + "frames are 64 294 bytes long, and those of 16 kB 16 114, as a NIC with segmentation offload takes them."

private let ranks =
  "Ranks compute together. On the host they are threads, in the guest the vCPUs of one machine, and with FV and PV machines "
  + "of one vCPU that exchange messages over their NICs. The paper's cluster had 32 nodes; ours is one host."

private let megabits = (unit: "Mbit/s", recordUnit: "bytes/s", divisor: 125_000.0)

/// Experiments with a network.
extension Figure {
  static var networks: [Figure] {
    [
      Figure(
        .netInterVM, title: "Between two virtual machines",
        question: "How fast can two guests on one host talk to each other?",
        source: "Table 1",
        finding:
          "KVM reached 14 to 18\u{A0}% of the host's own loopback of 4530 Mbit/s. Xen's paravirtualized network reached 98\u{A0}%.",
        reading: frameNumbers,
        change:
          "In 2009 a frame went from the guest through QEMU, a tap and a bridge, with a system call and a copy at each "
          + "place. Here a switch inside the VMM copies a frame once, from guest to guest. Segmentation offload makes "
          + "one operation of 44 segments.",
        values: [
          PaperValue(side: "host, loopback", mode: .host, value: 4530, unit: "Mbit/s"),
          PaperValue(side: "KVM FV", mode: .fullVirtualization, value: 648.3, unit: "Mbit/s"),
          PaperValue(side: "KVM PV", mode: .paravirtualization, value: 813.2, unit: "Mbit/s"),
          PaperValue(side: "Xen FV", value: 96.05, unit: "Mbit/s"),
          PaperValue(side: "Xen PV", value: 4451, unit: "Mbit/s"),
        ], scale: megabits, isReference: { $0.frameBytes == 1514 && $0.backend == "switch" }),
      Figure(
        .netRemote, title: "To and from another host",
        question: "How fast does a guest exchange data with a machine that is not virtual?",
        source: "Figure 7",
        finding:
          "The link's limit was 941 Mbit/s, which Xen PV reached. KVM PV reached about 80\u{A0}% of it. KVM FV needed a whole "
          + "processor and, when sending, reached less than half of KVM PV.",
        reading: frameNumbers + " The other end is a program on the same host, so no link limits our numbers.",
        change:
          "In 2009 the paravirtualized path was limited by the work of the VMM, not by the link. Eventfds, merged "
          + "receive buffers and offloads have removed most of that work.",
        values: [
          PaperValue(side: "host", mode: .host, value: 941, unit: "Mbit/s"),
          PaperValue(side: "KVM PV", mode: .paravirtualization, value: 753, unit: "Mbit/s", isExact: false),
          PaperValue(side: "Xen PV", value: 941, unit: "Mbit/s"),
        ], scale: megabits, isReference: { $0.backend == "tap" && $0.direction == "send" && $0.frameName == "16 kB" }),
      Figure(
        .netSend, title: "Sending frames", question: "How fast can a guest send frames, if nobody else limits it?",
        source: "Figure 7, sending half",
        finding:
          "The paper sent TCP over a link of 1 Gbit/s. KVM PV reached about 80\u{A0}% of the link, and KVM FV less than half of that.",
        reading: frameNumbers,
        change:
          "An emulated e1000 needed an exit for each doorbell. KVM now holds some register writes until the next exit, and "
          + "swiftlet keeps the e1000's tail registers in RAM while traffic flows."),
      Figure(
        .netReceive, title: "Receiving frames", question: "How fast can a guest receive frames?",
        source: "Figure 7, receiving half",
        finding: "KVM PV reached about 80\u{A0}% of the link, with 60\u{A0}% of a processor.", reading: frameNumbers,
        change:
          "Receiving was bound by interrupts and copies. Interrupt moderation and EVENT_IDX now make one interrupt for "
          + "many frames. An e1000 takes no frame above 16 384 bytes, so it receives a TSO frame in segments."),
      Figure(
        .netLatency, title: "The round trip of one frame",
        question: "How long does a guest wait for the echo of one frame?",
        source: "Figure 13, in part",
        finding: "Between two nodes, KVM took 286 µs and Xen PV 130 to 146 µs, over TCP and a real link.",
        reading: "The median of all round trips. Lower is better.",
        change:
          "There is no link in our path, so compare FV with PV. A round trip has one doorbell and one interrupt, and no "
          + "batch can hide their cost."),
      Figure(
        .netScale, title: "Several virtual machines",
        question: "Does the total grow with the number of machines, and does each get its share?",
        source: "Figures 9 and 10",
        finding:
          "More machines gave more in total, until the link was full. KVM PV came near the limit with 130 to 165\u{A0}% of four "
          + "processors. The shares were equal.",
        reading:
          "The total of all machines. In a plot with a direction, each machine has a stream with the host. In the others, "
          + "machines work in pairs. Higher is better.",
        change:
          "In 2009 one machine could not fill the link, so several machines used several processors. Here one thread moves "
          + "the frames of all machines, so the total stops growing when that thread is busy."),
      Figure(
        .loopback, title: "The host's own stream",
        question: "How fast is the same stream between two threads of the host, over a pair of sockets?",
        source: "Table 1, native loopback", finding: "The host's loopback carried 4530 Mbit/s.", reading: frameNumbers,
        change: "Processors and memory are faster.",
        values: [PaperValue(side: "host, loopback", mode: .host, value: 4530, unit: "Mbit/s")], scale: megabits,
        isReference: { $0.frameBytes == 1514 }),
    ]
  }

  /// The HPC Challenge benchmarks.
  static var cluster: [Figure] {
    [
      Figure(
        .hpccTranspose, title: "After HPCC: transposing a matrix",
        question: "How much can all nodes exchange at the same time, with large messages?",
        source: "Figure 11",
        finding:
          "Four KVM machines with one processor each were faster than one machine with four, and near the host. Xen was "
          + "much slower.",
        reading: ranks + " Higher is better.",
        change:
          "Ranks that share a machine exchange messages in its memory, so no device takes part. Machines of one vCPU pay "
          + "for each frame."),
      Figure(
        .hpccStream, title: "After HPCC: memory bandwidth",
        question: "Does virtualization cost memory bandwidth?", source: "Figure 12",
        finding: "All systems were equal.", reading: ranks + " Higher is better.",
        change: "Nothing: guest memory is host memory, and nobody copies it."),
      Figure(
        .hpccLatency, title: "After HPCC: latency of messages",
        question: "How long does a message of 8 bytes take to the next node?", source: "Figure 13",
        finding: "KVM took 286 µs. Xen PV took 146 µs with one machine per node, and 130 µs with four.",
        reading: ranks + " Lower is better.",
        change:
          "A message costs a kick and an interrupt on each side. Eventfds took user space's scheduling out of both.",
        values: [
          PaperValue(side: "KVM PV", mode: .paravirtualization, value: 286, unit: "µs"),
          PaperValue(side: "Xen PV, 1 × 4", value: 146, unit: "µs"),
          PaperValue(side: "Xen PV, 4 × 1", value: 130, unit: "µs"),
          PaperValue(side: "Xen FV, 1 × 4", value: 11_000, unit: "µs"),
          PaperValue(side: "Xen FV, 4 × 1", value: 8000, unit: "µs"),
        ], scale: ("µs", "ns", 1000)),
      Figure(
        .hpccBandwidth, title: "After HPCC: bandwidth of messages",
        question: "How fast do messages of 2 MB go to the next node?", source: "Figure 14",
        finding: "The results were similar to those of the matrix transposition.",
        reading: ranks + " Higher is better.",
        change:
          "A batch of 32 frames needs one kick, and an ioeventfd makes it cheap. Our frames hold 1472 bytes of a message, so "
          + "segmentation offload takes no part."),
      Figure(
        .hpccLinpack, title: "After HPCC: LINPACK",
        question: "How much remains of the computing power when nodes compute and communicate?", source: "Figure 15",
        finding: "The hosts reached 222 GFlop/s, Xen PV with four machines per node 235, and KVM less.",
        reading: ranks + " Higher is better.",
        change: "The overhead of KVM came from latency, and latency has become lower.",
        values: [
          PaperValue(side: "host", mode: .host, value: 222, unit: "GFlop/s"),
          PaperValue(side: "Xen PV, 4 × 1", value: 235, unit: "GFlop/s"),
        ], scale: ("GFlop/s", "flop/s", 1e9)),
    ]
  }
}
