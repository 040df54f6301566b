import Foundation
import IEEE802154
import Radio
import Testing
import Wire

@Suite("Capture files are read record by record, and bad ones are explained")
struct CaptureReaderTests {
  let folder: TemporaryFolder
  let frames: [[UInt8]] = [[2, 0, 1], [2, 0, 2, 0xaa], [2, 0, 3, 0xaa, 0xbb]]

  init() throws { folder = try TemporaryFolder() }

  private func expected(fraction: Int64) -> [OwnedRecord] {
    frames.enumerated().map { index, bytes in
      OwnedRecord(number: index + 1, nanoseconds: Int64(index + 1) * 1_000_000_000 + fraction, bytes: bytes)
    }
  }

  private func failure(_ name: String, _ bytes: [UInt8]) throws -> CaptureError {
    let path = try folder.file(name, bytes)
    return try #require(throws: CaptureError.self) { _ = try records(of: path) }
  }

  @Test(
    "pcap in both byte orders, time stamps in micro- and nanoseconds", arguments: [false, true],
    [false, true])
  func pcap(bigEndian: Bool, nanoseconds: Bool) throws {
    let path = try folder.file(
      "a.pcap", CaptureBytes.pcap(230, frames, bigEndian: bigEndian, nanoseconds: nanoseconds))
    let (records, error) = try records(of: path)
    #expect(error == nil)
    #expect(records == expected(fraction: nanoseconds ? 123_456 : 123_456_000))
  }

  @Test("pcapng in both byte orders", arguments: [false, true])
  func pcapng(bigEndian: Bool) throws {
    let path = try folder.file("a.pcapng", CaptureBytes.pcapng(195, frames, bigEndian: bigEndian))
    let (records, error) = try records(of: path)
    #expect(error == nil)
    #expect(records == expected(fraction: 123_456))
  }

  @Test(
    "The link type is known, and raw IP is raw IP under any number",
    arguments: [UInt32(1), 195, 215, 230, 283, 101])
  func linkTypes(number: UInt32) throws {
    let reader = try CaptureReader(path: try folder.file("a.pcap", CaptureBytes.pcap(number, frames)))
    #expect(LinkType.supported.contains(reader.linkType))
    #expect(number == 101 ? reader.linkType == .rawIP : reader.linkType.rawValue == Int32(number))
  }

  @Test("An unsupported link type is named")
  func unsupportedLinkType() throws {
    let error = try failure("wifi.pcap", CaptureBytes.pcap(127, frames))
    #expect(error.kind == .linkTypeUnsupported(LinkType(rawValue: 127)))
    #expect(error.description.contains("wifi.pcap: link type 127 (IEEE802_11_RADIO) is not supported"))
    #expect(try failure("odd.pcap", CaptureBytes.pcap(9999, frames)).description.contains("9999 (unknown)"))
  }

  @Test("What is no capture is called so, with the file")
  func notACapture() throws {
    for bytes in [[], [0xd4, 0xc3, 0xb2], Array("This is a text, and by no means a capture.".utf8)] {
      let error = try failure("note.txt", bytes)
      #expect(error.kind == .notACapture)
      #expect(error.description.contains("note.txt: not a capture: "))
    }
    let directory = folder.url.path
    #expect(throws: CaptureError.self) { _ = try records(of: directory) }
  }

  @Test("A missing file says so")
  func missing() throws {
    let path = folder.path("nowhere.pcap")
    let error = try #require(throws: CaptureError.self) { _ = try records(of: path) }
    #expect(error.kind == .cannotOpen)
    #expect(error.description == "\(path): cannot open the capture: No such file or directory")
  }

  @Test("A file cut off anywhere gives the records before the cut, then one error, then the end")
  func cutOff() throws {
    let whole = CaptureBytes.pcap(230, frames)
    let ends = frames.reduce(into: [24]) { ends, frame in ends.append((ends.last ?? 0) + 16 + frame.count) }
    for length in 24..<whole.count {
      let path = try folder.file("cut.pcap", Array(whole.prefix(length)))
      let (records, error) = try records(of: path)
      let complete = ends.lastIndex { $0 <= length } ?? 0
      #expect(records == Array(expected(fraction: 123_456_000).prefix(complete)))
      #expect(error?.kind == (ends.contains(length) ? nil : .damagedRecord(complete + 1)))
    }
    var reader = try CaptureReader(path: try folder.file("cut.pcap", Array(whole.dropLast())))
    for _ in 0..<2 { _ = try reader.next() }
    #expect(throws: CaptureError.self) { _ = try reader.nextFrame() }
    #expect(try reader.nextFrame() == nil)
  }

  @Test("A pcapng file cut off anywhere never traps")
  func cutOffPcapng() throws {
    let whole = CaptureBytes.pcapng(230, frames)
    for length in 0..<whole.count {
      let path = try folder.file("cut.pcapng", Array(whole.prefix(length)))
      guard let read = try? records(of: path) else { continue }
      #expect(expected(fraction: 123_456).starts(with: read.records))
      #expect(read.records.count < frames.count)
    }
  }

  @Test("A record length that no frame can have is a damaged record")
  func absurdLength() throws {
    var bytes = CaptureBytes.pcap(230, frames)
    bytes.replaceSubrange(24 + 8..<24 + 12, with: [0xff, 0xff, 0xff, 0x7f])
    let (records, error) = try records(of: try folder.file("a.pcap", bytes))
    #expect(records.isEmpty)
    #expect(error?.kind == .damagedRecord(1))
    #expect(error?.description.hasSuffix("there is none before it") == true)
  }

  @Test("A pcapng file whose interfaces differ in link type is refused, not misread")
  func mixedLinkTypes() throws {
    var file = CaptureBytes()
    file.interface(1)
    let bytes = CaptureBytes.pcapng(230, frames) + file.bytes
    let (records, error) = try records(of: try folder.file("a.pcapng", bytes))
    #expect(records.count == 3)
    #expect(error?.kind == .damagedRecord(4))
  }

  @Test("A record that the capture cut off is a drop, and the next ones are read")
  func limitedLength() throws {
    let path = try folder.file("a.pcap", CaptureBytes.pcap(230, frames, cutTo: 3))
    var reader = try CaptureReader(path: path)
    #expect(try reader.nextFrame()?.bytes == frames[0])
    #expect(try reader.nextFrame() == nil)
    #expect(reader.drops[.captureRecordTruncated] == 2)
    #expect(reader.recordNumber == 3)
  }

  @Test("As a source of frames, a reader passes over other traffic and counts it")
  func frameSource() throws {
    let path = try folder.file("a.pcap", CaptureBytes.pcap(1, [[UInt8](repeating: 0, count: 60)]))
    var reader = try CaptureReader(path: path)
    #expect(try reader.nextFrame() == nil)
    #expect(reader.drops[.captureNotIEEE802154] == 1)
  }
}
