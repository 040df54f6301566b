import Foundation
import IEEE802154
import Radio
import TestSupport
import Testing
import Wire

/// All blocks of a pcapng file.
func pcapngBlocks(_ path: String) throws -> [PcapngBlock] {
  let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
  var reader = ByteReader(bytes.rawSpan)
  var blocks: [PcapngBlock] = []
  while !reader.isAtEnd { blocks.append(try PcapngBlock(parsing: &reader)) }
  return blocks
}

/// The packets of a pcapng file.
func pcapngPackets(_ path: String) throws -> [PcapngPacket] {
  try pcapngBlocks(path).compactMap { if case .packet(let packet) = $0 { packet } else { nil } }
}

/// A frame with random bytes and metadata.
func randomFrame(_ random: inout SeededGenerator, microseconds: Int64) -> CapturedFrame {
  CapturedFrame(
    bytes: random.bytes(in: 3...127),
    metadata: FrameMetadata(
      timestamp: Instant(microseconds: microseconds), fcsPresent: random.oneIn(2),
      rssi: random.oneIn(2) ? nil : Int8.random(in: -100...0, using: &random),
      lqi: random.oneIn(2) ? nil : UInt8.random(in: 0...255, using: &random),
      channel: random.oneIn(2) ? nil : UInt8.random(in: 11...26, using: &random)))
}

@Suite("What a pcapng writer writes, libpcap reads")
struct PcapngWriterTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test("Frames and their metadata come back", arguments: [PcapngEncoder.Resolution.microseconds, .nanoseconds])
  func roundTrip(resolution: PcapngEncoder.Resolution) throws {
    var random = SeededGenerator(seed: 31)
    let frames = (0..<100).map { number in
      randomFrame(&random, microseconds: 1_795_541_557_652_092 + number * 1_234_567)
    }
    let path = folder.path("out.pcapng")
    var writer = try PcapngWriter(path: path, radio: "zep://[::1]:17754", resolution: resolution)
    for (index, frame) in frames.enumerated() {
      try writer.write(frame, index % 3 == 0 ? .outbound : .inbound)
      // Each frame is in the file when the call returns.
      #expect(try pcapngPackets(path).count == index + 1)
    }
    var reader = try CaptureReader(path: path)
    #expect(reader.linkType == .ieee802154TAP)
    for frame in frames { #expect(try reader.nextFrame() == frame) }
    #expect(try reader.nextFrame() == nil)
    #expect(reader.drops.total == 0)
    let directions = try pcapngPackets(path).map(\.direction)
    #expect(directions == frames.indices.map { $0 % 3 == 0 ? .outbound : .inbound })
  }

  @Test("The header names the program and the radio")
  func header() throws {
    let path = folder.path("out.pcapng")
    _ = try PcapngWriter(path: path, radio: "linux:wpan0")
    var interface = PcapngInterface(
      linkType: .ieee802154TAP, options: [PcapngOption(PcapngInterface.name, Array("linux:wpan0".utf8))])
    interface.timeResolution = 6
    let section = PcapngSection(options: [PcapngOption(PcapngSection.application, Array("pangate".utf8))])
    #expect(try pcapngBlocks(path) == [.section(section), .interface(interface)])
    #expect(section.options.text(PcapngSection.application) == "pangate")
    // No name is too long.
    let long = PcapngEncoder(radio: String(repeating: "x", count: 100_000))
    #expect(try long.header().count < 1200)
  }

  @Test("The channel that is handed in fills the place of one that the frame does not have")
  func channel() {
    let unknown = FrameMetadata(timestamp: Instant(seconds: 1), fcsPresent: false)
    var known = unknown
    known.channel = 5
    let radio = TAPHeader.Channel(number: 5, page: 2)
    #expect(TAPHeader(unknown).channel == nil)
    #expect(TAPHeader(unknown, channel: radio).channel == radio)
    #expect(TAPHeader(known, channel: radio).channel == radio)
    #expect(TAPHeader(known).channel == TAPHeader.Channel(number: 5))
    #expect(
      TAPHeader(known, channel: TAPHeader.Channel(number: 6, page: 2)).channel == TAPHeader.Channel(number: 5))
  }

  @Test("Times that the file cannot hold become the nearest")
  func times() throws {
    func written(_ microseconds: Int64, _ resolution: PcapngEncoder.Resolution) throws -> UInt64? {
      let frame = CapturedFrame(
        bytes: [2, 0, 1], metadata: FrameMetadata(timestamp: Instant(microseconds: microseconds), fcsPresent: false))
      let bytes = try PcapngEncoder(radio: "r", resolution: resolution).record(frame, .inbound)
      guard case .packet(let packet) = try PcapngBlock(parsing: bytes) else { return nil }
      return packet.timestamp
    }
    #expect(try written(-1, .microseconds) == 0)
    #expect(try written(.max, .microseconds) == UInt64(Int64.max))
    #expect(try written(.max, .nanoseconds) == .max)
    #expect(try written(7, .nanoseconds) == 7000)
  }

  @Test("A place that cannot be written says so")
  func cannotWrite() throws {
    let path = folder.path("missing/out.pcapng")
    do throws(CaptureError) {
      _ = try PcapngWriter(path: path, radio: "r")
      Issue.record("created")
    } catch {
      #expect(error.description == "\(path): cannot write the capture: No such file or directory")
    }
  }

  @Test("A full disk is an error at once", .enabled(if: FileManager.default.fileExists(atPath: "/dev/full")))
  func fullDisk() throws {
    do throws(CaptureError) {
      _ = try PcapngWriter(path: "/dev/full", radio: "r")
      Issue.record("written")
    } catch {
      #expect(error.kind == .cannotWrite)
    }
  }
}
