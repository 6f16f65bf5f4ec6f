import CGuest

/// `operation=record records= cache=writeback|writethrough`: writes a record to each sector, and reports when it is
/// durable.
///
/// With a write cache, a record is durable after a flush. With `cache=writethrough`, the driver disables the cache, and
/// a record is durable when its write completes.
func writeRecords<Device: BlockDevice>(_ device: Device, _ arguments: CommandLine) {
  let records = min(device.sectorCount, arguments.number("records", default: 100))
  let flushes = arguments["cache"]?.equals("writethrough") != true
  let buffer = Heap.allocate(512, alignment: 512)
  let bytes = UnsafeMutableRawBufferPointer(start: UnsafeMutableRawPointer(bitPattern: UInt(buffer)), count: 512)
  for record in 0..<records {
    TestDisk.fill(bytes, sector: record, generation: 1)
    device.submit(isWrite: true, sector: record, address: buffer, bytes: 512, tag: 0)
    device.kick()
    _ = device.waitForCompletion()
    if flushes { device.flush() }
    var line = JSONLine(event: "synced")
    line.add("record", record)
    line.end()
  }
}
