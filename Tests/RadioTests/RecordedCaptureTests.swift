import Foundation
import IEEE802154
import Radio
import Testing
import Wire

/// The package's root folder.
private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent()

@Suite("The recordings are read whole")
struct RecordedCaptureTests {
  /// File and number of frames, from the table of Captures/INDEX.md.
  private static func index() throws -> [(file: String, frames: Int)] {
    let text = try String(contentsOf: root.appendingPathComponent("Captures/INDEX.md"), encoding: .utf8)
    return text.split(separator: "\n").compactMap { line in
      let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
      guard cells.count == 5, cells[0].hasPrefix("`"), cells[0].hasSuffix(".pcap`"),
        let frames = Int(cells[2].replacingOccurrences(of: ",", with: ""))
      else { return nil }
      return (cells[0].trimmingCharacters(in: ["`"]), frames)
    }
  }

  @Test("Every recording has the frames that Captures/INDEX.md says, and all are 802.15.4")
  func recordings() throws {
    let index = try Self.index()
    let folder = root.appendingPathComponent("Captures")
    let present = try FileManager.default.subpathsOfDirectory(atPath: folder.path).filter {
      $0.hasSuffix(".pcap")
    }
    #expect(Set(index.map(\.file)) == Set(present))
    for (file, count) in index {
      var reader = try CaptureReader(path: folder.appendingPathComponent(file).path)
      var frames = 0
      while let frame = try reader.nextFrame() {
        frames += 1
        #expect(!frame.bytes.isEmpty && frame.bytes.count <= 127)
      }
      #expect(reader.recordNumber == count, "\(file)")
      // Two greetings of RIOT's nodes are in the Ethernet capture.
      let others = reader.linkType == .ethernet ? count - frames : 0
      #expect(frames == count - others, "\(file)")
      #expect(reader.drops[.captureNotIEEE802154] == UInt64(others), "\(file)")
      #expect(reader.drops.total == UInt64(others), "\(file)")
    }
  }

  @Test("The recording over Ethernet and ZEP holds the frames of the one with FCS")
  func zepEqualsPlain() throws {
    func frames(_ file: String) throws -> [[UInt8]] {
      var reader = try CaptureReader(path: root.appendingPathComponent("Captures/\(file)").path)
      var frames: [[UInt8]] = []
      while let frame = try reader.nextFrame() {
        #expect(frame.metadata.fcsPresent)
        frames.append(frame.bytes)
      }
      return frames
    }
    #expect(try frames("zep-linklocal_udp_coap.pcap") == frames("riot-linklocal_udp_coap.pcap"))
    #expect(try frames("thread-sleepy-child.tap.pcap") == frames("thread-sleepy-child.fcs.pcap"))
  }

  private static let publicFolder = root.appendingPathComponent("../shared/captures/public")
    .standardizedFileURL
  private static var publicFiles: [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: publicFolder.path)) ?? []).sorted()
  }

  @Test(
    "Public captures, where present: every record is a frame or has a typed reason",
    .enabled(if: !publicFiles.isEmpty, "they are not in the repository"))
  func publicCaptures() throws {
    for file in Self.publicFiles {
      var reader = try CaptureReader(path: Self.publicFolder.appendingPathComponent(file).path)
      var frames: UInt64 = 0
      while (try reader.nextFrame()) != nil { frames += 1 }
      #expect(reader.recordNumber > 0)
      #expect(frames + reader.drops.total == UInt64(reader.recordNumber), "\(file)")
    }
  }
}
