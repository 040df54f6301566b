import Foundation
import IEEE802154
import TestSupport
import Testing
import Wire

/// The frames of a classic pcap file of link type 195 (with FCS) or 230 (without), little-endian.
struct Recording {
  var hasFCS: Bool
  var frames: [[UInt8]] = []

  static var directory: URL {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("Captures")
  }

  init(_ name: String) throws { try self.init(Self.directory.appendingPathComponent(name)) }

  init(_ file: URL) throws {
    let bytes = [UInt8](try Data(contentsOf: file))
    var reader = ByteReader(bytes.rawSpan)
    try reader.skip(20)
    let linkType = try reader.u32LE()
    try #require(linkType == 195 || linkType == 230)
    hasFCS = linkType == 195
    while !reader.isAtEnd {
      try reader.skip(8)
      let length = Int(try reader.u32LE())
      try reader.skip(4)
      frames.append(try reader.bytes(length).array())
    }
  }

  var metadata: FrameMetadata { FrameMetadata(timestamp: Instant(microseconds: 0), fcsPresent: hasFCS) }
}

/// The definition of the FCS, a bit at a time (IEEE 802.15.4-2020, 7.2.11).
private func bitwiseFCS(_ bytes: some Sequence<UInt8>) -> UInt16 {
  var remainder: UInt16 = 0
  for byte in bytes {
    for bit in 0..<8 {
      let feedback = (UInt16(byte) >> bit ^ remainder) & 1 != 0
      remainder = remainder >> 1 ^ (feedback ? 0x8408 : 0)
    }
  }
  return remainder
}

private func hasValidFCS(_ frame: [UInt8]) -> Bool { FCS.isValid(frame.rawSpan) }

@Suite struct RecordedFrameTests {
  /// How many frames there are, and how many of them have only an address, no address, security, information elements.
  @Test(
    "Every recorded frame parses, has a right FCS and is emitted byte for byte",
    arguments: [
      ("home.pcap", 279), ("riot-6lbr_ctx0.pcap", 188), ("riot-linklocal_ping.pcap", 194),
      ("riot-linklocal_udp_coap.pcap", 64), ("riot-live_minigw.pcap", 29), ("riot-multicast.pcap", 299),
      ("riot-shortaddr.pcap", 105), ("riot-udp_nhc_ipv6frag.pcap", 71), ("thread-sleepy-child.fcs.pcap", 443),
      ("thread-sleepy-child-decrypted.fcs.pcap", 443), ("corpus/linux-6lowpan-10k.pcap", 10_000),
    ])
  func recordings(_ name: String, _ count: Int) throws {
    let recording = try Recording(name)
    #expect(recording.frames.count == count)
    for bytes in recording.frames {
      let view = try MACFrameView(bytes.rawSpan, metadata: recording.metadata)
      #expect(view.headerLength + view.payload.byteCount + (recording.hasFCS ? 2 : 0) == bytes.count)
      #expect(try MACFrame(view).encoded(withFCS: recording.hasFCS) == bytes)
    }
  }

  @Test(
    "Every truncation of a recorded frame is an error or a shorter payload",
    arguments: ["thread-sleepy-child.fcs.pcap", "riot-shortaddr.pcap"])
  func truncations(_ name: String) throws {
    var kinds: Set<[Int]> = []
    for frame in try Recording(name).frames {
      let bytes = frame.dropLast(2)
      let whole = try MACFrameView(frame.rawSpan, fcsPresent: true)
      let length = whole.headerLength
      guard kinds.insert([Int(whole.header.control.rawValue), length]).inserted else { continue }
      for count in 0..<bytes.count {
        let part = Array(bytes.prefix(count))
        if let view = try? MACFrameView(part.rawSpan, fcsPresent: false) {
          #expect(view.headerLength <= count)
          #expect(view.header == whole.header)
        } else {
          #expect(count < length + (whole.header.security?.level.micLength ?? 0))
        }
      }
    }
    #expect(kinds.count > 3)
  }

  @Test("802.15.4-2020 7.2.11: eight bytes at a time agree with the definition", arguments: 0...40)
  func fcs(_ length: Int) {
    var generator = SeededGenerator(seed: UInt64(length))
    for _ in 0..<20 {
      let bytes = generator.bytes(length)
      let computed = FCS.compute(bytes.rawSpan)
      #expect(computed == bitwiseFCS(bytes))
    }
  }

  @Test("Every single-bit error is found by the FCS") func bitErrors() throws {
    let recording = try Recording("riot-live_minigw.pcap")
    var bytes = try #require(recording.frames.max { $0.count < $1.count })
    #expect(hasValidFCS(bytes))
    for bit in 0..<(8 * bytes.count) {
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(!hasValidFCS(bytes))
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
    }
    #expect(!hasValidFCS([0]))
  }

  @Test func wrongFCSIsNamedWithItsPlace() throws {
    let recording = try Recording("riot-live_minigw.pcap")
    var bytes = try #require(recording.frames.first)
    bytes[bytes.count - 1] ^= 0x80
    do throws(ParseError) {
      _ = try MACFrameView(bytes.rawSpan, metadata: recording.metadata)
      Issue.record("a wrong FCS was taken")
    } catch { #expect(error == ParseError(.macFCSMismatch, at: bytes.count - 2)) }
  }
}
