import Foundation
import Radio
import Wire

/// Makes capture files by hand, byte by byte.
struct CaptureBytes {
  var bigEndian = false
  private(set) var bytes: [UInt8] = []

  mutating func u16(_ value: UInt16) {
    bytes += bigEndian ? [UInt8(value >> 8), UInt8(value & 0xff)] : [UInt8(value & 0xff), UInt8(value >> 8)]
  }

  mutating func u32(_ value: UInt32) {
    let halves = [UInt16(value >> 16), UInt16(value & 0xffff)]
    for half in bigEndian ? halves : halves.reversed() { u16(half) }
  }

  /// A pcap file; the records' times are 1 s, 2 s and so on, each with a fraction of 123456.
  static func pcap(
    _ linkType: UInt32, _ records: [[UInt8]], bigEndian: Bool = false, nanoseconds: Bool = false,
    cutTo: Int? = nil
  ) -> [UInt8] {
    var file = CaptureBytes(bigEndian: bigEndian)
    file.u32(nanoseconds ? 0xa1b2_3c4d : 0xa1b2_c3d4)
    file.u16(2)
    file.u16(4)
    file.u32(0)
    file.u32(0)
    file.u32(65535)
    file.u32(linkType)
    for (index, record) in records.enumerated() {
      let captured = record.prefix(cutTo ?? record.count)
      file.u32(UInt32(index + 1))
      file.u32(123_456)
      file.u32(UInt32(captured.count))
      file.u32(UInt32(record.count))
      file.bytes += captured
    }
    return file.bytes
  }

  /// A pcapng file with one interface, whose time stamps are in nanoseconds, and enhanced packet blocks.
  static func pcapng(_ linkType: UInt16, _ records: [[UInt8]], bigEndian: Bool = false) -> [UInt8] {
    var file = CaptureBytes(bigEndian: bigEndian)
    file.block(0x0a0d_0d0a) { block in
      block.u32(0x1a2b_3c4d)
      block.u16(1)
      block.u16(0)
      block.u32(.max)
      block.u32(.max)
    }
    file.interface(linkType)
    for (index, record) in records.enumerated() {
      let time = UInt64(index + 1) * 1_000_000_000 + 123_456
      file.block(6) { block in
        block.u32(0)
        block.u32(UInt32(time >> 32))
        block.u32(UInt32(truncatingIfNeeded: time))
        block.u32(UInt32(record.count))
        block.u32(UInt32(record.count))
        block.padded(record)
      }
    }
    return file.bytes
  }

  /// An interface description block with time stamps in nanoseconds.
  mutating func interface(_ linkType: UInt16) {
    block(1) { block in
      block.u16(linkType)
      block.u16(0)
      block.u32(0)
      block.u16(9)
      block.u16(1)
      block.padded([9])
      block.u32(0)
    }
  }

  mutating func padded(_ part: [UInt8]) {
    bytes += part
    bytes += [UInt8](repeating: 0, count: -part.count & 3)
  }

  mutating func block(_ type: UInt32, _ body: (inout CaptureBytes) -> Void) {
    var inner = CaptureBytes(bigEndian: bigEndian)
    body(&inner)
    let length = UInt32(inner.bytes.count + 12)
    u32(type)
    u32(length)
    bytes += inner.bytes
    u32(length)
  }
}

/// A folder for a test's files, removed with it.
final class TemporaryFolder {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent("pangate-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func path(_ name: String) -> String { url.appendingPathComponent(name).path }

  /// Writes a file and returns its path.
  func file(_ name: String, _ bytes: [UInt8]) throws -> String {
    try Data(bytes).write(to: url.appendingPathComponent(name))
    return path(name)
  }
}

/// What a reader gives, owning its bytes.
struct OwnedRecord: Equatable {
  var number: Int
  var nanoseconds: Int64
  var bytes: [UInt8]
}

/// All records up to the end or the first error.
func records(of path: String) throws(CaptureError) -> (records: [OwnedRecord], error: CaptureError?) {
  var reader = try CaptureReader(path: path)
  var records: [OwnedRecord] = []
  do throws(CaptureError) {
    while let record = try reader.next() {
      records.append(
        OwnedRecord(number: record.number, nanoseconds: record.nanoseconds, bytes: record.bytes.array()))
    }
  } catch {
    return (records, error)
  }
  return (records, nil)
}
