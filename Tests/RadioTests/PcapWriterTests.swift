import Foundation
import IEEE802154
import Radio
import TestSupport
import Testing
import Wire

@Suite("What a pcap writer writes, a reader reads")
struct PcapWriterTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test(
    "Bytes, times and link type come back",
    arguments: [LinkType.ieee802154WithoutFCS, .ieee802154WithFCS, .rawIP])
  func roundTrip(linkType: LinkType) throws {
    var random = SeededGenerator(seed: 7)
    let wanted = (1...50).map { number in
      OwnedRecord(
        number: number, nanoseconds: Int64.random(in: 0..<2_147_483_648_000_000_000, using: &random),
        bytes: random.bytes(in: 0...300))
    }
    for precision in [PcapWriter.Precision.microseconds, .nanoseconds] {
      let path = folder.path("out.pcap")
      var writer = try PcapWriter(path: path, linkType: linkType, precision: precision)
      for record in wanted { writer.write(record.bytes.rawSpan, nanoseconds: record.nanoseconds) }
      try writer.flush()
      let (records, error) = try records(of: path)
      #expect(error == nil)
      let rounded = wanted.map { record in
        let lost = precision == .microseconds ? record.nanoseconds % 1000 : 0
        return OwnedRecord(number: record.number, nanoseconds: record.nanoseconds - lost, bytes: record.bytes)
      }
      #expect(records.count == rounded.count)
      for (record, wanted) in zip(records, rounded) { #expect(record == wanted) }
      #expect(try CaptureReader(path: path).linkType == linkType)
    }
  }

  @Test("Raw IP is 101 in the file")
  func rawIP() throws {
    let path = folder.path("out.pcap")
    var writer = try PcapWriter(path: path, linkType: .rawIPInFiles)
    writer.write([0x60].rawSpan, timestamp: Instant(microseconds: 1_500_000))
    try writer.flush()
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    #expect(
      bytes == CaptureBytes.pcap(101, []).prefix(16) + [0, 0, 4, 0, 101, 0, 0, 0]
        + [1, 0, 0, 0, 0x20, 0xa1, 7, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0x60])
  }

  @Test("A place that cannot be written says so")
  func cannotWrite() throws {
    let path = folder.path("missing/out.pcap")
    do throws(CaptureError) {
      _ = try PcapWriter(path: path, linkType: .rawIP)
      Issue.record("created")
    } catch {
      #expect(error.kind == .cannotWrite)
      #expect(error.description == "\(path): cannot write the capture: No such file or directory")
    }
  }

  @Test(
    "A full disk is an error when flushed", .enabled(if: FileManager.default.fileExists(atPath: "/dev/full")))
  func fullDisk() throws {
    var writer = try PcapWriter(path: "/dev/full", linkType: .rawIP)
    writer.write([UInt8](repeating: 0, count: 20).rawSpan, nanoseconds: 0)
    do throws(CaptureError) {
      try writer.flush()
      Issue.record("flushed")
    } catch {
      #expect(error.kind == .cannotWrite)
    }
  }
}
