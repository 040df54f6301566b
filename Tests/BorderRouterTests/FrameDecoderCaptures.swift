import BorderRouter
import Foundation
import IEEE802154
import Testing
import Wire

/// The recordings in the repository.
enum Captures {
  static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Captures")

  static func bytes(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: directory.appendingPathComponent(name)))
  }

  /// The frames of a pcap with microseconds and link type 195 (with FCS) or 230 (without).
  static func frames(_ name: String, alreadyDecrypted: Bool = false) throws -> [CapturedFrame] {
    let file = try bytes(name + ".pcap")
    var reader = ByteReader(file.rawSpan)
    let magic = try reader.u32LE()
    #expect(magic == 0xa1b2_c3d4)
    try reader.skip(16)
    let linkType = try reader.u32LE()
    #expect(linkType == 195 || linkType == 230)
    var frames: [CapturedFrame] = []
    while !reader.isAtEnd {
      let seconds = Int64(try reader.u32LE())
      let microseconds = Int64(try reader.u32LE())
      let length = Int(try reader.u32LE())
      try reader.skip(4)
      let metadata = FrameMetadata(
        timestamp: Instant(microseconds: seconds * 1_000_000 + microseconds), fcsPresent: linkType == 195,
        alreadyDecrypted: alreadyDecrypted)
      frames.append(CapturedFrame(bytes: try reader.bytes(length).array(), metadata: metadata))
    }
    return frames
  }

  /// The lines of a file compressed by gzip.
  static func lines(gzip name: String) throws -> [String] {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/gzip")
    process.arguments = ["-dc", directory.appendingPathComponent(name).path]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return String(decoding: data, as: UTF8.self).split(separator: "\n").map(String.init)
  }
}

/// A decoded frame without its views.
struct Decoded {
  var header: MACHeader?
  var outcome: FrameOutcome
  var packet: [UInt8]
  var payload: [UInt8]

  var reason: DropReason? {
    if case .failure(let failure) = outcome { return failure.reason }
    return nil
  }
  var layer: FrameLayer? {
    if case .failure(let failure) = outcome { return failure.layer }
    return nil
  }
}

extension FrameDecoder {
  mutating func decoded(_ frame: CapturedFrame) -> Decoded { decoded(frame.bytes, frame.metadata) }

  mutating func decoded(
    _ bytes: [UInt8], _ metadata: FrameMetadata = FrameMetadata(timestamp: Instant(seconds: 1), fcsPresent: false)
  ) -> Decoded {
    let view = decode(bytes.rawSpan, metadata)
    return Decoded(
      header: view.header, outcome: view.outcome, packet: view.packet.array(), payload: view.payload.array())
  }
}
