import Foundation
import IEEE802154
import Radio
import Synchronization
import TestSupport
import Testing
import Wire

/// What was reported.
final class ReportedErrors: Sendable {
  private let errors = Mutex<[CaptureError]>([])

  var all: [CaptureError] { errors.withLock { $0 } }
  func add(_ error: CaptureError) { errors.withLock { $0.append(error) } }
}

@Suite("A ring of capture files")
struct CaptureRingTests {
  let folder: TemporaryFolder
  let errors = ReportedErrors()
  let encoder = PcapngEncoder(radio: "linux:wpan0")
  var path: String { folder.path("home.pcapng") }

  init() throws { folder = try TemporaryFolder() }

  private func ring(_ maximumBytes: Int, files: Int = 2, path: String? = nil) -> CaptureRing {
    let errors = errors
    return CaptureRing(path: path ?? self.path, maximumBytes: maximumBytes, files: files, encoder: encoder) {
      errors.add($0)
    }
  }

  /// Frames of 20 bytes, each with its number in it.
  private func frame(_ number: Int) -> CapturedFrame {
    CapturedFrame(
      bytes: (0..<20).map { UInt8(truncatingIfNeeded: $0 < 8 ? number >> ($0 * 8) : 0) },
      metadata: FrameMetadata(timestamp: Instant(microseconds: Int64(number)), fcsPresent: false))
  }

  private func numbers(_ path: String) throws -> [Int] { try pcapngPackets(path).map { Int($0.timestamp) } }

  private func size(_ path: String) throws -> Int {
    try #require(FileManager.default.attributesOfItem(atPath: path)[.size] as? Int)
  }

  private var names: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder.url.path)) ?? []).sorted()
  }

  @Test("The newest frames are kept, in order, in no more bytes than allowed", arguments: 1...5)
  func bounded(files: Int) throws {
    let maximum = 2000
    let ring = ring(maximum, files: files)
    let all = ([path] + (1..<files).map { "\(path).\($0)" }).reversed()
    var kept = 0
    for number in 0..<200 {
      ring.write(frame(number), .inbound)
      let present = all.filter(FileManager.default.fileExists)
      #expect(try present.reduce(0) { $0 + (try size($1)) } <= maximum)
      let numbers = try present.flatMap(numbers)
      #expect(numbers.last == number)
      #expect(numbers == Array((numbers.first ?? 0)...number))
      kept = numbers.count
    }
    #expect(kept > 5)
    #expect(names.count == files)
    #expect(ring.statistics.written == 200)
    #expect(ring.statistics.lost == 0)
    #expect(errors.all.isEmpty)
    for file in all {
      let (records, error) = try records(of: file)
      #expect(error == nil && !records.isEmpty)
    }
  }

  @Test("Only the owner can read the files")
  func mode() throws {
    let ring = ring(2000)
    for number in 0..<30 { ring.write(frame(number), .outbound) }
    #expect(names == ["home.pcapng", "home.pcapng.1"])
    for name in names {
      let mode = try FileManager.default.attributesOfItem(atPath: folder.path(name))[.posixPermissions] as? Int
      #expect(mode == 0o600)
    }
  }

  @Test("What an earlier run left is kept as an older file; a file without frames is not worth that")
  func restart() throws {
    for number in 0..<3 {
      _ = ring(2000)
      ring(2000).write(frame(number), .inbound)
    }
    #expect(try numbers(path) == [2])
    #expect(try numbers(path + ".1") == [1])
    #expect(names.count == 2)
  }

  @Test("What is too large of an earlier run is removed")
  func smallerLimit() throws {
    let large = ring(20_000)
    for number in 0..<100 { large.write(frame(number), .inbound) }
    ring(2000).write(frame(100), .inbound)
    #expect(names == ["home.pcapng"])
    #expect(try numbers(path) == [100])
  }

  @Test("A place that cannot be written is reported once, and counted for every frame")
  func cannotWrite() throws {
    let ring = ring(2000, path: folder.path("missing/home.pcapng"))
    #expect(errors.all.map(\.kind) == [.cannotWrite])
    for number in 0..<3 { ring.write(frame(number), .inbound) }
    #expect(errors.all.count == 1)
    #expect(ring.statistics.lost == 3)
    #expect(ring.statistics.written == 0)
    // When the place is there, the ring goes on.
    try FileManager.default.createDirectory(atPath: folder.path("missing"), withIntermediateDirectories: true)
    ring.write(frame(3), .inbound)
    #expect(try numbers(ring.path) == [3])
    #expect(ring.statistics.written == 1)
  }

  @Test("Nothing is written through a link or into what is no file")
  func noRegularFile() throws {
    let target = try folder.file("target", [1, 2, 3])
    try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: target)
    ring(2000).write(frame(1), .inbound)
    #expect(try Data(contentsOf: URL(fileURLWithPath: target)) == Data([1, 2, 3]))
    #expect(errors.all.map(\.detail) == ["it is no regular file"])
    ring(2000, path: folder.url.path).write(frame(1), .inbound)
    #expect(errors.all.count == 2)
  }

  @Test("A room in which no frame fits is said and harmless")
  func tooSmall() throws {
    let ring = ring(300)
    ring.write(frame(1), .inbound)
    ring.write(frame(2), .inbound)
    #expect(ring.statistics.lost == 2)
    #expect(errors.all.map(\.detail) == ["300 bytes in 2 files hold no frame"])
    #expect(names == ["home.pcapng"])
  }
}
